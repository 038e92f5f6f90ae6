"""Parts of data sets as folders of class folders, which `context.train` reads like any other."""

from collections.abc import Sequence
from pathlib import Path

from vislearn.data import Dataset
from vislearn.experiments.harness import Context


def few(context: Context, name: str, size: int) -> str:
    """The source of a data set with `size` training images of each class and all test images.

    In a quick run it is the small data set that `context.train` takes in place of `name` anyway.
    """
    if context.quick:
        return name
    data = context.dataset(name)
    return str(write_classes(context.folder / f"{name}_{size}", data, data.info.classes, size))


def write_classes(
    folder: Path, data: Dataset, names: Sequence[str], size: int | None = None
) -> Path:
    """Writes some classes of a data set as PNG files, unless it was done before.

    Args:
        folder: Gets `train/CLASS` and `test/CLASS`.
        data: The data set.
        names: Of the classes.
        size: Training images of each class, the first; None for all.

    Returns:
        The folder.
    """
    from PIL import Image

    if folder.exists():
        return folder
    part = folder.with_name(f"{folder.name}_part")
    for split in ("train", "test"):
        arrays = data.arrays(split)
        for name in names:
            images = arrays["images"][arrays["labels"] == data.info.classes.index(name)]
            inside = part / split / name
            inside.mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(images[: size if split == "train" else None]):
                pixels = image[..., 0] if image.shape[-1] == 1 else image
                Image.fromarray(pixels).save(inside / f"{number:05}.png")
    part.rename(folder)
    return folder
