"""A running server for the tests of `vislearn serve`, and what they send to it."""

import base64
import concurrent.futures
import contextlib
import hashlib
import io
import json
import resource
import shutil
import threading
import time
from pathlib import Path

import httpx
import numpy as np
from PIL import Image
from vislearn_serve.server import make_server
from vislearn_serve.settings import Settings

from vislearn.export import runtimes

CLASSES = tuple("abcde")


class Slow(runtimes.LiteRT):
    """A model that takes until it is let go."""

    go = threading.Event()
    slow = False
    calls = 0

    def __call__(self, inputs):
        Slow.calls += 1
        if Slow.slow:
            assert Slow.go.wait(60)
        return super().__call__(inputs)


@contextlib.contextmanager
def running(folder: Path, **options):
    """A client of a server in a thread, on a free port; `client.server` is the server."""
    server = make_server(Settings(folder, **{"poll": 0.05, "threads": 1, **options}), port=0)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            client.server, client.port = server, port
            yield client
    finally:
        server.should_exit = True
        thread.join()


def until(reached, seconds: float = 60.0):
    """Waits until a condition holds; the test fails if it never does."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "It did not happen in time."
        time.sleep(0.01)


def at_once(count: int, ask) -> list:
    """What `ask(number)` gives, for so many numbers at the same time."""
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return [*pool.map(ask, range(count))]


@contextlib.contextmanager
def growth():
    """How many MB the memory of this process grows within the block, at its peak: `found[-1]`."""
    with open("/proc/self/statm") as file:

        def resident() -> int:
            file.seek(0)
            return int(file.read().split()[1]) * resource.getpagesize()

        def watch() -> None:
            highest = 0
            while not end.wait(0.001):
                highest = max(highest, resident() - before)
            found.append(highest / 2**20)

        before, found, end = resident(), [], threading.Event()
        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            end.set()
            thread.join()


def picture(pixels: np.ndarray, format: str = "PNG") -> bytes:
    """uint8 `(height, width, 1 or 3)` as a file."""
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, format)
    return file.getvalue()


def text(data: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(data).decode()


def scores(predictions) -> np.ndarray:
    return np.array([row["scores"] for row in predictions])


def answer_of(client, pixels, path="/v1/models/letters"):
    found = client.post(f"{path}:predict", json={"instances": pixels.tolist()})
    return scores(found.json()["predictions"]) if found.status_code == 200 else None


def same(found, expected) -> bool:
    return found is not None and np.allclose(found, expected["scores"], atol=1e-6)


def pretend(source: Path, place: Path, classes, **changes) -> None:
    """Copies a package and lets its manifest say something else."""
    shutil.copytree(source, place)
    labels = "".join(f"{name}\n" for name in classes)
    (place / "labels.txt").write_text(labels)
    manifest = json.loads((place / "model.json").read_text())
    digest = hashlib.sha256(labels.encode()).hexdigest()
    manifest["files"]["labels.txt"] = {"size": len(labels), "sha256": digest}
    manifest |= {"classes": [*classes], **changes}
    (place / "model.json").write_text(json.dumps(manifest))


def tensor(name: str, dtype: str, *shape: int) -> dict:
    """An input or output of a manifest."""
    return {"name": name, "dtype": dtype, "shape": [None, *shape], "meaning": name}
