"""What the tests run in a process of its own: `python fresh_process.py load|forward ...`."""

import json
import sys
from pathlib import Path

import numpy as np


def load(folder: str) -> None:
    """Loads every saved model as a stranger would, and writes its answers to `answers.npz`."""
    import keras

    import vislearn  # noqa: F401  (it registers our layers with Keras)

    answers = {}
    for path in sorted(Path(folder).glob("*.keras")):
        model = keras.saving.load_model(path, safe_mode=True)
        answers[path.stem] = np.asarray(model(np.load(path.with_suffix(".npy")), training=False))
    np.savez(Path(folder) / "answers.npz", **answers)


def forward(names: str, file: str) -> None:
    """Writes the answers of tiny models with the shared random weights, on this backend."""
    from rungs import images, outputs, random_tiny

    models = {name: random_tiny(name) for name in json.loads(names)}
    np.savez(file, **{name: outputs(model, images(model)) for name, model in models.items()})


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"load": load, "forward": forward}[command](*arguments)
