"""What an export measures on each file: is it what Keras says, how good is it, and how fast."""

import time
from pathlib import Path

import numpy as np

from vislearn.export import parity
from vislearn.export.checks import Order
from vislearn.export.package import FORMATS, QUANTIZED, ExportError
from vislearn.export.report import FormatReport
from vislearn.export.runtimes import IMAGE, open_runtime, run_in_chunks, single_latency
from vislearn.tasks.base import TOLERANCE, Arrays

# Examples that the files are compared on, spread evenly over those given.
PARITY_EXAMPLES = 64
RANDOM_EXAMPLES = 16
LATENCY_REPEATS = 30
LATENCY_SECONDS = 10  # Slow functions, such as whole samplers, are called fewer times.
# The metric of what no annotation says anything about: pictures from noise, and codes of pictures.
MEAN_DIFFERENCE = "mean_difference"


class Measurer:
    """Measures the files of one export, all on the same examples.

    Args:
        order: What is exported.

    Attributes:
        samples: Inputs that the files are compared on.
        described: What they are, in words.
        inputs: Inputs that the metric is measured on.
        metric: Its name; None where there is none.
        mode: `"max"`, `"min"`, or `"difference"` where it says how far a file is from Keras.

    Raises:
        ExportError: If Keras's answers are not finite.
    """

    def __init__(self, order: Order):
        self._order, task = order, order.task
        self.samples, self.described = _samples(order)
        self._expected = parity.keras_outputs(order.signature, self.samples)
        if name := _undefined(self._expected):
            raise ExportError(
                f"The model's output {name!r} holds NaN or infinity on {self.described}."
            )
        if order.signature.name == "predict":
            self.metric, self.mode = task.metric, task.metric_mode
        else:
            self.metric, self.mode = MEAN_DIFFERENCE, "difference"
        known = order.validation
        self.inputs = self.samples if known is None else {IMAGE: known["images"]}

    def metrics(self, answers: Arrays, some=slice(None)) -> dict[str, float] | None:
        """The metrics of the answers to `inputs`, or to some of them; None where there are none."""
        if self.mode == "difference":
            expected = {name: value[some] for name, value in self._expected.items()}
            return {MEAN_DIFFERENCE: mean_difference(expected, answers)}
        if self._order.validation is None:
            return None
        truth = {name: value[some] for name, value in self._order.validation.items()}
        return self._order.task.measure(answers, truth)

    def measured(self, folder: Path, format: str, seconds: float) -> FormatReport:
        """Loads a file with its own runtime, compares it with Keras, and times it.

        Args:
            folder: Where the package is written.
            format: Format of the file.
            seconds: What writing it took.

        Raises:
            ExportError: If a float file differs by more than the tolerance, or one in fewer bits
                answers what is no number.
        """
        path = folder / FORMATS[format]
        runtime = open_runtime(path, format, batch=self._order.batch)
        answers = run_in_chunks(runtime, self.samples, parity.chunk_size(self.samples))
        if format in QUANTIZED.values():
            _check_defined(format, answers)
        found = parity.compare(self._order.task, self._expected, answers)
        if format not in QUANTIZED.values():
            self._check_parity(format, found)
        if self.inputs is not self.samples:
            answers = run_in_chunks(runtime, self.inputs, parity.chunk_size(self.inputs))
            _check_defined(format, answers)
        files = path.rglob("*") if path.is_dir() else [path]
        return FormatReport(
            format=format,
            file=FORMATS[format],
            size=sum(file.stat().st_size for file in files if file.is_file()),
            max_difference=found.max_difference,
            agreement=found.agreement,
            metrics=self.metrics(answers),
            latency_ms=self._latency(runtime),
            seconds=seconds,
        )

    def _check_parity(self, format: str, found) -> None:
        worst = max(found.max_difference, key=found.max_difference.get)
        if found.max_difference[worst] <= TOLERANCE and not found.unexplained:
            return
        layer = parity.first_differing_layer(self._order.signature, format, self.samples)
        where = f"the difference starts in the layer {layer!r}; " if layer else ""
        raise ExportError(
            f"{format} does not answer as Keras does: {where}output {worst!r} differs by up to "
            f"{found.max_difference[worst]:.2e}, and {TOLERANCE:.0e} is allowed; "
            f"{found.unexplained} decisions differ without a tie."
        )

    def _latency(self, runtime) -> float:
        one = {name: value[:1] for name, value in self.samples.items()}
        start = time.perf_counter()
        runtime(one)
        repeats = int(LATENCY_SECONDS / (time.perf_counter() - start))
        return single_latency(runtime, one, min(LATENCY_REPEATS, max(1, repeats)))


def mean_difference(expected: Arrays, actual: Arrays) -> float:
    """Mean absolute difference, the largest of all answers.

    Of pictures in units of 0..1, of other numbers in units of their own standard deviation.
    """
    gaps = []
    for name, value in expected.items():
        scale = 255.0 if value.dtype == np.uint8 else float(value.std()) or 1.0
        gaps.append(float(np.abs(value.astype(np.float64) - actual[name]).mean()) / scale)
    return max(gaps)


def _samples(order: Order) -> tuple[Arrays, str]:
    """The examples that the files are compared on, and what they are."""
    if order.images is not None:
        images = order.images[IMAGE]
        count = min(PARITY_EXAMPLES, len(images))
        chosen = np.linspace(0, len(images) - 1, count).astype(int)
        return {IMAGE: images[chosen]}, f"{count} calibration images"
    samples = order.signature.samples(RANDOM_EXAMPLES)
    described = "images of random pixels" if [*samples] == [IMAGE] else "random examples"
    return samples, f"{RANDOM_EXAMPLES} {described} (seed 0)"


def _undefined(answers: Arrays) -> str | None:
    """Name of an output that holds what is no number."""
    wrong = (name for name, value in answers.items() if not np.all(np.isfinite(value)))
    return next(wrong, None)


def _check_defined(format: str, answers: Arrays) -> None:
    if name := _undefined(answers):
        raise ExportError(
            f"{format} answers {name!r} with NaN or infinity, and Keras with numbers: "
            "its bits can't hold the weights. Export without it."
        )
