"""The HTTP server and packages of each kind: detectors, regressions, generators with classes.

Their files are those of a small classifier; what runs them pretends to be the network.
"""

import io

import numpy as np
import pytest
from PIL import Image
from serving import growth, picture, pretend, running, tensor

from vislearn.export import runtimes

pytestmark = pytest.mark.tensorflow  # which exports the packages

SCORES = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.35, 0.2], np.float32)


class Pretended:
    """Answers as the outputs of the package say, from its inputs."""

    def __init__(self, path, threads=None):
        del path, threads

    def __call__(self, inputs):
        if "image" not in inputs:
            made = np.zeros((len(inputs["label"]), 4, 4, 1), np.uint8)
            made += (100 * inputs["label"]).astype(np.uint8)[:, None, None, None]
            return {"image": made}
        count = len(inputs["image"])
        if inputs["image"].min() == 255:
            raise self.NoRuntimeError("white is too much")
        mean = inputs["image"].mean(axis=(1, 2, 3)).astype(np.float32)
        return {
            "values": np.stack([mean, -mean], 1),
            "value": mean[:, None],
            "boxes": np.tile(np.float32([0, 0, 4, 4]), (count, 8, 1)),
            "scores": np.tile(SCORES, (count, 1)),
            "classes": np.zeros((count, 8), np.int32),
            "count": np.full(count, 8, np.int32),
            "mask": np.zeros((count, 8, 8), np.int32),
            "confidence": np.ones((count, 8, 8), np.float32),
        }

    class NoRuntimeError(Exception):
        """As those of ONNX Runtime and of TensorFlow."""


class PretendedValue(Pretended):
    """The same with one quantity."""

    def __call__(self, inputs):
        return {"values": super().__call__(inputs)["value"]}


@pytest.fixture(scope="module")
def client(exported, tmp_path_factory):
    folder, first = tmp_path_factory.mktemp("kinds"), exported / "first"
    about = {"task": "regression", "family": None, "task_options": {}}
    values = {**about, "outputs": [tensor("values", "float32", 2)]}
    pretend(first, folder / "measures", ("speed", "size"), **values)
    outputs = [
        tensor("boxes", "float32", 8, 4),
        tensor("scores", "float32", 8),
        tensor("classes", "int32", 8),
        tensor("count", "int32"),
    ]
    pretend(first, folder / "finds", ("cat",), **{**about, "task": "detection"}, outputs=outputs)
    covering = {**about, "task": "semantic_segmentation"}
    outputs = [tensor("mask", "int32", 8, 8), tensor("confidence", "float32", 8, 8)]
    pretend(first, folder / "covers", ("ground", "cat"), **covering, outputs=outputs)
    making = {
        **about,
        "task": "generation",
        "family": "vae",
        "shows": "image",
        "inputs": [tensor("latent", "float32", 2), tensor("label", "int32")],
        "outputs": [tensor("image", "uint8", 4, 4, 1)],
    }
    for version in "12":
        pretend(first, folder / "makes" / version, ("cat", "dog"), **making)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(runtimes.RUNTIMES, "litert", Pretended)
        with running(folder, queue=16) as client:
            models = client.get("/models").json()["models"]
            assert [model["errors"] for model in models] == [{}] * 4
            yield client


@pytest.fixture(scope="module")
def grey():
    return picture(np.full((8, 8, 1), 7, np.uint8))


def test_a_detector_tells_all_that_it_draws(client, grey):
    (answer,) = client.post("/answer/finds", content=grey).json()["answers"]
    assert [one["score"] for one in answer["objects"]] == pytest.approx(SCORES[:7].tolist())
    (answer,) = client.post("/answer/finds?top=2", content=grey).json()["answers"]
    assert len(answer["objects"]) == 2
    assert client.post("/answer/finds?picture=true", content=grey).json()["picture"]


@pytest.mark.parametrize("name", ["finds", "covers"])
@pytest.mark.parametrize("shape", [(3000, 1), (1, 3000)])
def test_a_strip_is_drawn_no_larger_than_other_pictures(client, name, shape):
    strip = picture(np.full((*shape, 1), 7, np.uint8))
    with growth() as found:
        answer = client.post(f"/answer/{name}", content=strip, headers={"Accept": "image/png"})
    assert answer.status_code == 200
    drawn = Image.open(io.BytesIO(answer.content))
    assert max(drawn.size) <= 1200
    assert found[-1] < 200, f"The memory grew by {found[-1]:.0f} MB."


def test_regress(exported, tmp_path, client):
    examples = {"examples": [{"image": np.full((8, 8, 1), n).tolist()} for n in (3, 5)]}
    several = client.post("/v1/models/measures:regress", json=examples)
    assert several.status_code == 400 and "['speed', 'size']" in several.json()["error"]
    found = client.post("/v1/models/finds:regress", json=examples)
    assert found.status_code == 400 and "no regression" in found.json()["error"]
    about = {"task": "regression", "family": None, "outputs": [tensor("values", "float32", 1)]}
    pretend(exported / "first", tmp_path / "speed", ("speed",), **about)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(runtimes.RUNTIMES, "litert", PretendedValue)
        with running(tmp_path) as one:
            for place in ("", "/versions/1", "/labels/stable"):
                found = one.post(f"/v1/models/speed{place}:regress", json=examples)
                assert found.json() == {"result": [3.0, 5.0]}


def test_a_class_is_generated(client):
    def made(path):
        found = client.post(path)
        assert found.status_code == 200
        return np.asarray(Image.open(io.BytesIO(found.content)).convert("L"))

    cats, dogs, both = (
        made(f"/generate/makes?{query}") for query in ("label=cat", "label=dog", "")
    )
    assert not np.array_equal(cats, dogs) and not np.array_equal(cats, both)
    np.testing.assert_array_equal(made("/generate/makes/versions/1?label=dog"), dogs)
    for query, reason in (("label=cow", "cow"), ("count=17", "17 examples")):
        found = client.post(f"/generate/makes?{query}")
        assert found.status_code in (400, 413) and reason in found.json()["error"]
    assert client.post("/generate/makes/versions/3").status_code == 404
    assert client.post("/generate/makes", content=b"something").status_code == 400


def test_a_label_is_the_number_of_a_class(client):
    def asked(label):
        body = {"instances": [{"latent": [0.0, 0.0], "label": label}]}
        return client.post("/v1/models/makes:predict", json=body)

    assert asked(1).status_code == 200
    for wrong in (-1, 3):
        found = asked(wrong)
        assert found.status_code == 400 and f"label holds {wrong}" in found.json()["error"]


def test_whatever_a_runtime_raises_is_about_the_values(client):
    white = picture(np.full((8, 8, 1), 255, np.uint8))
    found = client.post("/answer/measures", content=white)
    assert found.status_code == 422 and "white is too much" in found.json()["error"]


def test_a_fault_of_the_server_is_not_the_last_of_it(client, grey, monkeypatch):
    from vislearn_serve.batching import Batcher

    whole, left = Batcher._answer, [True]

    def once(*args):
        if left and left.pop():
            raise ZeroDivisionError
        return whole(*args)

    monkeypatch.setattr(Batcher, "_answer", once)
    assert client.post("/answer/measures", content=grey).status_code == 500
    assert client.post("/answer/measures", content=grey).status_code == 200
