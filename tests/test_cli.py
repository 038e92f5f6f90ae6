"""The command line as a user meets it: the whole way, and every wrong turn."""

import json
import re
import resource
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image

from vislearn import cli

pytestmark = pytest.mark.tensorflow

MODEL = ["rvss_convnet", "--option", "filters=[4,8]", "--option", "units=16"]
EPOCHS = 20


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs a command in this process; returns exit status, output and errors."""

    def call(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["vislearn", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        out, err = capsys.readouterr()
        return end.value.code or 0, out, " ".join(err.split())

    return call


def write_images(folder, count=12, size=16, seed=0):
    """Two classes that a glance tells apart: dark and bright noise."""
    draw = np.random.default_rng(seed)
    for name, low in (("bright", 160), ("dark", 0)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            pixels = draw.integers(low, low + 90, (size, size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{index:03}.png")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for split in ("train", "test"):
        write_images(folder / split, count=40 if split == "train" else 10)
    return folder


@pytest.fixture(scope="module")
def trained(photos, tmp_path_factory):
    """A run and its package, made by the commands."""
    place = tmp_path_factory.mktemp("trained")
    for command in (
        [
            *("train", *MODEL, "--data", photos, "--out", place / "run"),
            *("--epochs", EPOCHS, "--learning-rate", "1e-3", "--augment", "none"),
        ],
        ["export", place / "run", "--out", place / "package", "--samples", "32"],
    ):
        subprocess.run(
            [sys.executable, "-m", "vislearn.cli", *map(str, command)],
            check=True,
            capture_output=True,
        )
    return place


def test_train_leaves_a_run(trained):
    names = {path.name for path in (trained / "run").iterdir()}
    assert names == {
        *("config.json", "history.csv", "logs", "checkpoints"),
        *("model.keras", "metrics.json", "report.html"),
    }
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] >= 0.95
    assert len((trained / "run" / "history.csv").read_text().splitlines()) == 1 + EPOCHS


def test_evaluate_prints_a_row_a_format(run, trained, photos):
    code, out, err = run(
        *("evaluate", trained / "run", trained / "package", "--data", photos, "--json")
    )
    assert code == 0, err
    rows = json.loads(out)
    formats = [row["format"] for row in rows]
    assert formats == ["keras", "savedmodel", "litert", "litert_int8", "onnx"]
    assert {row["images"] for row in rows} == {20}
    accuracies = [row["metrics"]["accuracy"] for row in rows if row["format"] != "litert_int8"]
    assert len(set(accuracies)) == 1
    assert all(row["size"] > 0 and row["latency_ms"] > 0 for row in rows)


def test_evaluate_one_format_of_all_images(run, trained, photos):
    code, out, err = run(
        *("evaluate", trained / "package", "--data", photos, "--split", "all"),
        *("--format", "onnx", "--json"),
    )
    assert code == 0, err
    (row,) = json.loads(out)
    assert (row["format"], row["images"]) == ("onnx", 100)


def test_evaluate_a_format_that_is_not_there(run, trained, photos):
    package = trained / "package"
    code, _, err = run("evaluate", package, "--data", photos, "--format", "onnx,litert_dynamic")
    assert code == 1
    assert "format 'litert_dynamic' is in no target" in " ".join(err.split())


@pytest.mark.parametrize("format", ["litert", "litert_int8", "onnx", "savedmodel"])
def test_predict_names_and_draws(run, trained, photos, tmp_path, format):
    picture = tmp_path / "picture.png"
    code, out, err = run(
        *("predict", trained / "package", photos / "test" / "dark", "--out", picture),
        *("--format", format, "--json"),
    )
    assert code == 0, err
    answers = [json.loads(line) for line in out.splitlines()]
    assert len(answers) == 10
    assert sum(answer["label"] == "dark" for answer in answers) >= 9
    assert all(sum(answer["top"].values()) == pytest.approx(1, abs=1e-2) for answer in answers)
    with Image.open(picture) as image:
        assert min(image.size) > 300


def test_a_pattern_without_quotes_is_refused(run, tmp_path):
    """The shell makes files of it, of which --input takes the first alone."""
    arguments = ("package", "--output", tmp_path / "answers", "--input", "a.png", "b.png")
    code, _, err = run("predict-batch", *arguments)
    assert code == 1 and "'b.png' belongs to no option: put a pattern in quotes" in err


def test_predict_shows_the_truth_of_a_data_set(run, trained, photos):
    code, out, err = run("predict", trained / "package", "--data", photos, "--count", 4, "--json")
    assert code == 0, err
    truths = [json.loads(line)["true"] for line in out.splitlines()]
    assert sorted(truths) == ["bright", "bright", "dark", "dark"]


def test_export_in_fewer_bits_and_of_fixed_batch(run, trained, tmp_path):
    options = ("--formats", "litert", "--samples", "8", "--batch", "1")
    package = tmp_path / "package"
    code, _, err = run(
        *("export", trained / "run", "--out", package, *options, "--quantize", "float16,int8"),
        *("--keep-float", "head*"),
    )
    assert code == 0, err
    manifest = json.loads((package / "model.json").read_text())
    formats = [row["format"] for row in manifest["formats"]]
    assert formats == ["litert", "litert_float16", "litert_int8"]
    assert (manifest["batch"], manifest["keep_float"]) == (1, ["head"])
    result = run("export", trained / "run", "--out", tmp_path / "other", "--quantize", "int4")
    fails(result, "quantize", "int4", "dynamic")
    assert not (tmp_path / "other").exists()


def test_models_lists_and_filters(run):
    code, out, _ = run("models", "resnet*_cifar", "--json")
    assert code == 0
    names = [row["name"] for row in json.loads(out)]
    assert names[0] == "resnet20_cifar"
    assert names[-1] == "resnet110_cifar"
    code, out, _ = run("models", "--max-params", "0.1", "--task", "classification", "--json")
    rows = json.loads(out)
    assert "rvss_convnet" in {row["name"] for row in rows}
    assert all(row["parameters"] <= 100_000 for row in rows)
    code, out, _ = run("models", "resnet*", "--weights")
    assert code == 0
    assert "resnet50 " in out
    assert "resnet20_cifar" not in out


def test_models_describes_one(run):
    code, out, _ = run("models", "resnet18")
    assert code == 0
    for words in ("Deep Residual Learning", "11,699,112", "resnet18.tv_in1k", "drop_path_rate"):
        assert words in out
    code, out, _ = run("models", "resnet18", "--json")
    stages = json.loads(out)[0]["stages"]
    assert [stage["name"] for stage in stages] == [
        *("image", "preprocess", "stem", "stage1", "stage2", "stage3", "stage4", "pool", "head")
    ]
    assert sum(stage["parameters"] for stage in stages) == 11_699_112
    assert sum(stage["multiply_adds"] for stage in stages) == 1_814_073_344
    assert stages[5]["output_shape"] == [14, 14, 256], "C4 belongs to the third stage"


def test_models_of_an_unknown_name(run):
    code, _, err = run("models", "resnet5")
    assert code == 1
    assert "Did you mean 'resnet50'" in err


# What goes wrong: each gives a line that names the matter, a status, and no traceback.


def fails(result, *words):
    code, _, err = result
    assert code == 1
    assert "Error:" in err
    assert "Traceback" not in err
    for word in words:
        assert re.search(word, err), f"{word!r} is not in {err!r}"


def train(run, tmp_path, data, *more):
    return run("train", *MODEL, "--data", data, "--out", tmp_path / "run", *more)


def test_unknown_model(run, photos, tmp_path):
    result = run("train", "resnet19", "--data", photos, "--out", tmp_path / "run")
    fails(result, "resnet19", "Did you mean .*resnet18")
    assert not (tmp_path / "run").exists()


def test_unknown_data(run, tmp_path):
    fails(train(run, tmp_path, "cifar11"), "cifar11", "cifar10")
    fails(train(run, tmp_path, tmp_path / "nowhere"), "nowhere")


def test_empty_folder(run, tmp_path):
    (tmp_path / "empty").mkdir()
    fails(train(run, tmp_path, tmp_path / "empty"), "empty")


def test_one_class(run, tmp_path):
    write_images(tmp_path / "one")
    for path in (tmp_path / "one" / "dark").iterdir():
        path.unlink()
    (tmp_path / "one" / "dark").rmdir()
    fails(train(run, tmp_path, tmp_path / "one"), "bright", "one class")


def test_class_folder_without_images(run, tmp_path):
    write_images(tmp_path / "some")
    (tmp_path / "some" / "grey").mkdir()
    fails(train(run, tmp_path, tmp_path / "some"), "grey")


def damaged_files(folder):
    """A truncated JPEG, a text named .png, and the header of a picture of 50,000 x 50,000."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "whole.jpg")
    data = (folder / "whole.jpg").read_bytes()
    (folder / "whole.jpg").unlink()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    (folder / "text.png").write_text("no image at all\n")
    header = b"IHDR" + struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    (folder / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header
        + struct.pack(">I", zlib.crc32(header)) + struct.pack(">I", 0) + b"IDAT"
    )  # fmt: skip
    return {"cut.jpg": "truncated|damaged", "text.png": "text", "bomb.png": "50000 x 50000"}


