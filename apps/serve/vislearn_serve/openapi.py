"""What the routes tell OpenAPI about bodies that they read themselves."""

from typing import Any


def body_of(example: dict[str, Any], description: str) -> dict[str, Any]:
    """A JSON body, told by an example."""
    content = {"application/json": {"schema": {"type": "object"}, "example": example}}
    return {"requestBody": {"required": True, "description": description, "content": content}}
