"""Rung: exports as SavedModel, LiteRT with built-in operations only, and ONNX, all equal."""

import functools
import tempfile
from pathlib import Path

import pytest
from rungs import every_model, images, random_tiny, representative

import vislearn
from vislearn.tasks import Classification

pytestmark = pytest.mark.tensorflow

FORMATS = ("savedmodel", "litert", "onnx")


@functools.cache
def report(name: str):
    """What the export of a tiny model with random weights measured."""
    model = random_tiny(name)
    classes = [f"class {index}" for index in range(model.output_shape[-1])]
    with tempfile.TemporaryDirectory() as folder:
        return vislearn.export_model(
            model,
            Path(folder) / name,
            task=Classification(classes),
            formats=FORMATS,
            calibration=images(model, 8).astype("uint8"),
        )


@every_model
def test_every_format_answers_as_keras(name):
    rows = {row.format: row for row in report(representative(name)).rows}
    assert {*rows} == {*FORMATS}
    for format, row in rows.items():
        for output, difference in row.max_difference.items():
            assert difference <= 1e-4, f"{format} differs in {output}"
        assert row.agreement == 1
