"""Rung: exports as SavedModel, LiteRT with built-in operations only, and ONNX, all equal."""

import functools
import tempfile
from pathlib import Path

import pytest
from rungs import MODELS, NETWORKS, TYPICAL, each_in_turn, random_tiny, representative, task

import vislearn
from vislearn.export.operators import CUSTOM, litert_operators
from vislearn.export.package import QUANTIZED

pytestmark = pytest.mark.tensorflow

FORMATS = ("savedmodel", "litert", "onnx")


def exported(name: str, **options):
    """Exports each signature of a tiny model with random weights: its name, folder and report."""
    model = random_tiny(name)
    for signature in task(name).signatures(model):
        pictures = [input.dtype for input in signature.inputs] == ["uint8"]
        with tempfile.TemporaryDirectory() as folder:
            report = vislearn.export_model(
                model,
                Path(folder) / name,
                task=task(name),
                signature=signature.name,
                calibration=signature.samples(8, seed=0)["image"] if pictures else None,
                **options,
            )
            yield signature.name, Path(folder) / name, report


@functools.cache
def reports(name: str) -> dict:
    """What the exports measured, by signature, and operations that LiteRT has not built in."""
    found = {}
    for signature, folder, report in exported(name, formats=FORMATS):
        found[signature] = report, strangers(folder)
    return found


def strangers(folder: Path) -> dict[str, list[str]]:
    """Operations outside LiteRT's built-in ones, by file, read from the files of a package."""
    return {
        path.name: [name for name in litert_operators(path) if name.startswith(CUSTOM)]
        for path in folder.glob("*.tflite")
    }


@each_in_turn(MODELS, TYPICAL)
def test_every_format_answers_as_keras(name):
    found = reports(representative(name))
    assert found
    for signature, (report, foreign) in found.items():
        rows = {row.format: row for row in report.rows}
        assert {*rows} == {*FORMATS}
        assert foreign == {"model.tflite": []}
        for format, row in rows.items():
            assert row.max_difference
            for output, difference in row.max_difference.items():
                assert difference <= 1e-4, f"{signature} as {format} differs in {output}"
            decides = vislearn.model_info(name).task not in ("generation", "regression")
            assert row.agreement == (1 if decides else None)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_fewer_bits_need_no_operation_that_litert_lacks(name):
    """Every network that differs from the others at its tiny size, in every kind of file."""
    for _, folder, report in exported(name, formats=("litert",), quantize=[*QUANTIZED]):
        assert [row.format for row in report.rows] == ["litert", *QUANTIZED.values()]
        foreign = strangers(folder)
        assert len(foreign) == 1 + len(QUANTIZED)
        assert {*map(tuple, foreign.values())} == {()}
