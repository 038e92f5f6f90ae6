"""From a name or a folder to a data set."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from vislearn.data import prepared, shapes
from vislearn.data.annotations import InstanceMasks, Repairs, SemanticMasks, move, pack, settle
from vislearn.data.augmentation import Augment, get_augmentation
from vislearn.data.coco import find_coco, list_coco
from vislearn.data.dataset import Dataset, DatasetInfo
from vislearn.data.folders import check_folder, list_folder, list_images
from vislearn.data.images import MAX_PIXELS, RESIZE_MODES, checked_size
from vislearn.data.masks import list_masks
from vislearn.data.reading import (
    CACHES,
    Format,
    Images,
    Listing,
    MixedSizesError,
    keeps_in_memory,
    read_images,
)
from vislearn.data.splits import HELD_OUT, ONE_PIECE, SPLITS, stratified_folds, stratified_split
from vislearn.data.targets import list_targets
from vislearn.data.voc import find_voc, list_voc

TASKS = (
    "classification",
    "detection",
    "semantic_segmentation",
    "regression",
    "generation",
    "pretraining",
)
DEFAULT_RESIZE = {"detection": "stretch"}  # Objects at the border must not be cut off.
EXTRAS = ("instance_masks", "keypoints")


def load_dataset(
    source: str | Path,
    *,
    task: str = "classification",
    image_size: int | tuple[int, int] | None = None,
    fallback_size: int | tuple[int, int] | None = None,
    batch_size: int = 32,
    augment: Augment = None,
    data_dir: str | Path | None = None,
    annotations: str | Path | None = None,
    extras: Sequence[str] = (),
    seed: int = 0,
    channels: int | None = None,
    resize: str | None = None,
    cache: str = "auto",
    strict: bool = False,
    max_pixels: int = MAX_PIXELS,
    test: bool = True,
    fold: tuple[int, int] | None = None,
    quiet: bool = False,
) -> Dataset:
    """Loads a data set: images, and what a task has to know about them.

    Official splits keep their roles. The test set is never touched to make another. Where there is
    no validation set, 10% of the training images are held out for it. Data that comes in one piece
    is split into 70% for training, 10% for validation and 20% for testing. All splits are
    stratified by class (of a picture with several objects, by the rarest of them) and depend on
    the names of the files only: two runs with different seeds learn from, and are measured on, the
    same images.

    What a folder has to hold depends on the task; `info.notes` says what was recognised.

    classification: a folder for each class, or `train/` and `test/` or `val/` of such.
    detection: Pascal VOC (`Annotations/*.xml`, `JPEGImages/`, `ImageSets/Main/*.txt`) or COCO
        (`annotations/instances_SPLIT.json` beside folders of images), in it or one level down.
    semantic_segmentation: `images/` and `masks/` with files of the same names, or `train/images/`
        and so on. Masks are grey or palette images of class numbers, or colours; 255 is ignored.
    regression: images and `targets.csv`, a table with the column `file` and one for each quantity,
        in it or in `train/` and `test/` or `val/`.
    generation: any images; folders for classes are understood, and not needed.
    pretraining: as generation; nothing is learned from classes. Where there are folders for them,
        the splits are those of classification, so that what is tuned afterwards is tested on images
        that were not seen before either.

    Boxes are clipped to their image, and dropped where nothing is left; `info.notes` counts that.

    Args:
        source: `"digits"`, the 1,797 handwritten digits of scikit-learn; `"shapes"` or
            `"shapes/NAME"`, coloured shapes drawn on the spot, for every task; a folder; or the
            name of a data set that TFDS has prepared on this machine, such as `"cifar10"`.
        task: `"classification"`, `"detection"`, `"semantic_segmentation"`, `"regression"`,
            `"generation"` or `"pretraining"`.
        image_size: Side in pixels, or `(height, width)`, to which images are brought; None for
            their own, if all have the same.
        fallback_size: Size for the case that `image_size` is None and the images differ in size;
            None to raise an error then.
        batch_size: Images a batch.
        augment: What is done to training images, and to their annotations with them: None; the name
            of a preset such as `"standard"`, see `get_augmentation`; an `Augmentation`, its
            dictionary, or the path of its YAML file; or a function from dictionary to dictionary,
            called with whole batches: `images` float32 0..255 `(batch, height, width, channels)`,
            the annotations as in `Dataset.arrays`, and `seed`, two integers that no other batch of
            the training has. Mixtures of images make labels distributions `(batch, classes)`.
        data_dir: Where TFDS data sets are prepared; None for TFDS's own place.
        annotations: Where the annotations are, if not with the images: a COCO file for the images
            in `source`, or a folder of masks that is built like `source`.
        extras: What else detection needs: `"instance_masks"`, `"keypoints"`.
        seed: Seed of order and augmentation.
        channels: 3 for colour, 1 for grey; None for grey if every image is grey.
        resize: `"crop"` to scale and take the centre, `"stretch"` to change proportions, `"pad"`
            to scale and fill with grey at the right or at the bottom; None for `"stretch"` in
            detection, `"crop"` in the other tasks. Annotations move with the image.
        cache: `"memory"` keeps all pixels (uint8) in memory, `"none"` decodes the files anew in
            each epoch, `"auto"` keeps up to 2 GiB of pixels.
        strict: Raise for the first file that is no sound image, instead of leaving it out and
            naming it in `info.skipped`, and for the first box that would be clipped or dropped.
        max_pixels: Files of more pixels are not decoded.
        test: False leaves the test split out, so that nothing is chosen by it: its files are not
            opened, and where it is a part of data in one piece, nothing gives it out.
        fold: `(k, n)` for the k-th of n folds, from 1, of a cross-validation: the training and
            validation images are dealt into n stratified folds, of which the k-th takes the part
            of the test split. A tenth of the others is held out for validation. The data's own
            test split is left out as with `test=False`.
        quiet: Show no progress and no summary of files left out.

    Raises:
        ValueError: If an argument is unfit, if there is nothing to learn from (one class, a class
            without images), if images differ in size and no size is given, if an annotation is
            malformed, or, as `ImageError`, if `strict` and a file is no sound image.
        FileNotFoundError: If there is no such folder, or the data set is not prepared.
    """
    resize = DEFAULT_RESIZE.get(task, "crop") if resize is None else resize
    _check(
        task=(task, TASKS),
        resize=(resize, RESIZE_MODES),
        cache=(cache, CACHES),
        channels=(channels, (None, 1, 3)),
    )
    for extra in extras:
        _check(extras=(extra, EXTRAS if task == "detection" else ()))
    get_augmentation(augment, task=task)  # Raises what it raises before the work.
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(f"batch_size={batch_size!r} must be a positive integer.")
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise ValueError(f"seed={seed!r} must be an integer of at least 0 and below 2^31.")
    if fold is not None and not (len(fold) == 2 and 1 <= fold[0] <= fold[1] and fold[1] >= 2):
        raise ValueError(f"fold={tuple(fold)} must be (k, n) with 1 <= k <= n and n of at least 2.")
    size = None if image_size is None else checked_size(image_size)
    fallback = None if fallback_size is None else checked_size(fallback_size)
    format = Format(size, channels, resize, max_pixels)

    listing = _find(source, task, data_dir, annotations, extras, quiet)
    classes, notes, files = listing.classes, [*listing.notes], dict(listing.files)
    without_test = fold is not None or not test
    if without_test:
        files.pop("test", None)
    images, known, splits, skipped = _read(
        files, format, fallback, cache=cache, strict=strict, quiet=quiet, notes=notes
    )
    _check_every_split_has_images(source, splits)
    repairs = Repairs(strict)
    arrays, strata = _annotate(
        task, images, known, classes, extras=extras, cache=cache, repairs=repairs, notes=notes
    )
    if task == "classification":
        _check_every_class_has_images(source, classes, strata, splits)
    for note in repairs.notes() if not quiet else ():
        _console().print(note, highlight=False, markup=False, soft_wrap=True)
    splits = _with_held_out(splits, strata, notes)
    if without_test and splits.pop("test", None) is not None:
        notes.append("The test images are left out.")
    if fold is not None:
        splits = _fold(splits, strata, *fold, notes)
    flips = prepared.mirror_keeps_class(str(source), classes)
    allowed = get_augmentation(augment, flips=flips, task=task)
    if allowed != get_augmentation(augment, task=task):
        notes.append("Images are not mirrored: their classes look like written signs.")
    info = DatasetInfo(
        source=str(source),
        task=task,
        classes=() if task == "pretraining" else classes,
        image_shape=images.shape,
        counts={split: len(indices) for split, indices in splits.items()},
        skipped=tuple(skipped),
        flips=flips,
        notes=tuple(notes),
        keypoints=listing.keypoints if "keypoints" in extras else (),
    )
    return Dataset(info, images, arrays, splits, batch_size=batch_size, augment=allowed, seed=seed)


def _check(**arguments) -> None:
    for name, (value, allowed) in arguments.items():
        if value not in allowed:
            raise ValueError(f"{name}={value!r} must be one of {allowed}.")


def _find(source: str | Path, task: str, data_dir, annotations, extras, quiet: bool) -> Listing:
    """What there is to read, decided by task and layout."""
    if isinstance(source, str) and (config := shapes.find_config(source, task)) is not None:
        with _progress("Drawing shapes", sum(dict(config.counts).values()), quiet) as progress:
            return shapes.list_shapes(config, task, progress)
    folder = Path(source).expanduser()
    named = isinstance(source, str) and prepared.TFDS_NAME.fullmatch(source)
    if source == "digits" or (named and not folder.exists()):
        if task not in ("classification", "generation", "pretraining"):
            raise ValueError(
                f"{source!r} is no folder, and digits and sets of TFDS are not read for "
                f"task={task!r}."
            )
        return prepared.digits() if source == "digits" else prepared.tfds_files(source, data_dir)
    if annotations is not None and task not in ("detection", "semantic_segmentation"):
        raise ValueError(f"annotations={str(annotations)!r} is of no use for task={task!r}.")
    if task == "classification":
        return list_folder(folder)
    if task in ("generation", "pretraining"):
        return list_images(folder)
    check_folder(folder)
    if task == "regression":
        return list_targets(folder)
    if task == "semantic_segmentation":
        return list_masks(folder, None if annotations is None else Path(annotations))
    if annotations is not None:
        return list_coco({"all": (Path(annotations), folder)}, extras)
    if (root := find_voc(folder)) is not None:
        if extras:
            raise ValueError(f"extras={tuple(extras)!r}: Pascal VOC boxes have none of these.")
        return list_voc(root)
    if found := find_coco(folder):
        return list_coco(found, extras)
    raise ValueError(
        f"{folder} has no boxes that could be read: neither Annotations/ and JPEGImages/ (Pascal "
        "VOC), nor annotations/instances_SPLIT.json (COCO); pass annotations= for a COCO file "
        "elsewhere."
    )


def _read(files, format, fallback, *, cache, strict, quiet, notes):
    """Decodes the files of all splits, and says which were left out."""
    sources = [source for split in files.values() for source, _ in split]
    known = [annotation for split in files.values() for _, annotation in split]
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
    known, split_of = [known[index] for index in np.flatnonzero(keep)], split_of[keep]
    splits = {split: np.flatnonzero(split_of == split) for split in files}
    skipped = [(item.error.name, item.error.reason) for item in left_out]
    return images, known, splits, skipped


def _annotate(task, images: Images, known, classes, *, extras, cache, repairs, notes):
    """Brings annotations to the size of the images, as arrays.

    Returns:
        The arrays by name, and `(n,)` numbers of the strata that splits are drawn from.
    """
    if task in ("classification", "generation", "pretraining") and classes:
        labels = np.array(known, np.int32)
        return {} if task == "pretraining" else {"labels": labels}, labels
    if task in ("generation", "pretraining"):
        return {}, np.zeros(len(known), np.int32)
    if task == "regression":
        return {"targets": np.array(known, np.float32)}, np.zeros(len(known), np.int32)
    fits = [images.fit_of(index) for index in range(len(known))]
    if task == "semantic_segmentation":
        masks = _read_masks(SemanticMasks(known, fits, images.shape[:2]), images, cache)
        return {"masks": masks}, np.zeros(len(known), np.int32)
    pictures, lost = [], 0
    for objects, size, fit in zip(known, images.own_sizes.tolist(), fits, strict=True):
        moved, dropped = move(settle(objects, tuple(size), repairs), fit)
        pictures.append(moved)
        lost += dropped
    notes += repairs.notes()
    if lost:
        notes.append(f"{lost:,} objects were mostly cut off with the borders of their images.")
    arrays = pack(pictures)
    if missing := sorted({*range(len(classes))} - {*np.unique(arrays["labels"]).tolist()}):
        names = ", ".join(classes[number] for number in missing[:3])
        notes.append(
            f"{len(missing)} classes have no object: {names}{', ...' * (len(missing) > 3)}."
        )
    if "keypoints" not in extras:
        arrays.pop("keypoints", None)
    if "instance_masks" in extras:
        shape = (arrays["labels"].shape[1], *images.shape[:2])
        arrays["instance_masks"] = InstanceMasks([p.regions for p in pictures], fits, shape)
    return arrays, _rarest(arrays["labels"], len(classes))


def _read_masks(masks: SemanticMasks, images: Images, cache: str):
    """Reads every mask once, which is its check, and keeps them all in memory where they fit."""
    count = len(masks.masks)
    kept = keeps_in_memory(cache, count, masks.shape)
    found = np.empty((count, *masks.shape), np.uint8) if kept else None
    for index, (mask, size) in enumerate(zip(masks.masks, images.own_sizes.tolist(), strict=True)):
        values = mask.read()
        if values.shape != tuple(size):
            raise ValueError(
                f"{mask}: the mask has {values.shape[1]} x {values.shape[0]} pixels, and its image "
                f"has {size[1]} x {size[0]}."
            )
        if kept:
            found[index] = masks.moved(index, values)
    return found if kept else masks


def _rarest(labels: np.ndarray, classes: int) -> np.ndarray:
    """By picture the class that fewest pictures have; `classes` for one without objects."""
    present = np.zeros((len(labels), classes), bool)
    rows, places = np.nonzero(labels >= 0)
    present[rows, labels[rows, places]] = True
    counts = np.where(present, present.sum(0), len(labels) + 1)
    return np.where(present.any(1), counts.argmin(1), classes)


def _check_every_class_has_images(source, classes, labels, splits) -> None:
    """An empty class here is one whose files were all left out."""
    present = labels[splits["train" if "train" in splits else "all"]]
    for number, name in enumerate(classes):
        if not np.any(present == number):
            raise ValueError(f"{source}: no file of the class {name!r} can be read as an image.")


def _check_every_split_has_images(source, splits) -> None:
    for split, indices in splits.items():
        if not len(indices):
            raise ValueError(f"{source}: no file of the {split} split can be read as an image.")


def _with_held_out(splits, strata, notes: list[str]) -> dict[str, np.ndarray]:
    """Splits what is in one piece, and holds out validation images where there are none."""
    if "validation" in splits:
        return {split: splits[split] for split in SPLITS if split in splits}
    if "all" in splits:
        whole, fractions = splits["all"], ONE_PIECE
        by = "Split by class" if len(np.unique(strata)) > 1 else "Split"
        notes.append(f"{by}: 70% train, 10% validation, 20% test.")
    else:
        whole, fractions = splits["train"], HELD_OUT
        notes.append("10% of the training images are held out for validation.")
    parts = stratified_split(strata[whole], fractions)
    found = {**splits, **{split: whole[indices] for split, indices in parts.items()}}
    return {split: found[split] for split in SPLITS if len(found.get(split, ()))}


def _fold(splits, strata, k: int, n: int, notes: list[str]) -> dict[str, np.ndarray]:
    """The k-th of n folds of the training and validation images as the test split."""
    development = np.sort(np.concatenate([splits[split] for split in SPLITS if split in splits]))
    fold = development[stratified_folds(strata[development], n)[k - 1]]
    rest = np.setdiff1d(development, fold)
    notes.append(f"Fold {k} of {n} is the test split; 10% of the others are held out.")
    held = stratified_split(strata[rest], HELD_OUT)
    return {**{split: rest[held[split]] for split in SPLITS[:2]}, "test": fold}


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
