"""What a reference is, and weights that need not be stored because their names give them.

A reference is a network of another library with the same weights as ours. Those of torch are not
installed with the project: `generate.py` runs them once and stores what they answered.
"""

import dataclasses
import importlib
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
STORED = HERE / "expectations"
PUBLISHED = HERE / "published.json"
# By how much the answers to the images of a case differ at least, in units of the largest.
SPREAD = 1e-2


@dataclasses.dataclass(frozen=True)
class TorchCase:
    """A small network of torchvision or timm, and ours.

    Attributes:
        name: Our registry name.
        library: `"torchvision"` or `"timm"`.
        build: Makes theirs, in the size of `options`; imports torch only inside.
        input_shape: `(height, width, channels)`.
        options: Arguments of `create_model` beyond `input_shape`.
        gain: Factor on the kernels, for a deep network whose answer would not depend on its image.
    """

    name: str
    library: str
    build: Callable[[], Any]
    input_shape: tuple[int, int, int]
    options: Mapping[str, Any]
    gain: float = 1.0


@dataclasses.dataclass(frozen=True)
class KerasCase:
    """A network of keras.applications at a small input, and ours.

    Attributes:
        name: Our registry name.
        model: The function of keras.applications, such as `"ResNet50"`.
        input_shape: `(height, width, channels)`.
        options: Further arguments of theirs.
        start: Their layer that takes scaled pixels, where the layers before it scale them.
        gain: As for `TorchCase`.
        slow: Whether it takes long, and stands for no more than a deeper variant of another.
    """

    name: str
    model: str
    input_shape: tuple[int, int, int] = (64, 64, 3)
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    start: str | None = None
    gain: float = 1.4
    slow: bool = False


def _cases(attribute: str) -> dict:
    found = {}
    for path in sorted(HERE.glob("cases_*.py")):
        cases = getattr(importlib.import_module(path.stem), attribute, {})
        assert not {*cases} & {*found}, f"{path} has a name that is taken"
        found |= cases
    return found


def torch_cases() -> dict[str, TorchCase]:
    """All cases of torchvision and timm, by the name of their file of expectations."""
    return _cases("TORCH")


def keras_cases() -> dict[str, KerasCase]:
    """All cases of keras.applications by name."""
    return _cases("KERAS")


def seeded(shapes: Mapping[str, tuple[int, ...]], gain: float = 1.0) -> dict[str, np.ndarray]:
    """Random weights in torch's layout, each from its name alone, kernels times `gain`."""
    return {key: _weight(key, tuple(shape), gain) for key, shape in shapes.items()}


def _weight(key: str, shape: tuple[int, ...], gain: float) -> np.ndarray:
    value = np.random.default_rng(zlib.crc32(key.encode())).normal(size=shape)
    if key.endswith("running_var"):
        value = np.abs(value) + 0.5
    elif len(shape) > 1 and np.prod(shape[1:]) > 1:
        value = value * gain / np.sqrt(np.prod(shape[1:]))
    elif key.endswith(("weight", "gain")):
        value = 1 + 0.2 * value
    else:
        value = 0.2 * value
    return np.asarray(value, "float32")


def image(input_shape: tuple[int, ...], count: int = 2) -> np.ndarray:
    """Scaled pixels `(count, height, width, channels)`, the same in every process."""
    return np.random.default_rng(0).normal(size=(count, *input_shape)).astype("float32")


def stored(name: str) -> dict[str, Any]:
    """What `generate.py` wrote of a case: `library`, `version`, `shapes`, `answer`."""
    path = STORED / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing: run tests/references/generate.py {name}")
    return json.loads(path.read_text())


def difference(found, expected) -> float:
    """The largest difference, in units of the largest expected value.

    Raises:
        AssertionError: If the expected answers would say little: they are zeros, or hardly depend
            on the image, as those of a deep network with small kernels.
    """
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    assert found.shape == expected.shape
    size = np.max(np.abs(expected))
    assert np.isfinite(size)
    assert size > 1e-3, "an answer of zeros says nothing"
    spread = np.max(np.abs(expected - expected[:1])) / size
    assert spread >= SPREAD, f"answers that differ by {spread:.1e} say little: raise the gain"
    return float(np.max(np.abs(found - expected)) / size)
