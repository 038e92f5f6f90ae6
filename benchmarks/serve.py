"""The HTTP server under load, beside a client that waits for each answer before it asks again.

    python benchmarks/serve.py saved_models/cifar10
    python benchmarks/serve.py saved_models/cifar10 --connections 64 --seconds 300 --json load.json
    python benchmarks/serve.py saved_models/cifar10 --options="--threads 1"

Starts `vislearn serve` on loopback and asks for one random image a request, as bytes in the Open
Inference Protocol, first over one connection and then over many; clients and server share the
machine. 503 is what the server answers when its queue is full, and counted apart. The slope of the
memory is that of a straight line through the resident memory of the server's second half.
"""

import argparse
import asyncio
import collections
import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np

from vislearn.export import load_predictor, read_manifest


def question(manifest: dict, name: str, rng: np.random.Generator) -> bytes:
    """A whole HTTP request for the answers about one random image."""
    (item,) = manifest["inputs"]
    pixels = rng.integers(0, 256, (1, *item["shape"][1:]), np.uint8)
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": item["name"],
                    "shape": pixels.shape,
                    "datatype": "UINT8",
                    "parameters": {"binary_data_size": pixels.nbytes},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    lines = (
        f"POST /v2/models/{name}/infer HTTP/1.1",
        "Host: localhost",
        f"Inference-Header-Content-Length: {len(head)}",
        f"Content-Length: {len(head) + pixels.nbytes}",
    )
    return "\r\n".join([*lines, "\r\n"]).encode() + head + pixels.tobytes()


async def ask(port: int, requests: list[bytes], end: float, statuses, seconds) -> None:
    """Asks over one connection, one request after the other, until the time is over."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number = 0
    while time.perf_counter() < end:
        began = time.perf_counter()
        writer.write(requests[number % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        seconds.append(time.perf_counter() - began)
        statuses[int(head[9:12])] += 1
        number += 1
    writer.close()


async def load(port: int, requests: list[bytes], connections: int, duration: float, pid: int):
    """What came back over so many connections, and the server's memory in MB by the second."""
    statuses, seconds, memory = collections.Counter(), [], []
    began = time.perf_counter()
    end = began + duration

    async def watch() -> None:
        while (now := time.perf_counter()) < end:
            memory.append((now - began, resident(pid)))
            await asyncio.sleep(min(1.0, duration / 10))

    clients = [
        ask(port, requests[i:] + requests[:i], end, statuses, seconds) for i in range(connections)
    ]
    await asyncio.gather(watch(), *clients)
    late = [(at, used) for at, used in memory if at > duration / 2]
    slope = float(np.polyfit(*zip(*late, strict=True), 1)[0]) if len(late) > 2 else None
    return {
        "connections": connections,
        "seconds": round(time.perf_counter() - began, 2),
        "requests": len(seconds),
        "per_second": len(seconds) / (time.perf_counter() - began),
        "p50_ms": 1000 * float(np.percentile(seconds, 50)),
        "p99_ms": 1000 * float(np.percentile(seconds, 99)),
        "longest_ms": 1000 * max(seconds),
        "statuses": dict(statuses),
        "memory_mb": memory[-1][1],
        "memory_slope_mb_per_minute": None if slope is None else 60 * slope,
    }


def resident(pid: int) -> float:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def alone(package: Path, format: str, duration: float) -> float:
    """Images a second of the model without HTTP, one at a time."""
    predictor = load_predictor(package, format)
    image = np.zeros((1, *predictor.input_shape), np.uint8)
    predictor.predict(image)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < duration:
        predictor.predict(image)
        count += 1
    return count / (time.perf_counter() - began)


def wait_until_ready(port: int, server: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready"):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("The server did not start; run vislearn serve to see why.")


def batches(port: int) -> collections.Counter:
    """The batches since the start, and the examples in them."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        lines = answer.read().decode().splitlines()
    found = dict(line.rsplit(" ", 1) for line in lines if line.startswith("vislearn_batch"))
    total = collections.Counter()
    for name, value in found.items():
        for kind in ("sum", "count"):
            if name.startswith(f"vislearn_batch_examples_{kind}"):
                total[kind] += float(value)
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path, help="folder of a package that takes images")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=20, help="of each of the two loads")
    parser.add_argument("--format", default="litert")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--options", default="", help="of vislearn serve, such as '--threads 1'")
    arguments = parser.parse_args()

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    package = arguments.package.resolve()
    command = [sys.executable, "-m", "vislearn.cli", "serve", str(package), "--port", str(port)]
    command += ["--format", arguments.format, *shlex.split(arguments.options)]
    rng = np.random.default_rng(0)
    manifest = read_manifest(package)
    requests = [question(manifest, package.name, rng) for _ in range(256)]
    found = {"alone_per_second": alone(package, arguments.format, min(5.0, arguments.seconds))}
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until_ready(port, server)
        asyncio.run(load(port, requests, 1, 2.0, server.pid))  # Everything is loaded and warm.
        rows = []
        for connections in (1, arguments.connections):
            before = batches(port)
            row = asyncio.run(load(port, requests, connections, arguments.seconds, server.pid))
            now = batches(port) - before
            rows.append({**row, "mean_batch": now["sum"] / now["count"]})
        found |= {"loads": rows}
    finally:
        server.terminate()
        server.wait()
    for row in rows:
        others = {status: n for status, n in row["statuses"].items() if status not in (200, 503)}
        slope = row["memory_slope_mb_per_minute"]
        print(
            f"{row['connections']:4} connections, {row['seconds']:.0f} s: "
            f"{row['per_second']:,.0f} requests/s, p50 {row['p50_ms']:.1f} ms, "
            f"p99 {row['p99_ms']:.1f} ms, {row['mean_batch']:.1f} examples a batch, "
            f"503: {row['statuses'].get(503, 0)}, "
            f"other errors: {others or 0}, memory {row['memory_mb']:.0f} MB, "
            f"slope {'unknown' if slope is None else f'{slope:+.2f} MB/min'}"
        )
    print(f"     ratio {rows[1]['per_second'] / rows[0]['per_second']:.2f}")
    print(f"     the model without HTTP, one image at a time: {found['alone_per_second']:,.0f}/s")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
