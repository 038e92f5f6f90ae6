"""What OpenAPI is told beyond what FastAPI finds out: bodies, errors, headers and the key."""

import re
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from vislearn_serve.gate import OPEN_PATHS
from vislearn_serve.settings import Settings

_IN_PATH = {
    "name": "The model.",
    "version": "One of its versions.",
    "label": "`stable`, the newest version.",
}
_HEADERS = [
    {
        "name": "X-Request-Timeout",
        "in": "header",
        "description": "Seconds after which the answer is of no use.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
    },
    {
        "name": "X-Request-ID",
        "in": "header",
        "description": "Comes back with the answer, and stands in the log.",
        "schema": {"type": "string", "maxLength": 64},
    },
]
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string", "description": "What was wrong."}},
}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


def body_of(example: dict[str, Any], description: str) -> dict[str, Any]:
    """A JSON body, told by an example."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def described(app: FastAPI, settings: Settings) -> dict[str, Any]:
    """The description of all routes."""
    schema = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes
    )
    # FastAPI describes its own answer to a wrong query, which is never sent.
    schema["components"] = {"schemas": {"Error": _ERROR}}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = {"description": "Refused.", "content": content}
            own = operation.setdefault("parameters", [])
            own += [_in_path(name) for name in re.findall(r"{(\w+)}", path)] + _HEADERS
            if path in OPEN_PATHS and settings.api_key is not None:
                operation["security"] = []
    if settings.api_key is not None:
        schema["components"]["securitySchemes"] = _KEYS
        schema["security"] = [{name: []} for name in _KEYS]
    return schema


def _in_path(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _IN_PATH[name],
        "schema": {"type": "string"},
    }
