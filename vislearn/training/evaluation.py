"""What a run leaves when its training is over: figures of held-out images, and the report."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn import backend
from vislearn.training.checkpoint import write_atomically


def predict_arrays(model: keras.Model, task, images, batch_size: int = 64) -> dict[str, Any]:
    """The decoded answers of a Keras model for uint8 images `(n, height, width, channels)`."""
    decode = backend.compiled(task.decode)
    chunks = []
    for start in range(0, len(images), batch_size):
        outputs = model.predict_on_batch(images[start : start + batch_size].astype("float32"))
        chunks.append({name: np.asarray(value) for name, value in decode(outputs).items()})
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}


def evaluate_and_report(
    model: keras.Model, dataset, task, folder: Path, config, keeper, seconds: float
) -> dict[str, dict[str, float]]:
    """Measures the model on the held-out splits, writes `metrics.json` and `report.html`.

    Args:
        model: The network with the weights of the best epoch.
        dataset, task: What it was trained on and for.
        folder: Folder of the run.
        config: The `Config` of the run.
        keeper: The `Bookkeeper` of its epochs.
        seconds: How long these took.

    Returns:
        The metrics by split, `{"validation": {"accuracy": 0.98, ...}, ...}`.
    """
    from vislearn.training.report import write_report

    metrics, split, truth, answers = {}, None, None, None
    for name in ("validation", "test"):
        if not task.takes_images or getattr(dataset, name) is None:
            continue
        split, truth = name, dataset.arrays(name)
        answers = predict_arrays(model, task, truth["images"])
        metrics[split] = task.measure(answers, truth)
    text = json.dumps(metrics, indent=2) + "\n"
    write_atomically(folder / "metrics.json", lambda file: file.write(text.encode()))

    shown = "" if split is None else f" ({split} split below, {len(truth['images']):,} images)"
    detail = {}
    if task.name == "classification" and answers is not None:
        detail = {
            "classes": task.classes,
            "labels": truth["labels"],
            "scores": answers["scores"],
            "images": truth["images"],
        }
    skipped = [f"Skipped {path}: {reason}" for path, reason in dataset.info.skipped]
    write_report(
        folder / "report.html",
        title=f"{config.model} on {Path(dataset.info.source).name}",
        facts=_facts(model, dataset, config, keeper, seconds, shown),
        history=keeper.history,
        metrics=metrics.get(split, {}),
        **detail,
        sections=task.sections(model, answers, truth),
        notes=[*dataset.info.notes, *skipped],
    )
    return metrics


def _facts(model, dataset, config, keeper, seconds, shown: str) -> dict[str, str]:
    """The table at the top of the report."""
    return {
        "Model": f"{config.model}, {model.count_params():,} parameters",
        "Data": f"{dataset.info.source}{shown}",
        "Input": " x ".join(map(str, dataset.info.image_shape)),
        "Recipe": ", ".join(
            f"{name} {value}" for name, value in dataclasses.asdict(config.recipe).items()
        ),
        "Precision": config.precision,
        "Seed": str(config.seed),
        "Best epoch": f"{keeper.best_epoch} of {len(keeper.history)}",
        "Training time": f"{seconds:.0f} s",
        "Machine": backend.describe(),
        "Keras": keras.__version__,
    }
