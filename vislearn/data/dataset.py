"""A data set that is ready to train on: batches for training and for examination."""

import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np

from vislearn.data.augmentation import Augment, Augmentation, Example, get_augmentation
from vislearn.data.augmentation.views import several_views
from vislearn.data.reading import Images
from vislearn.tasks import get_task

_READ_AHEAD = 4  # batches that are made while the step before is still running


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """What is known about a data set.

    Attributes:
        source: Where it comes from: a folder, or a name.
        task: What it is for.
        classes: Names of the classes in the order of their numbers; none where nothing is named.
        image_shape: `(height, width, channels)`.
        counts: Number of images by split.
        skipped: Path and reason of each file that could not be used.
        flips: Whether a mirror image keeps its class.
        notes: What was decided on the way, such as which images were held out.
        keypoints: Names of the key points of an object, where it has some.
    """

    source: str
    task: str
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int]
    counts: dict[str, int]
    skipped: tuple[tuple[str, str], ...]
    flips: bool
    notes: tuple[str, ...]
    keypoints: tuple[str, ...] = ()


class Annotation(Protocol):
    """What is known about each image, an array a picture: a NumPy array, or made on demand."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one picture's."""
        ...

    @property
    def dtype(self) -> np.dtype: ...

    def gather(self, indices: np.ndarray) -> np.ndarray:
        """`(len(indices), *shape)`."""
        ...


