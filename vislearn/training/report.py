"""The report of a training run: one HTML file that opens anywhere, without a network."""

import io
import math
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np

from vislearn import pictures
from vislearn.metrics.classification import class_figures, confusion_matrix
from vislearn.tasks.base import Section
from vislearn.training.checkpoint import write_atomically

_PICTURES = 16  # in each of the two grids
_LARGEST_THUMBNAIL = 160  # pixels
_LARGEST_MATRIX = 100  # classes; beyond it only the most confused pairs are shown
_PAIRS = 10
_SHORT_TABLE = 30  # classes; beyond it the whole table is folded away below the weakest ten
_WEAKEST = 10


def write_report(
    path: str | Path,
    *,
    title: str,
    facts: dict[str, str],
    history: list[dict[str, float]],
    metrics: dict[str, float],
    classes: Sequence[str] = (),
    labels: np.ndarray | None = None,
    scores: np.ndarray | None = None,
    images: np.ndarray | None = None,
    sections: Sequence[Section] = (),
    notes: Sequence[str] = (),
) -> None:
    """Writes `report.html`: figures, curves, and what suits the task.

    For a classifier that is confusions, classes, mistakes and samples, made from `labels`, `scores`
    and `images`; for others it is what their `sections` show.

    Everything is embedded; the page allows itself no script and no request.

    Args:
        path: The file to write.
        title: What was trained on what.
        facts: Rows of the table at the top: model, data, recipe, seed, machine, versions.
        history: A dictionary an epoch; see `vislearn.pictures.curves`.
        metrics: The headline figures; names that end in `accuracy` are shown as percentages.
        classes: Names of the classes.
        labels: `(n,)` true class numbers of the images that were held out; None where the network
            is no classifier, and the next two are not asked for.
        scores: `(n, classes)` probabilities, 0 to 1.
        images: `(n, height, width, channels)` uint8, one or three channels.
        sections: Further figures, each with a heading and a sentence.
        notes: What a reader should know, such as files that were skipped.

    Raises:
        ValueError: If there are no images or no epochs, if the arguments don't belong together, if
            a label is no class, or if a score or metric is no finite number.
        OSError: If the file can't be written.
    """
    if not history:
        raise ValueError("history is empty: a report needs at least one epoch.")
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise ValueError(f"metrics[{name!r}]={value!r} must be a finite number.")
    headline, detail = [_figure(name, value) for name, value in metrics.items()], None
    if labels is not None:
        labels, scores, images = np.asarray(labels), np.asarray(scores), np.asarray(images)
        classes = [str(name) for name in classes]
        _check(classes, labels, scores, images)
        headline = _headline(metrics, labels, scores.argmax(axis=1))
        detail = _classification(classes, labels, scores, images)
    write_page(
        path,
        title=title,
        headline=headline,
        facts=facts,
        curves=pictures.to_data_uri(pictures.curves(history), transparent=True),
        curves_text=_describe_curves(history),
        detail=detail,
        sections=[
            {
                "title": section.title,
                "text": section.text,
                "figure": pictures.to_data_uri(section.figure),
            }
            for section in sections
        ],
        notes=list(notes),
    )


def write_page(path: str | Path, **parts) -> None:
    """Writes a page in the look of our reports.

    Args:
        path: The file to write.
        **parts: `title`, `headline` and `facts`, and of `curves` (with `curves_text`), `table`,
            `detail`, `sections` and `notes` what the page has; see `report.html.j2`.

    Raises:
        OSError: If the file can't be written.
    """
    absent = {"curves": None, "table": None, "detail": None, "sections": (), "notes": ()}
    page = _template().render(**absent | parts)
    write_atomically(Path(path), lambda file: file.write(page.encode()))


def _classification(classes, labels, scores, images) -> dict:
    """Confusions, classes, mistakes and samples of a classifier."""
    predicted = scores.argmax(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    confusion = confusion_matrix(labels, predicted, len(classes))
    rows = _class_rows(confusion, classes)
    pairs = _confused_pairs(labels, predicted, classes)
    # The surest mistakes first: they are the wrong labels and the real confusions.
    mistakes = wrong[np.argsort(-scores[wrong].max(axis=1), kind="stable")][:_PICTURES]
    samples = np.unique(np.linspace(0, len(labels) - 1, _PICTURES).round().astype(int))

    matrix = None
    if len(classes) <= _LARGEST_MATRIX:
        matrix = pictures.to_data_uri(
            pictures.confusion_matrix(confusion, classes),
            transparent=True,
        )
    return {
        "matrix": matrix,
        "class_count": len(classes),
        "pairs": pairs[:_PAIRS],
        "pair_count": len(pairs),
        "rows": rows,
        "weakest": sorted((r for r in rows if r["count"]), key=lambda row: row["f1"])[:_WEAKEST],
        "short_table": len(rows) <= _SHORT_TABLE,
        "image_count": len(labels),
        "mistake_count": len(wrong),
        "mistakes": [_card(index, classes, labels, scores, images) for index in mistakes],
        "samples": [_card(index, classes, labels, scores, images) for index in samples],
    }


def _check(classes, labels, scores, images) -> None:
    if len(classes) < 2:
        raise ValueError(f"classes={classes!r}: a report needs at least two.")
    if labels.ndim != 1 or len(labels) == 0 or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"labels has the shape {labels.shape} and type {labels.dtype}; it must hold at least "
            "one integer and have one axis."
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"labels holds {labels.min()} to {labels.max()}, and the classes are 0 to "
            f"{len(classes) - 1}."
        )
    if scores.shape != (len(labels), len(classes)):
        raise ValueError(
            f"scores has the shape {scores.shape}, and {len(labels)} labels with {len(classes)} "
            f"classes need {(len(labels), len(classes))}."
        )
    if not np.isfinite(scores).all():
        row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
        raise ValueError(f"scores of image {row} are not all finite: {scores[row]}.")
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images has the shape {images.shape} and type {images.dtype}; it must be uint8 "
            "(n, height, width, channels) with one or three channels."
        )
    if len(images) != len(labels):
        raise ValueError(f"images holds {len(images)} images for {len(labels)} labels.")


