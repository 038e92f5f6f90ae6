"""The Open Inference Protocol, version 2, with the binary tensor extension.

https://github.com/kserve/open-inference-protocol and, for tensors as bytes after the JSON,
https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md;
`tritonclient.http` speaks it. An input of pictures may also come as BYTES of picture files.
"""

import asyncio
import dataclasses
from typing import Any

import numpy as np
import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from vislearn import __version__
from vislearn.export.runtimes import IMAGE
from vislearn.tasks.base import Arrays
from vislearn_serve import tensors
from vislearn_serve.errors import Refused
from vislearn_serve.gate import reply
from vislearn_serve.openapi import body_of
from vislearn_serve.packages import Model
from vislearn_serve.service import ANSWER, READ, Given, of_model, read_object, service_of

HEADER_LENGTH = "Inference-Header-Content-Length"

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

_INFER = body_of(
    {"inputs": [{"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [0] * 64}]},
    "Inputs with their data as JSON, flat or nested, or as bytes after the JSON (header "
    f"`{HEADER_LENGTH}`). An image may be BYTES: picture files, base64 texts in JSON.",
)


@router.get("")
async def server(request: Request):
    """Name, version and extensions of the server."""
    extensions = ["binary_tensor_data", "model_configuration", "model_repository(index)"]
    return reply({"name": "vislearn", "version": __version__, "extensions": extensions})


@router.get("/health/live")
async def live(request: Request):
    """200 while the process works."""
    return reply({"live": True})


@router.get("/health/ready")
async def ready(request: Request):
    """200 while a model serves, else 503."""
    found = service_of(request).shelf.ready
    return reply({"ready": found}, 200 if found else 503)


@router.post("/repository/index")
async def index(request: Request):
    """Every version of every model, and what is wrong with those that could not be loaded."""
    shelf = service_of(request).shelf
    return reply(
        [
            {
                "name": name,
                "version": version,
                "state": "READY" if shelf.serving(name, version) else "UNAVAILABLE",
                "reason": shelf.errors.get((name, version), ""),
            }
            for name in shelf.names()
            for version in shelf.versions(name)
        ]
    )


@of_model(router, "GET", "/models/{name}", "")
async def metadata(request: Request):
    """Inputs and outputs of a model."""
    service = service_of(request)
    async with service.model(request) as model:
        versions = service.shelf.versions(model.name)
        return reply(
            {
                "name": model.name,
                "versions": [v for v in versions if service.shelf.serving(model.name, v)],
                "platform": f"vislearn_{service.settings.format}",
                "inputs": [_tensor(item) for item in model.inputs],
                "outputs": [_tensor(item) for item in model.outputs],
            }
        )


@of_model(router, "GET", "/models/{name}", "/ready")
async def model_ready(request: Request):
    """200 if the model serves."""
    async with service_of(request).model(request) as model:
        return reply({"name": model.name, "ready": True})


@of_model(router, "GET", "/models/{name}", "/config")
async def config(request: Request):
    """Batch sizes and tensors of a model, as Triton tells them."""
    service = service_of(request)
    async with service.model(request) as model:

        def described(items):
            return [
                {
                    "name": item["name"],
                    "data_type": f"TYPE_{tensors.OPEN_INFERENCE[item['dtype']]}",
                    "dims": item["shape"][1:],
                }
                for item in items
            ]

        return reply(
            {
                "name": model.name,
                "platform": f"vislearn_{service.settings.format}",
                "max_batch_size": model.batcher.capacity,
                "input": described(model.inputs),
                "output": described(model.outputs),
                "dynamic_batching": {"preferred_batch_size": model.batcher.sizes},
            }
        )


@of_model(router, "POST", "/models/{name}", "/infer", openapi_extra=_INFER)
async def infer(request: Request):
    """Answers of a model."""
    service = service_of(request)
    async with service.model(request) as model:
        body = await service.body(request)
        header = request.headers.get(HEADER_LENGTH)
        question = await service.handle(READ, len(body), _parse, body, header, model)
        async with asyncio.timeout(question.seconds):
            answers = await service.infer(request, model, question.given)
        size = sum(value.nbytes for value in answers.values())
        return await service.handle(ANSWER, size, _answer, question, answers, model)


@dataclasses.dataclass(frozen=True)
class _Question:
    """What a request asks.

    Attributes:
        given: The inputs.
        wanted: The outputs that are asked for, and whether each is to come as bytes.
        seconds: What the client allows; None for no more than the deadline.
        identity: Comes back with the answer.
    """

    given: Given
    wanted: dict[str, bool]
    seconds: float | None
    identity: str | None


def _tensor(item: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": item["name"],
        "datatype": tensors.OPEN_INFERENCE[item["dtype"]],
        "shape": [-1 if size is None else size for size in item["shape"]],
    }


def _parse(body: bytes, header: str | None, model: Model) -> _Question:
    """The question in a body."""
    length = len(body)
    if header is not None:
        if not (header.isdecimal() and len(header) < 12 and int(header) <= length):
            raise Refused(
                400, f"{HEADER_LENGTH} {header[:40]!r} must be a number of at most {length} bytes."
            )
        length = int(header)
    question, rest = read_object(body[:length]), body[length:]
    _parameters(question, "The request")
    given = question.get("inputs")
    if type(given) is not list or not all(type(one) is dict for one in given):
        raise Refused(400, "inputs must be a list of objects.")
    expected = {item["name"]: item for item in model.inputs}
    names = [one.get("name") for one in given]
    if len(names) != len(expected) or any(name not in names for name in expected):
        texts = [str(name)[:40] for name in names[:20]]
        raise Refused(400, f"inputs must be {[*expected]}, each once, and are {texts}.")
    arrays = {}
    for one in given:
        size = _parameters(one, f"Input {one['name']}").get("binary_data_size")
        data = None
        if size is not None:
            if type(size) is not int or not 0 <= size <= len(rest):
                raise Refused(
                    400,
                    f"{one['name']}: binary_data_size {str(size)[:40]} must be a number of bytes, "
                    f"and {len(rest)} are left.",
                )
            data, rest = rest[:size], rest[size:]
        arrays[one["name"]] = _array(one, data, expected[one["name"]], model)
    if rest:
        raise Refused(400, f"{len(rest)} bytes after the JSON belong to no input.")
    identity = question.get("id")
    return _Question(
        arrays,
        _wanted(question, model),
        _seconds(question),
        identity if type(identity) is str else None,
    )


def _array(
    one: dict[str, Any], data: bytes | None, item: dict[str, Any], model: Model
) -> np.ndarray | list[bytes]:
    """One input, or its picture files, from its entry and, where it came so, its bytes."""
    name, datatype, shape = item["name"], one.get("datatype"), one.get("shape")
    if type(shape) is not list or not all(type(n) is int and n > 0 for n in shape):
        raise Refused(400, f"{name}: shape must be a list of numbers of at least 1.")
    values = one.get("data")
    if data is None and (type(values) is not list or not values):
        raise Refused(
            400, f"{name}: data must be a list that is not empty, or binary_data_size given."
        )
    if datatype == "BYTES" and name == IMAGE and model.takes_pictures:
        files = (
            _byte_strings(data, name) if data is not None else [*map(tensors.from_base64, values)]
        )
        if shape not in ([len(files)], [len(files), 1]):
            raise Refused(400, f"{name} has the shape {shape[:8]} for {len(files)} picture files.")
        return files
    wanted = _tensor(item)
    if datatype != wanted["datatype"]:
        expected = wanted["datatype"]
        raise Refused(400, f"{name}: datatype {str(datatype)[:40]!r} must be {expected!r}.")
    if len(shape) != len(wanted["shape"]) or shape[1:] != wanted["shape"][1:]:
        raise Refused(400, f"{name}: the shape {shape[:8]} must be {wanted['shape']}.")
    if data is not None:
        return tensors.from_bytes(data, tuple(shape), item)
    if type(values[0]) is not list:
        return tensors.from_flat(values, tuple(shape), item)
    array = tensors.from_lists(values, item)
    if len(array) != shape[0]:
        raise Refused(400, f"{name} has {len(array)} examples for the shape {shape}.")
    return array


def _byte_strings(data: bytes, name: str) -> list[bytes]:
    """The strings of a BYTES tensor: each after its length in four bytes, little-endian."""
    found, start = [], 0
    while start < len(data):
        end = start + 4 + int.from_bytes(data[start : start + 4], "little")
        if start + 4 > len(data) or end > len(data):
            raise Refused(400, f"{name}: the bytes end within a string.")
        found.append(data[start + 4 : end])
        start = end
    return found


def _parameters(holder: dict[str, Any], what: str) -> dict[str, Any]:
    found = holder.get("parameters", {})
    if type(found) is not dict:
        raise Refused(400, f"{what}: parameters must be an object.")
    return found


def _seconds(question: dict[str, Any]) -> float | None:
    """What the client allows, which comes in microseconds, as Triton does."""
    timeout = question.get("parameters", {}).get("timeout")
    if timeout is None:
        return None
    if type(timeout) is not int or timeout <= 0:
        raise Refused(400, f"timeout {str(timeout)[:40]} must be microseconds, more than 0.")
    return timeout / 1e6


def _wanted(question: dict[str, Any], model: Model) -> dict[str, bool]:
    """The outputs that are asked for, and whether each is to come as bytes."""
    default = question.get("parameters", {}).get("binary_data_output", False) is True
    asked = question.get("outputs")
    if asked is None or asked == []:
        return {item["name"]: default for item in model.outputs}
    if type(asked) is not list or not all(type(one) is dict for one in asked):
        raise Refused(400, "outputs must be a list of objects.")
    names, wanted = [item["name"] for item in model.outputs], {}
    for one in asked:
        name = one.get("name")
        if name not in names:
            raise Refused(400, f"outputs holds {str(name)[:40]!r}; there are {names}.")
        parameters = _parameters(one, f"Output {name}")
        if "classification" in parameters:
            raise Refused(400, f"Output {name}: no classification here; see :classify of /v1.")
        wanted[name] = parameters.get("binary_data", default) is True
    return wanted


def _answer(question: _Question, answers: Arrays, model: Model) -> Response:
    head: dict[str, Any] = {
        "model_name": model.name,
        "model_version": model.version,
        "outputs": [],
    }
    if question.identity is not None:
        head["id"] = question.identity
    parts = []
    for item in model.outputs:
        name = item["name"]
        if name not in question.wanted:
            continue
        value = answers[name]
        entry = {**_tensor(item), "shape": value.shape}
        if question.wanted[name]:
            parts.append(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
            entry["parameters"] = {"binary_data_size": len(parts[-1])}
        else:
            entry["data"] = value.ravel()
        head["outputs"].append(entry)
    if not parts:
        return reply(head)
    text = orjson.dumps(head, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {HEADER_LENGTH: str(len(text))}
    return Response(b"".join([text, *parts]), 200, headers, "application/octet-stream")
