"""What the commands do that concerns several rooms: export a run, compare formats, draw answers."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def export_run(
    folder: str | Path,
    directory: str | Path,
    *,
    formats: Sequence[str] = ("savedmodel", "litert", "onnx"),
    quantize: str | None = "int8",
    samples: int = 256,
    overwrite: bool = False,
):
    """Exports the best model of a training run; see `vislearn.export.export_model`.

    Args:
        folder: Folder of the run.
        directory: Folder of the package.
        formats, quantize, overwrite: See `export_model`.
        samples: How many training images to compare the files on and to find int8 ranges with.

    Returns:
        The `ExportReport`. The int8 file is judged on the validation images.
    """
    from vislearn.export import export_model
    from vislearn.tasks import get_task
    from vislearn.training import Run

    run = Run.open(folder)
    model = run.model()
    data = run.data()
    _check_classes(run.folder, run.config.classes, data)
    calibration, _ = data.arrays("train", limit=samples)
    return export_model(
        model,
        directory,
        task=get_task(run.config.task, run.config.classes),
        formats=formats,
        quantize=quantize,
        calibration=calibration,
        validation=data.arrays("validation"),
        resize=run.config.data_options.get("resize", "crop"),
        overwrite=overwrite,
        metadata={
            "model": run.config.model,
            "data": data.info.source,
            "images": dict(data.info.counts),
            "recipe": dataclasses.asdict(run.config.recipe),
            "precision": run.config.precision,
            "seed": run.config.seed,
            "metrics": run.metrics(),
        },
    )


def evaluate_targets(
    targets: Iterable[str | Path],
    data: str,
    *,
    split: str | None = None,
    formats: Sequence[str] = (),
    limit: int | None = None,
    data_dir: str | Path | None = None,
) -> list[dict[str, Any]]:
    """Measures runs and packages on one data set.

    Args:
        targets: Folders of training runs (`keras`) and of packages (all other formats).
        data: Source of `load_dataset`.
        split: `"test"`, `"validation"`, `"train"` or `"all"`; None for test, or validation where
            there is no test set.
        formats: Formats to measure; empty for all there are.
        limit: Only so many images, spread evenly over the split.
        data_dir: Where TFDS data sets are prepared.

    Returns:
        A dictionary a row: target, split, images, and the fields of `vislearn.export.Evaluation`.

    Raises:
        ValueError: If a target does not fit the data, or has none of the formats.
    """
    rows = []
    for target in map(Path, targets):
        subject = _RunSubject(target) if _is_run(target) else _PackageSubject(target)
        wanted = [name for name in formats or subject.formats if name in subject.formats]
        if not wanted:
            raise ValueError(f"{target} has the formats {subject.formats}, none of {formats}.")
        images, labels, used = _labelled_images(subject, data, split, limit, data_dir)
        rows += [
            {
                "target": str(target),
                "split": used,
                "images": len(images),
                **dataclasses.asdict(row),
            }
            for row in subject.evaluate(wanted, images, labels)
        ]
    return rows


def _is_run(target: Path) -> bool:
    return (target / "config.json").is_file()


class _RunSubject:
    """A training run as something to evaluate."""

    formats = ("keras",)

    def __init__(self, folder: Path):
        from vislearn.training import Run

        run = Run.open(folder)
        self.folder = folder
        self.model = run.model()
        self.input_shape = tuple(self.model.input_shape[1:])
        self.classes = tuple(run.config.classes)
        self.resize = run.config.data_options.get("resize", "crop")

    def evaluate(self, formats, images, labels):
        from vislearn.export import evaluate_keras

        return [evaluate_keras(self.model, images, labels)]


class _PackageSubject:
    """An exported package as something to evaluate."""

    def __init__(self, folder: Path):
        from vislearn.export import available_formats, read_manifest

        manifest = read_manifest(folder)
        self.folder = folder
        self.formats = tuple(available_formats(manifest))
        self.input_shape = tuple(manifest["input"]["shape"][1:])
        self.classes = tuple(manifest["classes"])
        self.resize = manifest["input"]["resize"]

    def evaluate(self, formats, images, labels):
        from vislearn.export import evaluate_package

        return evaluate_package(self.folder, images, labels, formats=formats)


def _check_classes(folder: Path, classes: Sequence[str], dataset) -> None:
    """Raises ValueError if answers would be compared with other classes than were learned."""
    if tuple(dataset.info.classes) != tuple(classes):
        raise ValueError(
            f"{folder} knows the classes {list(classes)}, "
            f"and {dataset.info.source} has {list(dataset.info.classes)}."
        )


def _labelled_images(subject, source, split, limit, data_dir):
    """uint8 images and labels of a split, in the size that the subject takes."""
    from vislearn.data import load_dataset

    height, width, channels = subject.input_shape
    dataset = load_dataset(
        source,
        image_size=(height, width),
        channels=channels,
        resize=subject.resize,
        data_dir=data_dir,
    )
    _check_classes(subject.folder, subject.classes, dataset)
    if split is None:
        split = "test" if "test" in dataset.info.counts else "validation"
    return *dataset.arrays(split, limit), split


def evaluation_table(rows: Sequence[dict[str, Any]]):
    """The rows of `evaluate_targets` as a rich table."""
    from rich.table import Table

    heads = ("target", "format", "accuracy", "size", "latency", "throughput")
    first = rows[0]
    table = Table(title=f"{first['images']:,} images of the {first['split']} split", box=None)
    for head in heads:
        table.add_column(head, justify="left" if head in heads[:2] else "right", overflow="fold")
    for row in rows:
        table.add_row(
            row["target"],
            row["format"],
            f"{row['accuracy']:.4f}",
            f"{row['size'] / 1e6:.2f} MB",
            f"{row['latency_ms']:.2f} ms",
            f"{row['images_per_second']:,.0f} images/s",
        )
    return table


def predict_images(
    package: str | Path,
    images: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    format: str = "litert",
    top: int = 3,
    data: str | None = None,
    count: int = 24,
    as_json: bool = False,
) -> None:
    """Prints an answer for each image, and draws them into a picture.

    Args:
        package: Folder of the package.
        images: Image files, and folders that are searched for them.
        out: Picture to write.
        format: Format of the package to run.
        top: Answers an image.
        data: Source of a data set; labelled images of its test split are taken, besides `images`.
        count: How many of them.
        as_json: A JSON line an image in place of a table.

    Raises:
        ValueError: If there is no image, or one that can't be read.
    """
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from vislearn.data.images import fit_image, read_image
    from vislearn.export import load_predictor

    predictor = load_predictor(package, format)
    if top < 1:
        raise ValueError(f"--top {top} must be at least 1.")
    height, width, channels = predictor.input_shape
    resize = predictor.manifest["input"]["resize"]
    names, pixels, truths = [], [], []
    for path in _image_files(images):
        image = read_image(path, channels=channels)
        names.append(str(path))
        pixels.append(fit_image(image, (height, width), resize))
        truths.append(None)
    if data is not None:
        subject = _PackageSubject(Path(package))
        found, labels, split = _labelled_images(subject, data, None, count, None)
        names += [f"{data} {split} {index}" for index in range(len(found))]
        pixels += list(found)
        truths += [predictor.classes[label] for label in labels]
    if not names:
        raise ValueError("There is no image to predict: name files or folders, or use --data.")

    scores = predictor.predict(np.stack(pixels))["scores"]
    ranking = np.argsort(-scores, axis=-1, kind="stable")[:, :top]
    answers = [
        [(predictor.classes[index], float(row[index])) for index in best]
        for row, best in zip(scores, ranking, strict=True)
    ]
    if as_json:
        for name, truth, answer in zip(names, truths, answers, strict=True):
            record = {"image": name, "label": answer[0][0], "score": answer[0][1]}
            record |= {"top": dict(answer)} | ({} if truth is None else {"true": truth})
            print(json.dumps(record))
    else:
        table = Table("image", "true", *(f"{rank + 1}." for rank in range(len(answers[0]))))
        table.box = None
        for name, truth, answer in zip(names, truths, answers, strict=True):
            table.add_row(name, truth or "", *(f"{label} {p:.3f}" for label, p in answer))
        Console().print(table)
    if out is not None:
        from vislearn import pictures

        labels = [None if truth is None else predictor.classes.index(truth) for truth in truths]
        titles = [Path(name).name for name in names] if data is None else None
        figure = pictures.prediction_grid(
            pixels, scores, predictor.classes, labels=labels, titles=titles, top=top
        )
        pictures.save(figure, out)
        if not as_json:
            print(f"Picture in {out}")


def _image_files(images: Sequence[str | Path]) -> list[Path]:
    """The files that are named, and the images in the folders that are named."""
    from vislearn.data.images import SUFFIXES

    found = []
    for path in map(Path, images):
        if path.is_dir():
            inside = [file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES]
            if not inside:
                raise ValueError(f"{path} holds no image; images end in {', '.join(SUFFIXES)}.")
            found += sorted(inside)
        elif path.is_file():
            found.append(path)
        else:
            raise FileNotFoundError(f"There is no image {path}.")
    return found
