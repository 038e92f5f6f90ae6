"""The queue before a model, and the threads that empty it.

A thread takes what waits, up to the largest batch, and runs it at once. While it runs, the next
batch gathers, so that batches grow with the load and nobody waits for company when there is none.
The runtimes release Python's lock while they compute, so the event loop goes on meanwhile.
"""

import dataclasses
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future

import numpy as np

from vislearn.tasks.base import Arrays

Runtime = Callable[[Arrays], Arrays]

log = logging.getLogger("vislearn.serve")


class QueueFull(Exception):
    """More examples wait than may."""


class Closed(Exception):
    """The batcher takes nothing more."""


class NotComputed(Exception):
    """The runtime could not compute these examples, and said why."""


@dataclasses.dataclass(eq=False)
class _Job:
    inputs: Arrays
    count: int
    future: Future


class Batcher:
    """Runs the examples of many requests together.

    Args:
        runtimes: One for each thread; see `vislearn.export.runtimes`.
        sizes: Numbers of examples that a runtime is called with; others are padded to the next.
        capacity: Examples that may wait.
        observe: Called with the number of examples of each batch and the seconds that it took.
    """

    def __init__(
        self,
        runtimes: Sequence[Runtime],
        sizes: Sequence[int],
        capacity: int,
        observe: Callable[[int, float], None] = lambda count, seconds: None,
    ):
        self.sizes, self.capacity = sorted(sizes), capacity
        self.waiting = 0
        self._observe = observe
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, args=(runtime,), daemon=True)
            for runtime in runtimes
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, inputs: Arrays) -> Future:
        """Queues the examples of a request.

        Returns:
            Their answers, by name; cancelling it before its batch starts takes them out.

        Raises:
            QueueFull: If too many wait already.
            Closed: If the batcher was closed.
        """
        job = _Job(inputs, len(next(iter(inputs.values()))), Future())
        with self._changed:
            if self._closed:
                raise Closed("The batcher is closed.")
            if self.waiting + job.count > self.capacity:
                raise QueueFull(f"{self.waiting} examples wait already.")
            self._jobs.append(job)
            self.waiting += job.count
            self._changed.notify()
        job.future.add_done_callback(self._leave)
        return job.future

    def close(self, wait: bool = True) -> None:
        """Lets the threads end once nothing waits any more, and, if asked, waits for them."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads if wait else ():
            thread.join()

    def _leave(self, future: Future) -> None:
        """Gives back the place of a job that was cancelled while it waited."""
        if not future.cancelled():
            return
        with self._changed:
            for job in self._jobs:
                if job.future is future:
                    self._jobs.remove(job)
                    self.waiting -= job.count
                    return

    def _work(self, runtime: Runtime) -> None:
        while self._step(runtime):
            pass

    def _step(self, runtime: Runtime) -> bool:
        """Runs the next batch; False at the end."""
        jobs = self._take()
        try:
            live = [job for job in jobs if job.future.set_running_or_notify_cancel()]
            if live:
                self._answer(runtime, live)
        except Exception as error:
            # Whatever it was: a thread that ended here would leave all that come later waiting.
            log.exception("batch failed")
            for job in jobs:
                if not job.future.done():
                    job.future.set_exception(error)
        return bool(jobs)

    def _take(self) -> list[_Job]:
        """The jobs of the next batch, the first of which may be larger than any; [] at the end."""
        with self._changed:
            while not self._jobs and not self._closed:
                self._changed.wait()
            jobs, count = [], 0
            while self._jobs and (not jobs or count + self._jobs[0].count <= self.sizes[-1]):
                jobs.append(self._jobs.popleft())
                count += jobs[-1].count
            self.waiting -= count
            return jobs

    def _answer(self, runtime: Runtime, jobs: list[_Job]) -> None:
        try:
            names = jobs[0].inputs
            inputs = {name: np.concatenate([job.inputs[name] for job in jobs]) for name in names}
            answers = self._run(runtime, inputs)
        except Exception as error:
            # Nobody's request fails because of another's: each is tried alone.
            if len(jobs) == 1:
                jobs[0].future.set_exception(error)
            else:
                for job in jobs:
                    self._answer(runtime, [job])
            return
        start = 0
        for job in jobs:
            part = slice(start, start + job.count)
            job.future.set_result({name: value[part] for name, value in answers.items()})
            start += job.count

    def _run(self, runtime: Runtime, inputs: Arrays) -> Arrays:
        """Answers in batches of the fixed sizes."""
        count, largest = len(next(iter(inputs.values()))), self.sizes[-1]
        chunks = []
        for start in range(0, count, largest):
            chunk = {name: value[start : start + largest] for name, value in inputs.items()}
            real = min(largest, count - start)
            size = next(size for size in self.sizes if size >= real)
            began = time.perf_counter()
            chunk = {name: padded(value, size) for name, value in chunk.items()}
            try:
                answers = runtime(chunk)
            except MemoryError:
                raise
            except Exception as error:  # Each runtime has its own, from RuntimeError to none.
                raise NotComputed(str(error)) from error
            self._observe(real, time.perf_counter() - began)
            chunks.append({name: value[:real] for name, value in answers.items()})
        if len(chunks) == 1:
            return chunks[0]
        return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def padded(value: np.ndarray, size: int) -> np.ndarray:
    """The array with its last example repeated until there are `size`."""
    missing = size - len(value)
    return np.concatenate([value, np.repeat(value[-1:], missing, axis=0)]) if missing else value
