"""vislearn: deep learning on images in Keras, from a folder of images to a checked export.

The names below are loaded when they are first used, so that `import vislearn` costs next to
nothing and a program that only runs an exported package never loads Keras or TensorFlow.
"""

import importlib
import importlib.abc
import importlib.util
import sys

from vislearn.lazy import attach

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
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
        "data": "data",
        "export": "export",
        "layers": "layers",
        "losses": "losses",
        "metrics": "metrics",
        "pictures": "pictures",
        "samplers": "samplers",
        "tasks": "tasks",
        "training": "training",
    },
)


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
