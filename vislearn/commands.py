"""What the commands do that concerns several rooms: export a run, compare formats, draw answers."""

import dataclasses
import fnmatch
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any


def export_run(
    folder: str | Path,
    directory: str | Path,
    *,
    formats: Sequence[str] = ("savedmodel", "litert", "onnx"),
    quantize: str | Sequence[str] | None = "int8",
    keep_float: Sequence[str] = (),
    budget: float | None = None,
    batch: int | None = None,
    samples: int = 256,
    overwrite: bool = False,
    task_options: dict[str, Any] | None = None,
):
    """Exports the best model of a training run; see `vislearn.export.export_model`.

    Where the task has several functions, such as the encoder and the decoder of an autoencoder,
    each becomes a package of its own below the directory.

    Args:
        folder: Folder of the run.
        directory: Folder of the package.
        formats, quantize, keep_float, budget, batch, overwrite: See `export_model`. Of several
            packages each keeps those layers in float that it has.
        task_options: Attributes of the task that differ from the run's, such as `score_threshold`.
        samples: How many training images to compare the files on and to find int8 ranges with;
            what takes no images draws its noise itself.

    Returns:
        An `ExportReport` a package. What answers pictures is judged on the validation images.
    """
    from vislearn.export import export_model
    from vislearn.training import Run
    from vislearn.training.repeating import repeat_command

    run = Run.open(folder)
    model = run.model()
    data = run.data()
    task = run.task(**(task_options or {}))
    _check_classes(run.folder, run.config.classes, data)
    metadata = {
        "command": repeat_command(run.config, folder),
        "model": run.config.model,
        "options": run.config.options,
        "data": data.info.source,
        "images": dict(data.info.counts),
        "recipe": dataclasses.asdict(run.config.recipe),
        "precision": run.config.precision,
        "seed": run.config.seed,
        "metrics": run.metrics(),
    }
    if run.config.members:
        metadata["members"] = run.config.members
    signatures = task.signatures(model)
    reports = []
    for signature in signatures:
        name = signature.name
        images = [input.name for input in signature.inputs] == ["image"]
        reports.append(
            export_model(
                model,
                Path(directory) if len(signatures) == 1 else Path(directory) / name,
                task=task,
                signature=name,
                formats=formats,
                quantize=quantize,
                keep_float=_kept_by(signature, signatures, keep_float),
                budget=budget,
                batch=batch,
                calibration=data.arrays("train", limit=samples)["images"] if images else None,
                validation=data.arrays("validation") if name == "predict" else None,
                resize=run.config.data_options["resize"],
                overwrite=overwrite,
                metadata=metadata,
            )
        )
    return reports


