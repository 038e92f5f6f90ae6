"""The program for devices in fresh processes: start to first answer, memory, pictures a second.

    python benchmarks/edge.py saved_models/digits
    python benchmarks/edge.py saved_models/digits --threads 1 2 --rounds 9 --json edge.json

The start is from the call of Python to the line with the first answer, with the files in the page
cache; the memory is the largest that was resident until then (VmHWM of Linux). Then `--images` more
pictures go through the same process one by one, decoded, answered and printed, and the model alone
is called as often. Where apps/edge/c is built, the C program takes part.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from vislearn.export.probe import peak_bytes

FOLDER = Path(__file__).parents[1] / "apps" / "edge"


def follow(command: list, first: bytes, each: bytes, images: int) -> dict[str, float]:
    """Starts a program that answers each picture of its stdin with a line, and times it."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        process.stdin.write(first)
        process.stdin.flush()
        line = process.stdout.readline()
        found = {"start_s": time.perf_counter() - start, "memory_mb": peak_bytes(process.pid) / 1e6}
        assert b"class_id" in line or b"label" in line, line
        start = time.perf_counter()
        for _ in range(images):
            process.stdin.write(each)
            process.stdin.flush()
            process.stdout.readline()
        found["pictures_per_s"] = images / (time.perf_counter() - start)
        process.stdin.close()
    return found


def in_python(package: Path, format: str, threads: int, picture: Path, images: int) -> dict:
    program = [sys.executable, FOLDER / "vislearn_edge.py", package]
    options = ["--format", format, "--threads", threads]
    path = f"{picture}\n".encode()
    found = follow([*program, "--stdin", "paths", *options], path, path, images)
    alone = subprocess.run(
        [str(part) for part in [*program, "--benchmark", images, *options]],
        capture_output=True,
        check=True,
    )
    return {**found, "model_ms": json.loads(alone.stdout)["p50_ms"]}


def in_c(package: Path, pixels: np.ndarray, images: int) -> dict:
    height, width, channels = pixels.shape
    header = f"P{5 if channels == 1 else 6} {width} {height} 255\n".encode()
    content = header + pixels.tobytes()
    program = [FOLDER / "c" / "vislearn_edge", package / "model.tflite", package / "labels.txt"]
    return follow(program, content, content, images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()

    manifest = json.loads((options.package / "model.json").read_text())
    shape = manifest["inputs"][0]["shape"][1:]
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    formats = [f["format"] for f in manifest["formats"] if f["file"].endswith(".tflite")]
    figures = {}
    with tempfile.TemporaryDirectory() as scratch:
        picture = Path(scratch, "picture.png")
        Image.fromarray(pixels.squeeze()).save(picture)
        ways = {
            f"{format}, {threads} threads": (in_python, format, threads, picture)
            for format in formats
            for threads in options.threads
        }
        if (FOLDER / "c" / "vislearn_edge").exists():
            ways["litert, in C"] = (in_c, pixels)
        for _ in range(options.rounds):
            for name, (way, *arguments) in ways.items():
                found = way(options.package, *arguments, options.images)
                figures.setdefault(name, []).append(found)
    heads = {"start_s": "start s", "memory_mb": "MB", "pictures_per_s": "pictures/s"}
    heads["model_ms"] = "model ms"
    print(f"{'':24}", *(f"{head:>20}" for head in heads.values()))
    for name, rows in figures.items():
        cells = []
        for key in heads:
            values = [row[key] for row in rows if key in row]
            spread = f" ({min(values):.3g} to {max(values):.3g})" if values else ""
            cells.append(f"{statistics.median(values):.4g}{spread}" if values else "")
        print(f"{name:24}", *(f"{cell:>20}" for cell in cells))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
