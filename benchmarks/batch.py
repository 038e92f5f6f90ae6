"""Many images: `vislearn predict-batch` beside a plain loop over batches.

    python benchmarks/batch.py saved_models/cifar10 cifar10/train --workers 2
    python benchmarks/batch.py saved_models/cifar10 cifar10/train --corrupt 0.01 --rounds 1

Both read the same files, decode and fit them, run the same LiteRT file in batches of 64 and write
the answers to Parquet. The loop is one process whose interpreter has as many threads as Beam has
workers; Beam's time holds the start of its workers. They take turns, and the ratio is taken within
a round; above 1 Beam is faster. Seconds of processor are told beside, which say what the work costs
whatever else the machine does.

With `--corrupt` a share of the files is replaced by copies that are cut off, no image, too large or
empty, and afterwards every id is looked up: each good image has to be answered once and as the loop
answers it, each bad one has to lie in the dead letters with its kind.
"""

import argparse
import collections
import json
import os
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 64
MAX_PIXELS = 1_000_000
KINDS = ("unreadable", "wrong_type", "too_large", "wrong_type")  # in the order of `corrupted`


def corrupted(path: Path, kind: int, target: Path) -> None:
    """Writes a copy of an image that can't be answered."""
    from PIL import Image

    if kind == 0:
        content = path.read_bytes()
        target.write_bytes(content[: len(content) // 2])
    elif kind == 1:
        target.write_text("<html>404 Not Found</html>")
    elif kind == 2:
        Image.new("L", (1001, 1000)).save(target, "PNG")
    else:
        target.touch()


def mixed(paths: list[Path], share: float, folder: Path) -> dict[str, str]:
    """Links the images into a folder, a share of them corrupted; returns these with their kinds."""
    chosen = np.random.default_rng(0).permutation(len(paths))[: round(share * len(paths))]
    bad, kinds = {}, {int(index): number % len(KINDS) for number, index in enumerate(chosen)}
    for index, path in enumerate(paths):
        target = folder / f"{index:06d}_{path.parent.name}{path.suffix}"
        if index in kinds:
            corrupted(path, kinds[index], target)
            bad[str(target)] = KINDS[kinds[index]]
        else:
            target.symlink_to(path.absolute())
    return bad


def plain(package: Path, paths: list[Path], threads: int, target: Path) -> dict[str, int]:
    """The loop that one would write: returns the class of each image that can be read."""
    import pyarrow as pa
    from pyarrow import parquet

    from vislearn import load_predictor
    from vislearn.data.images import ImageError, fit_image, read_image

    predictor = load_predictor(package, threads=threads)
    height, width, channels = predictor.input_shape
    mode = predictor.inputs[0]["resize"]
    ids, classes, scores = [], [], []
    for start in range(0, len(paths), BATCH):
        images = []
        for path in paths[start : start + BATCH]:
            try:
                image = read_image(path, channels=channels, max_pixels=MAX_PIXELS)
            except ImageError:
                continue
            images.append(fit_image(image, (height, width), mode))
            ids.append(str(path))
        answers = predictor.predict(np.stack(images), BATCH)
        classes.append(answers["class_id"])
        scores.append(answers["scores"])
    columns = {"id": ids, "class_id": np.concatenate(classes), "scores": [*np.concatenate(scores)]}
    parquet.write_table(pa.table(columns), target)
    return dict(zip(ids, columns["class_id"].tolist(), strict=True))


def beam(package: Path, folder: Path, workers: int, output: Path):
    """The same with Beam; returns its summary."""
    from vislearn_batch import predict_batch

    return predict_batch(
        package, [str(folder)], output, batch_size=BATCH, workers=workers, max_pixels=MAX_PIXELS
    )


def check(output: Path, expected: dict[str, int], bad: dict[str, str]) -> None:
    """Looks up every id.

    Raises:
        AssertionError: If one was lost, doubled, or answered otherwise.
    """
    from pyarrow import parquet

    answers, dead = {}, {}
    for path in output.glob("answers-*.parquet"):
        table = parquet.read_table(path, columns=["id", "class_id"])
        for id, number in zip(
            *(table[name].to_pylist() for name in table.column_names), strict=True
        ):
            assert id not in answers, f"{id} is answered twice"
            answers[id] = number
    for path in output.glob("dead-*.jsonl"):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            assert row["id"] not in dead and row["reason"], row
            dead[row["id"]] = row["kind"]
    assert answers == expected, "the answers are not those of the loop"
    assert dead == bad, "the dead letters are not what was corrupted"
    print(
        f"{len(answers):,} images answered once and as the loop does; dead letters: "
        f"{dict(collections.Counter(dead.values()))}"
    )


def measured(function, *arguments) -> tuple[Any, float, float]:
    """What a function returns, its seconds, and those of processor of it and its children."""

    def processor() -> float:
        times = os.times()
        return times.user + times.system + times.children_user + times.children_system

    start, before = time.perf_counter(), processor()
    found = function(*arguments)
    return found, time.perf_counter() - start, processor() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", help="images, at any depth")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="only so many images")
    parser.add_argument("--corrupt", type=float, default=0.0, help="share of bad files, 0 to 1")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args()

    from vislearn.data.images import SUFFIXES

    found = (path for folder in options.folders for path in folder.rglob("*"))
    paths = sorted(path for path in found if path.suffix.lower() in SUFFIXES)[: options.limit]
    figures = collections.defaultdict(list)
    with tempfile.TemporaryDirectory() as scratch:
        folder, output = Path(scratch, "images"), Path(scratch, "answers")
        folder.mkdir()
        bad = mixed(paths, options.corrupt, folder)
        files, target = sorted(folder.iterdir()), Path(scratch, "plain.parquet")
        for _ in range(options.rounds):
            expected, loop_seconds, loop_processor = measured(
                plain, options.package, files, options.workers, target
            )
            shutil.rmtree(output, ignore_errors=True)
            _, seconds, processor = measured(beam, options.package, folder, options.workers, output)
            figures["loop, images/s"].append(len(expected) / loop_seconds)
            figures["beam, images/s"].append(len(expected) / seconds)
            figures["ratio"].append(loop_seconds / seconds)
            figures["loop, processor s"].append(loop_processor)
            figures["beam, processor s"].append(processor)
            check(output, expected, bad)
    for name, values in figures.items():
        print(f"{name}: {statistics.median(values):.4g} ({min(values):.4g} to {max(values):.4g})")
    if options.json:
        about = {"images": len(paths), "workers": options.workers}
        options.json.write_text(json.dumps({**about, **figures}, indent=2) + "\n")


if __name__ == "__main__":
    main()
