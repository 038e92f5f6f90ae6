"""The model card: the manifest for people."""

from collections.abc import Iterator
from typing import Any

from vislearn.export.package import FORMATS

# What each file is for, in the words of someone who has to choose one.
USES = {
    "savedmodel": "TensorFlow and TensorFlow Serving",
    "litert": "phones, small devices, Python without TensorFlow",
    "litert_float16": "the same at half the size, and nearly as exact",
    "litert_dynamic": "the same at a quarter of the size, weights in 8-bit integers",
    "litert_int8": "the same at a quarter of the size, in 8-bit integers throughout",
    "onnx": "ONNX Runtime on servers and in browsers",
}

LIMITS = {
    "classification": (
        "It answers with one of its classes for any picture, also for one that shows none of them.",
        "Scores sum to 1 and rank the classes; how often a score of 0.9 is right was not measured.",
    ),
    "detection": (
        "Scores rank the objects; how often a score of 0.9 is right was not measured.",
        "It knows a fixed number of objects a picture at most.",
    ),
    "semantic_segmentation": (
        "It answers with one of its classes for any pixel, also for what is none of them.",
    ),
    "regression": (
        "It answers with values for any picture, also for one that shows nothing of the kind.",
        "How sure it is of a value it does not say.",
    ),
    "generation": ("Its pictures resemble those it learned from; it knows nothing else.",),
}


def write_card(manifest: dict[str, Any]) -> str:
    """A model card in Markdown from the content of `model.json`."""
    classes, rows, metric = manifest["classes"], manifest["formats"], manifest["metric"]
    format = next((row["format"] for row in rows if row["format"] in ("litert", "onnx")), None)
    format = format or rows[0]["format"]
    measured = [metric] if any(row["metrics"] for row in rows) else []
    heads = ["file", "for", "size", "largest difference from Keras", "agreement with Keras"]
    heads += [*measured, "one call"]
    what = f"{manifest['task'].replace('_', ' ').capitalize()}, {manifest['signature']}."
    if classes:
        kind = "quantities" if manifest["task"] == "regression" else "classes"
        what += f" {len(classes)} {kind}: {shortened(classes)}."
    return "\n".join(
        [
            f"# {manifest['name']}",
            "",
            f"{what} Exported {manifest['created']}.",
            "",
            "## How to call it",
            "",
            "```python",
            *_example(manifest, format),
            "```",
            "",
            "Inputs:",
            "",
            *[f"- {_tensor(item)}{_image_facts(item)}" for item in manifest["inputs"]],
            "",
            "Outputs:",
            "",
            *[f"- {_tensor(item)}" for item in manifest["outputs"]],
            "",
            "## Files and figures",
            "",
            f"| {' | '.join(heads)} |",
            "|---" * len(heads) + "|",
            *[_row(row, measured) for row in rows],
            "",
            f"Compared on {manifest['parity']['samples']}. "
            + _measured_on(manifest, measured)
            + f"Times: {manifest['measured_on']}, median.",
            *manifest["notes"],
            "",
            "## What it was trained on",
            "",
            *_training(manifest["training"]),
            "",
            "## Limits",
            "",
            *[f"- {line}" for line in LIMITS.get(manifest["task"], ())],
            "- The figures hold for pictures like those it was measured on; measure again on your "
            "own.",
            "",
        ]
    )


def _measured_on(manifest: dict[str, Any], measured: list[str]) -> str:
    """What the metrics are of."""
    if not measured:
        return "No annotated images were given, so no metrics were measured. "
    if measured == ["mean_difference"]:
        return (
            "mean_difference is that of the answers from Keras's: of pictures in units of 0..1, "
            "of other numbers in units of their standard deviation. "
        )
    return f"{measured[0]} on {manifest['validation_images']} annotated images. "


def _training(training: dict[str, Any]) -> list[str]:
    """The command that trained it, and what else is known."""
    command = training.get("command")
    facts = {name: value for name, value in training.items() if name != "command"}
    lines = [f"- {line}" for line in _facts(facts)] or ["Nothing was stated."]
    return lines if command is None else ["```", command, "```", "", *lines]


def _example(manifest: dict[str, Any], format: str) -> list[str]:
    """Code that calls the package."""
    load = [
        "from vislearn import load_predictor",
        f'predictor = load_predictor("{manifest["folder"]}", format="{format}")',
    ]
    if [item["name"] for item in manifest["inputs"]] == ["image"]:
        return [*load, 'print(predictor.predict_files(["picture.jpg"])[0].top(3))']
    made = [
        f'    "{item["name"]}": rng.normal(size={(1, *item["shape"][1:])}).astype("float32"),'
        if item["dtype"] == "float32"
        else f'    "{item["name"]}": np.zeros({(1, *item["shape"][1:])}, "{item["dtype"]}"),'
        for item in manifest["inputs"]
    ]
    start = ["import numpy as np", *load, "rng = np.random.default_rng(0)"]
    return [*start, "answers = predictor.predict({", *made, "})"]


def _tensor(item: dict[str, Any]) -> str:
    bounds, unit = item["range"], item["unit"]
    within = "" if bounds is None else f" {bounds[0]:g}..{bounds[1]:g}"
    kind = f"{item['dtype']} {shape_text(item['shape'])}{within}{f', {unit}' if unit else ''}"
    return f"`{item['name']}` {kind}: {item['meaning']}"


def _image_facts(item: dict[str, Any]) -> str:
    if "resize" not in item:
        return ""
    channels = f" {item['channels']}." if "channels" in item else ""
    return f";{channels} Pictures of another size are fitted by `{item['resize']}`."


def shortened(classes: list[str]) -> str:
    """The names in a line, at most twenty of them."""
    names = classes if len(classes) <= 20 else [*classes[:20], "..."]
    return ", ".join(names)


def shape_text(shape: list) -> str:
    """A shape of the manifest in print, with the axis that may vary as `batch`."""
    return str(tuple("batch" if size is None else size for size in shape)).replace("'", "")


def _row(row: dict[str, Any], measured: list[str]) -> str:
    differences = ", ".join(f"{name} {value:.1e}" for name, value in row["max_difference"].items())
    cells = [
        f"`{FORMATS[row['format']]}`",
        USES[row["format"]],
        f"{row['size'] / 1e6:.2f} MB",
        differences,
        "" if row["agreement"] is None else f"{row['agreement']:.2%}",
        *(figure(name, row["metrics"][name]) for name in measured),
        f"{row['latency_ms']:.2f} ms",
    ]
    return f"| {' | '.join(cells)} |"


def figure(name: str, value: float) -> str:
    """A metric in print: a share as percentage, an error in its own unit."""
    return f"{value:.4g}" if name in ("mae", "rmse") else f"{value:.2%}"


def _facts(value: Any, name: str = "") -> Iterator[str]:
    """`{"data": {"name": "digits"}}` as the line `data.name: digits`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _facts(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield f"{name}: {value}"
