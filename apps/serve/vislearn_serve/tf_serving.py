"""The REST interface of TensorFlow Serving.

https://www.tensorflow.org/tfx/serving/api_rest; `{"b64": ...}` in place of an image's numbers holds
a picture file of any size, which is fitted to the input. The answers of `:classify` and `:regress`
stand under `result`, as that page says; TensorFlow Serving's own tests have `results`.
"""

from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from vislearn.export.runtimes import IMAGE, SIGNATURE
from vislearn.tasks.base import Arrays
from vislearn_serve import tensors
from vislearn_serve.errors import Refused
from vislearn_serve.gate import reply
from vislearn_serve.openapi import body_of
from vislearn_serve.packages import Model
from vislearn_serve.service import (
    ANSWER,
    LABEL,
    NEWEST,
    READ,
    VERSION,
    Given,
    of_model,
    read_object,
    service_of,
)
from vislearn_serve.shelf import Shelf

router = APIRouter(prefix="/v1/models", tags=["TensorFlow Serving"])

_VERSIONS = (NEWEST, VERSION, LABEL)
_PREDICT = body_of(
    {
        "signature_name": SIGNATURE,
        "instances": [{"image": {"b64": "iVBORw0KGgo..."}}],
    },
    "`instances`, an entry an example, or `inputs`, a list an input. An image is nested lists of "
    'numbers, or `{"b64": ...}` of a picture file.',
)
_EXAMPLES = body_of(
    {"examples": [{"image": {"b64": "iVBORw0KGgo..."}}]},
    "Examples as in `instances` of `:predict`; in `context`, inputs that are the same in all.",
)


@of_model(router, "GET", "/{name}", "", _VERSIONS)
async def status(request: Request):
    """State of one version of a model, or of all."""
    service = service_of(request)
    states = _states(service.shelf, request.path_params["name"])
    if "version" in request.path_params or "label" in request.path_params:
        wanted = request.path_params.get("version")
        if all(row["version"] != wanted for row in states):
            async with service.model(request) as model:  # Or says what there is.
                wanted = model.version
        states = [row for row in states if row["version"] == wanted]
    return reply({"model_version_status": states})


@of_model(router, "GET", "/{name}", "/metadata", _VERSIONS)
async def metadata(request: Request):
    """Inputs and outputs of a model, for each name that a request may call it by."""
    async with service_of(request).model(request) as model:
        signature = {
            "inputs": {item["name"]: _tensor_info(item) for item in model.inputs},
            "outputs": {item["name"]: _tensor_info(item) for item in model.outputs},
            "method_name": "tensorflow/serving/predict",
        }
        spec = {"name": model.name, "signature_name": "", "version": model.version}
        signatures = {"signature_def": dict.fromkeys(model.signatures, signature)}
        return reply({"model_spec": spec, "metadata": {"signature_def": signatures}})


@of_model(router, "POST", "/{name}", ":predict", _VERSIONS, openapi_extra=_PREDICT)
async def predict(request: Request):
    """Answers of a model."""
    service = service_of(request)
    async with service.model(request) as model:
        body = await service.body(request)
        by_row, given = await service.handle(READ, len(body), _parse, body, model)
        answers = await service.infer(request, model, given)
        size = sum(value.nbytes for value in answers.values())
        return await service.handle(ANSWER, size, _answer, answers, by_row)


@of_model(router, "POST", "/{name}", ":classify", _VERSIONS, openapi_extra=_EXAMPLES)
async def classify(request: Request):
    """Classes and scores of a classifier, the likeliest first."""
    service = service_of(request)
    async with service.model(request) as model:
        body = await service.body(request)
        if model.task.name != "classification":
            raise Refused(400, f"{model.name} is no classifier; use :predict.")
        given = await service.handle(READ, len(body), _parse_examples, body, model)
        answers = await service.infer(request, model, given)
        size = sum(value.nbytes for value in answers.values())
        return await service.handle(ANSWER, size, _classes, model, answers)


