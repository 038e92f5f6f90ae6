"""A training run: what makes it, and the folder that it leaves.

config.json      all that is needed to repeat or resume it
history.csv      a line an epoch
logs/            the same for TensorBoard
checkpoints/     last.npz (the whole state), best.npz (the weights of the best epoch)
model.keras      the best snapshot, in float32
metrics.json     how it does on validation and test images
report.html      curves, confusion matrix, mistakes
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras

from vislearn.data import Dataset, load_dataset
from vislearn.registry import model_info
from vislearn.tasks import Task, get_task
from vislearn.training import callbacks
from vislearn.training.checkpoint import write_atomically
from vislearn.training.distribution import Replicas
from vislearn.training.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Config:
    """What makes a run: written to `config.json`, compared on resume.

    Attributes:
        model: Registry name.
        options: Further arguments of `create_model`.
        data: Source of `load_dataset`.
        data_options: Further arguments of `load_dataset`.
        recipe: How it is trained.
        precision: `"float32"` or `"mixed_bfloat16"`.
        seed: Seed of order, augmentation, initial weights and dropout.
        weights: What it starts from, or None.
        tune: What of it is trained, or None for all of it in the usual way.
        classes: Names of the classes, in the order of the model's outputs.
        task: Name of the task.
        task_options: Attributes of the task that differ from its defaults.
        members: Folders of the runs whose answers it averages; none for a network of its own.
    """

    model: str
    options: dict[str, Any]
    data: str
    data_options: dict[str, Any]
    recipe: Recipe
    precision: str
    seed: int
    weights: str | None
    tune: str | None = None
    classes: list[str] = dataclasses.field(default_factory=list)
    task: str = "classification"
    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    members: list[str] = dataclasses.field(default_factory=list)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the images."""
        return (*self.data_options["image_size"], self.data_options["channels"])

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Config":
        values = json.loads(text)
        return cls(**{**values, "recipe": Recipe(**values["recipe"])})


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished or running training in a folder.

    Attributes:
        folder: The folder.
        config: What makes it.
    """

    folder: Path
    config: Config

    @classmethod
    def open(cls, folder: str | Path) -> "Run":
        """Opens the folder of a run.

        Raises:
            FileNotFoundError: If it holds no `config.json`.
        """
        path = Path(folder) / "config.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} is no training run: it has no config.json.")
        return cls(Path(folder), Config.from_json(path.read_text()))

    def metrics(self) -> dict[str, dict[str, float]]:
        """Metrics by split, `{"test": {"accuracy": 0.98, ...}, ...}`."""
        return json.loads(self.finished("metrics.json").read_text())

    def history(self) -> list[dict[str, float]]:
        """A dictionary an epoch."""
        import csv

        with open(self.folder / "history.csv", newline="") as file:
            return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]

    def task(self, **options) -> Task:
        """What it was trained for, with other options where they are given."""
        family = model_info(self.config.model).family
        options = {**self.config.task_options, **options}
        return get_task(self.config.task, self.config.classes, family, **options)

    def model(self) -> keras.Model:
        """The best snapshot, in float32."""
        return keras.saving.load_model(self.finished("model.keras"))

    def data(self, source: str | None = None) -> Dataset:
        """The data set that it was trained on, or another one read in the same way."""
        return load_dataset(
            source or self.config.data,
            task=self.config.task,
            batch_size=self.config.recipe.batch_size,
            seed=self.config.seed,
            **self.config.data_options,
        )

    def finished(self, name: str) -> Path:
        """A file that there is once the training has ended."""
        path = self.folder / name
        if not path.is_file():
            raise FileNotFoundError(
                f"{self.folder} has no {name}: its training has not ended. Go on with --resume."
            )
        return path


def check_folder(folder: Path, resume: bool) -> None:
    """Refuses a folder that another run would be lost in, before any work is done."""
    if resume:
        if not (folder / "config.json").is_file():
            raise FileNotFoundError(f"resume: {folder} is no training run, it has no config.json.")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"out={str(folder)!r} exists already. Go on with it (--resume) or name another folder."
        )


def differences(before: dict[str, Any], now: dict[str, Any]) -> str:
    """What differs between two settings, and no more: `"epochs=2, not 3"`.

    Args:
        before, now: Values by name; what is a dictionary in both is compared name by name.
    """
    found = []
    for name, value in before.items():
        if name not in now:
            found.append(f"{name}={value!r}, which is not given now")
        elif isinstance(value, dict) and isinstance(now[name], dict):
            found.append(differences(value, now[name]))
        elif value != now[name]:
            found.append(f"{name}={value!r}, not {now[name]!r}")
    found += [f"no {name}={value!r}" for name, value in now.items() if name not in before]
    return "; ".join(filter(None, found))


def _open_folder(folder: Path, config: Config, resume: bool) -> None:
    """Creates the run folder, or sees that the run in it is the one that is to go on."""
    path = folder / "config.json"
    if resume:
        before = dataclasses.asdict(Config.from_json(path.read_text()))
        now = dataclasses.asdict(Config.from_json(config.to_json()))
        if before != now:
            raise ValueError(f"resume: the run in {folder} has {differences(before, now)}.")
        return
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(config.to_json().encode()))


def open_folders(folder: Path, config: Config, resume: bool, replicas: Replicas) -> None:
    """Opens the folder of the first host, and sees that the others are to train the same run."""
    if replicas.first:
        _open_folder(folder, config, resume)
    else:
        (folder / "checkpoints").mkdir()
    replicas.share(folder / "config.json")
    if not replicas.first:
        _open_folder(folder, config, resume=True)
    if resume:
        replicas.share(callbacks.state_path(folder))


def save_model(model: keras.Model, folder: Path) -> None:
    part = folder / "part.model.keras"
    model.save(part)
    part.replace(folder / "model.keras")
