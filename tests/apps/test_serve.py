"""The HTTP server: its protocols, what it refuses, and that it loses nothing."""

import concurrent.futures
import io
import json
import logging
import re
import shutil
import socket
import subprocess
import sys
import threading
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import CLASSES, picture, running, text, until
from vislearn_serve import images, server
from vislearn_serve.packages import Model, find_packages, load
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import JsonFormatter, Metrics
from vislearn_serve.tensors import from_base64

import vislearn
from vislearn.export import PackageError, runtimes
from vislearn.pictures import to_png
from vislearn.tasks import Detection, SemanticSegmentation

pytestmark = pytest.mark.tensorflow  # which exports the packages


@pytest.fixture(scope="module")
def client(exported, tmp_path_factory):
    """A server of `letters` in the versions 1 and 2, and of a generator."""
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(exported / "first", folder / "letters" / "1")
    shutil.copytree(exported / "second", folder / "letters" / "2")
    shutil.copytree(exported / "maker", folder / "maker")
    with running(folder) as client:
        yield client


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


@pytest.fixture(scope="module")
def expected(exported, pixels):
    """The answers of both versions."""
    return {
        version: vislearn.load_predictor(exported / name).predict(pixels)
        for version, name in (("1", "first"), ("2", "second"))
    }


def scores(predictions) -> np.ndarray:
    return np.array([row["scores"] for row in predictions])


# TensorFlow Serving


def test_predict_by_row_and_by_column(client, pixels, expected):
    rows = [{"image": image} for image in pixels.tolist()]
    named = client.post("/v1/models/letters:predict", json={"instances": rows})
    bare = client.post("/v1/models/letters:predict", json={"instances": pixels.tolist()})
    column = client.post(
        "/v1/models/letters/versions/1:predict", json={"inputs": {"image": pixels.tolist()}}
    )
    np.testing.assert_allclose(
        scores(named.json()["predictions"]), expected["2"]["scores"], atol=1e-6
    )
    assert named.json()["predictions"][0]["class_id"] == expected["2"]["class_id"][0]
    assert named.json() == bare.json()
    found = column.json()["outputs"]
    np.testing.assert_allclose(found["scores"], expected["1"]["scores"], atol=1e-6)
    assert found["class_id"] == expected["1"]["class_id"].tolist()


@pytest.mark.parametrize("wrapped", [True, False])
def test_pictures_in_base64(client, pixels, expected, wrapped):
    values = [{"b64": text(picture(image))} for image in pixels]
    rows = [{"image": value} for value in values] if wrapped else values
    found = client.post("/v1/models/letters:predict", json={"instances": rows})
    np.testing.assert_allclose(
        scores(found.json()["predictions"]), expected["2"]["scores"], atol=1e-6
    )


def test_classify(client, pixels, expected):
    found = client.post(
        "/v1/models/letters:classify", json={"examples": [{"image": pixels[0].tolist()}]}
    )
    (result,) = found.json()["result"]
    assert [label for label, _ in result] == [
        CLASSES[number] for number in np.argsort(-expected["2"]["scores"][0])
    ]
    assert result[0][1] == pytest.approx(expected["2"]["scores"][0].max(), abs=1e-6)


