"""Training: recipes, schedules, runs that resume exactly, and their reports."""

import importlib

_HOMES = {
    "Config": "run",
    "Recipe": "recipes",
    "Run": "run",
    "TrainingDiverged": "callbacks",
    "default_recipe": "recipes",
    "train": "run",
}

__all__ = [*_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'vislearn.training' has no attribute {name!r}")
    return getattr(importlib.import_module(f"vislearn.training.{_HOMES[name]}"), name)
