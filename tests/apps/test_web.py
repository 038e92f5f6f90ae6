"""What the browser's own tests stand on: their stored answers, and what the page is made of.

The page itself is tested in Chromium, by `make test-web`.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import vislearn

ROOT = Path(__file__).parents[2]
WEB = ROOT / "apps" / "web"
SAVED = ROOT / "saved_models"
STORED = json.loads((WEB / "tests" / "answers.json").read_text(encoding="utf-8"))
ROUNDED = 0.02  # share of a mask's pixels that int8 kernels may round otherwise, as in page.test.js
RAN = sorted({(item["package"], item["format"]) for item in STORED})


@pytest.mark.parametrize(("package", "format"), RAN)
def test_stored_answers_are_those_of_python(package, format):
    predictor = vislearn.load_predictor(SAVED / package, format)
    for item in STORED:
        if (item["package"], item["format"]) != (package, format):
            continue
        if "picture" in item:
            picture = WEB / "tests" / "pictures" / item["picture"]
            found = predictor.predict_files([picture])[0].answers
        else:
            code = np.array([item["latent"]], np.float32)
            found = {name: value[0] for name, value in predictor.predict(code).items()}
        assert {*found} == {*item["answers"]}
        for name, stored in item["answers"].items():
            assert found[name].size == stored["size"]
            sample = found[name].ravel()[:: stored["step"]]
            off = np.mean(np.abs(sample - stored["values"]) > 2e-4)
            allowed = ROUNDED if format == "litert_int8" and stored["step"] > 1 else 0
            assert off <= allowed, name


def test_answers_of_every_task_and_of_int8_files_are_stored():
    tasks = {
        json.loads((SAVED / package / "model.json").read_text(encoding="utf-8"))["task"]
        for package, _ in RAN
    }
    assert tasks == {"classification", "detection", "semantic_segmentation", "generation"}
    pictures = {item["package"] for item in STORED if "picture" in item}
    assert {package for package, format in RAN if format == "litert_int8"} == pictures


def test_stored_detections_and_masks_are_no_empty_ones():
    boxes = [item for item in STORED if item["package"] == "shapes_detector"]
    masks = [item for item in STORED if item["package"] == "shapes_segmenter"]
    assert min(max(item["answers"]["scores"]["values"]) for item in boxes) > 0.5
    assert min(len({*item["answers"]["mask"]["values"]}) for item in masks) > 1


def test_dependencies_are_pinned_and_come_from_no_private_place():
    wanted = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = {**wanted["dependencies"], **wanted["devDependencies"]}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())
    locked = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name, version in versions.items():
        assert locked[f"node_modules/{name}"]["version"] == version
    del locked[""]
    for found in locked.values():
        assert found["integrity"].startswith("sha512-")
        assert found.get("resolved", "https://registry.npmjs.org/").startswith(
            "https://registry.npmjs.org/"
        )


def test_page_names_nothing_on_other_machines():
    sources = [WEB / "index.html", *(WEB / "src").glob("*")]
    assert len(sources) > 5
    for path in sources:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