def test_status_and_metadata(client):
    states = client.get("/v1/models/letters").json()["model_version_status"]
    assert [(state["version"], state["state"]) for state in states] == [
        ("2", "AVAILABLE"),
        ("1", "AVAILABLE"),
    ]
    assert client.get("/v1/models/letters/versions/1").json()["model_version_status"] == [states[1]]
    found = client.get("/v1/models/letters/versions/1/metadata").json()
    assert found["model_spec"]["version"] == "1"
    signature = found["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["image"]["dtype"] == "DT_UINT8"
    sizes = [dim["size"] for dim in signature["inputs"]["image"]["tensor_shape"]["dim"]]
    assert sizes == ["-1", "8", "8", "1"]


# Open Inference Protocol


def test_infer_in_json(client, pixels, expected):
    question = {"name": "image", "shape": [5, 8, 8, 1], "datatype": "UINT8"}
    for data in (pixels.ravel().tolist(), pixels.tolist()):
        body = {"id": "seven", "inputs": [{**question, "data": data}]}
        found = client.post("/v2/models/letters/versions/1/infer", json=body).json()
        assert (found["id"], found["model_name"], found["model_version"]) == (
            "seven",
            "letters",
            "1",
        )
        outputs = {output["name"]: output for output in found["outputs"]}
        assert outputs["scores"]["datatype"] == "FP32" and outputs["scores"]["shape"] == [5, 5]
        np.testing.assert_allclose(
            outputs["scores"]["data"], expected["1"]["scores"].ravel(), atol=1e-6
        )
        assert outputs["class_id"]["data"] == expected["1"]["class_id"].tolist()


@pytest.mark.parametrize("binary", [True, False])
def test_tritonclient_works_unchanged(client, pixels, expected, binary):
    from tritonclient import http

    triton = http.InferenceServerClient(f"127.0.0.1:{client.port}")
    assert triton.is_server_live() and triton.is_server_ready()
    assert triton.is_model_ready("letters", "1") and not triton.is_model_ready("letters", "3")
    assert triton.get_model_metadata("letters")["versions"] == ["2", "1"]
    assert triton.get_model_config("letters")["input"][0]["dims"] == [8, 8, 1]
    index = triton.get_model_repository_index()
    assert {(row["name"], row["version"], row["state"]) for row in index} == {
        ("letters", "1", "READY"),
        ("letters", "2", "READY"),
        ("maker", "1", "READY"),
    }
    image = http.InferInput("image", pixels.shape, "UINT8")
    image.set_data_from_numpy(pixels, binary_data=binary)
    wanted = [
        http.InferRequestedOutput("class_id", binary_data=not binary),
        http.InferRequestedOutput("scores", binary_data=binary),
    ]
    found = triton.infer("letters", [image], outputs=wanted, request_id="8")
    np.testing.assert_array_equal(found.as_numpy("class_id"), expected["2"]["class_id"])
    np.testing.assert_allclose(found.as_numpy("scores"), expected["2"]["scores"], atol=1e-6)
    packed = triton.infer("letters", [image], request_compression_algorithm="gzip")
    np.testing.assert_array_equal(packed.as_numpy("class_id"), expected["2"]["class_id"])
    files = http.InferInput("image", [5], "BYTES")
    files.set_data_from_numpy(np.array([picture(image) for image in pixels], object))
    found = triton.infer("letters", [files], model_version="1")
    np.testing.assert_array_equal(found.as_numpy("class_id"), expected["1"]["class_id"])
    with pytest.raises(Exception, match="there are \\['letters', 'maker'\\]"):
        triton.infer("nothing", [image])


# Pictures


def test_uploads_of_every_kind_answer_alike(client, pixels, expected):
    file = picture(pixels[0])
    asked = [
        {"content": file},
        {"files": [("image", ("a.png", file))]},
        {"json": {"image": text(file)}},
        {"json": {"images": [f"data:image/png;base64,{text(file)}"]}},
    ]
    for question in asked:
        found = client.post("/answer/letters/versions/1?top=2", **question).json()
        (answer,) = found["answers"]
        assert answer["label"] == CLASSES[expected["1"]["class_id"][0]]
        assert answer["score"] == pytest.approx(expected["1"]["scores"][0].max(), abs=1e-6)
        assert len(answer["top"]) == 2


def test_pictures_of_any_size_are_fitted_as_training_did(client, exported, tmp_path):
    photo = np.random.default_rng(1).integers(0, 256, (30, 50, 3), np.uint8)
    (tmp_path / "photo.png").write_bytes(picture(photo))
    predictor = vislearn.load_predictor(exported / "second")
    (expected,) = predictor.predict_files([tmp_path / "photo.png"])
    found = client.post("/answer/letters", content=picture(photo)).json()["answers"][0]
    assert found["score"] == pytest.approx(expected.top(1)[0][1], abs=1e-6)


def test_answer_as_a_picture(client, pixels):
    files = [("image", (name, picture(pixels[0]))) for name in ("a.png", "a.png")]
    found = client.post("/answer/letters", files=files, headers={"Accept": "image/png"})
    assert found.headers["content-type"] == "image/png"
    one = client.post("/answer/letters?picture=true", files=files[:1]).json()["picture"]
    assert one.startswith("data:image/svg+xml;base64,")
    drawn = Image.open(io.BytesIO(found.content))
    assert drawn.width > drawn.height  # two side by side


def test_generate(client):
    drawn = [client.post(f"/generate/maker?count=4&seed={seed}") for seed in (0, 0, 1)]
    assert Image.open(io.BytesIO(drawn[0].content)).width > 100
    assert drawn[0].content == drawn[1].content != drawn[2].content
    refused = client.post("/generate/maker?label=cat")
    assert refused.status_code == 400 and "knows no classes" in refused.json()["error"]


def model_of(task, outputs, size, resize) -> Model:
    """A model that is described but can't be run."""
    inputs = [{"name": "image", "shape": [None, *size], "dtype": "uint8", "resize": resize}]
    manifest = {
        "task": task.name,
        "family": task.family,
        "task_options": {},
        "classes": list(task.classes),
        "inputs": inputs,
        "outputs": outputs,
    }
    return Model(("any", "1"), manifest, None)


def test_boxes_are_in_the_pixels_of_the_picture_that_was_sent():
    model = model_of(Detection(("cat", "dog"), "retinanet"), [], (32, 32, 3), "stretch")
    photo = np.zeros((64, 320, 3), np.uint8)
    answers = {
        "boxes": np.array([[[4, 8, 16, 40], [0, 0, 1, 1]]], np.float32),
        "scores": np.array([[0.9, 0.0]], np.float32),
        "classes": np.array([[1, 0]], np.int32),
        "count": np.array([1], np.int32),
    }
    (record,) = images.records(model, [photo], answers, top=5)
    assert record["objects"] == [
        {"label": "dog", "score": pytest.approx(0.9), "box": [40.0, 16.0, 160.0, 64.0]}
    ]
    assert Image.open(io.BytesIO(images.draw(model, [photo], answers, ["a"], to_png))).width > 100


def test_masks_come_as_grey_pictures_of_class_numbers():
    model = model_of(SemanticSegmentation(("background", "cat")), [], (4, 4, 3), "crop")
    mask = np.zeros((1, 4, 4), np.int32)
    mask[0, :2] = 1
    answers = {"mask": mask, "confidence": np.full((1, 4, 4), 0.75, np.float32)}
    photo = np.zeros((8, 8, 3), np.uint8)
    (record,) = images.records(model, [photo], answers, top=5)
    assert record["shares"] == {"background": 0.5, "cat": 0.5}
    found = np.asarray(Image.open(io.BytesIO(from_base64(record["mask"]))))
    np.testing.assert_array_equal(found, mask[0])
    assert Image.open(io.BytesIO(images.draw(model, [photo], answers, ["a"], to_png))).width > 100


# What is refused


@pytest.mark.parametrize(
    ("path", "body", "status", "reason"),
    [
        ("/v1/models/letters:predict", b"{", 400, "no JSON"),
        ("/v1/models/letters:predict", b"[]", 400, "must be a JSON object"),
        ("/v1/models/letters:predict", b'{"instances": []}', 400, "not empty"),
        ("/v1/models/letters:predict", b'{"instances": [1], "inputs": [1]}', 400, "either"),
        ("/v1/models/letters:predict", b'{"instances": [[1, 2]]}', 400, "there is 2 entries"),
        ("/v1/models/letters:predict", b'{"instances": [null]}', 400, "there is null"),
        ("/v1/models/letters:predict", b'{"instances": [{"b64": "%"}]}', 400, "no base64"),
        ("/v1/models/letters:predict", b'{"instances": [{"b64": "aGk="}]}', 400, "found a text"),
        ("/v1/models/letters:predict", b'{"inputs": {"picture": 1}}', 400, "inputs are"),
        ("/v1/models/letters:predict", b'{"signature_name": "x", "inputs": 1}', 400, "signature"),
        ("/v1/models/letters:predict", b"[" * 100_000, 400, "no JSON"),
        ("/v1/models/letters/versions/9:predict", b"{}", 404, "no version '9'"),
        ("/v1/models/..%2F..%2Fetc:predict", b"{}", 404, ""),
        ("/v1/models/nothing:predict", b"{}", 404, "no model 'nothing'"),
        ("/v2/models/letters/infer", b"{}", 400, "inputs must be a list"),
        ("/v2/models/letters/infer", b'{"inputs": [{"name": "image"}]}', 400, "shape must be"),
        ("/answer/letters", b"", 400, "an empty file"),
        ("/answer/maker", b"", 400, "no pictures"),
        ("/answer/letters?top=0", b"", 400, "top='0'"),
        ("/nothing", b"", 404, "Not Found"),
    ],
)
def test_errors_say_what_was_wrong(client, path, body, status, reason):
    found = client.post(path, content=body)
    assert found.status_code == status
    assert reason in found.json()["error"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"shape": [0, 8, 8, 1]}, "at least 1"),
        ({"shape": [1, 8, 8]}, "must be \\[-1, 8, 8, 1\\]"),
        ({"shape": [10**15, 8, 8, 1]}, "64 numbers"),
        ({"datatype": "FP32"}, "must be 'UINT8'"),
        ({"data": None}, "data must be a list"),
        ({"data": []}, "data must be a list"),
        ({"data": [0] * 63}, "63 numbers"),
        ({"data": [0] * 63 + [[0]]}, "a list"),
        ({"data": [[[[0]] * 8] * 8] * 2}, "2 examples"),
        ({"datatype": "BYTES", "shape": [1], "data": [None]}, "is null"),
        ({"datatype": "BYTES", "shape": [2], "data": [""]}, "1 picture files"),
        ({"parameters": {"binary_data_size": 1}}, "0 are left"),
        ({"parameters": None}, "parameters must be an object"),
    ],
)
def test_tensors_that_are_wrong(client, change, reason):
    tensor = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [0] * 64}
    found = client.post("/v2/models/letters/infer", json={"inputs": [{**tensor, **change}]})
    assert found.status_code == 400
    assert re.search(reason, found.json()["error"])


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (256, "out of bounds"),
        (-1, "out of bounds"),
        (1.5, "holds 1.5"),
        (True, "holds True"),
        ("7", "holds a text"),
        (None, "holds null"),
        ([7], "holds a list"),
    ],
)
def test_no_number_is_bent_into_a_pixel(client, pixels, value, reason):
    image = pixels[0].tolist()
    image[3][4] = [value]
    found = client.post("/v1/models/letters:predict", json={"instances": [image]})
    assert found.status_code == 400
    assert reason in found.json()["error"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_is_refused(client, value):
    noise = np.full((1, 8), value, np.float32)
    head = {
        "inputs": [
            {
                "name": "noise",
                "shape": [1, 8],
                "datatype": "FP32",
                "parameters": {"binary_data_size": 32},
            }
        ]
    }
    head = json.dumps(head).encode()
    found = client.post(
        "/v2/models/maker/infer",
        content=head + noise.tobytes(),
        headers={"Inference-Header-Content-Length": str(len(head))},
    )
    assert found.status_code == 400
    assert "NaN or infinity" in found.json()["error"]


def test_limits_of_body_and_pixels(exported):
    with running(exported / "first", max_body=5000, max_pixels=1000) as client:
        big = picture(np.zeros((40, 40, 1), np.uint8))
        found = client.post("/answer/first", content=big)
        assert found.status_code == 413 and "1,000" in found.json()["error"]
        half = text(picture(np.zeros((25, 25, 1), np.uint8)))
        assert client.post("/answer/first", json={"image": half}).status_code == 200
        found = client.post("/answer/first", json={"images": [half, half]})
        assert found.status_code == 413
        found = client.post("/answer/first", content=bytes(5001))
        assert found.status_code == 413 and "5,000 bytes" in found.json()["error"]
        for chunks in ([bytes(3000)] * 2, [bytes(2**20)] * 4):  # without a Content-Length
            assert client.post("/answer/first", content=iter(chunks)).status_code == 413
        assert client.post("/answer/first", content=bytes(2**22)).status_code == 413
        bomb = zlib.compress(bytes(2_000_000))
        headers = {"Content-Encoding": "deflate"}
        assert client.post("/answer/first", content=bomb, headers=headers).status_code == 413
        found = client.post("/answer/first", content=b"x", headers={"Content-Encoding": "br"})
        assert found.status_code == 415


def test_key(exported):
    with running(exported / "first", api_key="secret") as client:
        assert client.get("/v2/health/ready").status_code == 200
        assert client.get("/").status_code == 200
        found = client.get("/v1/models/first")
        assert found.status_code == 401 and found.headers["www-authenticate"] == "Bearer"
        for headers in ({"Authorization": "Bearer secret"}, {"X-API-Key": "secret"}):
            assert client.get("/v1/models/first", headers=headers).status_code == 200
        wrong = {"Authorization": "Bearer secre"}
        assert client.get("/v1/models/first", headers=wrong).status_code == 401


class Slow(runtimes.LiteRT):
    """A model that takes until it is let go."""

    go = threading.Event()
    slow = False

    def __call__(self, inputs):
        if Slow.slow:
            assert Slow.go.wait(60)
        return super().__call__(inputs)


@pytest.fixture
def slow(monkeypatch):
    """Models that wait for `slow.go` once `slow.slow` is set."""
    monkeypatch.setitem(runtimes.RUNTIMES, "litert", Slow)
    Slow.slow = False
    Slow.go.clear()
    yield Slow
    Slow.go.set()


def post_in_background(client, pool, count, body):
    url = f"{client.base_url}/v1/models/first:predict"
    return [pool.submit(httpx.post, url, json=body, timeout=60) for _ in range(count)]


def test_full_queue_and_too_many_requests(exported, slow, pixels):
    body = {"instances": pixels[:2].tolist()}
    with (
        concurrent.futures.ThreadPoolExecutor(8) as pool,
        running(exported / "first", queue=4, max_requests=4) as client,
    ):
        found = client.post("/v1/models/first:predict", json={"instances": pixels.tolist()})
        assert found.status_code == 413 and "5 examples" in found.json()["error"]
        slow.slow = True
        metric = "vislearn_queue_examples"

        def waiting():
            lines = client.get("/metrics").text.splitlines()
            return next(float(line.split()[-1]) for line in lines if line.startswith(metric))

        asked = post_in_background(client, pool, 1, body)
        until(lambda: "in_flight 1.0" in client.get("/metrics").text and waiting() == 0)
        asked += post_in_background(client, pool, 2, body)
        until(lambda: waiting() == 4)
        full = client.post("/v1/models/first:predict", json=body)
        assert full.status_code == 503 and full.headers["retry-after"] == "1"
        assert "4 examples wait" in full.json()["error"]
        late = client.post(
            "/v1/models/first:predict", json=body, headers={"X-Request-Timeout": "nan"}
        )
        assert late.status_code == 400
        slow.go.set()
        assert [future.result().status_code for future in asked] == [200, 200, 200]


def test_deadline(exported, slow, pixels):
    with running(exported / "first") as client:
        slow.slow = True
        body = {"instances": pixels[:1].tolist()}
        found = client.post(
            "/v1/models/first:predict", json=body, headers={"X-Request-Timeout": "0.1"}
        )
        assert found.status_code == 504 and "not ready in time" in found.json()["error"]
        question = {
            "inputs": [{"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": body}],
            "parameters": {"timeout": 100_000},
        }
        question["inputs"][0]["data"] = pixels[0].ravel().tolist()
        assert client.post("/v2/models/first/infer", json=question).status_code == 504
        slow.go.set()
        assert client.post("/v1/models/first:predict", json=body).status_code == 200


def test_what_was_accepted_is_answered_before_the_end(exported, slow, pixels):
    with (
        concurrent.futures.ThreadPoolExecutor(4) as pool,
        running(exported / "first") as client,
    ):
        slow.slow = True
        asked = post_in_background(client, pool, 4, {"instances": pixels[:1].tolist()})
        until(lambda: "in_flight 4.0" in client.get("/metrics").text)
        client.server.should_exit = True
        slow.go.set()
        assert [future.result().status_code for future in asked] == [200] * 4


# Heads of requests


def exchange(port: int, *parts: bytes) -> bytes:
    """What comes back for parts of a request, until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        for part in parts:
            connection.sendall(part)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    return received


def test_head_that_does_not_end(client):
    head = b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: "
    assert exchange(client.port, head, b"a" * 400_000).startswith(b"HTTP/1.1 431 ")


def test_slow_head_and_slow_body(exported, monkeypatch):
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.2)
    with running(exported / "first", deadline=0.5) as client:
        assert exchange(client.port, b"GET / HT").startswith(b"HTTP/1.1 408 ")
        assert exchange(client.port).startswith(b"HTTP/1.1 408 ")
        head = b"POST /answer/first HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        assert exchange(client.port, head, b"half").startswith(b"HTTP/1.1 408 ")


# The folder


def answer_of(client, pixels, path="/v1/models/letters"):
    found = client.post(f"{path}:predict", json={"instances": pixels.tolist()})
    return scores(found.json()["predictions"]) if found.status_code == 200 else None


def same(found, expected) -> bool:
    return found is not None and np.allclose(found, expected["scores"], atol=1e-6)


def test_packages_are_found(tmp_path):
    made = ("one", "many/1", "many/12", "vae/encoder", ".hidden", "with space", "many/old")
    for name in made:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").write_text("{}")
    assert sorted(find_packages(tmp_path)) == [
        ("many", "1"),
        ("many", "12"),
        ("many_old", "1"),
        ("one", "1"),
        ("vae_encoder", "1"),
    ]
    assert [*find_packages(tmp_path / "one")] == [("one", "1")]


def test_reload(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:
        assert same(answer_of(client, pixels), expected["1"])

        # A broken file, in place, under the running model: it goes on, and says so.
        (place / "model.tflite").write_bytes(b"broken")
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        assert "sha256" in client.get("/models").json()["models"][0]["errors"]["1"]
        (state,) = client.get("/v1/models/letters").json()["model_version_status"]
        assert state["state"] == "AVAILABLE" and "sha256" in state["status"]["error_message"]
        assert 'vislearn_model_loads_total{model="letters",outcome="failed",version="1"} 1.0' in (
            client.get("/metrics").text
        )
        assert same(answer_of(client, pixels), expected["1"])

        # A whole one in its place, and a newer version.
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place)
        until(lambda: same(answer_of(client, pixels), expected["2"]))
        shutil.rmtree(place)
        shutil.copytree(exported / "second", place / "1")
        shutil.copytree(exported / "first", place / "2")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        until(lambda: client.get("/v2/models/letters").json()["versions"] == ["2", "1"])

        # Gone.
        shutil.rmtree(place)
        until(lambda: client.get("/v1/models/letters").status_code == 404)
        assert client.get("/v2/health/ready").status_code == 503


def test_replacing_a_package_under_load_loses_no_request(exported, tmp_path, pixels, expected):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    end = threading.Event()

    def ask(url) -> list[str]:
        """Which package answered, request by request."""
        found = []
        with httpx.Client(base_url=url, timeout=60) as client:
            while not end.is_set():
                answer = answer_of(client, pixels)
                found += [version for version in "12" if same(answer, expected[version])] or ["?"]
        return found

    with (
        running(tmp_path) as client,
        concurrent.futures.ThreadPoolExecutor(4) as pool,
    ):
        asked = [pool.submit(ask, client.base_url) for _ in range(4)]
        for name, version in (("second", "2"), ("first", "1"), ("second", "2")):
            shutil.copytree(exported / name, tmp_path / ".new")
            place.rename(tmp_path / ".old")
            (tmp_path / ".new").rename(place)
            shutil.rmtree(tmp_path / ".old")
            until(lambda version=version: same(answer_of(client, pixels), expected[version]))
        end.set()
        answered = [future.result() for future in asked]
    assert {*"".join(map("".join, answered))} == {"1", "2"}


def test_no_room_for_the_copy_keeps_the_old_one(exported, tmp_path, pixels, expected, monkeypatch):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    with running(tmp_path) as client:

        def full(*paths):
            raise OSError(28, "No space left on device")

        shutil.copytree(exported / "second", tmp_path / ".new")
        monkeypatch.setattr("vislearn_serve.packages.shutil.copyfile", full)
        place.rename(tmp_path / ".old")
        (tmp_path / ".new").rename(place)
        until(lambda: client.get("/models").json()["models"][0]["errors"])
        assert "No space" in client.get("/models").json()["models"][0]["errors"]["1"]
        assert same(answer_of(client, pixels), expected["1"])


def test_a_package_can_name_no_file_outside(exported, tmp_path):
    place = tmp_path / "letters"
    shutil.copytree(exported / "first", place)
    manifest = json.loads((place / "model.json").read_text())
    manifest["files"]["savedmodel/1/../../../outside"] = {"size": 1, "sha256": "0"}
    (place / "model.json").write_text(json.dumps(manifest))
    settings = Settings(tmp_path, format="savedmodel")
    with pytest.raises(PackageError, match="outside', which is not in the package"):
        load(("letters", "1"), place, settings, Metrics())


def test_empty_folder_is_filled_later(exported, tmp_path, pixels, expected):
    with running(tmp_path) as client:
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/models").json() == {"models": []}
        shutil.copytree(exported / "first", tmp_path / "letters")
        until(lambda: same(answer_of(client, pixels), expected["1"]))
        assert client.get("/v2/health/ready").status_code == 200


# Operation


def test_page_needs_nothing_from_elsewhere(client):
    found = client.get("/")
    assert "default-src 'none'" in found.headers["content-security-policy"]
    assert "http://" not in found.text and "https://" not in found.text


def test_openapi_names_the_routes(client):
    paths = client.get("/openapi.json").json()["paths"]
    assert {
        "/v1/models/{name}:predict",
        "/v2/models/{name}/versions/{version}/infer",
        "/answer/{name}",
        "/metrics",
    } <= paths.keys()
    assert "requestBody" in paths["/v1/models/{name}:predict"]["post"]


def test_logs_are_json_with_the_request(client, caplog):
    logger = logging.getLogger("vislearn.serve")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO, "vislearn.serve"):
        found = client.post("/v1/models/letters:predict", headers={"X-Request-ID": "abc"})
        until(lambda: caplog.records)
    logger.removeHandler(caplog.handler)
    assert found.headers["x-request-id"] == "abc"
    line = json.loads(JsonFormatter().format(caplog.records[-1]))
    assert line["event"] == "request" and line["level"] == "info"
    assert (line["request"], line["status"], line["model"]) == ("abc", 400, "letters")
    assert line["reason"] == found.json()["error"]


def test_neither_keras_nor_tensorflow_is_loaded(exported):
    program = f"""
import sys
sys.path.insert(0, {str(__file__.rpartition("/")[0])!r})
import numpy as np
from pathlib import Path
from serving import picture, running, text
with running(Path({str(exported)!r})) as client:
    file = picture(np.zeros((9, 9, 1), np.uint8))
    for path in ("/answer/first", "/answer/first?picture=true"):
        assert client.post(path, content=file).status_code == 200
    assert client.post("/generate/maker?count=2").status_code == 200
print([name for name in ("keras", "tensorflow", "jax") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"format": "tflite"}, "format='tflite' must be one of"),
        ({"batch_sizes": (0, 1)}, "batch_sizes"),
        ({"queue": 0}, "queue=0"),
        ({"deadline": 0.0}, "deadline=0.0"),
        ({"api_key": ""}, "api_key"),
        ({"threads": 0}, "threads=0"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, options, reason):
    with pytest.raises(ValueError, match=reason):
        Settings(tmp_path, **options)


def test_command_line_says_what_is_wrong(tmp_path):
    from typer.testing import CliRunner

    from vislearn.cli import app

    missing = CliRunner().invoke(app, ["serve", str(tmp_path / "nothing")])
    assert isinstance(missing.exception, FileNotFoundError)
    wrong = CliRunner().invoke(app, ["serve", str(tmp_path), "--batch-sizes", "1;2"])
    assert isinstance(wrong.exception, ValueError) and "--batch-sizes" in str(wrong.exception)
