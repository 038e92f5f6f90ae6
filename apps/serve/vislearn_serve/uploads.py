"""Pictures in, answers out: the routes for people and for the page."""

import contextlib
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import FormParser, parse_options_header
from starlette.responses import Response

from vislearn import pictures as drawing
from vislearn_serve import images, tensors
from vislearn_serve.errors import Refused
from vislearn_serve.gate import reply
from vislearn_serve.packages import Model
from vislearn_serve.service import read_object, service_of

router = APIRouter(tags=["Pictures"])

_MOST_FILES = 64  # in a form
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
Top = Annotated[int, Query(ge=1, le=1000, description="Answers a picture.")]
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


@router.post("/answer/{name}", openapi_extra=_ANSWER)
async def answer(request: Request, name: str, top: Top = 5, picture: Picture = False):
    """Answers of the newest version about one or more pictures."""
    return await version_answer(request, name, None, top, picture)


@router.post("/answer/{name}/versions/{version}", openapi_extra=_ANSWER)
async def version_answer(
    request: Request, name: str, version: str | None, top: Top = 5, picture: Picture = False
):
    """Answers of one version about one or more pictures."""
    service = service_of(request)
    async with (
        service.model(request, name, version) as model,
        service.bodies.read(request) as body,
    ):
        if not model.takes_pictures:
            names = [item["name"] for item in model.inputs]
            raise Refused(400, f"{name} takes {names}, no pictures; use /v1 or /v2.")
        kind = request.headers.get("content-type", "")
        titles, found, inputs = await service.work(
            _read, body, kind, model, service.settings.max_pixels
        )
        answers = await model.infer({model.inputs[0]["name"]: inputs})
        if _wants_png(request):
            png = await service.work(images.draw, model, found, answers, titles, drawing.to_png)
            return Response(png, media_type="image/png")
        records = await service.work(images.records, model, found, answers, top)
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
            with contextlib.suppress(Refused):  # The codes of an encoder, for one, can't be drawn.
                content["picture"] = await service.work(
                    images.draw, model, found, answers, titles, drawing.to_data_uri
                )
        return reply(content)


@router.post("/generate/{name}")
async def generate(
    request: Request,
    name: str,
    count: Annotated[int, Query(ge=1, description="How many pictures.")] = 16,
    seed: Annotated[int, Query(ge=0, description="The same seed gives the same pictures.")] = 0,
    label: Annotated[str | None, Query(description="Class of all; none for each in turn.")] = None,
):
    """Pictures that the newest version makes from noise, as one picture (PNG)."""
    service = service_of(request)
    async with service.model(request, name) as model:
        if not model.makes_pictures:
            raise Refused(400, f"{name} makes no pictures from noise.")
        if count > model.batcher.capacity:
            raise Refused(400, f"count={count} must be at most {model.batcher.capacity}.")
        inputs = await service.work(images.noise, model, count, seed, label)
        answers = await model.infer(inputs)
        made = answers[model.manifest["shows"]]
        return Response(await service.work(images.grid, made), media_type="image/png")


def _wants_png(request: Request) -> bool:
    return "image/png" in request.headers.get("accept", "")


def _read(
    body: bytes, kind: str, model: Model, max_pixels: int
) -> tuple[list[str], list[np.ndarray], np.ndarray]:
    """Names of the pictures, the pictures, and the pictures as the model takes them."""
    media, options = parse_options_header(kind)
    if media == b"multipart/form-data":
        files = _form(body, options.get(b"boundary"))
    elif media == b"application/json":
        files = _from_json(read_object(body))
    else:
        files = {"image": body}
    item = model.inputs[0]
    pictures = images.read_pictures([*files.values()], item["shape"][-1], max_pixels)
    return [*files], pictures, images.fitted(pictures, item)


def _from_json(found: dict[str, Any]) -> dict[str, bytes]:
    """`{"image": base64}` or `{"images": [base64, ...]}`."""
    texts = found.get("images", [found.get("image")])
    if {*found} not in ({"image"}, {"images"}) or type(texts) is not list or not texts:
        raise Refused(400, "The body must hold image, a base64 text, or images, a list of such.")
    return {f"image {i}": tensors.from_base64(text, "image") for i, text in enumerate(texts, 1)}


def _form(body: bytes, boundary: bytes | None) -> dict[str, bytes]:
    """The files of a form, by name, all in memory."""
    if not boundary:
        raise Refused(400, "multipart/form-data must name its boundary.")
    files: dict[str, bytes] = {}

    def keep(file) -> None:
        if len(files) == _MOST_FILES:
            raise Refused(413, f"A form may hold {_MOST_FILES} files.")
        name = (file.file_name or b"image").decode(errors="replace")[:80]
        file.file_object.seek(0)
        files[f"{name} ({len(files) + 1})" if name in files else name] = file.file_object.read()

    config = {"MAX_MEMORY_FILE_SIZE": len(body) + 1}
    try:
        parser = FormParser(
            "multipart/form-data", lambda field: None, keep, boundary=boundary, config=config
        )
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise Refused(400, f"The form is damaged: {error}.") from error
    if not files:
        raise Refused(400, "The form holds no file.")
    return files
