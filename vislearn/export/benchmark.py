"""Every format of a package side by side: size, start, latency, throughput, memory, metrics."""

import dataclasses
import math
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from vislearn.cores import usable_cores
from vislearn.export.card import figure
from vislearn.export.evaluation import evaluate_package
from vislearn.export.opponents import Opponent, opponent_of
from vislearn.export.package import (
    FORMATS,
    available_formats,
    check_format,
    files_of,
    read_manifest,
    task_of,
    verify_files,
)
from vislearn.export.probe import Speed, probe
from vislearn.export.runtimes import IMAGE, random_example
from vislearn.tasks.base import Arrays

TORCH = "torch"  # what `formats` calls the same architecture in another library


@dataclasses.dataclass(frozen=True)
class FormatBenchmark:
    """What was measured on one format.

    Attributes:
        format: Its name; `"torchvision"` or `"timm"` for the same architecture in torch.
        size: Bytes of its files; None of a network that is built rather than loaded.
        metrics: The task's metrics on the annotated images; None without any.
        speeds: One a number of threads.
    """

    format: str
    size: int | None
    metrics: dict[str, float] | None
    speeds: tuple[Speed, ...]


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What `benchmark_package` measured.

    Attributes:
        directory: The package.
        name: Name of the model.
        machine: What it ran on.
        images: How many annotated images the metrics are of.
        metric: Name of the metric that counts; None where there is none.
        rows: One a format, and that of the same architecture in torch.
        notes: What else a reader should know, such as why there is no torch.
    """

    directory: Path
    name: str
    machine: str
    images: int
    metric: str | None
    rows: tuple[FormatBenchmark, ...]
    notes: tuple[str, ...] = ()

    def table(self):
        """The rows as a `rich.table.Table`, a line a format and number of threads."""
        from rich.table import Table

        batches = [*self.rows[0].speeds[0].per_second]
        measured = [self.metric] if self.rows[0].metrics else []
        told = f"Metrics on {self.images:,} images. " if measured else ""
        table = Table(
            title=f"{self.name} in {self.directory}",
            caption="\n".join(
                (
                    f"{told}Start: import of the runtime to the first answer; load: of this, that "
                    f"of the file. {self.machine}.",
                    *self.notes,
                )
            ),
            box=None,
        )
        table.add_column("format", no_wrap=True)
        heads = (*measured, "MB", "threads", "start ms", "load ms", "p50 ms", "p95 ms")
        heads += (*(f"{batch} a call\nper second" for batch in batches), "peak MB")
        for head in heads:
            table.add_column(head.replace("_", " "), justify="right", no_wrap=True)
        for row in self.rows:
            known = row.metrics or {}
            cells = [row.format]
            cells += [figure(name, known[name]) if known else "" for name in measured]
            cells.append("" if row.size is None else f"{row.size / 1e6:.2f}")
            for speed in row.speeds:
                table.add_row(
                    *cells,
                    str(speed.threads),
                    f"{speed.start_ms:.0f}",
                    f"{speed.load_ms:.1f}",
                    f"{speed.p50_ms:.2f}",
                    f"{speed.p95_ms:.2f}",
                    *(f"{speed.per_second[batch]:,.0f}" for batch in batches),
                    "" if speed.peak_bytes is None else f"{speed.peak_bytes / 1e6:.0f}",
                )
                cells = [""] * len(cells)
        return table

    def figure(self):
        """Throughput by batch, and latency beside size and metric, as a matplotlib figure."""
        from vislearn.pictures import Panel, chart

        last = {row.format: row.speeds[-1] for row in self.rows}
        threads = self.rows[0].speeds[-1].threads
        panels = [
            Panel(
                f"Throughput, {threads} thread{'s' if threads > 1 else ''}",
                "examples a call",
                "examples a second",
                {
                    format: ([*speed.per_second], [*speed.per_second.values()])
                    for format, speed in last.items()
                },
                log="xy",
            ),
            Panel(
                "Latency and size",
                "MB",
                "p50 in ms",
                {},
                {
                    row.format: ([row.size / 1e6], [last[row.format].p50_ms])
                    for row in self.rows
                    if row.size is not None
                },
                log="xy",
            ),
        ]
        if self.rows[0].metrics:
            panels.append(
                Panel(
                    "Latency and metric",
                    "p50 in ms",
                    self.metric.replace("_", " "),
                    {},
                    {
                        row.format: ([last[row.format].p50_ms], [row.metrics[self.metric]])
                        for row in self.rows
                        if row.metrics
                    },
                    log="x",
                )
            )
        return chart(*panels)

    def to_dict(self) -> dict[str, Any]:
        """The same as plain values, for JSON."""
        return {**dataclasses.asdict(self), "directory": str(self.directory)}


def benchmark_package(
    directory: str | Path,
    truth: Arrays | None = None,
    *,
    formats: Iterable[str] | None = None,
    threads: Sequence[int] = (1, 2),
    batches: Sequence[int] = (1, 8, 32),
    seconds: float = 1.0,
) -> Benchmark:
    """Measures the formats of a package, each in a process of its own.

    Where torch is installed, and torchvision or timm has the network, it is timed there, too: its
    row has no metrics, since the trained weights are not in it.

    Args:
        directory: The folder that `export_model` wrote.
        truth: Images and annotations as `Dataset.arrays` gives them, for the metrics; speed is
            measured on its first images, without it on random ones.
        formats: Formats to run, and `"torch"`; None for all that the package holds, and torch where
            there is one to compare with.
        threads: Numbers of threads to compute with.
        batches: Examples a call; latency is that of the first. Files of fixed batch are called
            with theirs.
        seconds: How long each batch is called.

    Raises:
        ValueError: If an argument has a wrong type, shape or value, or the package is damaged.
        RuntimeError: If a file can't be run.
    """
    from rich.console import Console
    from rich.progress import track

    directory, manifest = Path(directory), read_manifest(directory)
    formats = [*available_formats(manifest), TORCH] if formats is None else [*formats]
    for name, values in (("threads", threads), ("batches", batches)):
        if not values or min(values) < 1:
            raise ValueError(f"{name}={values!r} must hold numbers of at least 1.")
    if not 0 < seconds < math.inf:
        raise ValueError(f"seconds={seconds!r} must be more than 0, and finite.")
    with_torch = TORCH in formats
    formats = [format for format in formats if format != TORCH]
    for format in formats:
        check_format(directory, manifest, format)
        verify_files(directory, manifest, format)
    if manifest.get("batch"):
        batches = (manifest["batch"],)  # The files take no other.

    if truth is None:
        examples, images = random_example(manifest["inputs"]), 0
        metrics = dict.fromkeys(formats)
    else:
        examples, images = {IMAGE: truth["images"][: max(batches)]}, len(truth["images"])
        evaluated = evaluate_package(directory, truth, formats, repeats=1)
        metrics = {row.format: row.metrics for row in evaluated}
    sources: dict[str, Path | Opponent] = {
        format: directory / FORMATS[format] for format in formats
    }
    opponent, note = opponent_of(manifest) if with_torch else (None, "")
    notes = [note] if note else []
    if opponent is not None:
        sources[opponent.library] = opponent
    if not sources:
        raise ValueError(f"formats=['{TORCH}'] leaves nothing to measure. {note}")
    speeds: dict[str, list[Speed]] = {format: [] for format in sources}
    jobs = [(format, count) for format in sources for count in threads]
    for format, count in track(jobs, "Measuring", console=Console(stderr=True), transient=True):
        options = {"threads": count, "batches": batches, "seconds": seconds}
        try:
            speeds[format].append(probe(sources[format], format, examples, **options))
        except RuntimeError as error:
            if sources[format] is not opponent:
                raise
            notes.append(f"torch: {error}")  # Installed, but broken: the files are what matters.
            break
    rows = [
        FormatBenchmark(format, _size(manifest, format), metrics.get(format), tuple(found))
        for format, found in speeds.items()
        if found
    ]
    return Benchmark(
        directory,
        manifest["name"],
        f"{platform.machine()} with {usable_cores()} cores",
        images,
        task_of(manifest).metric,
        tuple(rows),
        tuple(notes),
    )


def _size(manifest: dict[str, Any], format: str) -> int | None:
    """Bytes of the files of a format; None of what has none."""
    if format not in FORMATS:
        return None
    return sum(manifest["files"][name]["size"] for name in files_of(manifest, format))
