"""Answers of an exported package for many images, with Apache Beam.

Loads neither Keras nor TensorFlow where the package is run as LiteRT or ONNX.
"""

from vislearn.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Job": "job",
        "predict_batch": "pipeline",
        "read_summary": "job",
    },
)
