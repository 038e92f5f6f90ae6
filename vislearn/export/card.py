"""The model card: the manifest for people."""

from collections.abc import Iterator
from typing import Any

from vislearn.export.package import FORMATS

# What each file is for, in the words of someone who has to choose one.
USES = {
    "savedmodel": "TensorFlow and TensorFlow Serving",
    "litert": "phones, small devices, Python without TensorFlow",
    "litert_int8": "the same, smaller, in 8-bit integers",
    "onnx": "ONNX Runtime on servers and in browsers",
}


def write_card(manifest: dict[str, Any]) -> str:
    """A model card in Markdown from the content of `model.json`."""
    height, width, channels = manifest["input"]["shape"][1:]
    classes = manifest["classes"]
    rows = manifest["formats"]
    format = next((row["format"] for row in rows if row["format"] in ("litert", "onnx")), None)
    format = format or rows[0]["format"]
    folder = manifest["folder"]
    return "\n".join(
        [
            f"# {manifest['name']}",
            "",
            f"Image {manifest['task']} into {len(classes)} classes: {_shortened(classes)}.",
            f"Exported {manifest['created']}.",
            "",
            "## How to call it",
            "",
            "```python",
            "from vislearn import load_predictor",
            f'predictor = load_predictor("{folder}", format="{format}")',
            'print(predictor.predict_files(["picture.jpg"])[0].top(3))',
            "```",
            "",
            f"Input `{manifest['input']['name']}`: uint8 pixels 0..255 of shape (batch, {height}, "
            f"{width}, {channels}), {manifest['input']['channels']}; the file scales them itself. "
            f"Pictures of another size are fitted by `{manifest['input']['resize']}`. Outputs:",
            "",
            *[
                f"- `{output['name']}` {output['dtype']} {_shape(output['shape'])}: "
                f"{output['meaning']}"
                for output in manifest["outputs"]
            ],
            "",
            "## Files and figures",
            "",
            "| file | for | size | largest difference from Keras | same class as Keras "
            "| accuracy | one image |",
            "|---|---|---|---|---|---|---|",
            *[_row(row) for row in rows],
            "",
            f"Compared on {manifest['parity']['samples']}. "
            + (
                f"Accuracy on {manifest['validation_images']} labelled images. "
                if manifest["validation_images"]
                else "No labelled images were given, so no accuracy was measured. "
            )
            + f"Times: {manifest['measured_on']}, median.",
            *manifest["notes"],
            "",
            "## What it was trained on",
            "",
            *([f"- {line}" for line in _facts(manifest["training"])] or ["Nothing was stated."]),
            "",
            "## Limits",
            "",
            f"- It answers with one of its {len(classes)} classes for any picture, also for one "
            "that shows none of them.",
            "- Scores sum to 1 and rank the classes; how often a score of 0.9 is right was not "
            "measured.",
            "- The figures hold for pictures like those it was measured on; measure again on your "
            "own.",
            "",
        ]
    )


def _shortened(classes: list[str]) -> str:
    names = classes if len(classes) <= 20 else [*classes[:20], "..."]
    return ", ".join(names)


def _shape(shape: list) -> str:
    return str(tuple("batch" if size is None else size for size in shape)).replace("'", "")


def _row(row: dict[str, Any]) -> str:
    differences = ", ".join(f"{name} {value:.1e}" for name, value in row["max_difference"].items())
    accuracy = "" if row["accuracy"] is None else f"{row['accuracy']:.2%}"
    return (
        f"| `{FORMATS[row['format']]}` | {USES[row['format']]} | {row['size'] / 1e6:.2f} MB "
        f"| {differences} | {row['class_agreement']:.2%} | {accuracy} "
        f"| {row['latency_ms']:.2f} ms |"
    )


def _facts(value: Any, name: str = "") -> Iterator[str]:
    """`{"data": {"name": "digits"}}` as the line `data.name: digits`."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _facts(inner, f"{name}.{key}" if name else str(key))
    elif name:
        yield f"{name}: {value}"
