"""Images a second that each engine augments, by operation and by preset.

    python benchmarks/augment.py
    python benchmarks/augment.py --sizes 224 --only presets --json augment.json

Batches of uint8 noise go through tf.data, as in training, with two batches in work at a time. The
engines take turns, a second each, round after round, so that whatever else the machine does hits
all alike; the table gives the median of the rounds and of the ratio to the native engine within a
round. A preset is the one for classification, or with `detection:` the one for boxes, on images
without annotations. `Keras` beside a preset means its own layers in a row, as its guide shows them,
doing the same as far as they can: float32 batches, and crops of whole batches.

Where torch is installed, plain albumentations runs under a DataLoader of two workers as well.
"""

import argparse
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

OURS = "native"
PRESETS = ("light", "standard", "strong", "resnet", "imagedatagenerator", "detection:standard")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=[32, 224], help="default: 32 224")
    add("--only", choices=("operations", "presets"), help="default: both")
    add("--names", nargs="+", help="only these operations and presets")
    add("--batch-size", type=int, default=64, help="default %(default)s")
    add("--rounds", type=int, default=5, help="default %(default)s")
    add("--seconds", type=float, default=1.0, help="a turn; default %(default)s")
    add("--json", type=Path, metavar="FILE", help="also write the figures of all rounds")
    arguments = parser.parse_args()

    rows = []
    for size in arguments.sizes:
        for name, augmentation in described(arguments).items():
            feeds = {}
            for engine, make in readers(name, augmentation, size, arguments.batch_size).items():
                try:
                    feeds[engine] = iter(make())
                    next(feeds[engine])
                except ValueError:
                    feeds.pop(engine, None)  # It says that this engine can't do it.
            rates = {engine: [] for engine in feeds}
            for _ in range(arguments.rounds):
                for engine, feed in feeds.items():
                    rates[engine].append(rate(feed, arguments.seconds))
            rows.append({"name": name, "size": size, "rates": rates})
            print_row(rows[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


def described(arguments) -> dict:
    """Augmentations by name: operations with their defaults, always done, and presets."""
    from vislearn.data.augmentation import OPERATIONS, Augmentation, get_augmentation

    found = {}
    if arguments.only != "presets":
        found |= {name: Augmentation((kind(probability=1.0),)) for name, kind in OPERATIONS.items()}
    if arguments.only != "operations":
        for name in PRESETS:
            task, _, preset = name.rpartition(":")
            found[name] = get_augmentation(preset, task=task or "classification")
    wanted = arguments.names or [*found]
    return {name: found[name] for name in wanted if name in found}


def readers(name: str, augmentation, size: int, batch: int) -> dict[str, Callable]:
    """By engine, what makes an endless data set of augmented batches."""
    import dataclasses

    import tensorflow as tf

    pixels = np.random.default_rng(0).integers(0, 256, (4 * batch, size, size, 3), np.uint8)
    labels = np.eye(10, dtype=np.float32)[np.arange(batch) % 10]

    def batches():
        data = tf.data.Dataset.from_tensor_slices(pixels).repeat().batch(batch, True)
        return data.enumerate()

    def of_engine(engine):
        chosen = dataclasses.replace(augmentation, engine=engine)

        def augmented(number, images):
            seed = tf.stack([number, 0])
            found = chosen({"images": images, "labels": labels, "seed": seed})["images"]
            return tf.cast(found, tf.float32)  # What a network takes, and Keras's layers give.

        return lambda: batches().map(augmented, 2).prefetch(2)

    found = {engine: of_engine(engine) for engine in (OURS, "albumentations", "keras")}
    if (layers := keras_layers(name, size)) is not None:
        found["Keras"] = lambda: (
            batches().map(lambda number, images: layers(tf.cast(images, tf.float32)), 2).prefetch(2)
        )
    if importlib.util.find_spec("torch"):
        found["albumentations, torch"] = lambda: torch_batches(augmentation, pixels, batch)
    return found


def keras_layers(name: str, size: int):
    """Keras's own layers for a preset, as a function of a batch; None where there is none."""
    import keras

    layer, share = keras.layers, 1 / 8
    rows = {
        "standard": lambda: [
            layer.RandomTranslation(share, share, fill_mode="reflect"),
            layer.RandomFlip("horizontal"),
        ],
        "light": lambda: [
            layer.RandomFlip("horizontal"),
            layer.RandomTranslation(0.05, 0.05),
            layer.RandomBrightness(0.05),
            layer.RandomContrast(0.1),
        ],
        "imagedatagenerator": lambda: [
            layer.RandomRotation(40 / 360, fill_mode="nearest"),
            layer.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
            layer.RandomShear(0.2, 0.0, fill_mode="nearest"),
            layer.RandomZoom((-0.2, 0.25), (-0.2, 0.25), fill_mode="nearest"),
            layer.RandomFlip("horizontal"),
        ],
        "detection:standard": lambda: [
            layer.RandomFlip("horizontal"),
            layer.RandomZoom((-0.2, 0.25), fill_mode="constant"),
            layer.RandomTranslation(0.1, 0.1, fill_mode="constant"),
            layer.RandomContrast(0.15),
            layer.RandomBrightness(0.08),
        ],
    }
    if name not in rows:
        return None
    made = rows[name]()

    def apply(images):
        for item in made:
            images = item(images, training=True)
        return images

    return apply


def torch_batches(augmentation, pixels: np.ndarray, batch: int) -> Iterator:
    """Plain albumentations, an image at a time, in two worker processes."""
    import albumentations
    import torch

    from vislearn.data.engines.albumentations import transforms

    pipeline = albumentations.Compose(transforms(augmentation, pixels.shape[1:]))

    class Images(torch.utils.data.Dataset):
        def __len__(self):
            return 1_000_000

        def __getitem__(self, index):
            return pipeline(image=pixels[index % len(pixels)])["image"]

    # What the workers send is uint8, a quarter of what a network takes.
    return (found.float() for found in torch.utils.data.DataLoader(Images(), batch, num_workers=2))


def rate(feed: Iterator, seconds: float) -> float:
    """Images a second; what was made while others ran is read first."""
    for _ in range(5):
        next(feed)
    images, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        images += len(next(feed))
    return images / passed


def print_row(row: dict) -> None:
    cells = []
    for engine, rates in row["rates"].items():
        ratio = statistics.median(
            ours / theirs for ours, theirs in zip(row["rates"][OURS], rates, strict=True)
        )
        cells.append(
            f"{engine} {statistics.median(rates):,.0f}"
            + ("" if engine == OURS else f" ({ratio:.1f}x)")
        )
    print(f"{row['size']:>4} px  {row['name']:<20}" + "   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
