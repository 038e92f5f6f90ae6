"""Broken, hostile and slow clients: a reason for each, no 500, no hang, no growth.

Every question is a mutation of a good one and follows from its number, so that one which fails can
be asked again: `mutated(number)`.
"""

import contextlib
import io
import json
import random
import resource
import shutil
import socket
import struct
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import at_once, growth, picture, running, text

pytestmark = pytest.mark.tensorflow  # which exports the packages

NAMES = (
    "..",
    "../..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "letters%00",
    "letters/../letters",
    "....//letters",
    "%ff%fe",
    "a" * 5000,
    "letters:predict:predict",
    "%0d%0aSet-Cookie:x",
    "versions",
    "-1",
    "9" * 400,
)
VALUES = (
    None,
    True,
    -1,
    0,
    256,
    10**30,
    1.5,
    1e308,
    -0.0,
    "",
    "1",
    "\ud7ff\x00",
    "x" * 10_000,
    [],
    {},
    [[]],
    [[[[[[[[]]]]]]]],
    {"b64": 7},
    {"b64": "AAAA"},
    {"b64": "A" * 1001},
    [{"b64": ""}],
    {"image": None},
    ["a", 1],
    [0] * 5000,
)
HEADERS = (
    ("Content-Encoding", "gzip"),
    ("Content-Encoding", "deflate, gzip"),
    ("Content-Type", "multipart/form-data"),
    ("Content-Type", "multipart/form-data; boundary=" + "b" * 300),
    ("Content-Type", "application/json"),
    ("Content-Type", ";;;=\xff"),
    ("Inference-Header-Content-Length", "-1"),
    ("Inference-Header-Content-Length", "99999999999999999999"),
    ("Inference-Header-Content-Length", "7"),
    ("X-Request-Timeout", "inf"),
    ("X-Request-Timeout", "1e-9"),
    ("X-Request-Timeout", "soon"),
    ("X-Request-ID", "a b\tc"),
    ("X-Long", "h" * 60_000),
    ("Accept", "image/png"),
    ("Expect", "100-continue"),
    ("Range", "bytes=0-"),
    ("Authorization", "Bearer \xff"),
)


@pytest.fixture(scope="module")
def client(exported, tmp_path_factory):
    """A server of `letters`, with tight limits."""
    folder = tmp_path_factory.mktemp("abused")
    shutil.copytree(exported / "first", folder / "letters")
    with running(folder, max_body=2**20, max_pixels=1_000_000, deadline=20.0) as client:
        yield client


def good_pictures() -> list[bytes]:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 12, 3), np.uint8)
    return [picture(pixels, format) for format in ("PNG", "JPEG", "GIF", "BMP", "WEBP")]


PICTURES = good_pictures()


