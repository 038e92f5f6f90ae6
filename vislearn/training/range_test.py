"""The learning-rate range test.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", WACV, arXiv:1506.01186, section
3.3: train for a few hundred steps while the rate grows, and see where the loss falls and where it
rises. Here the rate grows by the same factor at each step, since nobody knows its size beforehand.
"""

import dataclasses
import json
import math
from pathlib import Path

import keras
import numpy as np

from vislearn import backend
from vislearn.training.adversarial import OptimizerGroup
from vislearn.training.preparation import build_network, prepare
from vislearn.training.trainers import build_trainer
from vislearn.training.tuning import begin_tuning

_HALF_WINDOW = 0.25  # decades to each side of a rate over which the slope of the loss is measured
_DIVERGED = 4.0  # times the least smoothed loss


@dataclasses.dataclass(frozen=True)
class RateRange:
    """What a range test found.

    Attributes:
        model: Registry name.
        data: Source of the data.
        optimizer: The recipe's optimiser.
        usual: The recipe's own learning rate.
        rates: The rate of each step.
        losses: The loss of each step's batch, before the step.
        smoothed_rates: Averages of the rates with the weights of `smoothed_losses`, in logarithms,
            so that the averages of the losses stand where they belong and not behind.
        smoothed_losses: Exponential moving averages of the losses, each divided by the sum of its
            weights (the correction of the bias that Adam makes, arXiv:1412.6980, section 3).
        diverged: Whether the loss rose to four times its least, and ended the test.
        suggestion: The rate at which the loss falls most steeply over the logarithm of the rate;
            None where it never falls.
        tenth: A tenth of the rate at which the smoothed loss is least, the other rule in use.
    """

    model: str
    data: str
    optimizer: str
    usual: float
    rates: list[float]
    losses: list[float]
    smoothed_rates: list[float]
    smoothed_losses: list[float]
    diverged: bool
    suggestion: float | None
    tenth: float

    def save(self, folder: str | Path) -> None:
        """Writes `lr_range.json` and `lr_range.png` into a folder, which is made if need be."""
        from vislearn import pictures

        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dataclasses.asdict(self), indent=2) + "\n"
        (folder / "lr_range.json").write_text(text)
        pictures.save(pictures.rate_range(self), folder / "lr_range.png")


def lr_range(
    model: str,
    *,
    data: str | Path,
    least: float = 1e-6,
    greatest: float = 10.0,
    steps: int = 200,
    smoothing: float = 0.9,
    precision: str = "float32",
    quiet: bool = False,
    **arguments,
) -> RateRange:
    """Tests a range of learning rates on the batches, the loss and the optimiser of a recipe.

    Only training images are learned from, and nothing else is measured; the test images are not
    read at all. With `accumulate`, a rate holds for as many steps as make an update.

    Args:
        model: Registry name of a model with one optimiser, which a GAN has not.
        data: Source of `load_dataset`.
        least: Rate of the first step.
        greatest: Rate of the last step, unless the loss diverges before.
        steps: Steps from the one to the other.
        smoothing: Factor on the weight of a loss from each step to the next, 0 to 1.
        precision: `"float32"` or `"mixed_bfloat16"`.
        quiet: Show no progress.
        **arguments: Further arguments of `vislearn.train` that say what is trained and how:
            `image_size`, `seed`, `weights`, `tune`, `options`, `data_options`, `task_options` and
            fields of the recipe.

    Raises:
        ValueError: If an argument, the model or the data is unfit, or if no loss is finite.
    """
    if not 0 < least < greatest < math.inf:
        raise ValueError(f"{least=} must be positive and below {greatest=}.")
    if steps < 10:
        raise ValueError(f"{steps=} must be at least 10.")
    if not 0 <= smoothing < 1:
        raise ValueError(f"{smoothing=} must be at least 0 and below 1.")
    arguments["data_options"] = {**(arguments.get("data_options") or {}), "test": False}
    config, dataset, task = prepare(model, data=data, precision=precision, quiet=quiet, **arguments)
    sweep = dataclasses.replace(
        config.recipe,
        learning_rate=least,
        schedule="exponential",
        schedule_options={"end": greatest / least},
        ema=0.0,
        dropout_schedule=None,
    )
    with backend.precision(precision):
        network = build_network(config, dataset, task)
        trained, batches, _ = begin_tuning(network, dataset, config.tune, config.seed)
        trainer = build_trainer(trained, task, sweep, steps - 1, config.seed)
    if isinstance(trainer.optimizer, OptimizerGroup):
        raise ValueError(f"model={model!r} has an optimiser for each of its networks, not one.")
    rates, losses = _sweep(trainer, batches, steps, smoothing, quiet)
    if not losses:
        raise ValueError(f"{least=}: the loss of the first batch is not finite.")
    smoothed_losses = smooth(losses, smoothing)
    smoothed_rates = np.exp(smooth(np.log(rates), smoothing))
    return RateRange(
        model=model,
        data=str(data),
        optimizer=config.recipe.optimizer,
        usual=config.recipe.learning_rate,
        rates=rates,
        losses=losses,
        smoothed_rates=smoothed_rates.tolist(),
        smoothed_losses=smoothed_losses.tolist(),
        diverged=len(losses) < steps,
        suggestion=steepest(smoothed_rates, smoothed_losses),
        tenth=float(smoothed_rates[np.argmin(smoothed_losses)] / 10),
    )


