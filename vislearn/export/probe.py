"""Measures an exported file in a process of its own: `python -m vislearn.export.probe`.

Nothing but the file's runtime is loaded there, so that start and memory are those of a program that
only answers. The job comes as JSON on stdin, the figures go as JSON to stdout.
"""

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from vislearn.export.opponents import Opponent, Torch
from vislearn.export.quiet import quiet
from vislearn.export.runtimes import RUNTIMES, WARM_UP, filled
from vislearn.tasks.base import Arrays

LEAST_CALLS = 3  # of what takes longer than the time there is


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a file answers, and what that takes.

    Attributes:
        threads: Threads to compute with.
        start_ms: From the import of its runtime to the first answer, in milliseconds.
        load_ms: Of this, the loading of the file alone, once the runtime is imported.
        p50_ms, p95_ms: So long take at most half, and 95 %, of the calls with the first batch.
        per_second: Examples a second, by examples a call.
        peak_bytes: Most memory that the process held, Python included; None where the system does
            not tell (it is read from `/proc`).
    """

    threads: int
    start_ms: float
    load_ms: float
    p50_ms: float
    p95_ms: float
    per_second: dict[int, float]
    peak_bytes: int | None


def probe(
    source: Path | Opponent,
    format: str,
    examples: Arrays,
    *,
    threads: int,
    batches: Sequence[int],
    seconds: float,
) -> Speed:
    """Measures a file in a fresh process.

    Args:
        source: The file, the folder of a SavedModel, or a network of another library.
        format: Its format; of a network, its library.
        examples: At least one example; they are repeated to fill a batch.
        threads: Threads to compute with.
        batches: Examples a call.
        seconds: How long each batch is called again and again.

    Raises:
        RuntimeError: If the process fails, with the last line that it wrote.
    """
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder) / "examples.npz", **examples)
        other = isinstance(source, Opponent)
        job = {
            "opponent": dataclasses.asdict(source) if other else None,
            "path": None if other else str(Path(source).resolve()),
            "format": format,
            "examples": str(Path(folder) / "examples.npz"),
            "threads": threads,
            "batches": [*batches],
            "seconds": seconds,
        }
        # TensorFlow takes its number of threads from here, and only before it starts.
        limits = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), str(threads))
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=json.dumps(job),
            env={**os.environ, **limits},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        reason = (done.stderr.splitlines() or [f"status {done.returncode}"])[-1]
        raise RuntimeError(f"{source} can't be measured as {format}: {reason}")
    found = json.loads(done.stdout)
    found["per_second"] = {int(batch): rate for batch, rate in found["per_second"].items()}
    return Speed(**found)


def _measure(job: dict) -> Speed:
    examples = dict(np.load(job["examples"]))
    batches = {size: filled(examples, size) for size in job["batches"]}
    # The memory is that of this process since it began; the batches are in it.
    threads = None if job["format"] == "savedmodel" else job["threads"]
    kind = Torch if job["opponent"] else RUNTIMES[job["format"]]
    source = Opponent(**job["opponent"]) if job["opponent"] else Path(job["path"])
    start = time.perf_counter()
    with quiet():
        importlib.import_module(kind.needs)
    imported = time.perf_counter()
    runtime = kind(source, threads)
    loaded = time.perf_counter()
    runtime(next(iter(batches.values())))
    start_ms, load_ms = 1000 * (time.perf_counter() - start), 1000 * (loaded - imported)
    times = {size: _times(runtime, batch, job["seconds"]) for size, batch in batches.items()}
    p50, p95 = 1000 * np.percentile(next(iter(times.values())), (50, 95))
    rates = {size: size * len(taken) / sum(taken) for size, taken in times.items()}
    latency = (float(p50), float(p95))
    return Speed(job["threads"], start_ms, load_ms, *latency, rates, peak_bytes())


def _times(call: Callable, batch: Arrays, seconds: float) -> list[float]:
    """Seconds that each call took, for about so long in all."""
    for _ in range(WARM_UP):
        call(batch)
    taken: list[float] = []
    while len(taken) < LEAST_CALLS or sum(taken) < seconds:
        start = time.perf_counter()
        call(batch)
        taken.append(time.perf_counter() - start)
    return taken


def peak_bytes(process: int | str = "self") -> int | None:
    """Most memory that a process has held so far; None where the system does not tell."""
    # `getrusage` would also count the process that started this one.
    status = Path(f"/proc/{process}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return 1024 * int(found[1]) if found else None


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(_measure(json.load(sys.stdin)))))
