"""What happens around the steps of a training run."""

import contextlib
import csv
import io
import math
import time
from pathlib import Path

import keras

from vislearn.training.checkpoint import save_state, save_weights, write_atomically
from vislearn.training.evaluation import predict_arrays
from vislearn.training.penalties import penalty


class TrainingDiverged(RuntimeError):
    """The loss is no number any more."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run with an error that names the step at which the loss became NaN or infinite."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        loss = float(logs["loss"])
        if not math.isfinite(loss):
            raise TrainingDiverged(
                f"The loss is {loss} at epoch {self.epoch + 1}, step {batch + 1}. The weights of "
                "the epochs before are kept in the run; try a lower learning rate, or clip_norm=1."
            )


def _averages(optimizer) -> list[tuple]:
    """Each weight with its moving average, for the optimisers that keep one."""
    return [
        pair
        for one in getattr(optimizer, "optimizers", [optimizer])
        if one.use_ema and one.built
        for pair in zip(one._trainable_variables, one._model_variables_moving_average, strict=True)
    ]


def _exchange(pairs) -> None:
    for weight, average in pairs:
        value = keras.ops.convert_to_numpy(weight).copy()
        weight.assign(average)
        average.assign(value)


@contextlib.contextmanager
def averaged_weights(trainer):
    """Inside, the weights are their moving averages, where the optimiser keeps any.

    Keras's own `SwapEMAWeights` exchanges by adding and subtracting, which does not give back
    every bit; a resumed training would differ from an unbroken one.
    """
    pairs = _averages(trainer.optimizer)
    _exchange(pairs)
    try:
        yield
    finally:
        _exchange(pairs)


class ValidateAverages(keras.callbacks.Callback):
    """Validates the moving averages of the weights in place of the weights.

    Where it stands among the callbacks does not matter.
    """

    def on_test_begin(self, logs=None):
        _exchange(_averages(self.model.optimizer))

    def on_test_end(self, logs=None):
        _exchange(_averages(self.model.optimizer))

    def on_train_end(self, logs=None):
        # Keras has put the averages in the place of the weights. On JAX both are now one array,
        # and the next step would give its memory away twice.
        for weight, average in _averages(self.model.optimizer):
            weight.assign(keras.ops.convert_to_numpy(average).copy())


class ShowPenalty(keras.callbacks.Callback):
    """Adds `penalty`, what the size of the weights adds to the loss, to the history.

    Args:
        network: The network whose weights have penalties.
    """

    def __init__(self, network):
        super().__init__()
        self.network = network

    def on_epoch_end(self, epoch, logs=None):
        logs["penalty"] = penalty(self.network)


class MeasureAnswers(keras.callbacks.Callback):
    """Measures decoded answers on validation images between epochs, as `val_...` in the history.

    It stands before what reads these figures: `Bookkeeper` and `Progress`.

    Args:
        network: The network that answers.
        task: What decodes and measures.
        truth: Images and annotations.
    """

    def __init__(self, network, task, truth):
        super().__init__()
        self.network, self.task, self.truth = network, task, truth

    def on_epoch_end(self, epoch, logs=None):
        with averaged_weights(self.model):
            answers = predict_arrays(self.network, self.task, self.truth["images"])
        found = self.task.measure(answers, self.truth)
        logs.update({f"val_{name}": value for name, value in found.items()})


class DrawSamples(keras.callbacks.Callback):
    """Draws pictures from the same noise after each epoch, as `samples/epoch_0001.png`.

    Args:
        network: The generator or denoiser.
        task: What makes pictures with it.
        folder: Folder of the run.
        count: Pictures in the grid.
    """

    def __init__(self, network, task, folder: Path, count: int = 36):
        super().__init__()
        self.network, self.task, self.count = network, task, count
        self.folder = folder / "samples"

    def on_epoch_end(self, epoch, logs=None):
        from vislearn import pictures

        with averaged_weights(self.model):
            images = self.task.samples(self.network, self.count, seed=0)
        self.folder.mkdir(exist_ok=True)
        pictures.save(pictures.image_grid(images), self.folder / f"epoch_{epoch + 1:04}.png")


class Bookkeeper(keras.callbacks.Callback):
    """Keeps history, best snapshot and resumable state of a run, and stops it early.

    All of it is one callback because all of it must agree: the state that is written at the end of
    an epoch holds the history up to that epoch, and the best epoch and the patience that is left
    follow from the history alone.

    Args:
        folder: Folder of the run.
        network: The network whose weights are kept.
        monitor: Key of the history that tells how good an epoch was; None where no figure tells,
            and the last epoch counts as the best.
        mode: `"max"` or `"min"`.
        patience: Epochs without improvement after which training stops.
        history: The epochs before this one, when resuming.
    """

    def __init__(
        self, folder: Path, *, network, monitor: str | None, mode: str, patience: int, history=()
    ):
        super().__init__()
        self.folder = folder
        self.network = network
        self.monitor, self.mode, self.patience = monitor, mode, patience
        self.history = list(history)

    @property
    def best_epoch(self) -> int:
        """Number of the best epoch, from 1; of equals that of the lower loss; 0 before the first.

        On a small validation set accuracies are often equal to the last digit.
        """
        return self._best_of(self.history)

    def is_best(self, epoch: int, logs: dict) -> bool:
        """Whether an epoch with these figures is the best so far; `epoch` counts from 0.

        It may be asked before or after the epoch is in the history.
        """
        return self._best_of([*self.history[:epoch], logs]) == epoch + 1

    def _best_of(self, rows: list[dict]) -> int:
        if self.monitor is None or not rows:
            return len(rows)
        sign = 1 if self.mode == "max" else -1
        loss = "val_loss" if "val_loss" in rows[0] else "loss"
        values = [(sign * float(row[self.monitor]), -float(row[loss])) for row in rows]
        return values.index(max(values)) + 1

    @property
    def best(self) -> float | None:
        """Value of the best epoch; None before the first, or where there is no such figure."""
        if self.monitor is None or not self.history:
            return None
        return self.history[self.best_epoch - 1][self.monitor]

    @property
    def stopped_early(self) -> bool:
        """Whether the patience is used up."""
        return len(self.history) - self.best_epoch >= self.patience

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{name: float(value) for name, value in logs.items()}}
        row["learning_rate"] = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        row["seconds"] = round(time.perf_counter() - self.started, 3)
        self.history.append(row)
        if self.best_epoch == epoch + 1:
            with averaged_weights(self.model):
                save_weights(best_path(self.folder), self.network)
        self._write_history()
        save_state(state_path(self.folder), self.model, {"history": self.history})
        if self.stopped_early:
            self.model.stop_training = True

    def _write_history(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]))
        writer.writeheader()
        writer.writerows(self.history)
        path = self.folder / "history.csv"
        write_atomically(path, lambda file: file.write(text.getvalue().encode()))


def state_path(folder: Path) -> Path:
    """Where the state after the last whole epoch lies."""
    return folder / "checkpoints" / "last.npz"


def best_path(folder: Path) -> Path:
    """Where the weights of the best epoch lie."""
    return folder / "checkpoints" / "best.npz"


def announce(console, label: str, text: str) -> None:
    """A line of what is about to happen."""
    console.print(f"[bold]{label:<8}[/bold]", end="")
    console.print(text, highlight=False, markup=False, soft_wrap=True)


def progress_bar(console):
    """A `rich.progress.Progress` that goes when it is done, with a column for figures."""
    # While it is drawn, rich imports `markup` in a thread, and TFDS may have replaced `import`.
    from rich import markup, progress  # noqa: F401

    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[figures]}"),
        console=console,
        transient=True,
    )


class Progress(keras.callbacks.Callback):
    """A bar for the running epoch, and a line for each that has ended.

    A context manager, so that the bar is also taken down when the training fails.

    Args:
        console: `rich.console.Console` to print on.
        steps: Steps an epoch.
        batch_size: Images a step.
        metrics: Names of what to show beside the loss.
        keeper: The bookkeeper, which knows the best epoch.
    """

    def __init__(
        self, console, *, steps: int, batch_size: int, metrics: tuple[str, ...], keeper: Bookkeeper
    ):
        super().__init__()
        self.console = console
        self.steps, self.batch_size = steps, batch_size
        self.shown = ("loss", *metrics, "val_loss", *(f"val_{name}" for name in metrics))
        self.keeper = keeper

    def __enter__(self) -> "Progress":
        self.bar = progress_bar(self.console)
        self.bar.start()
        return self

    def __exit__(self, *_):
        self.bar.stop()

    def on_epoch_begin(self, epoch, logs=None):
        total = self.params["epochs"]
        self.label = f"epoch {epoch + 1:>{len(str(total))}}/{total}"
        self.task = self.bar.add_task(self.label, total=self.steps, figures="")
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.trained = time.perf_counter() - self.started
        self.rate = (batch + 1) * self.batch_size / self.trained
        figures = f"{self._figures(logs)}  {self.rate:,.0f} images/s"
        self.bar.update(self.task, completed=batch + 1, figures=figures)

    def on_epoch_end(self, epoch, logs=None):
        self.bar.remove_task(self.task)
        star = "  *" if self.keeper.is_best(epoch, logs) else ""
        self.console.print(
            f"{self.label}  {self._figures(logs)}  {self.rate:,.0f} images/s  "
            f"{time.perf_counter() - self.started:.1f} s{star}",
            highlight=False,
            soft_wrap=True,
        )

    def _figures(self, logs: dict) -> str:
        return "  ".join(f"{name} {float(logs[name]):.4f}" for name in self.shown if name in logs)
