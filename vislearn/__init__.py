"""vislearn: deep learning on images in Keras, from a folder of images to a checked export.

The names below are loaded when they are first used, so that `import vislearn` costs next to
nothing and a program that only runs an exported package never loads Keras or TensorFlow.
"""

import importlib
import importlib.abc
import importlib.util
import sys

__version__ = "0.1.0"

_HOMES = {
    "create_model": "registry",
    "create_backbone": "registry",
    "list_models": "registry",
    "model_info": "registry",
    "register": "registry",
    "ModelInfo": "registry",
    "Paper": "registry",
    "load_dataset": "data",
    "train": "training",
    "export_model": "export",
    "load_predictor": "export",
}

__all__ = [*_HOMES]


_ROOMS = ("data", "export", "layers", "losses", "models", "pictures", "tasks", "training")


def __getattr__(name: str):
    if name in _ROOMS:
        return importlib.import_module(f"vislearn.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'vislearn' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vislearn.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_ROOMS})


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Registers our layers with Keras once Keras is imported, so that it can load our models."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None:
            load = spec.loader.exec_module

            def load_then_register(module):
                load(module)
                importlib.import_module("vislearn.layers")

            spec.loader.exec_module = load_then_register
        return spec


if "keras" in sys.modules:
    importlib.import_module("vislearn.layers")
else:
    sys.meta_path.insert(0, _AfterKeras())