def png_bomb(side: int) -> bytes:
    """A small file that says it is `side` pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def broken_bytes(rng: random.Random, data: bytes) -> bytes:
    """The bytes cut off, changed, repeated or mixed up."""
    data = bytearray(data)
    for _ in range(rng.choice((0, 1, 1, 2, 5, 30))):
        place, kind = rng.randrange(len(data) + 1), rng.randrange(5)
        if kind == 0:
            del data[place:]
        elif kind == 1 and place < len(data):
            data[place] = rng.randrange(256)
        elif kind == 2:
            data[place:place] = rng.randbytes(rng.choice((1, 4, 100)))
        elif kind == 3:
            del data[place : place + rng.choice((1, 2, 50))]
        else:
            data[place : place + 4] = rng.choice(
                (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", bytes(4))
            )
    return bytes(data)


def broken_json(rng: random.Random, value):
    """The value with one of its parts, or itself, replaced by what does not belong there."""
    if rng.random() < 0.25 or not isinstance(value, list | dict) or not value:
        return rng.choice(VALUES)
    key = rng.choice([*value]) if isinstance(value, dict) else rng.randrange(len(value))
    changed = value.copy()
    if rng.random() < 0.15:
        del changed[key]
    else:
        changed[key] = broken_json(rng, value[key])
    return changed


def good_question(rng: random.Random) -> tuple[str, dict]:
    """A path, and a JSON body that it answers."""
    image = np.zeros((8, 8, 1), int).tolist()
    file = text(rng.choice(PICTURES))
    tensor = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8", "data": [image]}
    files = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [file]}
    return rng.choice(
        [
            ("/v1/models/letters:predict", {"instances": [{"image": image}]}),
            ("/v1/models/letters:predict", {"instances": [{"b64": file}, {"b64": file}]}),
            ("/v1/models/letters/versions/1:predict", {"inputs": {"image": [image]}}),
            ("/v1/models/letters:classify", {"examples": [{"image": {"b64": file}}]}),
            ("/v1/models/letters:classify", {"context": {"image": image}, "examples": [{}]}),
            ("/v1/models/letters/labels/stable:regress", {"examples": [{"image": image}]}),
            ("/v2/models/letters/infer", {"inputs": [tensor], "outputs": [{"name": "scores"}]}),
            ("/v2/models/letters/infer", {"inputs": [files], "parameters": {"timeout": 10**6}}),
            ("/answer/letters?top=2", {"images": [file, file]}),
        ]
    )


def mutated(number: int) -> dict:
    """The arguments of a request that is wrong in some way, or, rarely, right."""
    rng = random.Random(number)
    path, content = good_question(rng)
    headers: dict[str, str] = {}
    kind = rng.randrange(7)
    if kind == 0:
        path, body = "/answer/letters", broken_bytes(rng, rng.choice(PICTURES))
    elif kind == 1:
        bomb = rng.choice((1001, 65_535, 2**31 - 1))
        path, body = "/answer/letters", png_bomb(bomb)
    elif kind == 2:
        body = broken_bytes(rng, json.dumps(content).encode())
    elif kind == 3:
        tensor = {"name": "image", "shape": [1, 8, 8, 1], "datatype": "UINT8"}
        tensor["parameters"] = {"binary_data_size": 64}
        head = json.dumps(broken_json(rng, {"inputs": [tensor]})).encode()
        path, body = "/v2/models/letters/infer", head + broken_bytes(rng, bytes(64))
        headers["Inference-Header-Content-Length"] = str(len(head) + rng.choice((0, 0, 0, 1, -9)))
    elif kind == 4:
        form = httpx.Request("POST", "http://x", files=[("image", ("a.png", PICTURES[0]))])
        path, body = "/answer/letters", broken_bytes(rng, form.read())
        headers["Content-Type"] = form.headers["Content-Type"]
    else:
        for _ in range(rng.choice((1, 1, 3))):
            content = broken_json(rng, content)
        body = json.dumps(content).encode()
    if path == "/answer/letters?top=2":
        headers["Content-Type"] = "application/json"
    if rng.random() < 0.15:
        path = path.replace("letters", rng.choice(NAMES))
    if rng.random() < 0.15:
        name, value = rng.choice(HEADERS)
        headers[name] = value
    method = "POST" if rng.random() < 0.97 else rng.choice(("GET", "PUT", "DELETE", "BREW"))
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}
    return {"method": method, "url": path, "content": body, "headers": encoded}


def check(client, numbers) -> dict[int, int]:
    """Sends the mutations and looks at the answers; how many there were of each status."""
    statuses: dict[int, int] = {}
    for number in numbers:
        found = client.request(**mutated(number))
        status = found.status_code
        assert status < 500 or status in (503, 504), (number, found.text)
        if status >= 400 and "json" in found.headers.get("content-type", ""):
            assert found.json()["error"], number
        statuses[status] = statuses.get(status, 0) + 1
    return statuses


def check_it_works(client) -> None:
    found = client.post("/answer/letters", content=PICTURES[0], timeout=10)
    assert found.status_code == 200


def test_mutations(client):
    statuses = check(client, range(300))
    assert {200, 400, 404, 413} <= statuses.keys()
    check_it_works(client)


def test_mutations_at_the_same_time(client):
    """Eight clients, each with its own mutations and, in between, a picture of a million pixels."""
    file = io.BytesIO()
    Image.new("RGB", (1000, 1000)).save(file, "PNG")

    def ask(number: int) -> dict[int, int]:
        with httpx.Client(base_url=client.base_url, timeout=60) as own:
            for _ in range(4):
                assert own.post("/answer/letters", content=file.getvalue()).status_code == 200
                statuses = check(own, range(1000 * number, 1000 * number + 10))
        return statuses

    at_once(2, ask)
    with growth() as found:
        at_once(8, ask)
    assert found[-1] < 64, f"The memory grew by {found[-1]:.0f} MB."
    check_it_works(client)


@contextlib.contextmanager
def slow_clients(port: int, count: int):
    """Connections that have said half of something and go on listening."""
    starts = (
        b"",
        b"POST /answer/letters HTTP/1.1\r\nHost: x\r\nX-Half",
        b"POST /answer/letters HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
        b"POST /answer/letters HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nha",
    )
    with contextlib.ExitStack() as stack:
        for number in range(count):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            connection.sendall(starts[number % len(starts)])
        yield


def test_others_are_answered_beside_slow_clients(client):
    with slow_clients(client.port, 40):
        for _ in range(5):
            check_it_works(client)


def test_what_is_no_http(client):
    rng = random.Random(0)
    head = b"POST /answer/letters HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(broken_bytes(rng, head) + rng.randbytes(50))
            connection.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):
                received = connection.recv(65536)
                assert not received.startswith(b"HTTP/1.1 5"), received
    check_it_works(client)


def test_a_picture_may_not_be_larger_than_it_says_it_is(client):
    file = io.BytesIO()
    Image.new("RGB", (1200, 1200)).save(file, "PNG")
    assert len(file.getvalue()) < 10_000
    found = client.post("/answer/letters", content=file.getvalue())
    assert found.status_code == 413 and "1200 x 1200" in found.json()["error"]


@pytest.mark.slow
def test_ten_thousand_mutations_leave_no_trace(client):
    check(client, range(1000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with slow_clients(client.port, 40):
        statuses = check(client, range(1000, 11_000))
    assert sum(statuses.values()) == 10_000
    check_it_works(client)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 64, f"The peak of memory grew by {grown:.0f} MB."
