"""What all tests share: the tests of one backend are skipped on the other."""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Networks that run once are not worth optimising: XLA compiles them two to three times as fast.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")


def pytest_collection_modifyitems(items):
    import keras

    if keras.backend.backend() == "tensorflow":
        return
    skip = pytest.mark.skip(
        reason=f"needs the TensorFlow backend, and Keras runs on {keras.backend.backend()}"
    )
    for item in items:
        if "tensorflow" in item.keywords:
            item.add_marker(skip)
