"""The packages in the folder: found and loaded.

A package is copied before it is looked at, and what is verified and loaded is the copy: nobody can
change it in between, and a file that is overwritten in place does not change under a running model.
"""

import asyncio
import contextlib
import dataclasses
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vislearn.cores import usable_cores
from vislearn.export.package import (
    FORMATS,
    LABELS,
    MANIFEST,
    PackageError,
    check_format,
    files_of,
    read_manifest,
    task_of,
    verify_files,
)
from vislearn.export.runtimes import (
    IMAGE,
    RUNTIMES,
    SIGNATURE,
    checked_inputs,
    default_threads,
    random_example,
)
from vislearn.tasks.base import Arrays, Task
from vislearn_serve.batching import Batcher, Closed, NotComputed, QueueFull, padded
from vislearn_serve.errors import Refused
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

# What a model and a version may be called: it becomes part of a URL.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_NAME_RULE = "1 to 128 letters of a to z, digits, '.', '_' and '-', the first a letter or a digit"
_VERSION = re.compile(r"[1-9][0-9]{0,17}")
_VERSION_RULE = "a whole number from 1, without zeros before it and of at most 18 digits"
_DIGITS = re.compile(r"[0-9]+")

LABEL = "label"  # the input of a class number

Key = tuple[str, str]  # name and version


@dataclasses.dataclass
class Found:
    """What lies below a folder.

    Attributes:
        packages: Folders of packages, by name and version.
        problems: What keeps a folder from being one of them, by the name it would have.
        unreadable: Folders that could not be looked into: what was in them may still be.
    """

    packages: dict[Key, Path] = dataclasses.field(default_factory=dict)
    problems: dict[Key, str] = dataclasses.field(default_factory=dict)
    unreadable: set[Path] = dataclasses.field(default_factory=set)

    def add(self, key: Key, directory: Path) -> None:
        """Keeps the first folder of each name."""
        first = self.packages.setdefault(key, directory)
        if first != directory:
            self.problems[key] = (
                f"{directory} is not served: {first} has the same name, {key[0]}, and version."
            )

    def offer(self, name: str, version: str, directory: Path) -> None:
        """Adds a folder, if it has a name and a version that can be part of a URL."""
        for what, value, allowed, rule in (
            ("name", name, _NAME, _NAME_RULE),
            ("version", version, _VERSION, _VERSION_RULE),
        ):
            if not allowed.fullmatch(value):
                # A name on the disk may hold bytes that are no text, and JSON can't.
                name, value, place = (
                    os.fsencode(text).decode(errors="replace") for text in (name, value, directory)
                )
                self.problems[name, version] = (
                    f"{place} is not served: the {what} {value!r} must be {rule}."
                )
                return
        self.add((name, version), directory)


def find_packages(folder: Path) -> Found:
    """The packages below a folder.

    `NAME/model.json` is version 1 of `NAME`, `NAME/7/model.json` version 7, and
    `NAME/encoder/model.json`, as an export of several functions leaves it, is `NAME_encoder`. A
    folder that is itself a package is the only one. What begins with a dot is left out, so that a
    package can be made ready under such a name; one with another name that is not allowed is told.

    Raises:
        OSError: If the folder can't be read.
    """
    found = Found()
    if (folder / MANIFEST).is_file():
        found.add((folder.resolve().name, "1"), folder)
        return found
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        try:
            _find_in(path, found)
        except OSError as error:
            if not _NAME.fullmatch(path.name):
                continue  # Such as lost+found.
            found.unreadable.add(path)
            found.problems[path.name, "1"] = f"{path} can't be read: {error}."
    return found


def _find_in(path: Path, found: Found) -> None:
    """Adds the packages of one folder."""
    if not path.is_dir():
        return
    if (path / MANIFEST).is_file():
        found.offer(path.name, "1", path)
        return
    for inner in sorted(path.iterdir()):
        if inner.name.startswith(".") or not (inner / MANIFEST).is_file():
            continue
        if _DIGITS.fullmatch(inner.name):
            found.offer(path.name, inner.name, inner)
        else:
            found.offer(f"{path.name}_{inner.name}", "1", inner)