@pytest.mark.parametrize("name", ["cut.jpg", "text.png", "bomb.png"])
def test_predict_refuses_damaged_files(run, trained, tmp_path, name):
    reason = damaged_files(tmp_path)[name]
    fails(run("predict", trained / "package", tmp_path / name), name, reason)


def test_training_leaves_damaged_files_out_and_names_them(run, tmp_path):
    folder = write_images(tmp_path / "mixed", count=30)
    names = damaged_files(folder / "dark")
    code, _, err = train(run, tmp_path, folder, "--epochs", "1", "--batch-size", "8")
    assert code == 0, err
    assert "Left out 3 of 63 files" in err
    report = (tmp_path / "run" / "report.html").read_text()
    assert all(name in report for name in names)


@pytest.mark.parametrize("name", ["cut.jpg", "text.png", "bomb.png"])
def test_strict_training_stops_at_a_damaged_file(run, tmp_path, name):
    folder = write_images(tmp_path / "mixed")
    for other in damaged_files(folder / "dark"):
        if other != name:
            (folder / "dark" / other).unlink()
    fails(train(run, tmp_path, folder, "--strict"), name)


def test_wrong_input_shape(run, photos, tmp_path):
    fails(train(run, tmp_path, photos, "--image-size", "0"), "image.size", "0")
    fails(train(run, tmp_path, photos, "--image-size", "4"), "input_shape", r"\(4, 4, 3\)")
    result = run(
        *("train", "vit_tiny_patch16", "--data", photos, "--out", tmp_path / "run"),
        *("--image-size", "20"),
    )
    fails(result, "patch_size=16", r"\(20, 20\)")


