"""Regression: measured quantities of a picture, such as a speed or a size."""

import dataclasses
from typing import Any, ClassVar

import numpy as np

from vislearn.tasks.base import Arrays, Comparison, Meaning, Section, Task, refuse_activation


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """What a network that measures learns from, is measured by, and answers.

    The network answers with standardised values; decoding turns them into the units of the targets.

    Attributes:
        classes: Names of the quantities, in the order of the network's outputs.
        family: Not asked for.
        means: Mean of each quantity over the training targets; zeros by default.
        deviations: Standard deviation of each; ones by default, so that the network's outputs are
            the values themselves. `vislearn train` finds both in the training data.

    Raises:
        ValueError: If there is no quantity, if two have one name, if there are not as many means
            and deviations, or if a deviation is not positive.
    """

    means: tuple[float, ...] | None = None
    deviations: tuple[float, ...] | None = None

    name: ClassVar[str] = "regression"
    metric: ClassVar[str] = "mae"
    verb: ClassVar[str] = "estimate"
    metric_mode: ClassVar[str] = "min"

    def __post_init__(self):
        super().__post_init__()
        if not self.classes:
            raise ValueError("classes=(): regression needs the name of a quantity.")
        for argument, default in (("means", 0.0), ("deviations", 1.0)):
            values = getattr(self, argument)
            values = [default] * len(self.classes) if values is None else values
            values = tuple(float(value) for value in values)
            if len(values) != len(self.classes) or not np.isfinite(values).all():
                raise ValueError(
                    f"{argument}={values!r} must be finite, one for each of {self.classes!r}."
                )
            object.__setattr__(self, argument, values)
        if min(self.deviations) <= 0:
            raise ValueError(f"deviations={self.deviations!r} must be positive.")

    def contents(self) -> str:
        """How many quantities are measured, and their names."""
        noun = "quantity" if len(self.classes) == 1 else "quantities"
        return f"{len(self.classes)} {noun}: {', '.join(self.classes)}"

    def fitted(self, truth: Arrays) -> dict[str, Any]:
        """Means and deviations of the training targets; of a quantity that never varies, 1."""
        targets = np.asarray(truth["targets"], np.float64)  # (n, quantities)
        deviations = targets.std(axis=0)
        return {
            "means": targets.mean(axis=0).tolist(),
            "deviations": np.where(deviations > 0, deviations, 1.0).tolist(),
        }

    def target(self, example: dict[str, Any]) -> tuple[Any, Any]:
        return example["images"], example["targets"]

    def loss(self, recipe):
        """Mean squared error in units of each quantity's deviation."""
        from vislearn.losses import StandardizedSquaredError

        del recipe
        return StandardizedSquaredError(self.means, self.deviations)

    def metrics(self) -> list:
        """Mean absolute error and root mean squared error, in the units of the targets."""
        from vislearn.metrics.regression import AbsoluteError, RootSquaredError

        return [kind(self.means, self.deviations) for kind in (AbsoluteError, RootSquaredError)]

    def meanings(self, network) -> dict[str, Meaning]:
        del network
        each = "value of each quantity in its own unit, in the order of the classes"
        return {"values": Meaning(each, unit="unit of the training targets")}

    def decode(self, outputs) -> dict[str, Any]:
        """From standardised outputs to named answers.

        Args:
            outputs: `(batch, quantities)`.

        Returns:
            `values`: `(batch, quantities)` float32, in the units of the targets.
        """
        from keras import ops

        means, deviations = (
            ops.convert_to_tensor(np.array(values, "float32"))
            for values in (self.means, self.deviations)
        )
        return {"values": ops.cast(outputs, "float32") * deviations + means}

    def check_model(self, network) -> None:
        if network.output_shape != (None, len(self.classes)):
            raise ValueError(
                f"model has the output shape {network.output_shape}, and task has "
                f"{len(self.classes)} quantities: it must be (None, {len(self.classes)})."
            )
        refuse_activation(getattr(network.layers[-1], "activation", None), "units")

    def compare(self, expected: Arrays, actual: Arrays) -> Comparison:
        """Differences are in units of each quantity's deviation; nothing is decided."""
        gaps = expected["values"].astype(np.float64) - actual["values"]
        gaps = np.abs(gaps) / np.array(self.deviations)
        # NaN compares false with every bound; nothing may pass by being undefined.
        largest = np.where(np.isnan(gaps), np.inf, gaps).max(initial=0.0)
        return Comparison({"values": float(largest)}, None, 0)

    def check_truth(self, truth: Arrays) -> None:
        shape = (len(truth["images"]), len(self.classes))
        targets = np.asarray(truth.get("targets"))
        if targets.shape != shape or not np.issubdtype(targets.dtype, np.floating):
            raise ValueError(
                f"targets must be floats of the shape {shape}, a row an image, and are "
                f"{targets.dtype.name} of shape {targets.shape}."
            )
        if not np.isfinite(targets).all():
            raise ValueError("targets must be finite, and hold NaN or an infinite value.")

    def measure(self, answers: Arrays, truth: Arrays) -> dict[str, float]:
        """`mae` and `rmse` in the units of the targets; of several quantities also each one's.

        Args:
            answers: What `decode` returns, as arrays.
            truth: `targets`, `(batch, quantities)`.
        """
        from vislearn.metrics.regression import summary

        return summary(answers["values"], truth["targets"], self.classes)

    def sections(self, network, answers: Arrays | None, truth: Arrays | None) -> list[Section]:
        found = super().sections(network, answers, truth)
        if answers is not None:
            from vislearn import pictures

            figure = pictures.value_scatter(answers["values"], truth["targets"], self.classes)
            text = "Each held-out picture; on the line, answer and truth are equal."
            found.insert(0, Section("Answers and truth", text, figure))
        return found

    def draw(self, images, answers: Arrays, truth: Arrays | None, titles=None):
        from vislearn import pictures

        targets = None if truth is None else truth["targets"]
        return pictures.value_grid(
            images, answers["values"], self.classes, targets=targets, titles=titles
        )

    def describe(self, answers: Arrays, index: int, top: int = 3) -> list[tuple[str, float]]:
        """The quantities with their values, in their order; all of them, whatever `top` is."""
        del top
        return self._row(answers["values"][index])

    def true_label(self, truth: Arrays, index: int) -> str:
        return ", ".join(f"{name} {value:g}" for name, value in self._row(truth["targets"][index]))

    def record(self, answers: Arrays, truth: Arrays | None, index: int, found) -> dict[str, Any]:
        known = {} if truth is None else {"true": dict(self._row(truth["targets"][index]))}
        return {"values": dict(found), **known}

    def _row(self, values) -> list[tuple[str, float]]:
        return [(name, float(value)) for name, value in zip(self.classes, values, strict=True)]
