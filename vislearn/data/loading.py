"""From a name or a folder to a data set."""

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from vislearn.data import prepared
from vislearn.data.augmentation import AUGMENTATIONS, Example
from vislearn.data.dataset import Dataset, DatasetInfo
from vislearn.data.folders import list_folder
from vislearn.data.images import MAX_PIXELS, RESIZE_MODES, checked_size, fit_image
from vislearn.data.reading import CACHES, Format, Images, MixedSizesError, read_images
from vislearn.data.splits import HELD_OUT, ONE_PIECE, SPLITS, stratified_split


def load_dataset(
    source: str | Path,
    *,
    task: str = "classification",
    image_size: int | tuple[int, int] | None = None,
    fallback_size: int | tuple[int, int] | None = None,
    batch_size: int = 32,
    augment: str | Callable[[Example], Example] | None = None,
    data_dir: str | Path | None = None,
    seed: int = 0,
    channels: int | None = None,
    resize: str = "crop",
    cache: str = "auto",
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    quiet: bool = False,
) -> Dataset:
    """Loads a set of classified images.

    The training set keeps its role, and so does the test set, which is never touched to make
    another. Where there is no validation set, 10% of the training images are held out for it.
    Data that comes in one piece is split into 70% for training, 10% for validation and 20% for
    testing. All splits are stratified by class and depend on the names of the files only: two runs
    with different seeds learn from, and are measured on, the same images.

    Args:
        source: A folder with a folder for each class, or with `train/` and `test/` or `val/` of
            such; `"digits"`, the 1,797 handwritten digits of scikit-learn; or the name of a data
            set that TFDS has prepared on this machine, such as `"cifar10"`.
        task: What it is for.
        image_size: Side in pixels, or `(height, width)`, to which images are brought; None for
            their own, if all have the same.
        fallback_size: Size for the case that `image_size` is None and the images differ in size;
            None to raise an error then.
        batch_size: Images a batch.
        augment: What is done to training images: None or `"none"`, `"crop"` (moved by up to an
            eighth of the side), `"standard"` (also mirrored, where a mirror image keeps its class),
            or a function from dictionary to dictionary, called with whole batches: `images` float32
            0..255 `(batch, height, width, channels)`, `labels`, and `seed`, two integers that no
            other batch of the training has.
        data_dir: Where TFDS data sets are prepared; None for TFDS's own place.
        seed: Seed of order and augmentation.
        channels: 3 for colour, 1 for grey; None for grey if every image is grey.
        resize: `"crop"` to scale and take the centre, `"stretch"` to change proportions.
        cache: `"memory"` keeps all pixels (uint8) in memory, `"none"` decodes the files anew in
            each epoch, `"auto"` keeps up to 2 GiB of pixels.
        strict: Raise for the first file that is no sound image, instead of leaving it out and
            naming it in `info.skipped`.
        max_pixels: Files of more pixels are not decoded.
        quiet: Show no progress and no summary of files left out.

    Raises:
        ValueError: If an argument is unfit, if there is nothing to learn from (one class, a class
            without images), if images differ in size and no size is given, or, as `ImageError`,
            if `strict` and a file is no sound image.
        FileNotFoundError: If there is no such folder, or the data set is not prepared.
    """
    _check(
        task=(task, ("classification",)),
        resize=(resize, RESIZE_MODES),
        cache=(cache, CACHES),
        channels=(channels, (None, 1, 3)),
        augment=("none" if callable(augment) or augment is None else augment, AUGMENTATIONS),
    )
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a positive integer.")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed!r} must be an integer of at least 0 and below 2^31.")
    size = None if image_size is None else checked_size(image_size)
    fallback = None if fallback_size is None else checked_size(fallback_size)
    format = Format(size, channels, resize, max_pixels)

    notes: list[str] = []
    skipped: list[tuple[str, str]] = []
    if source == "digits":
        pixels, labels = prepared.digits()
        classes = tuple("0123456789")
        images = _array_images(pixels, format)
        splits = {"all": np.arange(len(labels))}
    else:
        classes, files, found = _find(source, data_dir)
        notes += found
        images, labels, splits, skipped = _read(
            files, format, fallback, cache=cache, strict=strict, quiet=quiet, notes=notes
        )
        _check_every_class_has_images(source, classes, labels, splits)

    splits = _with_held_out(splits, labels, notes)
    flips = prepared.mirror_keeps_class(str(source), classes)
    if augment == "standard" and not flips:
        notes.append("Images are not mirrored: their classes look like written signs.")
    info = DatasetInfo(
        source=str(source),
        task=task,
        classes=classes,
        image_shape=images.shape,
        counts={split: len(indices) for split, indices in splits.items()},
        skipped=tuple(skipped),
        flips=flips,
        notes=tuple(notes),
    )
    return Dataset(info, images, labels, splits, batch_size=batch_size, augment=augment, seed=seed)


