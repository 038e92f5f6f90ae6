"""What files in fewer bits lose of the metric, and which layers they lose it in."""

import dataclasses
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vislearn.export.card import figure
from vislearn.export.measuring import Measurer
from vislearn.export.package import FORMATS, QUANTIZED
from vislearn.export.quantisation import Int8Writer
from vislearn.export.report import FormatReport
from vislearn.export.runtimes import open_runtime, run_in_chunks
from vislearn.tasks.base import Arrays

NOTED = 0.01
# Examples that the layers are compared on, spread evenly over those given: one pass a layer.
IMAGES = 128
SHOWN = 12


def lost(value: float, best: float, mode: str) -> float:
    """How much worse a metric is, of 1; of an error (`mode="min"`) its share that was added.

    Infinitely much if it is no number, or an error where there was none. What says itself how far
    a file is from Keras (`mode="difference"`) counts as it is.
    """
    if math.isnan(value) or math.isnan(best):
        return math.inf
    if mode == "max":
        return best - value
    if mode == "difference":
        return value - best
    if best == 0:
        return math.inf if value > 0 else 0.0
    return value / best - 1


def losses(
    rows: Sequence[FormatReport], metric: str | None, mode: str = "max"
) -> dict[str, tuple[float, float, float]]:
    """For each file in fewer bits its metric, the best of the float files, and what is lost."""
    measured = {row.format: row.metrics[metric] for row in rows if row.metrics}
    floats = [value for format, value in measured.items() if format not in QUANTIZED.values()]
    best = (max if mode == "max" else min)(floats, default=None)
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


def over_budget(
    budget: float, rows: Sequence[FormatReport], metric: str, mode: str
) -> dict[str, str]:
    """What to say of each file that loses more than the budget, by format."""
    return {
        format: f"{FORMATS[format]} has {metric} {figure(metric, value)}, the float files "
        f"{figure(metric, best)}: it loses {_share(loss)}, and budget={budget:g} allows "
        f"{_share(budget)}."
        for format, (value, best, loss) in losses(rows, metric, mode).items()
        if not loss <= budget
    }


def _share(loss: float) -> str:
    return f"{loss:.2%}" if math.isfinite(loss) else "more than can be said"


def _short(format: str) -> str:
    return format.removeprefix("litert_")


@dataclasses.dataclass(frozen=True)
class Sensitivity:
    """What an int8 file loses in which layer.

    Attributes:
        metric: Name of the metric.
        examples: How many examples the layers were compared on.
        full: The metric with every layer in float, on these examples.
        alone: The metric with only this layer in int8, on these examples; the worst layer first.
        in_float: For growing numbers of the worst layers, the metric with them in float and the
            rest in int8, on all examples.
        enough: So many of the worst layers in float meet the budget; None if none of the tried do.
    """

    metric: str
    examples: int
    full: float
    alone: dict[str, float]
    in_float: dict[int, float]
    enough: int | None

    def __str__(self) -> str:
        """A table of the worst layers, and what to do about them."""
        name = self.metric.replace("_", " ")
        lines = [
            f"{name} on {self.examples} examples with a single layer in int8 "
            f"(all in float: {figure(self.metric, self.full)}):",
            *(
                f"  {figure(self.metric, value):>8}  {layer}"
                for layer, value in [*self.alone.items()][:SHOWN]
            ),
            f"{name} on all examples with the worst layers in float:",
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
    measurer: Measurer,
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
        measurer: Measures the answers.
        rows: What was measured of the files.
        budget: What the int8 file may lose of the metric.
        in_float: Layers that are in float already.
        batch: Examples a call, if they are fixed.
    """
    from rich.console import Console
    from rich.progress import track

    metric, mode, inputs = measurer.metric, measurer.mode, measurer.inputs
    count = len(next(iter(inputs.values())))
    some = np.unique(np.linspace(0, count - 1, IMAGES).round().astype(int))
    few = {name: value[some] for name, value in inputs.items()}

    def answers(kept: Sequence[str], inputs: Arrays) -> Arrays:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            writer.write(path, kept)
            return run_in_chunks(open_runtime(path, "litert_int8", batch=batch), inputs, 16)

    def measured(found: Arrays, some=slice(None)) -> float:
        return measurer.metrics(found, some)[metric]

    _, best, _ = losses(rows, metric, mode)["litert_int8"]
    reference = answers(writer.layers, few)
    full = measured(reference, some)
    costs = []
    layers = [layer for layer in writer.layers if layer not in in_float]
    for layer in track(layers, "Layer by layer", console=Console(stderr=True), transient=True):
        found = answers([other for other in writer.layers if other != layer], few)
        value = measured(found, some)
        costs.append((lost(value, full, mode), _moved(reference, found), layer, value))
    alone = {layer: value for _, _, layer, value in sorted(costs, reverse=True)}
    worst, tried, count = [*alone], {}, 1
    while count < len(worst):
        tried[count] = measured(answers([*in_float, *worst[:count]], inputs))
        if lost(tried[count], best, mode) <= budget:
            return Sensitivity(metric, len(some), full, alone, tried, count)
        count *= 2
    return Sensitivity(metric, len(some), full, alone, tried, None)


def _moved(expected: Arrays, actual: Arrays) -> float:
    """Mean absolute difference of the answers, each by its own size; infinite where undefined."""
    moved = sum(
        np.abs(value - actual[name].astype(np.float64)).mean() / (np.abs(value).mean() + 1e-9)
        for name, value in expected.items()
    )
    return float(moved) if np.isfinite(moved) else math.inf
