"""Reading a package without running it, and what has happened to its files since."""

import json
import shutil
import subprocess
import sys

import pytest

from vislearn import cli
from vislearn.export import PackageError, inspect_package
from vislearn.export.inspection import print_inspection

pytestmark = pytest.mark.tensorflow


@pytest.fixture
def package(exported, tmp_path):
    """A copy that a test may damage."""
    return shutil.copytree(exported[0], tmp_path / "digits")


def command(monkeypatch, capsys, *arguments):
    """Status, output and errors of `vislearn inspect`."""
    monkeypatch.setattr(sys, "argv", ["vislearn", "inspect", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0, *capsys.readouterr()


def test_an_untouched_package(exported):
    found = inspect_package(exported[0])
    assert found.problems == []
    assert found.files["model.onnx"].size == (exported[0] / "model.onnx").stat().st_size
    assert "model.json" not in found.files
    # Eight layers: six in blocks, the stem and the head; the network is whole in integers.
    assert found.operators["litert"]["CONV_2D", "float32"] >= 7
    assert found.operators["litert_int8"]["CONV_2D", "int8"] >= 7
    assert ("CONV_2D", "float32") not in found.operators["litert_int8"]


def test_what_has_changed_is_told(package, monkeypatch, capsys):
    content = bytearray((package / "model.tflite").read_bytes())
    content[-1] ^= 1
    (package / "model.tflite").write_bytes(content)
    (package / "labels.txt").unlink()
    (package / "thesis.txt").write_text("years of work")
    problems = ["labels.txt is missing", "model.tflite is damaged", "thesis.txt is not listed"]
    found = inspect_package(package)
    assert found.problems == problems
    assert "litert" not in found.operators
    code, out, err = command(monkeypatch, capsys, package)
    assert code == 1
    assert "damaged" in out
    assert all(problem in " ".join(err.split()) for problem in problems)


def test_the_command_prints_all_of_it(exported, monkeypatch, capsys):
    code, out, _ = command(monkeypatch, capsys, exported[0])
    assert code == 0
    for words in (
        "(batch, 8, 8, 1)",
        "serving_default, classify",
        "pixels 0..255",
        "class_id",
        "accuracy",
        "CONV_2D",
        "keras",
    ):
        assert words in out
    code, out, _ = command(monkeypatch, capsys, exported[0], "--json")
    found = json.loads(out)
    assert code == 0
    assert {file["state"] for file in found["files"].values()} == {"ok"}
    assert found["manifest"]["signature"] == "predict"
    assert {row["type"] for row in found["operators"]["litert_int8"]} > {"int8"}


def test_markup_in_names_is_printed_as_it_is(exported, capsys):
    found = inspect_package(exported[0])
    found.manifest["classes"][0] = "[red]zero[/]"
    print_inspection(found)
    assert "[red]zero[/]" in capsys.readouterr().out


def test_no_package(tmp_path, monkeypatch, capsys):
    with pytest.raises(PackageError, match=r"holds no model\.json"):
        inspect_package(tmp_path)
    with pytest.raises(FileNotFoundError):
        inspect_package(tmp_path / "nowhere")


def test_neither_keras_nor_tensorflow_is_loaded(exported):
    code = (
        "import sys; from vislearn.export import inspect_package; "
        f"inspect_package({str(exported[0])!r}); "
        "print({'keras', 'tensorflow'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
