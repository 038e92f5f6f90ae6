"""The deployable package: a folder that holds a model in several formats, checked against Keras.

`export_model` writes one and needs TensorFlow. `load_predictor` runs one; with the LiteRT and ONNX
files it loads neither Keras nor TensorFlow, so the names below are imported when first used.
"""

import importlib

_HOMES = {
    "export_model": "exporter",
    "ExportReport": "exporter",
    "FormatReport": "exporter",
    "ExportError": "package",
    "PackageError": "package",
    "FORMATS": "package",
    "available_formats": "package",
    "read_manifest": "package",
    "load_predictor": "predictor",
    "Predictor": "predictor",
    "Prediction": "predictor",
    "litert_operators": "runtimes",
    "Evaluation": "evaluation",
    "evaluate_keras": "evaluation",
    "evaluate_package": "evaluation",
}

__all__ = [*_HOMES]


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'vislearn.export' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"vislearn.export.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
