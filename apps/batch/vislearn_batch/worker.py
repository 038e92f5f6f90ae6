"""What runs on the workers: a shard in, its answers and its dead letters written."""

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.metrics import Metrics

from vislearn.data.images import ImageError, ImageTooLarge, NotAnImage, fit_image, read_image
from vislearn.export import load_predictor
from vislearn.tasks.base import Arrays
from vislearn_batch.answers import ShardFiles
from vislearn_batch.job import Job, Shard, inputs_of
from vislearn_batch.records import (
    FAILED,
    TOO_LARGE,
    UNREADABLE,
    WRONG_TYPE,
    Refused,
    read_images,
)


class PredictShard(beam.DoFn):
    """Answers the images of a shard in batches; the model is loaded once a worker.

    A shard is read, answered and written in one place and not by a pipeline of steps. Grouping the
    answers by shard would hold back all of them until the last image of the whole run is answered:
    a run that is interrupted would have finished nothing. So what the runner hands around are
    shards, and what it costs an element does not matter.
    """

    def __init__(self, job: Job):
        self.job = job

    def setup(self):
        job = self.job
        self._predictor = load_predictor(job.package, job.runtime, threads=job.threads)
        self._count("models_loaded")

    def process(self, shard: Shard) -> Iterator[dict[str, Any]]:
        files = ShardFiles(self.job, shard, self._predictor.manifest)
        for ids, images in self._batches(shard, files):
            self._answer(ids, images, files)
        record = files.commit()
        self._count("answered", record["answered"])
        for kind, number in record["dead"].items():
            self._count(kind, number)
        yield record

    def _answer(self, ids: list[str], images: np.ndarray, files: ShardFiles) -> None:
        """Writes the answers to a batch; an image that has none goes to `files.refuse`."""
        try:
            answers = self._predictor.predict(images, self.job.batch_size)
        except Exception as error:
            # Whatever the runtime raises: it would raise it again at every attempt.
            if len(ids) == 1:
                files.refuse(ids[0], FAILED, f"{type(error).__name__}: {error}")
                return
            for index, id in enumerate(ids):  # It may be one of them.
                self._answer([id], images[index : index + 1], files)
            return
        broken = holding_nan(answers)
        for index, name in broken.items():
            files.refuse(ids[index], FAILED, f"the answer {name!r} holds NaN")
        if broken:
            sound = [index for index in range(len(ids)) if index not in broken]
            ids = [ids[index] for index in sound]
            answers = {name: value[sound] for name, value in answers.items()}
        files.answer(ids, answers)

    def _batches(self, shard: Shard, files: ShardFiles) -> Iterator[tuple[list[str], np.ndarray]]:
        """Ids, and images `(n, height, width, channels)`; what is none goes to `files.refuse`."""
        ids, images = [], []
        for path in inputs_of(self.job, shard):
            for id, content in read_images(path, self.job.max_bytes):
                try:
                    images.append(self._pixels(content))
                    ids.append(id)
                except Refused as refused:
                    files.refuse(id, refused.kind, refused.reason)
                if len(ids) == self.job.batch_size:
                    yield ids, np.stack(images)
                    ids, images = [], []
        if ids:
            yield ids, np.stack(images)

    def _pixels(self, content: bytes | Refused) -> np.ndarray:
        """The image as the network takes it, fitted as the manifest says.

        Raises:
            Refused: If there is none.
        """
        if isinstance(content, Refused):
            raise content
        height, width, channels = self._predictor.input_shape
        try:
            image = read_image(content, channels=channels, max_pixels=self.job.max_pixels)
        except ImageTooLarge as error:
            raise Refused(TOO_LARGE, error.reason) from error
        except NotAnImage as error:
            raise Refused(WRONG_TYPE, error.reason) from error
        except ImageError as error:
            raise Refused(UNREADABLE, error.reason) from error
        return fit_image(image, (height, width), self._predictor.inputs[0]["resize"])

    @staticmethod
    def _count(name: str, number: int = 1) -> None:
        """Adds to a counter that runners show and that the result of the pipeline holds."""
        Metrics.counter("vislearn", name).inc(number)


def holding_nan(answers: Arrays) -> dict[int, str]:
    """The examples of a batch whose answer holds NaN, each with an output that does."""
    return {
        int(index): name
        for name, value in answers.items()
        for index in np.flatnonzero(np.isnan(value).reshape(len(value), -1).any(axis=1))
    }