def _template():
    try:
        import jinja2
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("Reports need Jinja2: pip install 'vislearn[train]'.") from error
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = pictures.percent
    environment.filters["figure"] = lambda value: "–" if math.isnan(value) else f"{value:.3f}"  # noqa: RUF001
    source = resources.files("vislearn.training").joinpath("report.html.j2")
    return environment.from_string(source.read_text(encoding="utf-8"))


def _headline(metrics, labels, predicted) -> list[dict[str, str]]:
    """The large figures: a value, what it is, and how sure it is."""
    figures = []
    for name, value in metrics.items():
        figures.append(_figure(name, value))
        if name == "accuracy":
            low, high = _wilson(np.mean(predicted == labels), len(labels))
            figures[-1]["remark"] = f"95% interval {100 * low:.1f} to {100 * high:.1f}"
    wrong = int(np.sum(predicted != labels))
    figures.append({"name": "mistakes", "value": f"{wrong:,}", "remark": f"of {len(labels):,}"})
    return figures


def _figure(name: str, value: float) -> dict[str, str]:
    """A metric as a large figure."""
    share = name.endswith("accuracy")
    return {
        "name": name.replace("_", " "),
        "value": f"{100 * value:.2f}%" if share else f"{value:.4g}",
        "remark": "",
    }


def _wilson(share: float, count: int) -> tuple[float, float]:
    """The 95% score interval of a share of `count` trials (Wilson 1927)."""
    z = 1.96
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def _class_rows(confusion: np.ndarray, classes) -> list[dict]:
    """Precision, recall, F1 and count of each class; NaN where one is undefined."""
    figures = class_figures(confusion)
    return [
        {"name": name, **{key: values[number] for key, values in figures.items()}, "count": count}
        for number, (name, count) in enumerate(
            zip(classes, confusion.sum(axis=1).tolist(), strict=True)
        )
    ]


def _confused_pairs(labels, predicted, classes) -> list[dict]:
    """True and predicted class of the mistakes, the most frequent pair first."""
    pairs, counts = np.unique(
        np.stack([labels, predicted], axis=1)[labels != predicted], axis=0, return_counts=True
    )
    totals = np.bincount(labels, minlength=len(classes))
    return [
        {
            "true": classes[pairs[index, 0]],
            "predicted": classes[pairs[index, 1]],
            "count": int(counts[index]),
            "share": counts[index] / totals[pairs[index, 0]],
        }
        for index in np.argsort(-counts, kind="stable")
    ]


def _card(index, classes, labels, scores, images) -> dict:
    """What the page says about one image."""
    best = np.argsort(-scores[index], kind="stable")[:3]
    return {
        "image": _thumbnail(images[index]),
        "number": int(index),
        "true": classes[labels[index]],
        "predicted": classes[best[0]],
        "right": bool(best[0] == labels[index]),
        "top": [
            {
                "name": classes[number],
                "score": float(scores[index, number]),
                "width": round(100 * min(max(float(scores[index, number]), 0.0), 1.0), 1),
                "is_true": bool(number == labels[index]),
            }
            for number in best
        ],
    }


def _thumbnail(image: np.ndarray) -> str:
    """A small image as it is, a large one shrunk, as a data URI."""
    from PIL import Image

    picture = Image.fromarray(image[:, :, 0] if image.shape[-1] == 1 else image)
    file = io.BytesIO()
    if max(picture.size) <= 64:
        picture.save(file, "PNG", optimize=True)
        return pictures.data_uri(file.getvalue(), "image/png")
    picture.thumbnail((_LARGEST_THUMBNAIL, _LARGEST_THUMBNAIL))
    picture.save(file, "JPEG", quality=88)
    return pictures.data_uri(file.getvalue(), "image/jpeg")


def _describe_curves(history) -> str:
    """The curves in words, for those who can't see them."""
    first, last = history[0], history[-1]
    names = [name for name in last if name not in ("epoch", "seconds", "learning_rate")]
    changes = [
        f"{name.replace('_', ' ')} from {first.get(name, math.nan):.4g} to {last[name]:.4g}"
        for name in names
    ]
    epochs = f"{len(history)} epochs" if len(history) > 1 else "1 epoch"
    return f"Training curves over {epochs}: {', '.join(changes)}."
