"""The packages in the folder: found, loaded, replaced while they serve.

A package is copied before it is looked at, and what is verified and loaded is the copy: nobody can
change it in between, and a file that is overwritten in place does not change under a running model.
"""

import asyncio
import contextlib
import logging
import re
import shutil
import tempfile
import time
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
    checked_inputs,
    default_threads,
    random_example,
)
from vislearn.tasks.base import Arrays, Task
from vislearn_serve.batching import Batcher, QueueFull, padded
from vislearn_serve.errors import Refused
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

# What a model and a version may be called: it becomes part of a URL.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VERSION = re.compile(r"[1-9][0-9]{0,17}")

Key = tuple[str, str]  # name and version

log = logging.getLogger("vislearn.serve")


def find_packages(folder: Path) -> dict[Key, Path]:
    """The packages below a folder, by name and version.

    `NAME/model.json` is version 1 of `NAME`, `NAME/7/model.json` version 7, and
    `NAME/encoder/model.json`, as an export of several functions leaves it, is `NAME_encoder`. A
    folder that is itself a package is the only one.

    Raises:
        OSError: If the folder can't be read.
    """
    if (folder / MANIFEST).is_file():
        return {(folder.resolve().name, "1"): folder}
    found = {}
    for path in sorted(folder.iterdir()):
        if not _NAME.fullmatch(path.name) or not path.is_dir():
            continue
        if (path / MANIFEST).is_file():
            found[path.name, "1"] = path
            continue
        for inner in sorted(path.iterdir()):
            if not (inner / MANIFEST).is_file():
                continue
            if _VERSION.fullmatch(inner.name):
                found[path.name, inner.name] = inner
            elif _NAME.fullmatch(inner.name):
                found.setdefault((f"{path.name}_{inner.name}", "1"), inner)
    return found


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
        batcher: The queue before it.
    """

    def __init__(self, key: Key, manifest: dict[str, Any], batcher: Batcher):
        self.name, self.version = key
        self.manifest = manifest
        self.task: Task = task_of(manifest)
        self.classes: tuple[str, ...] = self.task.classes
        self.inputs: list[dict[str, Any]] = manifest["inputs"]
        self.outputs: list[dict[str, Any]] = manifest["outputs"]
        self.batcher = batcher
        self._users, self._retired = 0, False

    @property
    def takes_pictures(self) -> bool:
        """Whether picture files go in."""
        return [item["name"] for item in self.inputs] == [IMAGE] and (
            self.inputs[0]["dtype"] == "uint8" and self.inputs[0]["shape"][-1] in (1, 3)
        )

    @property
    def makes_pictures(self) -> bool:
        """Whether pictures come out of noise."""
        names = {item["name"] for item in self.inputs}
        return bool(self.manifest["shows"]) and names <= {"noise", "latent", "label"}

    async def infer(self, inputs: Arrays) -> Arrays:
        """The answers for the examples of a request.

        Raises:
            Refused: If the inputs are not what the model takes, if it can't compute them, or if
                too many examples wait.
        """
        try:
            inputs = checked_inputs(inputs, self.inputs)
        except ValueError as error:
            raise Refused(400, str(error)) from error
        for name, value in inputs.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise Refused(400, f"{name} holds NaN or infinity.")
        count = len(next(iter(inputs.values())))
        if count > self.batcher.capacity:
            raise Refused(
                413, f"{count} examples are more than a request may hold: {self.batcher.capacity}."
            )
        try:
            answers = await asyncio.wrap_future(self.batcher.submit(inputs))
        except QueueFull as error:
            raise Refused(503, f"{self.name} is busy: {error}", retry_after=1) from error
        except (RuntimeError, ValueError) as error:
            # It ran on examples of every size when it was loaded: this is about these values.
            raise Refused(422, f"{self.name} can't compute these inputs: {error}") from error
        for name, value in answers.items():
            if value.dtype.kind == "f" and not np.isfinite(value).all():
                raise Refused(422, f"The answer {name} to these inputs holds NaN or infinity.")
        return {item["name"]: answers[item["name"]] for item in self.outputs}

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
            if ".." in Path(file).parts:
                raise PackageError(f"{MANIFEST} names {file!r}, which is not in the package.")
            (copy / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(directory / file, copy / file)
        manifest = read_manifest(copy)
        verify_files(copy, manifest, format)
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
    batcher = Batcher(runtimes, sizes, settings.queue, metrics.batches(key))
    metrics.watch_queue(key, lambda: batcher.waiting)
    return Model(key, manifest, batcher)


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
        answer = answers.get(item["name"])
        if answer is None or len(answer) != size or answer.dtype.name != item["dtype"]:
            raise ValueError(f"The file does not answer {item['name']} as {MANIFEST} says.")


class Shelf:
    """The models that are served, and the folder that they come from.

    Belongs to the thread of the event loop; only loading happens in another.
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self._settings, self._metrics = settings, metrics
        self._models: dict[str, dict[str, Model]] = {}
        self._seen: dict[Key, tuple] = {}  # fingerprints of what was tried
        self._missing: set[Key] = set()
        self.errors: dict[Key, str] = {}

    def names(self) -> list[str]:
        """The models of which a version serves or failed to load, in order."""
        return sorted({*self._models, *(name for name, _ in self.errors)})

    def versions(self, name: str) -> list[str]:
        """The versions of a model that serve or failed to load, the newest first."""
        found = {*self._models.get(name, ()), *(v for n, v in self.errors if n == name)}
        return sorted(found, key=int, reverse=True)

    def serving(self, name: str, version: str) -> bool:
        return version in self._models.get(name, ())

    @property
    def ready(self) -> bool:
        """Whether any model serves."""
        return bool(self._models)

    def get(self, name: str, version: str | None = None) -> Model:
        """A version of a model, or its newest.

        Raises:
            Refused: If there is none.
        """
        versions = self._models.get(name)
        if versions is None:
            raise Refused(404, f"There is no model {name[:80]!r}; there are {[*self._models]}.")
        if version is None:
            return versions[max(versions, key=int)]
        if version not in versions:
            raise Refused(
                404, f"{name} has no version {version[:80]!r}; it has {sorted(versions, key=int)}."
            )
        return versions[version]

    async def refresh(self) -> None:
        """Brings what is served in line with the folder.

        What can't be loaded leaves the one that serves in place, and is told in the log, in
        `errors` and in the metrics. What is gone in two looks in a row is taken out: a package that
        is being replaced may be gone for a moment.
        """
        try:
            found = await asyncio.to_thread(find_packages, self._settings.folder)
        except OSError as error:
            log.error("folder unreadable", extra={"reason": str(error)})
            return
        for key, directory in found.items():
            await self._look_at(key, directory)
        gone = (self._seen.keys() | self.errors.keys()) - found.keys()
        for key in gone & self._missing:
            self._remove(key)
        self._missing = gone

    async def _look_at(self, key: Key, directory: Path) -> None:
        name, version = key
        facts = {"model": name, "version": version}
        try:
            mark = await asyncio.to_thread(fingerprint, directory)
            if mark == self._seen.get(key):
                return
            self._seen[key] = mark
            began = time.perf_counter()
            model = await asyncio.to_thread(load, key, directory, self._settings, self._metrics)
        except Exception as error:
            # Whatever is wrong with a file that somebody put there, the others go on serving.
            self.errors[key] = str(error)
            self._metrics.loads.labels(name, version, "failed").inc()
            log.error("model not loaded", extra={**facts, "reason": str(error)})
            return
        old = self._models.setdefault(name, {}).get(version)
        self._models[name][version] = model
        self.errors.pop(key, None)
        if old is not None:
            old.retire()
        self._metrics.loads.labels(name, version, "loaded").inc()
        seconds = round(time.perf_counter() - began, 3)
        log.info("model loaded", extra={**facts, "seconds": seconds, "replaced": old is not None})

    def _remove(self, key: Key) -> None:
        name, version = key
        self._seen.pop(key, None)
        self.errors.pop(key, None)
        model = self._models.get(name, {}).pop(version, None)
        if not self._models.get(name, True):
            del self._models[name]
        if model is not None:
            model.retire()
            log.info("model removed", extra={"model": name, "version": version})

    async def watch(self) -> None:
        """Looks into the folder from time to time, until cancelled."""
        while True:
            await asyncio.sleep(self._settings.poll)
            await self.refresh()

    def close(self) -> None:
        """Runs what still waits, and closes every model."""
        for versions in self._models.values():
            for model in versions.values():
                model.batcher.close()
