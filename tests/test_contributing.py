"""The architecture that CONTRIBUTING.md shows, and what it says about the ladder."""

import importlib.util
import re
from pathlib import Path

import keras
import numpy as np
import pytest

import vislearn
from vislearn import registry
from vislearn.catalogue import facts
from vislearn.multiply_adds import count_multiply_adds

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The name of the model that the printed file registers."""
    registry.list_models()
    monkeypatch.setattr(registry, "_entries", before := dict(registry._entries))
    known = {*before}
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    (path,) = re.findall(r"`vislearn/models/classification/(\w+\.py)`", TEXT)
    file = tmp_path / path
    file.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    (name,) = {*registry._entries} - known
    assert vislearn.model_info(name).family == file.stem
    return name


def test_example_is_what_it_says(example):
    model = vislearn.create_model(example)
    assert model.count_params() == vislearn.model_info(example).reference_params
    assert f"{model.count_params():,} parameters" in TEXT
    assert count_multiply_adds(model) > 0


def test_example_is_listed(example):
    """Without having been counted before."""
    listed = facts(example)
    assert listed["parameters"] == vislearn.model_info(example).reference_params
    assert listed["weights"] is None


def test_example_builds_saves_and_answers(example, tmp_path):
    model = vislearn.create_model(example, **vislearn.model_info(example).tiny)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:]))
    answer = keras.ops.convert_to_numpy(model(pixels.astype("float32")))
    assert answer.shape == (2, 5)
    assert np.all(np.isfinite(answer))
    model.save(tmp_path / "example.keras")
    loaded = keras.saving.load_model(tmp_path / "example.keras", safe_mode=True)
    np.testing.assert_array_equal(
        keras.ops.convert_to_numpy(loaded(pixels.astype("float32"))), answer
    )


def test_every_rung_is_explained():
    rungs = {path.name for path in (ROOT / "tests" / "ladder").glob("test_*.py")}
    assert {*re.findall(r"^\| `(test_\w+\.py)` \|", TEXT, re.MULTILINE)} == rungs


def test_targets_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"(?:^|`|WORKERS=4 )make ([\w-]+)", TEXT, re.MULTILINE)}
    assert targets >= {"test", "test-all", "demo"}
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets)
