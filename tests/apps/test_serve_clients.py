"""The HTTP server and clients that hang up, stop in the midst of it, or send ahead."""

import contextlib
import json
import re
import socket
import time

import httpx
import pytest
from serving import running, until
from vislearn_serve import bodies, server

pytestmark = pytest.mark.tensorflow  # which exports the packages


@contextlib.contextmanager
def connected(port: int):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        yield connection


def post(path: str, body: bytes, extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def rest_of(connection) -> bytes:
    """What comes until the server closes."""
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def metric(client, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))


def question(pixels) -> bytes:
    return json.dumps({"instances": pixels[:2].tolist()}).encode()


def test_nothing_is_computed_for_who_hung_up(exported, slow, pixels):
    ask = post("/v1/models/first:predict", question(pixels))
    with running(exported / "first", queue=4, max_requests=3) as client:
        slow.slow = True
        with connected(client.port) as running_now:
            running_now.sendall(ask)
            until(lambda: metric(client, "vislearn_requests_in_flight") == 1)
            until(lambda: metric(client, "vislearn_queue_examples") == 0)
            for _ in range(2):  # The second finds the place that the first one left.
                with connected(client.port) as waiting, connected(client.port) as other:
                    waiting.sendall(ask)
                    other.sendall(ask)
                    until(lambda: metric(client, "vislearn_queue_examples") == 4)
                until(lambda: metric(client, "vislearn_queue_examples") == 0)
                until(lambda: metric(client, "vislearn_requests_in_flight") == 1)
            calls = slow.calls
            slow.go.set()
            assert running_now.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert slow.calls == calls  # that of the first request, which had begun
        assert 'status="499"} 4.0' in client.get("/metrics").text
        assert client.post("/v1/models/first:predict", content=question(pixels)).is_success


def test_half_sent_bodies_are_no_work(exported, pixels):
    half = post("/v1/models/first:predict", question(pixels))[:-9]
    with running(exported / "first", max_requests=1) as client, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(client.port)).sendall(half)
        until(lambda: metric(client, "vislearn_held_bytes") > 3 * 100)
        assert client.post("/v1/models/first:predict", content=question(pixels)).is_success


def test_a_body_that_stops_is_not_waited_for_until_the_deadline(exported, pixels, monkeypatch):
    monkeypatch.setattr(bodies, "_PAUSE_SECONDS", 0.2)
    with running(exported / "first") as client, connected(client.port) as connection:
        began = time.monotonic()
        connection.sendall(post("/v1/models/first:predict", question(pixels))[:-9])
        assert rest_of(connection).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 20  # of 30


@pytest.mark.parametrize("ahead", [b"GET / HTTP/1.1\r\nX-Half", b"no HTTP\r\n\r\n"])
def test_what_is_sent_ahead_takes_no_answer_away(exported, slow, pixels, monkeypatch, ahead):
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.2)
    with running(exported / "first") as client, connected(client.port) as connection:
        slow.slow = True
        connection.sendall(post("/v1/models/first:predict", question(pixels)) + ahead)
        until(lambda: metric(client, "vislearn_requests_in_flight") == 1)
        time.sleep(0.5)
        slow.go.set()
        received = rest_of(connection)
    answers = re.findall(rb"HTTP/1.1 (\d+)", received)
    assert answers == [b"200", b"408" if ahead.startswith(b"GET") else b"400"]
    assert b"predictions" in received and received.endswith(b'"}')


def test_a_body_that_is_no_http(client):
    head = b"POST /answer/letters HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(client.port) as connection:
        connection.sendall(head + b"no number\r\n")
        received = rest_of(connection)
    assert received.startswith(b"HTTP/1.1 400 ") and received.endswith(b'"}')


def test_a_connection_too_many(exported, monkeypatch):
    monkeypatch.setattr(server, "_CONNECTIONS", 2)
    with running(exported / "first") as client, contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(connected(client.port))
        found = httpx.get(f"{client.base_url}/v2/health/live")
        assert found.status_code == 503 and found.headers["retry-after"] == "1"
        assert "2 connections" in found.json()["error"]
