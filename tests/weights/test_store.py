"""Published files: downloaded from a server of our own, which can break off."""

import dataclasses
import hashlib
import http.server
import threading

import pytest

from vislearn.weights import Published
from vislearn.weights.store import cached_path, fetch

CONTENT = bytes(range(256)) * 4096 * 3  # 3 MiB, several blocks


@pytest.fixture
def server(monkeypatch, tmp_path):
    """A server that sends `CONTENT`, and notes what it was asked for."""
    monkeypatch.setenv("VISLEARN_CACHE", str(tmp_path / "cache"))

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path != "/model.safetensors":
                self.send_error(404)
                return
            asked = self.headers.get("Range")
            self.server.asked.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if start >= len(CONTENT):
                self.send_error(416)
                return
            self.send_response(206 if asked else 200)
            self.send_header("Content-Length", str(len(CONTENT) - start))
            self.end_headers()
            stop = len(CONTENT) if self.server.whole else start + 2**20 + 5
            self.wfile.write(CONTENT[start:stop])

        def log_message(self, *args):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.asked, found.whole = [], True
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()


def published(server, digest: str | None = None) -> Published:
    port = server.server_address[1]
    return Published("timm", "net.tag", f"http://127.0.0.1:{port}/model.safetensors", digest)


def test_downloads_once(server):
    file = published(server, f"md5:{hashlib.md5(CONTENT).hexdigest()}")
    path = fetch(file)
    assert path.read_bytes() == CONTENT
    assert path == cached_path(file)
    assert path.name == "net.tag.safetensors"
    assert fetch(file) == path
    assert server.asked == [None]
    assert sorted(other.name for other in path.parent.iterdir()) == [
        "net.tag.safetensors",
        "net.tag.safetensors.sha256",
    ]


def test_goes_on_where_it_broke_off(server):
    server.whole = False
    file = published(server, f"sha256:{hashlib.sha256(CONTENT).hexdigest()[:8]}")
    with pytest.raises(ConnectionError, match="broke off"):
        fetch(file)
    assert not cached_path(file).exists()
    server.whole = True
    assert fetch(file).read_bytes() == CONTENT
    assert server.asked == [None, f"bytes={2**20 + 5}-"]


def test_whole_part_needs_no_more(server):
    """The process may die between the last byte and the renaming."""
    file = published(server)
    path = cached_path(file)
    path.parent.mkdir(parents=True)
    path.with_name(f"{path.name}.part").write_bytes(CONTENT)
    assert fetch(file).read_bytes() == CONTENT


def test_another_hash(server):
    file = published(server, "sha256:0123")
    with pytest.raises(ValueError, match="and not 0123: try again"):
        fetch(file)
    assert list(cached_path(file).parent.iterdir()) == []


def test_changed_on_disk(server):
    path = fetch(published(server))
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match="delete it and it is downloaded again"):
        fetch(published(server))


def test_no_such_file_there(server):
    file = dataclasses.replace(published(server), url=published(server).url + ".old")
    with pytest.raises(ConnectionError, match="404"):
        fetch(file)


def test_no_server(monkeypatch, tmp_path):
    monkeypatch.setenv("VISLEARN_CACHE", str(tmp_path))
    file = Published("timm", "net.tag", "http://127.0.0.1:9/model.safetensors")
    with pytest.raises(ConnectionError, match="give its path as weights"):
        fetch(file)
