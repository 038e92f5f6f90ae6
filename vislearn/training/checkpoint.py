"""The whole state of a training in one file, so that a resumed run repeats an unbroken one.

`model.save_weights` leaves out the state of random generators (dropout, stochastic depth), with
which a resumed run would draw other numbers; here every variable of model and optimiser is kept.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

_META = "meta"


def write_atomically(path: Path, write) -> None:
    """Calls `write(file)` on a temporary neighbour of `path`, then renames it to `path`."""
    part = path.with_name(path.name + ".part")
    try:
        with open(part, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _named(model) -> dict[str, Any]:
    """Every variable of a compiled model and of its optimiser, by its place."""
    owners = {"model": model.variables, "optimizer": model.optimizer.variables}
    return {
        f"{owner}/{index}": variable
        for owner, variables in owners.items()
        for index, variable in enumerate(variables)
    }


def save_state(path: Path, model, meta: dict) -> None:
    """Writes all variables of a compiled model and its optimiser, and `meta` (JSON), atomically."""
    arrays = {name: np.asarray(variable) for name, variable in _named(model).items()}
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_state(path: Path, model) -> dict:
    """Restores what `save_state` wrote into a model compiled alike, and returns its `meta`.

    Raises:
        ValueError: If the file is of another model or optimiser; nothing is changed then.
    """
    model.optimizer.build(model.trainable_variables)
    arrays = _read(path)
    meta = json.loads(arrays.pop(_META).tobytes())
    _assign(path, arrays, _named(model))
    return meta


def save_weights(path: Path, model) -> None:
    """Writes the weights alone, atomically.

    Not as HDF5, as Keras would: its library crashes the process when the disk is full.
    """
    arrays = {str(index): np.asarray(weight) for index, weight in enumerate(model.weights)}
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_weights(path: Path, model) -> None:
    """Restores what `save_weights` wrote, also into a model of another precision.

    Raises:
        ValueError: If the file is of another model; nothing is changed then.
    """
    _assign(path, _read(path), {str(index): w for index, w in enumerate(model.weights)})


def _read(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _assign(path: Path, arrays: dict[str, np.ndarray], targets: dict[str, Any]) -> None:
    same = arrays.keys() == targets.keys() and all(
        arrays[name].shape == tuple(variable.shape) for name, variable in targets.items()
    )
    if not same:
        raise ValueError(f"{path} holds the state of another model or optimiser.")
    for name, variable in targets.items():
        variable.assign(arrays[name])
