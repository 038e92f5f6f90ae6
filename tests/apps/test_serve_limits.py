"""The HTTP server: what it refuses, its limits, and who asks too slowly."""

import concurrent.futures
import json
import re
import socket
import zlib

import httpx
import numpy as np
import pytest
from serving import picture, running, text, until
from vislearn_serve import server

pytestmark = pytest.mark.tensorflow  # which exports the packages


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


def test_a_request_without_a_body_has_been_read(exported, slow):
    with running(exported / "maker") as client:
        slow.slow = True
        found = client.post("/generate/maker", headers={"X-Request-Timeout": "0.1"})
        assert found.status_code == 504
        slow.go.set()


def test_a_form_that_is_cut_off(client, pixels):
    files = [("image", (name, picture(pixels[0]))) for name in ("a.png", "b.png")]
    form = httpx.Request("POST", "http://x", files=files)
    body, headers = form.read(), {"Content-Type": form.headers["Content-Type"]}
    assert client.post("/answer/letters", content=body, headers=headers).status_code == 200
    for cut in (4, 60, len(body) // 2):
        found = client.post("/answer/letters", content=body[:-cut], headers=headers)
        assert found.status_code == 400 and "cut off" in found.json()["error"]


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


def test_a_long_head_that_comes_at_once(client):
    head = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: %s\r\n\r\n"
    assert exchange(client.port, head % (b"a" * 60_000)).startswith(b"HTTP/1.1 200 ")
    assert exchange(client.port, head % (b"a" * 70_000)).startswith(b"HTTP/1.1 431 ")


def test_slow_head_and_slow_body(exported, monkeypatch):
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.2)
    with running(exported / "first", deadline=0.5) as client:
        assert exchange(client.port, b"GET / HT").startswith(b"HTTP/1.1 408 ")
        assert exchange(client.port).startswith(b"HTTP/1.1 408 ")
        head = b"POST /answer/first HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        assert exchange(client.port, head, b"half").startswith(b"HTTP/1.1 408 ")
