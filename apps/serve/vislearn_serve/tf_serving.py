"""The REST interface of TensorFlow Serving.

https://www.tensorflow.org/tfx/serving/api_rest; `{"b64": ...}` in place of an image's numbers holds
a picture file of any size, which is fitted to the input.
"""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from vislearn.export.runtimes import IMAGE, SIGNATURE
from vislearn.tasks.base import Arrays
from vislearn_serve import images, tensors
from vislearn_serve.errors import Refused
from vislearn_serve.gate import reply
from vislearn_serve.openapi import body_of
from vislearn_serve.packages import Model, Shelf
from vislearn_serve.service import read_object, service_of

router = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving"])

_PREDICT = body_of(
    {
        "signature_name": SIGNATURE,
        "instances": [{"image": {"b64": "iVBORw0KGgo..."}}],
    },
    "`instances`, an entry an example, or `inputs`, a list an input. An image is nested lists of "
    'numbers, or `{"b64": ...}` of a picture file.',
)
_CLASSIFY = body_of(
    {"examples": [{"image": {"b64": "iVBORw0KGgo..."}}]},
    "Examples as in `instances` of `:predict`.",
)


@router.get("/{name}")
async def status(request: Request, name: str):
    """State of every version of a model."""
    return reply({"model_version_status": _states(service_of(request).shelf, name)})


@router.get("/{name}/versions/{version}")
async def version_status(request: Request, name: str, version: str):
    """State of one version."""
    shelf = service_of(request).shelf
    found = [row for row in _states(shelf, name) if row["version"] == version]
    if not found:
        shelf.get(name, version)  # Says what there is.
    return reply({"model_version_status": found})


@router.get("/{name}/metadata")
async def metadata(request: Request, name: str):
    """Inputs and outputs of the newest version."""
    return await version_metadata(request, name, None)


