"""Data sets that come with scikit-learn, and those that TFDS has prepared on this machine."""

import difflib
import re
from pathlib import Path

import numpy as np

from vislearn.data.reading import Listing
from vislearn.data.splits import SPLITS

# `name`, `name/config`, `name:1.2.3`: what TFDS accepts, less its namespaces.
TFDS_NAME = re.compile(r"[a-z]\w*(/[\w.\-]+)?(:[\w.*]+)?")
# Written characters whose classes have names that don't give it away.
_WRITTEN = ("kmnist", "omniglot", "cmaterdb", "mnist_corrupted")


def digits() -> Listing:
    """The 1,797 handwritten digits of scikit-learn: `(8, 8, 1)`, scaled from 0..16 to 0..255."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError("The digits need scikit-learn: pip install 'vislearn[data]'.") from error
    images, labels = load_digits(return_X_y=True)
    images = np.rint(images * (255 / 16)).astype(np.uint8)
    images = images.reshape(-1, 8, 8, 1)
    return Listing(tuple("0123456789"), {"all": [*zip(images, labels, strict=True)]}, [])


def tfds_files(name: str, data_dir: str | Path | None) -> Listing:
    """The encoded images of a TFDS data set that is prepared on this machine; never downloads.

    Args:
        name: `name`, `name/config` or `name:version`.
        data_dir: Where data sets are prepared; None for TFDS's own place.

    Returns:
        The contents of the files with class numbers (in the split `"all"` where TFDS has only
        one), and notes on what was left out.

    Raises:
        ValueError: If TFDS knows no such data set (the message suggests near names), or it has no
            image or no class label.
        FileNotFoundError: If it is not prepared; the message says how to do it.
    """
    try:
        import tensorflow_datasets as tfds
    except ImportError as error:
        raise ImportError(f"{name} needs TFDS: pip install 'vislearn[data]'.") from error
    try:
        builder = tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise _not_prepared(tfds, name, data_dir) from error
    image, label = _features(tfds, name, builder.info)
    decoders = {image: tfds.decode.SkipDecoding()}
    files = {}
    for split in builder.info.splits:
        examples = builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)
        files[split] = [
            (bytes(example[image]), int(example[label])) for example in tfds.as_numpy(examples)
        ]
    notes = [f"Split {split!r} is not used." for split in files if split not in SPLITS]
    files = {split: files[split] for split in files if split in SPLITS}
    if "train" not in files:
        raise ValueError(f"{name} has no split 'train'; it has {sorted(builder.info.splits)}.")
    if len(files) == 1:
        files = {"all": files["train"]}
    return Listing(tuple(builder.info.features[label].names), files, notes)


def _features(tfds, name: str, info) -> tuple[str, str]:
    """The names of the image and of its class."""
    found = {
        kind: [key for key, feature in info.features.items() if isinstance(feature, kind)]
        for kind in (tfds.features.Image, tfds.features.ClassLabel)
    }
    keys = info.supervised_keys
    if keys and len(keys) == 2 and [[keys[0]], [keys[1]]] != [*found.values()]:
        found = {
            kind: [key] if key in keys_found else []
            for (kind, keys_found), key in zip(found.items(), keys, strict=True)
        }
    (images, labels) = found.values()
    if len(images) != 1 or len(labels) != 1:
        raise ValueError(
            f"{name} is no set of classified images: it has {len(images)} image features and "
            f"{len(labels)} class labels among {sorted(info.features)}."
        )
    return images[0], labels[0]


def _not_prepared(tfds, name: str, data_dir) -> Exception:
    known = tfds.list_builders(with_community_datasets=False)
    base = re.split(r"[/:]", name)[0]
    if base not in known:
        near = difflib.get_close_matches(base, [*known, "digits", "shapes"], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        return ValueError(f"{name!r} is neither a folder nor a data set of TFDS.{hint}")
    place = "" if data_dir is None else f", data_dir={str(data_dir)!r}"
    where = "TFDS's own folder" if data_dir is None else data_dir
    return FileNotFoundError(
        f"The data set {name!r} is not prepared in {where}, and nothing is downloaded unasked. "
        "On a machine with a network, prepare it once with\n"
        f'  python -c "import tensorflow_datasets as tfds; tfds.builder({name!r}{place})'
        '.download_and_prepare()"'
    )


def mirror_keeps_class(source: str, classes: tuple[str, ...]) -> bool:
    """Whether the mirror image of a picture still shows its class; that of written signs doesn't.

    Args:
        source: Name of the data set.
        classes: Names of the classes: numbers or single characters stand for written signs.
    """
    written = source.startswith(_WRITTEN) or (
        bool(classes) and all(len(name) == 1 or name.lstrip("-").isdecimal() for name in classes)
    )
    return not written
