"""What the browser's own tests stand on: their stored answers, and what the page is made of.

The page itself is tested in Chromium, by `make test-web`.
"""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import vislearn

WEB = Path(__file__).parents[2] / "apps" / "web"
STORED = json.loads((WEB / "tests" / "answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("package", sorted({item["package"] for item in STORED}))
def test_stored_answers_are_those_of_python(package):
    predictor = vislearn.load_predictor(WEB / "tests" / "packages" / package)
    for item in STORED:
        if item["package"] != package:
            continue
        if "picture" in item:
            picture = WEB / "tests" / "pictures" / item["picture"]
            found = predictor.predict_files([picture])[0].answers
        else:
            code = np.array([item["latent"]], np.float32)
            found = {name: value[0] for name, value in predictor.predict(code).items()}
        assert {*found} == {*item["answers"]}
        for name, values in item["answers"].items():
            np.testing.assert_allclose(found[name].ravel(), values, rtol=0, atol=2e-4)


def test_stored_detections_and_masks_are_no_empty_ones():
    boxes = [item for item in STORED if item["package"] == "shapes_boxes"]
    masks = [item for item in STORED if item["package"] == "shapes_masks"]
    assert min(max(item["answers"]["scores"]) for item in boxes) > 0.3
    assert min(len({*item["answers"]["mask"]}) for item in masks) > 1


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