def fingerprint(directory: Path) -> tuple:
    """Changes when a file of the package does."""
    return tuple(
        (path.relative_to(directory).as_posix(), stat.st_size, stat.st_mtime_ns, stat.st_ino)
        for path in sorted(directory.rglob("*"))
        if path.is_file() and (stat := path.stat())
    )


class Model:
    """A version of a model: loaded, warmed, ready to answer.

    Attributes:
        name, version: What it is called by.
        manifest: The content of `model.json`.
        task: What it does; describes and draws answers.
        classes: Names of the classes, in the order of their numbers.
        inputs, outputs: Name, shape, dtype and meaning of each tensor.
        signatures: Names that TensorFlow Serving's requests may call it by.
        takes_pictures: Whether picture files go in.
        resize: How they are fitted then.
        makes_pictures: Whether pictures come out of noise.
        shows: Name of the answer that is pictures, if one is.
        answers_boxes: Whether its answers are boxes in the picture.
        example_bytes: What one example takes, with its answers.
        batcher: The queue before it, once it runs.

    """

    batcher: Batcher

    def __init__(self, key: Key, manifest: dict[str, Any]):
        self.name, self.version = key
        self.manifest = manifest
        self.task: Task = task_of(manifest)
        self.classes: tuple[str, ...] = self.task.classes
        self.inputs: list[dict[str, Any]] = manifest["inputs"]
        self.outputs: list[dict[str, Any]] = manifest["outputs"]
        self.signatures: list[str] = manifest.get("savedmodel_signatures", [SIGNATURE])
        self.example_bytes = sum(
            np.dtype(item["dtype"]).itemsize * math.prod(size or 1 for size in item["shape"][1:])
            for item in (*self.inputs, *self.outputs)
        )
        names = {item["name"] for item in self.inputs}
        item = self.inputs[0]
        self.takes_pictures = (
            names == {IMAGE} and item["dtype"] == "uint8" and item["shape"][-1] in (1, 3)
        )
        self.resize: str | None = item["resize"] if self.takes_pictures else None
        self.shows: str | None = manifest["shows"]
        self.makes_pictures = self.shows is not None and names <= {"noise", "latent", LABEL}
        self.answers_boxes = "boxes" in {item["name"] for item in self.outputs}
        self._users, self._retired = 0, False

    def checked(self, inputs: Arrays) -> Arrays:
        """The inputs, if they are what the model takes.

        Raises:
            Refused: If they are not.
        """
        try:
            inputs = checked_inputs(inputs, self.inputs)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        for name, value in inputs.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise Refused(400, f"{name} holds NaN or infinity.")
        for item in self.inputs:
            value, bounds = inputs[item["name"]], self._bounds(item)
            if bounds is not None and not bounds[0] <= value.min() <= value.max() <= bounds[1]:
                wrong = value[(value < bounds[0]) | (value > bounds[1])][0]
                text = f"{item['name']} holds {wrong}, and must be {bounds[0]} to {bounds[1]}"
                raise Refused(400, f"{text}: {item['meaning']}.")
        return inputs

    def _bounds(self, item: dict[str, Any]) -> list[float] | None:
        """The lowest and the highest value of an input, where it can be out of them."""
        if item["dtype"] == "uint8":
            return None
        # Older packages don't say it; the number after the last class is that of none of them.
        return item.get("range") or ([0, len(self.classes)] if item["name"] == LABEL else None)

    async def run(self, inputs: Arrays) -> Arrays:
        """The answers for the examples of a request.

        Raises:
            Refused: If it can't compute them, or if too many examples wait.
        """
        try:
            return await asyncio.wrap_future(self.batcher.submit(inputs))
        except QueueFull as error:
            raise Refused(503, f"{self.name} is busy: {error}", retry_after=1) from error
        except Closed as error:
            raise Refused(503, "The server is about to end.", retry_after=1) from error
        except NotComputed as error:
            # It ran on examples of every size when it was loaded: this is about these values.
            raise Refused(422, f"{self.name} can't compute these inputs: {error}") from error

    def checked_answers(self, answers: Arrays) -> Arrays:
        """The answers in the order of the manifest, if they are numbers.

        Raises:
            Refused: If one is not.
        """
        for name, value in answers.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise Refused(422, f"The answer {name} to these inputs holds NaN or infinity.")
        return {item["name"]: answers[item["name"]] for item in self.outputs}

    def check_words(self, answers: Arrays) -> None:
        """Says once what it will have to say to each request.

        Raises:
            PackageError: If classes and answers do not fit together.
        """
        if not self.takes_pictures:
            return
        try:
            with contextlib.suppress(ValueError):  # There is nothing to say about some answers.
                described = self.task.describe(answers, 0, max(1, len(self.classes)))
                self.task.record(answers, None, 0, described)
        except (LookupError, TypeError) as error:
            raise PackageError(f"{MANIFEST} does not fit to the answers: {error!r}.") from error

    @contextlib.contextmanager
    def in_use(self) -> Iterator["Model"]:
        """Keeps the model alive inside, even if it is replaced meanwhile."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            self._close_unused()

    def retire(self) -> None:
        """Closes the model once nobody uses it any more."""
        self._retired = True
        self._close_unused()

    def _close_unused(self) -> None:
        if self._retired and not self._users:
            self.batcher.close(wait=False)  # A batch whose requests timed out may still run.


def load(key: Key, directory: Path, settings: Settings, metrics: Metrics) -> Model:
    """Loads a package and runs it once in each batch size.

    Raises:
        PackageError: If it is no exported package, or one that is damaged.
        ValueError: If it does not hold the format, or does not answer what it says.
        OSError: If it can't be read, or there is no room for the copy.
    """
    format = settings.format
    with tempfile.TemporaryDirectory(prefix="vislearn-serve-") as name:
        copy = Path(name)
        manifest = read_manifest(directory)
        check_format(directory, manifest, format)
        for file in (MANIFEST, LABELS, *files_of(manifest, format)):
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / file, copy / file)
        manifest = read_manifest(copy)
        verify_files(copy, manifest, format)
        model = Model(key, manifest)
        runtimes = [
            RUNTIMES[format](copy / FORMATS[format], _threads(settings))
            for _ in range(settings.workers)
        ]
        sizes = _batch_sizes(manifest, settings)
        example = random_example(manifest["inputs"])
        for runtime in runtimes:
            for size in sizes:
                answers = runtime({name: padded(value, size) for name, value in example.items()})
                _check_answers(answers, manifest["outputs"], size)
        model.check_words(answers)
    # Last, since its threads end only with the model.
    batcher = model.batcher = Batcher(runtimes, sizes, settings.queue, metrics.batches(key))
    metrics.watch_queue(key, lambda: batcher.waiting)
    return model


def _threads(settings: Settings) -> int | None:
    """What is set, or a core less than there are: the event loop needs one, too."""
    if settings.threads is not None or settings.format == "savedmodel":
        return settings.threads
    return max(1, min(default_threads(), usable_cores() - 1))


def _batch_sizes(manifest: dict[str, Any], settings: Settings) -> tuple[int, ...]:
    """Those of the settings, or the only one that the file was made for."""
    fixed = manifest["inputs"][0]["shape"][0]
    return settings.batch_sizes if fixed is None else (fixed,)


def _check_answers(answers: Arrays, outputs: list[dict[str, Any]], size: int) -> None:
    for item in outputs:
        answer, shape = answers.get(item["name"]), (size, *item["shape"][1:])
        if answer is None or answer.dtype.name != item["dtype"] or not _fits(answer.shape, shape):
            raise ValueError(f"The file does not answer {item['name']} as {MANIFEST} says.")


def _fits(own: tuple[int, ...], shape: tuple[int | None, ...]) -> bool:
    return len(own) == len(shape) and all(
        wanted in (None, size) for size, wanted in zip(own, shape, strict=True)
    )