def _check(**arguments) -> None:
    for name, (value, allowed) in arguments.items():
        if value not in allowed:
            raise ValueError(f"{name}={value!r} must be one of {allowed}.")


def _find(source: str | Path, data_dir):
    """Classes, files and notes of a folder or of a TFDS data set."""
    folder = Path(source).expanduser()
    if isinstance(source, str) and not folder.exists() and prepared.TFDS_NAME.fullmatch(source):
        return prepared.tfds_files(source, data_dir)
    return list_folder(folder)


def _array_images(pixels: np.ndarray, format: Format) -> Images:
    """Grey images that are in memory already, brought to a format."""
    if format.size is not None:
        pixels = np.stack([fit_image(image, format.size, format.resize) for image in pixels])
    if format.channels == 3:
        pixels = np.repeat(pixels, 3, axis=-1)
    return Images(pixels.shape[1:], pixels)


def _read(files, format, fallback, *, cache, strict, quiet, notes):
    """Decodes the files of all splits, and says which were left out."""
    sources = [source for split in files.values() for source, _ in split]
    labels = np.array([label for split in files.values() for _, label in split], np.int32)
    split_of = np.repeat([*files], [len(split) for split in files.values()])

    def read(format):
        with _progress("Reading images", len(sources), quiet) as progress:
            return read_images(sources, format, cache=cache, strict=strict, progress=progress)

    try:
        images, left_out = read(format)
    except MixedSizesError:
        if fallback is None:
            raise
        notes.append(
            f"The images differ in size; they are brought to {fallback[0]} x {fallback[1]} "
            f"({format.resize})."
        )
        images, left_out = read(dataclasses.replace(format, size=fallback))

    if left_out and not quiet:
        _console().print(
            f"Left out {len(left_out):,} of {len(sources):,} files, the first: {left_out[0].error}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
    keep = np.ones(len(sources), bool)
    keep[[item.index for item in left_out]] = False
    labels, split_of = labels[keep], split_of[keep]
    splits = {split: np.flatnonzero(split_of == split) for split in files}
    skipped = [(item.error.name, item.error.reason) for item in left_out]
    return images, labels, splits, skipped


def _check_every_class_has_images(source, classes, labels, splits) -> None:
    """An empty class or split here is one whose files were all left out."""
    present = labels[splits["train" if "train" in splits else "all"]]
    for number, name in enumerate(classes):
        if not np.any(present == number):
            raise ValueError(f"{source}: no file of the class {name!r} can be read as an image.")
    for split, indices in splits.items():
        if not len(indices):
            raise ValueError(f"{source}: no file of the {split} split can be read as an image.")


def _with_held_out(splits, labels, notes: list[str]) -> dict[str, np.ndarray]:
    """Splits what is in one piece, and holds out validation images where there are none."""
    if "validation" in splits:
        return {split: splits[split] for split in SPLITS if split in splits}
    if "all" in splits:
        whole, fractions = splits["all"], ONE_PIECE
        notes.append("Split by class: 70% train, 10% validation, 20% test.")
    else:
        whole, fractions = splits["train"], HELD_OUT
        notes.append("10% of the training images are held out for validation.")
    parts = stratified_split(labels[whole], fractions)
    found = {**splits, **{split: whole[indices] for split, indices in parts.items()}}
    return {split: found[split] for split in SPLITS if len(found.get(split, ()))}


def _console():
    from rich.console import Console

    return Console(stderr=True)


@contextlib.contextmanager
def _progress(label: str, total: int, quiet: bool):
    """A bar on a terminal; yields the function to call with the number of files done."""
    from rich import progress

    console = _console()
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=quiet or not console.is_terminal,
    ) as bar:
        task = bar.add_task(label, total=total)

        def advance(done: int) -> None:
            if done % 100 == 0 or done == total:  # The bar must not cost more than the decoding.
                bar.update(task, completed=done)

        yield advance
