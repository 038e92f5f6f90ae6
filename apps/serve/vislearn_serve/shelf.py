"""What is served: kept in line with the folder, replaced while it serves."""

import asyncio
import dataclasses
import logging
import time
from pathlib import Path

from vislearn_serve.errors import Refused
from vislearn_serve.packages import Key, Model, find_packages, fingerprint, load
from vislearn_serve.settings import Settings
from vislearn_serve.telemetry import Metrics

# What may be over soon, such as a full disk; what is wrong with the package itself is not.
_PASSING = (OSError, MemoryError)
_LONGEST_PAUSE = 60.0  # seconds between two tries

log = logging.getLogger("vislearn.serve")


@dataclasses.dataclass
class _Try:
    """The last try to load a package.

    Attributes:
        mark: Its fingerprint then.
        directory: Where it lay.
        error: Why it could not be loaded; None if it was.
        pause: Seconds until the next try, if what was wrong may be over then.
        again: When that is; infinity for not before the package changes.
    """

    mark: tuple
    directory: Path
    error: str | None = None
    pause: float = 0.0
    again: float = float("inf")


class Shelf:
    """The models that are served, and the folder that they come from.

    Belongs to the thread of the event loop; only loading happens in another.
    """

    def __init__(self, settings: Settings, metrics: Metrics):
        self._settings, self._metrics = settings, metrics
        self._models: dict[str, dict[str, Model]] = {}
        self._tries: dict[Key, _Try] = {}
        self._problems: dict[Key, str] = {}  # of the folder, not of a package
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
        for key, reason in found.problems.items():
            if self._problems.get(key) != reason:
                log.error(
                    "not served", extra={"model": key[0], "version": key[1], "reason": reason}
                )
        self._problems = found.problems
        self.errors |= found.problems
        for key, directory in found.packages.items():
            await self._look_at(key, directory)
        hidden = {
            key
            for key, tried in self._tries.items()
            if {tried.directory, tried.directory.parent} & found.unreadable
        }
        known = found.packages.keys() | found.problems.keys() | hidden
        gone = (self._tries.keys() | self.errors.keys()) - known
        for key in gone & self._missing:
            self._remove(key)
        self._missing = gone

    async def _look_at(self, key: Key, directory: Path) -> None:
        """Loads a package, if it is another than at the last try, or if that may go better now."""
        name, version = key
        before = self._tries.get(key)
        try:
            mark = await asyncio.to_thread(fingerprint, directory)
        except OSError as error:  # It is being replaced, or can't be read.
            self.errors[key] = str(error)
            return
        if before is not None and before.mark == mark and time.monotonic() < before.again:
            self._tell(key, before.error)
            return
        tried = self._tries[key] = _Try(mark, directory)
        began = time.perf_counter()
        try:
            model = await asyncio.to_thread(load, key, directory, self._settings, self._metrics)
        except Exception as error:
            # Whatever is wrong with a file that somebody put there, the others go on serving.
            tried.error = str(error) or repr(error)
            if isinstance(error, _PASSING):
                last = before.pause if before is not None and before.mark == mark else 0.0
                tried.pause = min(max(2 * last, self._settings.poll), _LONGEST_PAUSE)
                tried.again = time.monotonic() + tried.pause
            self._tell(key, tried.error)
            self._metrics.loads.labels(name, version, "failed").inc()
            facts = {"model": name, "version": version, "reason": tried.error}
            log.error("model not loaded", extra=facts)
            return
        old = self._models.setdefault(name, {}).get(version)
        self._models[name][version] = model
        self._tell(key, None)
        if old is not None:
            old.retire()
        self._metrics.loads.labels(name, version, "loaded").inc()
        seconds = round(time.perf_counter() - began, 3)
        facts = {"model": name, "version": version, "seconds": seconds}
        log.info("model loaded", extra={**facts, "replaced": old is not None})

    def _tell(self, key: Key, error: str | None) -> None:
        """Keeps what is wrong with a package, or, if nothing is, with its folder."""
        error = error or self._problems.get(key)
        if error is None:
            self.errors.pop(key, None)
        else:
            self.errors[key] = error

    def _remove(self, key: Key) -> None:
        name, version = key
        self._tries.pop(key, None)
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
            try:
                await self.refresh()
            except Exception:
                log.exception("the folder could not be looked at")  # The next look may go better.

    def close(self) -> None:
        """Runs what still waits, and closes every model."""
        for versions in self._models.values():
            for model in versions.values():
                model.batcher.close()
