"""Images a second that a folder of images feeds to the training, beside what one would use instead.

    python benchmarks/input_pipeline.py FOLDER
    python benchmarks/input_pipeline.py FOLDER --share resnet20_cifar

FOLDER holds `train/CLASS/FILE` of images of one size. The readers take turns in one process, a few
seconds each, round after round, so that whatever else the machine does hits all of them alike; the
table gives the median over the rounds and their range, and the median of the ratio within a round.

All shuffle the whole training set, give float32 batches of the same size, and, with
`--augment standard`, pad by an eighth of the side, crop and mirror. The rivals are written as
their guides do: example by example, with `cache()` before the shuffling where it says "in memory".

`--share MODEL` measures instead what the pipeline costs a training: steps on its batches in turn
with steps on one batch again and again, which needs no pipeline.
"""

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="folder with train/CLASS/FILE")
    parser.add_argument("--batch-size", type=int, default=128, help="default %(default)s")
    parser.add_argument("--augment", choices=("standard", "none"), default="standard")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="a turn; default %(default)s")
    parser.add_argument("--share", metavar="MODEL", help="the pipeline's share of a training step")
    parser.add_argument("--precision", default="float32", help="of --share; default %(default)s")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    if not (arguments.folder / "train").is_dir():
        parser.error(f"{arguments.folder} has no folder train/")

    if arguments.share:
        report_share(arguments)
        return
    readers = make_readers(arguments.folder, arguments.batch_size, arguments.augment)
    print("Before the first step (decoding the files once, and all else that is done once):")
    feeds = {}
    for name, make in readers.items():
        started = time.perf_counter()
        feeds[name] = warm(make())
        print(f"  {name:<32}{time.perf_counter() - started:6.1f} s", flush=True)
    rates = {name: [] for name in readers}
    for _ in range(arguments.rounds):
        for name, feed in feeds.items():
            rates[name].append(rate(feed, arguments.seconds))
    report(rates, arguments)


def make_readers(folder: Path, batch_size: int, augment: str) -> dict[str, Callable]:
    """By name, a function that opens the folder and returns `(dataset, passes to warm up)`."""
    import keras
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from vislearn.data import load_dataset

    def ours(cache: str):
        data = load_dataset(folder, batch_size=batch_size, augment=augment, cache=cache, quiet=True)
        return data.training_batches(), False

    def finished(examples, *, in_memory: bool):
        """The rest of the pipeline as the guides write it."""
        count = int(examples.cardinality())
        if in_memory:
            examples = examples.cache()
        examples = examples.shuffle(count, reshuffle_each_iteration=True)
        if augment == "standard":
            examples = examples.map(pad_crop_flip, tf.data.AUTOTUNE)
        examples = examples.batch(batch_size, drop_remainder=True)
        examples = examples.map(lambda x, y: (tf.cast(x, tf.float32), y), tf.data.AUTOTUNE)
        return examples.prefetch(tf.data.AUTOTUNE), in_memory

    def keras_folder(in_memory: bool):
        height, width = image_size(folder)
        examples = keras.utils.image_dataset_from_directory(
            folder / "train",
            image_size=(height, width),
            batch_size=None,
            shuffle=False,
            verbose=False,
        )
        return finished(examples, in_memory=in_memory)

    def tfds_folder(in_memory: bool):
        examples = tfds.folder_dataset.ImageFolder(str(folder), shape=(*image_size(folder), 3))
        return finished(examples.as_dataset("train", as_supervised=True), in_memory=in_memory)

    def pad_crop_flip(image, label):
        height, width = image.shape[0], image.shape[1]
        tall, wide = height // 8, width // 8
        padded = tf.pad(image, [[tall, tall], [wide, wide], [0, 0]], "REFLECT")
        cropped = tf.image.random_crop(padded, (height, width, 3))
        return tf.image.random_flip_left_right(cropped), label

    return {
        "vislearn, in memory": lambda: ours("memory"),
        "Keras folder, in memory": lambda: keras_folder(True),
        "TFDS ImageFolder, in memory": lambda: tfds_folder(True),
        "vislearn, from files": lambda: ours("none"),
        "Keras folder, from files": lambda: keras_folder(False),
        "TFDS ImageFolder, from files": lambda: tfds_folder(False),
    }


def image_size(folder: Path) -> tuple[int, int]:
    """Height and width of the first image."""
    from vislearn.data import image_header

    first = next(path for path in sorted((folder / "train").rglob("*")) if path.is_file())
    header = image_header(first)
    return header.height, header.width


def warm(made) -> Iterator:
    """An endless iterator over the batches, past what is done only once."""
    dataset, first_pass_is_special = made
    if first_pass_is_special:  # It fills the cache.
        for _ in dataset:
            pass
    feed = itertools.chain.from_iterable(itertools.repeat(dataset))
    for _ in range(20):
        next(feed)
    return feed


def rate(feed: Iterator, seconds: float) -> float:
    """Images a second, read for so long; what was made while others ran is read first."""
    for _ in range(20):
        next(feed)
    images, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        images += int(next(feed)[0].shape[0])
    return images / passed


def report_share(arguments) -> None:
    """Prints how much slower a training is for having to make its batches."""
    import keras

    import vislearn
    from vislearn import backend

    data = vislearn.load_dataset(
        arguments.folder, batch_size=arguments.batch_size, augment=arguments.augment
    )
    shape, classes = data.info.image_shape, len(data.info.classes)
    with backend.precision(arguments.precision):
        model = vislearn.create_model(arguments.share, input_shape=shape, num_classes=classes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)
    feeds = {"batches of the pipeline": iter(data.training_batches())}
    feeds["one batch again and again"] = itertools.repeat(next(feeds["batches of the pipeline"]))
    rates = {name: [] for name in feeds}
    for number in range(arguments.rounds + 1):
        for name, feed in feeds.items():
            images, started = 0, time.perf_counter()
            while (passed := time.perf_counter() - started) < arguments.seconds:
                model.train_on_batch(*next(feed))
                images += arguments.batch_size
            if number:  # The first round compiles.
                rates[name].append(images / passed)
    with_pipeline, without = rates.values()
    shares = [1 - a / b for a, b in zip(with_pipeline, without, strict=True)]
    print(f"{arguments.share}, {arguments.precision}, batch {arguments.batch_size}, images/s:")
    for name, values in rates.items():
        low, high = min(values), max(values)
        print(f"  {name:<28}{statistics.median(values):8,.0f} ({low:,.0f} to {high:,.0f})")
    low, high = min(shares), max(shares)
    print(f"  share of the pipeline: {statistics.median(shares):.1%} ({low:.1%} to {high:.1%})")


def report(rates: dict[str, list[float]], arguments) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None)
    for title in ("reader", "images/s", "range", "ratio"):
        table.add_column(title, no_wrap=True)
    rows = []
    for name, values in rates.items():
        kind = name.rsplit(", ", 1)[1]
        ours = rates[f"vislearn, {kind}"]
        ratio = statistics.median(a / b for a, b in zip(ours, values, strict=True))
        median, low, high = statistics.median(values), min(values), max(values)
        row = {"reader": name, "images_per_second": median, "lowest": low, "highest": high}
        rows.append({**row, "ratio": ratio})
        shown = "" if values is ours else f"{ratio:.1f} x"
        table.add_row(name, f"{median:,.0f}", f"{low:,.0f} to {high:,.0f}", shown)
    print(
        f"\nAfter that: augment {arguments.augment}, batch {arguments.batch_size}, "
        f"{arguments.rounds} rounds of {arguments.seconds:g} s, {os.cpu_count()} CPU cores"
    )
    Console().print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
