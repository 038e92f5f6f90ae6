"""Pictures in, answers out: the routes for people and for the page."""

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, MultipartState, parse_options_header
from starlette.responses import Response

from vislearn import pictures as drawing
from vislearn.export.runtimes import IMAGE
from vislearn_serve import images, tensors
from vislearn_serve.errors import Refused
from vislearn_serve.gate import reply
from vislearn_serve.service import ANSWER, DRAW, READ, of_model, read_object, service_of

router = APIRouter(tags=["Pictures"])

_MOST_FILES = 64  # in a form
_NEVER = re.compile(r"q\s*=\s*0(\.0*)?")
_ANSWER = {
    "requestBody": {
        "required": True,
        "description": "A picture: JPEG, PNG, BMP, GIF or WebP. Send `Accept: image/png` for the "
        "answer as a picture.",
        "content": {
            "image/*": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"image": {"type": "string", "format": "binary"}},
                }
            },
            "application/json": {
                "schema": {"type": "object"},
                "example": {"images": ["iVBORw0KGgo..."]},
            },
        },
    }
}
Top = Annotated[
    int | None,
    Query(
        ge=1,
        le=1000,
        description="Answers a picture; by default 5, and all objects that would be drawn.",
    ),
]
Picture = Annotated[bool, Query(description="Add the drawn answer as a data: URI.")]


@router.get("/models")
async def models(request: Request):
    """What is served, newest version first, and what could not be loaded."""
    shelf, found = service_of(request).shelf, []
    for name in shelf.names():
        versions = shelf.versions(name)
        serving = [version for version in versions if shelf.serving(name, version)]
        entry: dict[str, Any] = {"name": name, "versions": serving}
        entry["errors"] = {v: shelf.errors[name, v] for v in versions if (name, v) in shelf.errors}
        if serving:
            model = shelf.get(name)
            entry |= {
                "task": model.task.name,
                "network": model.manifest["name"],
                "classes": model.task.classes,
                "takes_pictures": model.takes_pictures,
                "makes_pictures": model.makes_pictures,
                "inputs": model.inputs,
                "outputs": model.outputs,
            }
        found.append(entry)
    return reply({"models": found})


@of_model(router, "POST", "/answer/{name}", "", openapi_extra=_ANSWER)
async def answer(request: Request, top: Top = None, picture: Picture = False):
    """Answers about one or more pictures."""
    service = service_of(request)
    async with service.model(request) as model:
        body = await service.body(request)
        if not model.takes_pictures:
            names = [item["name"] for item in model.inputs]
            raise Refused(400, f"{model.name} takes {names}, no pictures; use /v1 or /v2.")
        kind = request.headers.get("content-type", "")
        files = await service.handle(READ, len(body), _files, body, kind)
        titles = [title for title, _ in files]
        png = _wants_png(",".join(request.headers.getlist("accept")))
        share = request.state.visit.share
        found = await service.pictures(
            request, model, [data for _, data in files], keep=png or picture
        )
        answers = await service.answers(model, {IMAGE: found.inputs})
        if png:
            drawn = await service.work(
                DRAW, images.draw, model, found, answers, titles, drawing.to_png, share
            )
            return Response(drawn, media_type="image/png")
        records = await service.work(ANSWER, images.records, model, found.sizes, answers, top)
        content = {
            "model": model.name,
            "version": model.version,
            "task": model.task.name,
            "answers": [
                {"file": title, **record} for title, record in zip(titles, records, strict=True)
            ],
        }
        if picture:
            content["picture"] = None
            try:
                content["picture"] = await service.work(
                    DRAW, images.draw, model, found, answers, titles, drawing.to_data_uri, share
                )
            except Refused as refused:
                if refused.status != 400:  # Some answers have words, and no picture.
                    raise
        return reply(content)


@of_model(router, "POST", "/generate/{name}", "")
async def generate(
    request: Request,
    count: Annotated[int, Query(ge=1, description="How many pictures.")] = 16,
    seed: Annotated[int, Query(ge=0, description="The same seed gives the same pictures.")] = 0,
    label: Annotated[str | None, Query(description="Class of all; none for each in turn.")] = None,
):
    """Pictures that a model makes from noise, as one picture (PNG)."""
    service = service_of(request)
    async with service.model(request) as model:
        if not request.state.visit.body_read and await service.body(request):
            raise Refused(400, "Nothing is read from the body here: send none.")
        if not model.makes_pictures:
            raise Refused(400, f"{model.name} makes no pictures from noise.")
        service.reserve(request, model, count)
        inputs = await service.work(READ, images.noise, model, count, seed, label)
        answers = await service.answers(model, inputs)
        made = answers[model.shows]
        drawn = await service.work(DRAW, images.grid, made, request.state.visit.share)
        return Response(drawn, media_type="image/png")


def _wants_png(accept: str) -> bool:
    """Whether `Accept` names PNG, or else pictures of any kind, and does not exclude it by q=0."""
    wanted = {}
    for part in accept.lower().split(","):
        media, *options = (text.strip() for text in part.split(";"))
        wanted[media] = not any(_NEVER.fullmatch(option) for option in options)
    return wanted.get("image/png", wanted.get("image/*", False))


def _files(body: bytes, kind: str) -> list[tuple[str, bytes]]:
    """Names and contents of the picture files in a body."""
    media, options = parse_options_header(kind)
    if media == b"multipart/form-data":
        return _form(body, options.get(b"boundary"))
    if media == b"application/json":
        return _from_json(read_object(body))
    return [("image", body)]


def _from_json(found: dict[str, Any]) -> list[tuple[str, bytes]]:
    """`{"image": base64}` or `{"images": [base64, ...]}`."""
    texts = found.get("images", [found.get("image")])
    if {*found} not in ({"image"}, {"images"}) or type(texts) is not list or not texts:
        raise Refused(400, "The body must hold image, a base64 text, or images, a list of such.")
    return [(f"image {i}", tensors.from_base64(text, "image")) for i, text in enumerate(texts, 1)]


def _form(body: bytes, boundary: bytes | None) -> list[tuple[str, bytes]]:
    """The files of a form, all in memory."""
    if not boundary:
        raise Refused(400, "multipart/form-data must name its boundary.")
    files: list[tuple[str, bytes]] = []

    def keep(file) -> None:
        if len(files) == _MOST_FILES:
            raise Refused(413, f"A form may hold {_MOST_FILES} files.")
        name = (file.file_name or b"image").decode(errors="replace")[:80]
        file.file_object.seek(0)
        files.append((name, file.file_object.read()))

    config = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
    try:
        parser = FormParser(
            "multipart/form-data", lambda field: None, keep, boundary=boundary, config=config
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"The form is damaged: {error}.") from error
    # The parser itself takes a form that was cut off for a whole one.
    if parser.parser.state != MultipartState.END:
        raise Refused(400, "The form is cut off: its end boundary is missing.")
    if not files:
        raise Refused(400, "The form holds no file.")
    return files
