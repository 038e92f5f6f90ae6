"""Rung: exports as SavedModel, LiteRT with built-in operations only, and ONNX, all equal."""

import functools
import tempfile
from pathlib import Path

import pytest
from rungs import (
    MODELS,
    TYPICAL,
    each_in_turn,
    inputs,
    random_tiny,
    representative,
    takes_pixels,
    task,
)

import vislearn

pytestmark = pytest.mark.tensorflow

FORMATS = ("savedmodel", "litert", "onnx")


@functools.cache
def reports(name: str) -> dict:
    """What the exports of a tiny model with random weights measured, by signature."""
    model, found = random_tiny(name), {}
    for signature in task(name).signatures(model):
        with tempfile.TemporaryDirectory() as folder:
            found[signature.name] = vislearn.export_model(
                model,
                Path(folder) / name,
                task=task(name),
                signature=signature.name,
                formats=FORMATS,
                calibration=inputs(model, 8).astype("uint8") if takes_pixels(name) else None,
            )
    return found


@each_in_turn(MODELS, TYPICAL)
def test_every_format_answers_as_keras(name):
    found = reports(representative(name))
    assert found
    for signature, report in found.items():
        rows = {row.format: row for row in report.rows}
        assert {*rows} == {*FORMATS}
        for format, row in rows.items():
            assert row.max_difference
            for output, difference in row.max_difference.items():
                assert difference <= 1e-4, f"{signature} as {format} differs in {output}"
            decides = vislearn.model_info(name).task not in ("generation", "regression")
            assert row.agreement == (1 if decides else None)
