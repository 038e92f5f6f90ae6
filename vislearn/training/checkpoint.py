"""The whole state of a training in one file, so that a resumed run repeats an unbroken one.

`model.save_weights` leaves out the state of random generators (dropout, stochastic depth), with
which a resumed run would draw other numbers; here every variable of model and optimiser is kept.
"""

import json
import os
from pathlib import Path

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


def _variables(model) -> dict[str, list]:
    return {"model": model.variables, "optimizer": model.optimizer.variables}


def save_state(path: Path, model, meta: dict) -> None:
    """Writes all variables of a compiled model and its optimiser, and `meta` (JSON), atomically."""
    arrays = {
        f"{owner}/{index}": np.asarray(variable)
        for owner, variables in _variables(model).items()
        for index, variable in enumerate(variables)
    }
    arrays[_META] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    write_atomically(path, lambda file: np.savez(file, **arrays))


def load_state(path: Path, model) -> dict:
    """Restores what `save_state` wrote into a model compiled alike, and returns its `meta`.

    Raises:
        ValueError: If the file is of another model or optimiser; nothing is changed then.
    """
    model.optimizer.build(model.trainable_variables)
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays.pop(_META).tobytes())
    targets = {
        f"{owner}/{index}": variable
        for owner, variables in _variables(model).items()
        for index, variable in enumerate(variables)
    }
    same = arrays.keys() == targets.keys() and all(
        arrays[name].shape == tuple(variable.shape) for name, variable in targets.items()
    )
    if not same:
        raise ValueError(f"{path} holds the state of another model or optimiser.")
    for name, variable in targets.items():
        variable.assign(arrays[name])
    return meta
