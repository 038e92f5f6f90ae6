"""Figures of each format, measured in processes of their own."""

import json
import re
import sys
import time

import numpy as np
import pytest

import vislearn
from vislearn import cli
from vislearn.export import FORMATS, PackageError, benchmark_package, opponents
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
        assert 0 < speed.load_ms < speed.start_ms
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


FAKE_TORCH = """
import contextlib

import numpy as np

channels_last = "channels_last"
inference_mode = contextlib.nullcontext


class Tensor:
    def __init__(self, value):
        self.value = value

    def permute(self, *axes):
        return Tensor(self.value.transpose(axes))

    def float(self):
        return Tensor(self.value.astype("float32"))

    def numpy(self):
        return self.value


from_numpy = Tensor


def set_num_threads(count):
    assert count == 1
"""
FAKE_TORCHVISION = """
import sys

import torch

models = sys.modules[__name__]


class Network:
    def to(self, memory_format):
        return self

    def eval(self):
        return self

    def __call__(self, x):
        assert x.value.shape[1:] == (3, 16, 16) and x.value.dtype == "float32"
        return torch.Tensor(x.value.mean((2, 3)))


def get_model(name, *, weights, num_classes):
    assert (name, weights, num_classes) == ("resnet18", None, 5)
    return Network()
"""


@pytest.fixture
def resnet18(tiny, letters, tmp_path):
    """A package that says of itself that a ResNet-18 is in it."""
    package = tmp_path / "p"
    trained = {"model": "resnet18", "options": {}}
    vislearn.export_model(tiny, package, task=letters, formats=["litert"], metadata=trained)
    return package


@pytest.fixture
def fakes(tmp_path, monkeypatch):
    """Writes modules that are found here and in processes that are started from here."""

    def write(**texts):
        folder = tmp_path / "fakes"
        folder.mkdir()
        for name, text in texts.items():
            (folder / f"{name}.py").write_text(text)
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder))

    return write


QUICK = {"threads": (1,), "batches": (1, 2), "seconds": 0.02}


def test_the_same_architecture_is_timed_in_torch(resnet18, fakes):
    fakes(torch=FAKE_TORCH, torchvision=FAKE_TORCHVISION)
    found = benchmark_package(resnet18, **QUICK)
    litert, torch = found.rows
    assert (litert.format, torch.format) == ("litert", "torchvision")
    assert torch.size is None and torch.metrics is None
    assert torch.speeds[0].p50_ms > 0 and [*torch.speeds[0].per_second] == [1, 2]
    assert 0 < torch.speeds[0].load_ms < torch.speeds[0].start_ms
    assert found.notes == ()
    from rich.console import Console

    console = Console(width=140)
    with console.capture() as capture:
        console.print(found.table())
    assert "torchvision" in capture.get()
    assert len(found.figure().axes) == 2


def test_a_broken_torch_is_told_and_the_files_are_measured(resnet18, fakes):
    fakes(torch=FAKE_TORCH, torchvision="raise ImportError('libcudart is missing')")
    found = benchmark_package(resnet18, **QUICK)
    assert [row.format for row in found.rows] == ["litert"]
    assert "libcudart is missing" in found.notes[0]


@pytest.mark.parametrize(
    ("training", "shape", "reason"),
    [
        ({"model": "resnet18"}, (16, 16, 3), "torch: not installed; pip install torch torchvision"),
        ({"model": "resnet20_cifar"}, (16, 16, 3), "neither torchvision nor timm has resnet20"),
        ({}, (16, 16, 3), "has what this package holds"),
        ({"model": "resnet18", "options": {"width": 8}}, (16, 16, 3), "options, {'width': 8}"),
        ({"model": "resnet18"}, (16, 16, 1), "takes square colour pictures"),
    ],
)
def test_why_there_is_no_torch(training, shape, reason, monkeypatch):
    monkeypatch.setattr(opponents, "installed", lambda package: False)
    manifest = {
        "task": "classification",
        "training": training,
        "inputs": [{"shape": [None, *shape]}],
        "classes": ["a", "b"],
    }
    found, told = opponents.opponent_of(manifest)
    assert found is None and reason in told


def test_networks_of_other_libraries_are_registered_here():
    assert {*opponents.TORCHVISION, *opponents.TIMM} <= {*vislearn.list_models("classification")}
    assert opponents.timm_name("vgg13") == "vgg13.tv_in1k"
    assert opponents.timm_name("resnet20_cifar") is None