def _kept_by(signature, signatures, patterns: Sequence[str]) -> list[str]:
    """The patterns of layers that a signature has, and those that none has, which is an error."""

    def has(one, pattern: str) -> bool:
        return bool(fnmatch.filter([layer.name for layer in one.model.layers], pattern))

    return [
        pattern
        for pattern in patterns
        if has(signature, pattern) or not any(has(other, pattern) for other in signatures)
    ]


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
        formats: Formats to measure, each of every target that has it; empty for all there are.
        limit: Only so many images, spread evenly over the split.
        data_dir: Where TFDS data sets are prepared.

    Returns:
        A dictionary a row: target, split, images, and the fields of `vislearn.export.Evaluation`.

    Raises:
        ValueError: If a target does not fit the data, or has none of the formats, or none has one
            of them.
    """
    folders = [Path(target) for target in targets]
    subjects = [_RunSubject(one) if _is_run(one) else _PackageSubject(one) for one in folders]
    for name in formats:
        if not any(name in subject.formats for subject in subjects):
            there = {
                str(one): subject.formats for one, subject in zip(folders, subjects, strict=True)
            }
            raise ValueError(f"format {name!r} is in no target; there are {there}.")
    rows = []
    for target, subject in zip(folders, subjects, strict=True):
        wanted = [name for name in formats or subject.formats if name in subject.formats]
        if not wanted:
            raise ValueError(f"{target} has the formats {subject.formats}, none of {formats}.")
        truth, used = _annotated_images(subject, data, split, limit, data_dir)
        rows += [
            {
                "target": str(target),
                "split": used,
                "images": len(truth["images"]),
                **dataclasses.asdict(row),
            }
            for row in subject.evaluate(wanted, truth)
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
        self.task = run.task()
        self.input_shape = tuple(run.config.image_shape)
        self.resize = run.config.data_options["resize"]

    def evaluate(self, formats, truth):
        from vislearn.export import evaluate_keras

        return [evaluate_keras(self.model, self.task, truth)]


class _PackageSubject:
    """An exported package as something to evaluate."""

    def __init__(self, folder: Path):
        from vislearn.export import available_formats, read_manifest, task_of

        manifest = read_manifest(folder)
        self.folder = folder
        self.formats = tuple(available_formats(manifest))
        self.task = task_of(manifest)
        first = manifest["inputs"][0]
        if first["name"] != "image" or len(manifest["inputs"]) > 1:
            raise ValueError(f"{folder} takes no images, so there is nothing to show it.")
        self.input_shape = tuple(first["shape"][1:])
        self.resize = first["resize"]

    def evaluate(self, formats, truth):
        from vislearn.export import evaluate_package

        return evaluate_package(self.folder, truth, formats=formats)


def _check_classes(folder: Path, classes: Sequence[str], dataset) -> None:
    """Raises ValueError if answers would be compared with other classes than were learned."""
    if tuple(dataset.info.classes) != tuple(classes):
        raise ValueError(
            f"{folder} knows the classes {list(classes)}, "
            f"and {dataset.info.source} has {list(dataset.info.classes)}."
        )


def _annotated_images(subject, source, split, limit, data_dir):
    """Images and annotations of a split, in the size that the subject takes, and the split."""
    from vislearn.data import load_dataset

    height, width, channels = subject.input_shape
    dataset = load_dataset(
        source,
        task=subject.task.name,
        image_size=(height, width),
        channels=channels,
        resize=subject.resize,
        data_dir=data_dir,
    )
    _check_classes(subject.folder, subject.task.classes, dataset)
    if split is None:
        split = "test" if "test" in dataset.info.counts else "validation"
    return dataset.arrays(split, limit), split


def evaluation_table(rows: Sequence[dict[str, Any]]):
    """The rows of `evaluate_targets` as a rich table."""
    from rich.table import Table

    from vislearn.tables import narrow

    first = rows[0]
    metrics = narrow(first["metrics"])
    heads = ("target", "format", *metrics, "size", "latency", "images/s")
    table = Table(title=f"{first['images']:,} images of the {first['split']} split", box=None)
    for head in heads:
        table.add_column(head, justify="left" if head in heads[:2] else "right", overflow="fold")
    for row in rows:
        table.add_row(
            row["target"],
            row["format"],
            *(f"{row['metrics'][name]:.4f}" for name in metrics),
            f"{row['size'] / 1e6:.2f} MB",
            f"{row['latency_ms']:.2f} ms",
            f"{row['images_per_second']:,.0f}",
        )
    return table


def benchmark_target(
    package: str | Path,
    data: str | None = None,
    *,
    split: str | None = None,
    limit: int | None = None,
    data_dir: str | Path | None = None,
    **options,
):
    """Measures the formats of a package; see `vislearn.export.benchmark_package`.

    Args:
        package: Folder of the package.
        data: Source of `load_dataset`, whose images are answered; None for random ones.
        split, limit, data_dir: See `evaluate_targets`.
        **options: Those of `benchmark_package`.
    """
    from vislearn.export import benchmark_package

    truth = None
    if data is not None:
        truth, _ = _annotated_images(_PackageSubject(Path(package)), data, split, limit, data_dir)
    return benchmark_package(package, truth, **options)


def measure_uncertainty(
    targets: Iterable[str | Path],
    data: str,
    *,
    samples: int,
    seed: int = 0,
    split: str | None = None,
    limit: int | None = None,
    data_dir: str | Path | None = None,
) -> list[dict[str, Any]]:
    """How sure the networks of runs are, by Monte-Carlo dropout; see `training.monte_carlo`.

    Args:
        targets: Folders of training runs of classifiers that have dropout.
        data, split, limit, data_dir: See `evaluate_targets`.
        samples: Answers to each image.
        seed: Seed of the dropout.

    Returns:
        A dictionary a run: target, split, images, samples, `accuracy` without dropout (plain) and
        of the mean answer, and the means of `entropy` and `mutual_information` in nats over all
        images, and over those that the mean answer has right and wrong (None where there are none).

    Raises:
        ValueError: If a target is no run of a classifier, or its network has no dropout.
    """
    import numpy as np

    from vislearn.training import monte_carlo
    from vislearn.training.evaluation import predict_arrays

    rows = []
    for target in map(Path, targets):
        if not _is_run(target) or (subject := _RunSubject(target)).task.name != "classification":
            raise ValueError(f"targets: {target} is no training run of a classifier.")
        truth, used = _annotated_images(subject, data, split, limit, data_dir)
        plain = predict_arrays(subject.model, subject.task, truth["images"])
        found = monte_carlo(subject.model, truth["images"], samples, seed)
        right = found.mean.argmax(axis=1) == truth["labels"]
        groups = {"all": np.full(len(right), True), "right": right, "wrong": ~right}
        row = {
            "target": str(target),
            "split": used,
            "images": len(right),
            "samples": samples,
            "accuracy": {
                "plain": float(np.mean(plain["class_id"] == truth["labels"])),
                "mean": float(right.mean()),
            },
        }
        for name in ("entropy", "mutual_information"):
            values = getattr(found, name)
            row[name] = {
                group: float(values[chosen].mean()) if chosen.any() else None
                for group, chosen in groups.items()
            }
        rows.append(row)
    return rows


def uncertainty_table(rows: Sequence[dict[str, Any]]):
    """The rows of `measure_uncertainty` as a rich table."""
    from rich.table import Table

    first = rows[0]
    table = Table(
        title=f"{first['images']:,} images of the {first['split']} split, {first['samples']} "
        "answers each; entropy and mutual information in nats",
        box=None,
    )
    columns = [
        (name, group)
        for name in ("accuracy", "entropy", "mutual_information")
        for group in first[name]
    ]
    table.add_column("target", overflow="fold")
    for name, group in columns:
        table.add_column(f"{name.split('_')[0]}\n{group}", justify="right", no_wrap=True)
    for row in rows:
        values = (row[name][group] for name, group in columns)
        table.add_row(row["target"], *("" if v is None else f"{v:.4f}" for v in values))
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
        as_json: A JSON line an image in place of a table; boxes in pixels of the image as it is.

    Raises:
        ValueError: If there is no image, or one that can't be read.
    """
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    from vislearn import pictures
    from vislearn.data.images import fit_image, plan_fit, read_image
    from vislearn.export import load_predictor

    if out is not None:
        pictures.check_suffix(out)
    predictor = load_predictor(package, format)
    if top < 1:
        raise ValueError(f"top={top!r} must be at least 1.")
    if not predictor.takes_images:
        raise ValueError(f"{package} takes no images; try: vislearn generate {package}")
    task = predictor.task
    height, width, channels = predictor.input_shape
    resize = predictor.inputs[0]["resize"]
    names, pixels, sizes, truth = [], [], [], None
    for path in _image_files(images):
        image = read_image(path, channels=channels)
        names.append(str(path))
        sizes.append(image.shape[:2])
        pixels.append(fit_image(image, (height, width), resize))
    if data is not None:
        if names:
            raise ValueError("images and data: name pictures or a data set, not both.")
        truth, split = _annotated_images(_PackageSubject(Path(package)), data, None, count, None)
        pixels = list(truth["images"])
        names = [f"{data} {split} {index}" for index in range(len(pixels))]
        sizes = [(height, width)] * len(pixels)
    if not names:
        raise ValueError("images and data name no picture: name files, folders or a data set.")

    answers = predictor.predict(np.stack(pixels))
    described = [task.describe(answers, index, top) for index in range(len(names))]
    if as_json:
        in_pictures = answers
        if "boxes" in answers:
            fits = [plan_fit(size, (height, width), resize) for size in sizes]
            boxes = [
                fit.boxes_back(found, size)
                for fit, found, size in zip(fits, answers["boxes"], sizes, strict=True)
            ]
            in_pictures = {**answers, "boxes": np.stack(boxes)}
        for index, (name, found) in enumerate(zip(names, described, strict=True)):
            print(json.dumps({"image": name, **task.record(in_pictures, truth, index, found)}))
    else:
        true = [] if truth is None else [task.true_label(truth, i) for i in range(len(names))]
        heads = ["image", *(["true"] if any(true) else [])]
        table = Table(*heads, *(f"{rank + 1}." for rank in range(max(map(len, described)))))
        table.box = None
        for index, (name, found) in enumerate(zip(names, described, strict=True)):
            known = [true[index] or ""] if any(true) else []
            table.add_row(name, *known, *(f"{label} {score:.3f}" for label, score in found))
        Console().print(table)
    if out is not None:
        titles = [Path(name).name for name in names] if data is None else None
        figure = task.draw(np.stack(pixels), answers, truth, titles=titles)
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