@router.get("/{name}/versions/{version}/metadata")
async def version_metadata(request: Request, name: str, version: str | None):
    """Inputs and outputs of one version."""
    async with service_of(request).model(request, name, version) as model:
        signature = {
            "inputs": {item["name"]: _tensor_info(item) for item in model.inputs},
            "outputs": {item["name"]: _tensor_info(item) for item in model.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        spec = {"name": model.name, "signature_name": "", "version": model.version}
        signatures = {"signature_def": {"signature_def": {SIGNATURE: signature}}}
        return reply({"model_spec": spec, "metadata": signatures})


@router.post("/{name}:predict", openapi_extra=_PREDICT)
async def predict(request: Request, name: str):
    """Answers of the newest version."""
    return await version_predict(request, name, None)


@router.post("/{name}/versions/{version}:predict", openapi_extra=_PREDICT)
async def version_predict(request: Request, name: str, version: str | None):
    """Answers of one version."""
    service = service_of(request)
    async with (
        service.model(request, name, version) as model,
        service.bodies.read(request) as body,
    ):
        pixels = service.settings.max_pixels
        by_row, inputs = await service.handle(len(body), _parse, body, model, pixels)
        answers = await model.infer(inputs)
        return await service.handle(tensors.size(answers), _answer, answers, by_row)


@router.post("/{name}:classify", openapi_extra=_CLASSIFY)
async def classify(request: Request, name: str):
    """Classes and scores of the newest version of a classifier."""
    return await version_classify(request, name, None)


@router.post("/{name}/versions/{version}:classify", openapi_extra=_CLASSIFY)
async def version_classify(request: Request, name: str, version: str | None):
    """Classes and scores of one version of a classifier."""
    service = service_of(request)
    async with (
        service.model(request, name, version) as model,
        service.bodies.read(request) as body,
    ):
        if model.task.name != "classification":
            raise Refused(400, f"{model.name} is no classifier; use :predict.")
        pixels = service.settings.max_pixels
        inputs = await service.handle(len(body), _parse_examples, body, model, pixels)
        answers = await model.infer(inputs)
        count, classes = len(answers["class_id"]), len(model.task.classes)
        return reply({"result": [model.task.describe(answers, i, classes) for i in range(count)]})


def _answer(answers: Arrays, by_row: bool) -> Response:
    single = len(answers) == 1
    if not by_row:
        return reply({"outputs": next(iter(answers.values())) if single else answers})
    if single:
        return reply({"predictions": next(iter(answers.values()))})
    rows = zip(*answers.values(), strict=True)
    return reply({"predictions": [dict(zip(answers, row, strict=True)) for row in rows]})


def _states(shelf: Shelf, name: str) -> list[dict[str, Any]]:
    """What TensorFlow Serving says of the versions; a broken new file stands beside what serves."""
    versions = shelf.versions(name)
    if not versions:
        shelf.get(name)  # Says what there is.
    return [
        {
            "version": version,
            "state": "AVAILABLE" if shelf.serving(name, version) else "END",
            "status": {
                "error_code": "UNKNOWN" if (name, version) in shelf.errors else "OK",
                "error_message": shelf.errors.get((name, version), ""),
            },
        }
        for version in versions
    ]


def _tensor_info(item: dict[str, Any]) -> dict[str, Any]:
    sizes = [-1 if size is None else size for size in item["shape"]]
    return {
        "dtype": tensors.TENSORFLOW[item["dtype"]],
        "tensor_shape": {
            "dim": [{"size": str(size), "name": ""} for size in sizes],
            "unknown_rank": False,
        },
        "name": f"{SIGNATURE}_{item['name']}:0",
    }


def _parse(body: bytes, model: Model, max_pixels: int) -> tuple[bool, Arrays]:
    """Whether the examples came by row, and the inputs."""
    found = read_object(body)
    signature = found.get("signature_name", SIGNATURE)
    if signature not in ("", SIGNATURE):
        raise Refused(400, f"signature_name {str(signature)[:80]!r} must be {SIGNATURE!r}.")
    if ("instances" in found) == ("inputs" in found):
        raise Refused(400, "The body must hold either instances or inputs.")
    if "instances" in found:
        return True, _by_row(found["instances"], model, max_pixels)
    columns = found["inputs"]
    if type(columns) is not dict:
        columns = dict.fromkeys([model.inputs[0]["name"]], columns)
    return False, _arrays(columns, model, max_pixels)


def _parse_examples(body: bytes, model: Model, max_pixels: int) -> Arrays:
    return _by_row(read_object(body).get("examples"), model, max_pixels)


def _by_row(rows: Any, model: Model, max_pixels: int) -> Arrays:
    """Inputs from a list with an entry an example: an object, or the value of the only input."""
    if type(rows) is not list or not rows:
        raise Refused(400, "The examples must be a list that is not empty.")
    names = [item["name"] for item in model.inputs]
    named = [type(row) is dict and {*row} == {*names} for row in rows]
    if not any(named) and len(names) == 1:
        return _arrays({names[0]: rows}, model, max_pixels)
    if not all(named):
        raise Refused(400, f"Example {named.index(False)} must be an object of {names}.")
    return _arrays({name: [row[name] for row in rows] for name in names}, model, max_pixels)


def _arrays(columns: dict[str, Any], model: Model, max_pixels: int) -> Arrays:
    """Inputs from a list an input."""
    names = [item["name"] for item in model.inputs]
    if {*columns} != {*names}:
        given = [str(name)[:40] for name in columns][:20]
        raise Refused(400, f"The inputs are {names}, and the body holds {given}.")
    return {
        item["name"]: _array(columns[item["name"]], item, model, max_pixels)
        for item in model.inputs
    }


def _array(value: Any, item: dict[str, Any], model: Model, max_pixels: int) -> np.ndarray:
    packed = type(value) is list and value and all(type(entry) is dict for entry in value)
    if item["name"] != IMAGE or not packed or not model.takes_pictures:
        return tensors.from_lists(value, item)
    files = [tensors.from_base64(entry.get("b64")) for entry in value]
    return images.decode(files, item, max_pixels)