@of_model(router, "POST", "/{name}", ":regress", _VERSIONS, openapi_extra=_EXAMPLES)
async def regress(request: Request):
    """Values of a model that measures one quantity."""
    service = service_of(request)
    async with service.model(request) as model:
        body = await service.body(request)
        if model.task.name != "regression":
            raise Refused(400, f"{model.name} is no regression; use :predict.")
        if len(model.classes) > 1:
            names = [*model.classes]
            raise Refused(400, f"{model.name} measures {names}, :regress is for one; use :predict.")
        given = await service.handle(READ, len(body), _parse_examples, body, model)
        answers = await service.infer(request, model, given)
        return reply({"result": answers["values"][:, 0]})


def _classes(model: Model, answers: Arrays) -> Response:
    count, classes = len(answers["class_id"]), len(model.classes)
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


def _check_signature(found: dict[str, Any], model: Model) -> None:
    signature = found.get("signature_name", "")
    if signature not in ("", *model.signatures):
        names = [*model.signatures]
        raise Refused(400, f"signature_name {str(signature)[:80]!r} must be one of {names}.")


def _parse(body: bytes, model: Model) -> tuple[bool, Given]:
    """Whether the examples came by row, and the inputs."""
    found = read_object(body)
    _check_signature(found, model)
    if ("instances" in found) == ("inputs" in found):
        raise Refused(400, "The body must hold either instances or inputs.")
    if "instances" in found:
        return True, _by_row(found["instances"], model)
    columns = found["inputs"]
    if type(columns) is not dict:
        columns = dict.fromkeys([model.inputs[0]["name"]], columns)
    return False, _columns(columns, model)


def _parse_examples(body: bytes, model: Model) -> Given:
    """The inputs of `:classify` and `:regress`."""
    found = read_object(body)
    _check_signature(found, model)
    context, rows = found.get("context", {}), found.get("examples")
    names = [item["name"] for item in model.inputs]
    if type(context) is not dict or not {*context} <= {*names}:
        raise Refused(400, f"context must be an object of inputs of {model.name}: {names}.")
    if context and type(rows) is list:
        for number, row in enumerate(rows):
            if type(row) is not dict or {*row} & {*context}:
                text = f"Example {number} must be an object without what context holds"
                raise Refused(400, f"{text}: {[*context]}.")
        rows = [{**context, **row} for row in rows]
    return _by_row(rows, model)


def _by_row(rows: Any, model: Model) -> Given:
    """Inputs from a list with an entry an example: an object, or the value of the only input."""
    if type(rows) is not list or not rows:
        raise Refused(400, "The examples must be a list that is not empty.")
    names = [item["name"] for item in model.inputs]
    named = [type(row) is dict and {*row} == {*names} for row in rows]
    if not any(named) and len(names) == 1:
        return _columns({names[0]: rows}, model)
    if not all(named):
        raise Refused(400, f"Example {named.index(False)} must be an object of {names}.")
    return _columns({name: [row[name] for row in rows] for name in names}, model)


def _columns(columns: dict[str, Any], model: Model) -> Given:
    """Inputs from a list an input."""
    names = [item["name"] for item in model.inputs]
    if {*columns} != {*names}:
        given = [str(name)[:40] for name in columns][:20]
        raise Refused(400, f"The inputs are {names}, and the body holds {given}.")
    return {item["name"]: _column(columns[item["name"]], item, model) for item in model.inputs}


def _column(value: Any, item: dict[str, Any], model: Model) -> np.ndarray | list[bytes]:
    """One input, or its picture files."""
    packed = type(value) is list and value and all(type(entry) is dict for entry in value)
    if item["name"] != IMAGE or not packed or not model.takes_pictures:
        return tensors.from_lists(value, item)
    return [tensors.from_base64(entry.get("b64")) for entry in value]