def test_zero_classes(run, photos, tmp_path):
    fails(train(run, tmp_path, photos, "--option", "num_classes=0"), "num_classes")


def test_bad_options(run, photos, tmp_path):
    fails(train(run, tmp_path, photos, "--option", "depth"), "depth", "name=value")
    fails(train(run, tmp_path, photos, "--option", "depth=3"), "depth", "filters")
    fails(train(run, tmp_path, photos, "--epochs", "0"), "epochs", "0")
    fails(train(run, tmp_path, photos, "--precision", "float16"), "float16", "mixed_bfloat16")
    fails(train(run, tmp_path, photos, "--augment", "wild"), "wild", "standard")
    assert not (tmp_path / "run").exists()


def test_diverging_loss_names_the_step(run, photos, tmp_path):
    result = train(
        *(run, tmp_path, photos, "--learning-rate", "1e30", "--optimizer", "sgd"),
        *("--batch-size", "16", "--epochs", "5"),
    )
    fails(result, r"loss is (nan|inf) at epoch \d+, step \d+")


def test_existing_run_is_not_overwritten(run, trained, photos):
    before = (trained / "run" / "config.json").read_text()
    result = run("train", *MODEL, "--data", photos, "--out", trained / "run")
    fails(result, "exists", "resume")
    assert (trained / "run" / "config.json").read_text() == before


def test_output_that_cannot_be_written(run, photos, tmp_path):
    (tmp_path / "file").write_text("in the way")
    fails(run("train", *MODEL, "--data", photos, "--out", tmp_path / "file" / "run"), "file")


def test_full_disk(photos, tmp_path):
    """A file may not grow beyond 20 kB: the first checkpoint can't be written."""
    program = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, {resource.RLIM_INFINITY}))\n"
        "from vislearn import cli\n"
        "sys.argv = ['vislearn'] + sys.argv[1:]\n"
        "cli.main()\n"
    )
    result = subprocess.run(
        [
            *(sys.executable, "-c", program, "train", "lenet5", "--data", str(photos)),
            *("--out", str(tmp_path / "run"), "--batch-size", "16", "--epochs", "1"),
        ],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "File too large" in result.stderr or "Errno 27" in result.stderr, result.stderr
    assert "Traceback" not in result.stderr
    assert not list((tmp_path / "run").rglob("*.part"))


@pytest.mark.parametrize("format", ["litert", "onnx", "savedmodel"])
def test_damaged_package(run, trained, photos, tmp_path, format):
    import shutil

    package = tmp_path / "package"
    shutil.copytree(trained / "package", package)
    name = {"litert": "model.tflite", "onnx": "model.onnx", "savedmodel": "savedmodel/1"}[format]
    path = package / name if format != "savedmodel" else package / name / "saved_model.pb"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    image = next((photos / "test" / "dark").iterdir())
    fails(run("predict", package, image, "--format", format), "damaged", path.name, "sha256")


@pytest.mark.parametrize("target", ["run", "package"])
def test_other_classes_than_were_learned(run, trained, tmp_path, target):
    folder = write_images(tmp_path / "other")
    (folder / "dark").rename(folder / "night")
    fails(run("evaluate", trained / target, "--data", folder), "night", "dark")


def test_not_a_run_or_a_package(run, tmp_path, photos):
    fails(run("export", tmp_path), "config.json")
    fails(run("evaluate", tmp_path, "--data", photos), "model.json")
    fails(run("predict", tmp_path / "none", photos), "none")


COMMANDS = ["train", "pretrain", "lr-range", "cross-validate", "search"]


def common(command, tmp_path, data="nowhere"):
    """A command with what it can't do without."""
    space = ["--space", "momentum=0.8,0.9"] if command == "search" else []
    return [command, "linear_classifier", "--data", data, "--out", tmp_path / "out", *space]


@pytest.mark.parametrize(
    ("command", "pair"),
    [
        *[(command, "devices=7") for command in COMMANDS],
        ("pretrain", "out=foo"),
        ("pretrain", "quiet=true"),
        ("lr-range", "steps=3"),
        ("cross-validate", "folds=3"),
        ("search", "trials=3"),
        ("search", "pretraining=simclr"),
    ],
)
def test_recipe_takes_only_fields_of_the_recipe(run, tmp_path, command, pair):
    result = run(*common(command, tmp_path), "--recipe", pair)
    fails(result, rf"--recipe: \['{pair.split('=')[0]}'\] are no fields of the recipe")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["train", "pretrain", "cross-validate", "search"])
