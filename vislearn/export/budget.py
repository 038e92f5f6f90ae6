"""What files in fewer bits lose of the metric, and which layers they lose it in."""

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vislearn.export.card import figure
from vislearn.export.package import FORMATS, QUANTIZED
from vislearn.export.quantisation import Int8Writer
from vislearn.export.report import FormatReport
from vislearn.export.runtimes import IMAGE, open_runtime, run_in_chunks
from vislearn.tasks.base import Arrays, Task

NOTED = 0.01
# Images that the layers are compared on, spread evenly over those given: one pass a layer.
IMAGES = 128
SHOWN = 12


def lost(value: float, best: float, mode: str) -> float:
    """How much worse a metric is, of 1; of an error (`mode="min"`) its share that was added."""
    return value / best - 1 if mode == "min" else best - value


def losses(
    rows: Sequence[FormatReport], metric: str | None, mode: str = "max"
) -> dict[str, tuple[float, float, float]]:
    """For each file in fewer bits its metric, the best of the float files, and what is lost."""
    measured = {row.format: row.metrics[metric] for row in rows if row.metrics}
    floats = [value for format, value in measured.items() if format not in QUANTIZED.values()]
    best = min(floats, default=None) if mode == "min" else max(floats, default=None)
    return {
        format: (value, best, lost(value, best, mode))
        for format, value in measured.items()
        if format in QUANTIZED.values()
    }


def loss_notes(rows: Sequence[FormatReport], metric: str | None, mode: str = "max") -> list[str]:
    """A warning of each file that loses more than a point, or agrees on less than 95 %.

    Of a metric that is an error a point is a hundredth of it. Without annotated images the
    agreement is all there is to go by.
    """
    found = losses(rows, metric, mode)
    notes = [
        f"The {_short(format)} file has {metric} {figure(metric, value)}, the float files "
        f"{figure(metric, best)}: use it only if that will do."
        for format, (value, best, loss) in found.items()
        if loss > NOTED
    ]
    return notes + [
        f"The {_short(row.format)} file decides as Keras does on only {row.agreement:.2%}: "
        "measure its metrics before using it."
        for row in rows
        if row.format in QUANTIZED.values()
        and row.format not in found
        and row.agreement is not None
        and row.agreement < 0.95
    ]


def over_budget(budget: float, rows: Sequence[FormatReport], task: Task) -> dict[str, str]:
    """What to say of each file that loses more than the budget, by format."""
    return {
        format: f"{FORMATS[format]} has {task.metric} {figure(task.metric, value)}, the float "
        f"files {figure(task.metric, best)}: it loses {loss:.2%}, and budget={budget:g} allows "
        f"{budget:.2%}."
        for format, (value, best, loss) in losses(rows, task.metric, task.metric_mode).items()
        if loss > budget
    }


def _short(format: str) -> str:
    return format.removeprefix("litert_")


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What an int8 file loses in which layer.

    Attributes:
        metric: Name of the metric.
        images: How many images the layers were compared on.
        full: The metric with every layer in float, on these images.
        alone: The metric with only this layer in int8, on these images; the worst layer first.
        in_float: For growing numbers of the worst layers, the metric with them in float and the
            rest in int8, on all images.
        enough: So many of the worst layers in float meet the budget; None if none of the tried do.
    """

    metric: str
    images: int
    full: float
    alone: dict[str, float]
    in_float: dict[int, float]
    enough: int | None

    def __str__(self) -> str:
        """A table of the worst layers, and what to do about them."""
        name = self.metric.replace("_", " ")
        lines = [
            f"{name} on {self.images} images with a single layer in int8 "
            f"(all in float: {figure(self.metric, self.full)}):",
            *(
                f"  {figure(self.metric, value):>8}  {layer}"
                for layer, value in [*self.alone.items()][:SHOWN]
            ),
            f"{name} on all images with the worst layers in float:",
            *(
                f"  {figure(self.metric, value):>8}  the worst {count}"
                for count, value in self.in_float.items()
            ),
        ]
        if self.enough is None:
            return "\n".join([*lines, "So much in float saves little: use float16 or dynamic."])
        names = [*self.alone][: self.enough]
        return "\n".join([*lines, f"This is enough: keep_float={names}"])


def sensitivity(
    writer: Int8Writer,
    task: Task,
    truth: Arrays,
    rows: Sequence[FormatReport],
    *,
    budget: float,
    in_float: Sequence[str] = (),
    batch: int | None = None,
) -> Sensitivity:
    """Finds the layers whose integers cost most, and how many of them suffice in float.

    Each layer is quantised alone, the rest in float: what it then costs is its own doing. Layers
    that cost the metric the same are ordered by how far they move the answers.

    Args:
        writer: Writes the model in int8.
        task: Measures the answers.
        truth: Annotated images.
        rows: What was measured of the files.
        budget: What the int8 file may lose of the metric.
        in_float: Layers that are in float already.
        batch: Examples a call, if they are fixed.
    """
    from rich.console import Console
    from rich.progress import track

    some = np.unique(np.linspace(0, len(truth["images"]) - 1, IMAGES).round().astype(int))
    few = {name: value[some] for name, value in truth.items()}

    def answers(kept: Sequence[str], images: np.ndarray) -> Arrays:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            writer.write(path, kept)
            return run_in_chunks(
                open_runtime(path, "litert_int8", batch=batch), {IMAGE: images}, 16
            )

    def measured(found: Arrays, about: Arrays) -> float:
        return task.measure(found, about)[task.metric]

    _, best, _ = losses(rows, task.metric, task.metric_mode)["litert_int8"]
    reference = answers(writer.layers, few["images"])
    full = measured(reference, few)
    costs = []
    layers = [layer for layer in writer.layers if layer not in in_float]
    for layer in track(layers, "Layer by layer", console=Console(stderr=True), transient=True):
        found = answers([other for other in writer.layers if other != layer], few["images"])
        value = measured(found, few)
        costs.append((lost(value, full, task.metric_mode), _moved(reference, found), layer, value))
    alone = {layer: value for _, _, layer, value in sorted(costs, reverse=True)}
    worst, tried, count = [*alone], {}, 1
    while count < len(worst):
        kept = [*in_float, *worst[:count]]
        tried[count] = measured(answers(kept, truth["images"]), truth)
        if lost(tried[count], best, task.metric_mode) <= budget:
            return Sensitivity(task.metric, len(some), full, alone, tried, count)
        count *= 2
    return Sensitivity(task.metric, len(some), full, alone, tried, None)


def _moved(expected: Arrays, actual: Arrays) -> float:
    """Mean absolute difference of the answers, each by its own size."""
    return float(
        sum(
            np.abs(value - actual[name].astype(np.float64)).mean() / (np.abs(value).mean() + 1e-9)
            for name, value in expected.items()
        )
    )
