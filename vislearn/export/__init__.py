"""The deployable package: a folder that holds a model in several formats, checked against Keras.

`export_model` writes one and needs TensorFlow. `load_predictor` runs one; with the LiteRT and ONNX
files it loads neither Keras nor TensorFlow, so the names below are imported when first used.
"""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "export_model": "exporter",
        "ExportReport": "report",
        "FormatReport": "report",
        "ExportError": "package",
        "PackageError": "package",
        "FORMATS": "package",
        "MANIFEST": "package",
        "available_formats": "package",
        "read_manifest": "package",
        "task_of": "package",
        "load_predictor": "predictor",
        "Predictor": "predictor",
        "Prediction": "predictor",
        "litert_operators": "operators",
        "operator_counts": "operators",
        "Benchmark": "benchmark",
        "benchmark_package": "benchmark",
        "inspect_package": "inspection",
        "Inspection": "inspection",
        "Evaluation": "evaluation",
        "evaluate_keras": "evaluation",
        "evaluate_package": "evaluation",
    },
)