def _sweep(trainer, dataset, steps: int, smoothing: float, quiet: bool):
    """The rates and the losses of the steps up to the first that diverges."""
    from rich.progress import track

    batches = iter(dataset.training_batches())
    rates, losses = [], []
    for _ in track(range(steps), description="lr-range", transient=True, disable=quiet):
        x, y = keras.tree.map_structure(np.asarray, next(batches))
        rate = float(trainer.optimizer.learning_rate)
        trainer.reset_metrics()  # Keras would give the mean over all steps.
        loss = float(trainer.train_on_batch(x, y, return_dict=True)["loss"])
        if not math.isfinite(loss):
            break
        rates.append(rate)
        losses.append(loss)
        smoothed = smooth(losses, smoothing)
        best = smoothed.min()
        if smoothed[-1] > best + (_DIVERGED - 1) * abs(best):
            break
    return rates, losses


def smooth(values, factor: float) -> np.ndarray:
    """Exponential moving averages, each divided by the sum of its weights.

    Args:
        values: `(n,)`.
        factor: On the weight of a value from each step to the next.
    """
    averages, total = [], 0.0
    for count, value in enumerate(values, start=1):
        total = factor * total + (1 - factor) * value
        averages.append(total / (1 - factor**count))
    return np.array(averages)


def steepest(rates, losses) -> float | None:
    """The rate at which the loss falls most steeply over the logarithm of the rate.

    The slope at a rate is that of the straight line through the losses around it, so that noise
    from step to step does not choose. Rates beyond the least loss do not count.

    Args:
        rates: Growing rates `(n,)`.
        losses: Their losses `(n,)`.

    Returns:
        The rate, or None where the loss falls nowhere.
    """
    end = int(np.argmin(losses)) + 1
    if end < 3:
        return None
    places, losses = np.log10(rates[:end]), np.asarray(losses[:end])
    width = max(_HALF_WINDOW, 1.5 * (places[-1] - places[0]) / (end - 1))
    slopes = np.zeros(end)
    for index, place in enumerate(places):
        # Not at the very start, where there is nothing around but the noise of a few steps.
        if place - width >= places[0]:
            near = np.abs(places - place) <= width
            slopes[index] = np.polyfit(places[near], losses[near], 1)[0]
    best = int(np.argmin(slopes))
    return float(rates[best]) if slopes[best] < 0 else None
