"""What the tests run in a process of its own: `python fresh_process.py load|forward ...`."""

import json
import sys
from pathlib import Path

import numpy as np


def load(folder: str) -> None:
    """Loads every saved model as a stranger would, and writes its answers to `NAME.answers.npz`."""
    import keras

    import vislearn  # noqa: F401  (it registers our layers with Keras)

    for path in sorted(Path(folder).glob("*.keras")):
        model = keras.saving.load_model(path, safe_mode=True)
        with np.load(path.with_suffix(".npz")) as file:
            x = file["only"] if file.files == ["only"] else dict(file)
        if keras.backend.backend() == "tensorflow":
            answers = model(x, training=False)
        else:  # JAX would compile each operation by itself.
            answers = model.predict_on_batch(x)
        answers = answers if isinstance(answers, dict) else {"only": answers}
        answers = {name: keras.ops.convert_to_numpy(value) for name, value in answers.items()}
        np.savez(path.with_suffix(".answers.npz"), **answers)


def forward(names: str, folder: str) -> None:
    """Writes what tiny models with the shared random weights answer on this backend.

    And their losses, but for classifiers: their loss is one function of these answers.
    """
    from rungs import OTHERS, inputs, losses_on_same_noise, outputs, random_tiny, save_arrays

    losses = {}
    for name in json.loads(names):
        model = random_tiny(name)
        save_arrays(Path(folder) / f"{name}.npz", outputs(model, inputs(model)))
        if name in OTHERS:
            losses[name] = losses_on_same_noise(name)
    (Path(folder) / "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    {"load": load, "forward": forward}[command](*arguments)