class Dataset:
    """Images and their annotations in splits; made by `load_dataset`.

    Args:
        info: What is known about it.
        images: All images.
        annotations: By name what is known about each image: arrays `(n, ...)`, such as `labels`,
            `boxes` and `masks`, or what makes them on demand.
        splits: By split, the indices of its images in file order.
        batch_size: Images a batch.
        augment: What is done to training images, as in `get_augmentation`.
        seed: Seed of order and augmentation.

    Attributes:
        target: From a batch's dictionary to the `(x, y)` of `model.fit`: `Task.target`. Set it
            before the first batch where families of the task learn from different things; for
            generation it is at first that of autoencoders, `(images, images)`.
        views: `Task.views`, to be set with `target`. With more than one, each image is augmented so
            many times, held-out images in the same way in every epoch, and `target` gets `images`
            `(batch, views, height, width, channels)`.
    """

    def __init__(
        self,
        info: DatasetInfo,
        images: Images,
        annotations: dict[str, np.ndarray | Annotation],
        splits: dict[str, np.ndarray],
        *,
        batch_size: int,
        augment: Augment,
        seed: int,
    ):
        self.info = info
        self.batch_size = batch_size
        self.seed = seed
        self.target = (
            _reconstruction
            if info.task == "generation"
            else get_task(info.task, info.classes).target
        )
        self.views = 1
        self._images = images
        self._annotations = annotations
        self._splits = splits
        self._augment = get_augmentation(
            augment, flips=info.flips, task=info.task, keypoints=info.keypoints
        )

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {split}" for split, count in self.info.counts.items())
        height, width, channels = self.info.image_shape
        classes = f"{len(self.info.classes)} classes; " if self.info.classes else ""
        return f"<Dataset {self.info.source}: {counts}; {classes}{height} x {width} x {channels}>"

    # For `model.fit`.

    @functools.cached_property
    def train(self):
        """One epoch of training batches, in another order and augmentation at each iteration.

        A finite `tf.data.Dataset` of the `(x, y)` of the task; for a classifier that is images,
        float32 0..255 `(batch_size, height, width, channels)`, and labels, int32. The images that
        fill no batch are left out, others each time. Its n-th iteration is the same in every
        process, given this seed and that of `tf.random.set_seed`.
        """
        import tensorflow as tf

        # A fresh number for each iteration, of a generator that starts at the seed. Epochs of
        # `training_batches` count from 0; these must not meet them.
        draws = tf.data.Dataset.random(seed=self.seed + 1, rerandomize_each_iteration=True).take(1)
        batches = self._training(draws.map(lambda draw: draw + 2**31))
        return batches.apply(tf.data.experimental.assert_cardinality(self.steps_per_epoch))

    @functools.cached_property
    def validation(self):
        """The validation images in file order, as `(x, y)` batches; None if there are none."""
        return self._in_order("validation")

    @functools.cached_property
    def test(self):
        """The test images in file order, as `(x, y)` batches; None if there are none."""
        return self._in_order("test")

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch.

        Raises:
            ValueError: If the training images fill no batch.
        """
        steps = len(self._splits["train"]) // self.batch_size
        if steps == 0:
            raise ValueError(
                f"batch_size={self.batch_size} is more than the {len(self._splits['train'])} "
                "training images."
            )
        return steps

    def training_batches(self, start_epoch: int = 0):
        """Endless training batches, `steps_per_epoch` to the epoch.

        Order and augmentation of a batch depend on the seed, the epoch and its place in the epoch,
        on nothing else: started at epoch 5, it gives what an unbroken training sees from epoch 5.
        A function passed as `augment` keeps this if it draws from `example["seed"]` only.

        Args:
            start_epoch: Number of the first epoch, from 0.

        Returns:
            A `tf.data.Dataset` of `(x, y)` as in `train`.
        """
        import tensorflow as tf

        if start_epoch < 0:
            raise ValueError(f"start_epoch={start_epoch!r} must be at least 0.")
        return self._training(tf.data.Dataset.counter(start_epoch))

    # For everything else, without TensorFlow.

    def arrays(self, split: str, limit: int | None = None) -> dict[str, np.ndarray]:
        """The images and annotations of a split, in file order.

        Args:
            split: `"train"`, `"validation"`, `"test"`, or `"all"` for these three in a row.
            limit: Only so many, at even distances, so that every class is met: files are in the
                order of their classes.

        Returns:
            `images`, `(n, height, width, channels)` uint8, and by task
            classification: `labels` `(n,)` int32;
            detection: `boxes` `(n, N, 4)` float32 xyxy in pixels, `labels` `(n, N)` int32 and
            `crowd` `(n, N)` bool, where rows of label -1 are padding, and what `extras` of
            `load_dataset` asks for;
            regression: `targets` `(n, quantities)` float32;
            semantic segmentation: `masks` `(n, height, width)` uint8, 255 to be ignored;
            generation: `labels` `(n,)` int32 where there are classes.

        Raises:
            ValueError: If there is no such split, or `limit` is less than 1.
        """
        indices = self._indices(split)
        if limit is not None and limit < len(indices):
            if limit < 1:
                raise ValueError(f"limit={limit!r} must be at least 1, or None.")
            indices = indices[np.linspace(0, len(indices) - 1, limit).round().astype(int)]
        return self._gather(indices)

    def batches(self, split: str, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
        """Like `arrays`, in batches, of which the last may be smaller."""
        indices = self._indices(split)
        for start in range(0, len(indices), batch_size):
            yield self._gather(indices[start : start + batch_size])

    def annotations(self, split: str) -> dict[str, np.ndarray]:
        """Like `arrays`, without the images and what is made on demand."""
        indices = self._indices(split)
        return {k: v[indices] for k, v in self._annotations.items() if isinstance(v, np.ndarray)}

    def paths(self, split: str) -> list[Path] | None:
        """The files of a split, in the order of `arrays`; None where the images have no files."""
        indices, sources = self._indices(split), self._images.sources
        return [sources[index] for index in indices] if isinstance(sources[0], Path) else None

    def own_sizes(self, split: str) -> np.ndarray:
        """`(n, 2)`: height and width of each file of a split, before it was fitted."""
        return self._images.own_sizes[self._indices(split)]

    def _gather(self, indices: np.ndarray) -> dict[str, np.ndarray]:
        found = {"images": self._images.gather(indices)}
        for name, values in self._annotations.items():
            array = isinstance(values, np.ndarray)
            found[name] = values[indices] if array else values.gather(indices)
        return found

    def _indices(self, split: str) -> np.ndarray:
        if split == "all":
            return np.concatenate([*self._splits.values()])
        if split not in self._splits:
            raise ValueError(f"split={split!r} must be one of {[*self._splits, 'all']}.")
        return self._splits[split]

    # The pipelines. Work is done on batches, not on elements: on two cores tf.data's bookkeeping
    # for single small images costs more than everything done to them.

    def _training(self, epochs):
        """Training batches of a `tf.data.Dataset` of epoch numbers (int64)."""
        import tensorflow as tf

        train = self._splits["train"]
        steps, size = self.steps_per_epoch, self.batch_size

        def of_epoch(epoch):
            seed = tf.random.fold_in(tf.constant([self.seed, 0], tf.int64), epoch)
            order = tf.random.experimental.stateless_shuffle(train, seed)  # (images,)

            def of_step(step):
                return order[step * size : (step + 1) * size], tf.random.fold_in(seed, step)

            return tf.data.Dataset.range(steps).map(of_step)

        def example(indices, seed):
            indices = tf.ensure_shape(indices, (size,))
            return self._finished({**self._example(indices), "seed": seed}, augment=True)

        return epochs.flat_map(of_epoch).map(example, self._parallel).prefetch(_READ_AHEAD)

    def _in_order(self, split: str):
        import tensorflow as tf

        if split not in self._splits:
            return None
        batches = tf.data.Dataset.from_tensor_slices(self._splits[split]).batch(self.batch_size)
        return batches.map(
            lambda indices: self._finished(self._example(indices), augment=False), self._parallel
        ).prefetch(_READ_AHEAD)

    @property
    def _parallel(self) -> int:
        # Files are read by threads of our own, the same for every batch.
        return 1 if self._images.pixels is None else 2

    def _example(self, indices) -> Example:
        """The images (uint8) and annotations of a batch of indices."""
        import tensorflow as tf

        found = {name: tf.gather(values, indices) for name, values in self._on_host.items()}
        made = {
            name: values
            for name, values in self._annotations.items()
            if not isinstance(values, np.ndarray)
        }
        if self._images.pixels is None:
            made["images"] = self._images
        for name, values in made.items():
            value = tf.numpy_function(values.gather, [indices], tf.as_dtype(values.dtype))
            found[name] = tf.ensure_shape(value, (indices.shape[0], *values.shape))
        return found

    @functools.cached_property
    def _on_host(self) -> dict:
        """Pixels and arrays as tensors in host memory, shared by all pipelines."""
        import tensorflow as tf

        arrays = {k: v for k, v in self._annotations.items() if isinstance(v, np.ndarray)}
        if self._images.pixels is not None:
            arrays["images"] = self._images.pixels
        with tf.device("CPU:0"), tf.init_scope():
            return {name: tf.constant(values) for name, values in arrays.items()}

    def _finished(self, example: Example, *, augment: bool):
        """From pixels to the `(x, y)` of the task."""
        import tensorflow as tf

        if self.views > 1:
            # Epochs of the training draw from other seeds, see `_training`.
            held_out = {"seed": tf.constant([self.seed, 1], tf.int64)}
            example = {**held_out, **example, "images": tf.cast(example["images"], tf.float32)}
            return self.target(several_views(self._augment, example, self.views))
        described = isinstance(self._augment, Augmentation)
        if augment and described:
            if self._augment.mixes and self.info.task == "classification":
                labels = tf.one_hot(example["labels"], len(self.info.classes))
                example = {**example, "labels": labels}
            example = self._augment(example)
        example = {**example, "images": tf.cast(example["images"], tf.float32)}
        if augment and self._augment is not None and not described:
            example = self._augment(example)
        return self.target(example)


def _reconstruction(example: Example) -> tuple:
    return example["images"], example["images"]
