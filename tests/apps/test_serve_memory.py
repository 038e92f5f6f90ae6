"""The HTTP server under many requests at a time: its memory, and what its event loop is spared."""

import concurrent.futures
import gc
import io
import shutil
import threading
import time
import weakref
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image
from serving import at_once, growth, picture, running, text, until
from vislearn_serve import images, service
from vislearn_serve.batching import _Job
from vislearn_serve.bodies import unpack
from vislearn_serve.errors import Refused
from vislearn_serve.gate import Visit
from vislearn_serve.memory import Memory, Pixels

pytestmark = pytest.mark.tensorflow  # which exports the packages


def blank(side: int, mode: str = "RGB") -> bytes:
    """A picture that is packed a thousandfold."""
    file = io.BytesIO()
    Image.new(mode, (side, side)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def client(exported, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded")
    shutil.copytree(exported / "first", folder / "letters")
    with running(folder, max_pixels=4_000_000, queue=64) as client:
        yield client


def test_no_picture_is_kept_at_full_size(client):
    file = blank(2000, "L")  # 4 MB each when decoded, and as much again while they are
    url = f"{client.base_url}/answer/letters"

    def ask(number):
        return httpx.post(url, content=file, timeout=60).status_code

    assert at_once(2, ask) == [200, 200]
    with growth() as found:
        assert at_once(24, ask) == [200] * 24
    assert found[-1] < 64, f"The memory grew by {found[-1]:.0f} MB."


def test_unpacked_bodies_are_counted(exported):
    bomb = zlib.compress(bytes(8 * 2**20))
    headers = {"Content-Encoding": "deflate"}
    with running(exported / "first", max_held=10 * 2**20) as client:
        url = f"{client.base_url}/answer/first"

        def ask(number):
            return httpx.post(url, content=bomb, headers=headers, timeout=60)

        assert ask(0).status_code == 400  # no picture
        with growth() as found:
            answers = at_once(16, ask)
        assert {answer.status_code for answer in answers} == {400, 503}
        refused = next(answer for answer in answers if answer.status_code == 503)
        assert refused.headers["retry-after"] == "1" and "memory" in refused.json()["error"]
        assert found[-1] < 64, f"The memory grew by {found[-1]:.0f} MB."
        until(lambda: "vislearn_held_bytes 0.0" in client.get("/metrics").text)


def test_a_request_that_could_never_be_held_is_told_so(exported):
    with running(exported / "first", max_held=100_000) as client:
        body = zlib.compress(bytes(200_000))
        headers = {"Content-Encoding": "deflate"}
        found = client.post("/answer/first", content=body, headers=headers)
        assert found.status_code == 413 and "100,000 bytes" in found.json()["error"]


def test_drawings_are_counted(exported):
    file = blank(8, "L")
    with running(exported, max_held=500_000) as client:
        assert client.post("/answer/first", content=file).status_code == 200
        for path, options in (
            ("/answer/first", {"content": file, "headers": {"Accept": "image/png"}}),
            ("/answer/first?picture=true", {"content": file}),
            ("/generate/maker?count=16", {}),
        ):
            found = client.post(path, **options)
            assert found.status_code == 413 and "500,000 bytes" in found.json()["error"]


def questions(files: list[str]) -> dict[str, dict]:
    """Each way of sending picture files in JSON."""
    tensor = {"name": "image", "shape": [len(files)], "datatype": "BYTES", "data": files}
    return {
        "/v1/models/letters:predict": {"instances": [{"b64": file} for file in files]},
        "/v1/models/letters:classify": {"examples": [{"b64": file} for file in files]},
        "/v2/models/letters/infer": {"inputs": [tensor]},
        "/answer/letters": {"images": files},
    }


@pytest.mark.parametrize("path", questions([]))
def test_the_event_loop_decodes_no_picture(client, path, monkeypatch):
    seen = []

    def noting(*args, **options):
        seen.append(threading.current_thread().name)
        return whole(*args, **options)

    whole = images.read_image
    monkeypatch.setattr(images, "read_image", noting)
    body = questions([text(blank(1000, "1"))])[path]
    assert client.post(path, json=body).status_code == 200
    assert len(seen) == 1 and seen[0].startswith("vislearn-decode")


@pytest.mark.parametrize("path", questions([]))
def test_too_many_pictures_are_refused_before_one_is_decoded(client, path, monkeypatch):
    def refuse(*args, **options):
        raise AssertionError("A picture was decoded.")

    monkeypatch.setattr(images, "read_image", refuse)
    file = text(picture(np.zeros((1, 1, 1), np.uint8)))
    found = client.post(path, json=questions([file] * 65)[path])
    assert found.status_code == 413 and "65 examples" in found.json()["error"]


def test_all_heads_are_read_before_a_picture_is_decoded(client, monkeypatch):
    decoded = []
    monkeypatch.setattr(images, "read_image", lambda *args, **options: decoded.append(1))
    files = [text(blank(1500, "L")), text(blank(1500, "L"))]
    found = client.post("/answer/letters", json={"images": files})
    assert found.status_code == 413 and "4,000,000" in found.json()["error"]
    assert not decoded


def test_who_is_decoded_does_not_queue_behind_those_who_are_not(client, monkeypatch):
    first_may, others_may, decoded = threading.Event(), threading.Event(), []

    def waiting(*args, **options):
        decoded.append(1)
        assert (first_may if len(decoded) == 1 else others_may).wait(30)
        return whole(*args, **options)

    whole, file, url = images.read_image, blank(8, "L"), f"{client.base_url}/answer/letters"
    monkeypatch.setattr(images, "read_image", waiting)
    monkeypatch.setattr(service, "_QUICK", 0)  # All goes through threads, as large inputs do.
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        first = pool.submit(httpx.post, url, content=file, timeout=60)
        until(lambda: decoded)
        others = [pool.submit(httpx.post, url, content=file, timeout=60) for _ in range(4)]
        until(lambda: "in_flight 5.0" in client.get("/metrics").text)
        time.sleep(0.2)  # They queue.
        first_may.set()
        try:
            assert first.result(10).status_code == 200
        finally:
            others_may.set()
        assert [other.result().status_code for other in others] == [200] * 4


@pytest.mark.parametrize("content", [blank(8, "L"), b"no picture"], ids=["answered", "refused"])
def test_nothing_of_a_request_waits_for_the_garbage_collector(client, monkeypatch, content):
    left, made = weakref.WeakSet(), []
    for kind in (Visit, _Job):

        def noting(self, *args, whole=kind.__init__):
            left.add(self)
            made.append(type(self))
            whole(self, *args)

        monkeypatch.setattr(kind, "__init__", noting)
    gc.disable()
    try:
        for _ in range(3):
            client.post("/answer/letters", content=content)
        until(lambda: len(left) == 0, seconds=5)
        assert Visit in made
    finally:
        gc.enable()


# The sums


def test_memory_is_given_back():
    memory = Memory(100)
    with memory.share() as first, memory.share() as second:
        first.take(60)
        second.take(40)
        with pytest.raises(Refused) as refused:
            first.take(1)
        assert refused.value.status == 503
        with pytest.raises(Refused) as refused:
            first.take(41)
        assert refused.value.status == 413
    assert memory.held == 0
    with pytest.raises(RuntimeError, match="Nobody waits"):
        first.take(0)


def test_unpacking_stops_when_the_request_is_over():
    memory = Memory(2**30)
    with memory.share() as share:
        packed = zlib.compress(bytes(3 * 2**20))
        assert unpack(packed, "deflate", 2**22, share) == bytes(3 * 2**20)
        assert share.held == 3 * 2**20
        for body, reason in ((packed[:-9], "ends too early"), (packed + b"x", "after its end")):
            with pytest.raises(Refused, match=reason):
                unpack(body, "deflate", 2**22, share)
    with pytest.raises(RuntimeError):
        unpack(packed, "deflate", 2**22, share)


def test_decoding_waits_for_its_turn():
    turns, second = Pixels(100), threading.Event()

    def wait():
        with turns.decoding(50):
            second.set()

    thread = threading.Thread(target=wait)
    with turns.decoding(60):
        thread.start()
        assert not second.wait(0.1)
    assert second.wait(30)
    thread.join()