def test_a_field_of_the_recipe_is_given_once(run, tmp_path, command):
    result = run(*common(command, tmp_path), "--epochs", 1, "--recipe", "epochs=2")
    fails(result, "--recipe epochs=2 and --epochs 1: give one of them.")


def test_recipe_can_say_none(monkeypatch, tmp_path, run):
    import vislearn.selection

    seen = {}
    monkeypatch.setattr(vislearn.selection, "cross_validate", lambda model, **all: seen.update(all))
    code, _, err = run(*common("cross-validate", tmp_path), "--recipe", "clip_norm=null")
    assert code == 0, err
    assert seen["clip_norm"] is None and "epochs" not in seen


def test_arguments_of_a_task_that_are_no_options(run, tmp_path):
    for pair in ("classes=4", "name=a", "family=a"):
        result = run(*common("train", tmp_path, "digits"), "--task-option", pair)
        fails(result, rf"task_options holds \['{pair.split('=')[0]}'\], which follow")


def test_seeds_out_of_range(run, tmp_path):
    for seed in (-1, 99999999999):
        result = run(*common("train", tmp_path, "digits"), "--seed", seed)
        fails(result, f"seed={seed} must be an integer of at least 0 and below")


@pytest.mark.parametrize(
    ("command", "more", "message"),
    [
        ("cross-validate", ["--data", "nowhere"], "nowhere"),
        ("cross-validate", ["--folds", "1000"], "folds=1000 is more than the"),
        ("cross-validate", ["--recipe", "epochs=0"], "epochs=0 must be"),
        ("cross-validate", ["--option", "depth=3"], r"options holds \['depth'\]"),
        ("cross-validate", ["--precision", "float16"], "precision='float16'"),
        ("search", ["--data", "nowhere"], "nowhere"),
        ("search", ["--search-seed", "-1"], "search_seed=-1 must be"),
        ("search", ["--seed", "-1"], "seed=-1 must be"),
        ("search", ["--space", "seed=-1,0"], "seed=-1 must be"),
        ("search", ["--precision", "float16"], "precision='float16'"),
    ],
)
def test_a_refused_command_leaves_no_folder(run, tmp_path, command, more, message):
    fails(run(*common(command, tmp_path, "digits"), *more), message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["cross-validate", "search"])
def test_models_that_nothing_is_measured_on_leave_no_folder(run, photos, tmp_path, command):
    arguments = common(command, tmp_path, photos)
    fails(run(command, "dcgan", *arguments[2:]), "dcgan")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("command", "resumes"), [("train", True), ("lr_range", False)])
def test_what_was_stopped_says_so(run, monkeypatch, tmp_path, command, resumes):
    import vislearn.training

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(vislearn.training, command, stop)
    code, _, err = run(*common(command.replace("_", "-"), tmp_path))
    assert code == 130
    assert err.startswith("Stopped.") and ("--resume" in err) == resumes


def test_an_error_of_tensorflow_is_told_without_its_traceback(run, monkeypatch, tmp_path):
    import vislearn.training

    def fail(*_, **__):
        raise ValueError(
            'in user code:\n\n    File "a.py", line 1, in f  *\n        g(x)\n'
            "    ValueError: x=1 must be\n    at least 2.\n"
        )

    monkeypatch.setattr(vislearn.training, "train", fail)
    result = run(*common("train", tmp_path))
    fails(result, "Error: ValueError: x=1 must be at least 2.")
    assert "in user code" not in result[2] and "a.py" not in result[2]
