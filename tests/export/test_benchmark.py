"""Figures of each format, measured in processes of their own."""

import json
import re
import sys
import time

import numpy as np
import pytest

from vislearn import cli
from vislearn.export import FORMATS, PackageError, benchmark_package
from vislearn.export.probe import LEAST_CALLS, _times, probe
from vislearn.export.runtimes import filled

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def truth(digits):
    return {"images": digits[0][1300:], "labels": digits[1][1300:]}


@pytest.fixture(scope="module")
def measured(exported, truth):
    return benchmark_package(
        exported[0],
        truth,
        formats=["litert", "onnx"],
        threads=(1,),
        batches=(1, 32),
        seconds=0.05,
    )


def test_a_row_a_format(measured, exported):
    told = {row.format: row for row in exported[1].rows}
    assert [row.format for row in measured.rows] == ["litert", "onnx"]
    for row in measured.rows:
        assert row.metrics == pytest.approx(told[row.format].metrics)
        assert row.size == told[row.format].size
        (speed,) = row.speeds
        assert 0 < speed.p50_ms <= speed.p95_ms < speed.start_ms
        assert speed.per_second[1] == pytest.approx(1000 / speed.p50_ms, rel=0.9)
        assert speed.per_second[32] > speed.per_second[1]
        # A process with Python, NumPy and a runtime; one with TensorFlow would hold 400 MB.
        assert 20e6 < speed.peak_bytes < 200e6


def test_it_can_be_read(measured):
    from rich.console import Console

    console = Console(width=140)
    with console.capture() as capture:
        console.print(measured.table())
    assert f"{measured.rows[0].metrics['accuracy']:.2%}" in capture.get()
    assert "litert" in capture.get()
    axes = measured.figure().axes
    assert len(axes) == 3
    (line,) = (line for line in axes[0].lines if line.get_label() == "onnx")
    assert [*line.get_ydata()] == [*measured.rows[1].speeds[0].per_second.values()]
    assert json.loads(json.dumps(measured.to_dict()))["rows"][1]["speeds"][0]["threads"] == 1


@pytest.mark.slow
def test_every_format_and_number_of_threads(exported):
    """The SavedModel, too, whose process loads TensorFlow."""
    found = benchmark_package(exported[0], batches=(2,), seconds=0.05)
    assert [row.format for row in found.rows] == [*FORMATS]
    for row in found.rows:
        assert row.metrics is None
        assert [speed.threads for speed in row.speeds] == [1, 2]
        assert [*row.speeds[0].per_second] == [2]
    assert len(found.figure().axes) == 2


def test_a_slow_call_is_made_a_few_times_and_a_fast_one_for_the_time():
    def call(batch):
        time.sleep(0.001)

    assert len(_times(call, {}, seconds=0)) == LEAST_CALLS
    assert sum(_times(call, {}, seconds=0.01)) >= 0.01


def test_examples_fill_a_batch():
    examples = {"image": np.arange(3), "label": np.arange(3) * 10}
    assert filled(examples, 5)["label"].tolist() == [0, 10, 20, 0, 10]
    assert filled(examples, 2)["image"].tolist() == [0, 1]


def test_a_file_that_does_not_run_says_why(tmp_path, digits):
    (tmp_path / "model.tflite").write_bytes(b"nothing of the kind")
    with pytest.raises(RuntimeError, match=r"measured as litert: \w+Error: "):
        probe(
            tmp_path / "model.tflite",
            "litert",
            {"image": digits[0][:1]},
            threads=1,
            batches=(1,),
            seconds=0.1,
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"formats": ["tflite"]}, "format='tflite' is no format"),
        ({"threads": ()}, r"threads=\(\) must hold"),
        ({"threads": (0, 1)}, r"threads=\(0, 1\) must hold"),
        ({"batches": (-1,)}, r"batches=\(-1,\) must hold"),
        ({"seconds": 0}, "seconds=0 must be"),
        ({"truth": {"images": np.zeros((2, 8, 8, 1), "uint8")}}, "labels"),
    ],
)
def test_wrong_arguments(options, message, exported):
    with pytest.raises(ValueError, match=message):
        benchmark_package(exported[0], **options)


def test_a_damaged_package_is_not_measured(exported, tmp_path):
    import shutil

    package = shutil.copytree(exported[0], tmp_path / "p")
    (package / "model.onnx").write_bytes(b"")
    with pytest.raises(PackageError, match="sha256"):
        benchmark_package(package, formats=["onnx"])


def command(monkeypatch, capsys, *arguments):
    """Status, output and errors of `vislearn benchmark`."""
    monkeypatch.setattr(sys, "argv", ["vislearn", "benchmark", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0, *capsys.readouterr()


def test_the_command(exported, tmp_path, monkeypatch, capsys):
    options = ["--format", "litert", "--threads", "1", "--batches", "1,4", "--seconds", "0.02"]
    picture = tmp_path / "b.png"
    arguments = (exported[0], *options, "--out", picture, "--json")
    code, out, _ = command(monkeypatch, capsys, *arguments)
    assert code == 0
    (row,) = json.loads(out)["rows"]
    assert row["format"] == "litert"
    assert [*row["speeds"][0]["per_second"]] == ["1", "4"]
    assert picture.stat().st_size > 5000
    code, _, err = command(monkeypatch, capsys, exported[0], "--batches", "1;4")
    assert code == 1
    assert re.search("--batches '1;4' must be whole numbers", " ".join(err.split()))
