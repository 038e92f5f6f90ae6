"""From another library's weights to ours: kernels turned, biases folded, everything accounted for.

torch keeps a convolution's kernel as `(out, in, height, width)` and a dense one as `(out, in)`;
Keras as `(height, width, in, out)` and `(in, out)`.
"""

import collections
import dataclasses
import re
from collections.abc import Mapping

import keras
import numpy as np
from keras import layers

from vislearn.layers import PositionEmbedding, SelfAttention
from vislearn.ops.positions import resample_positions
from vislearn.weights.layout import Layout

# Layers that pass the order of features on, between `Flatten` and a dense layer.
_PASSING = (layers.Dropout, layers.Activation, layers.ReLU, layers.Identity)


@dataclasses.dataclass(frozen=True)
class WeightsReport:
    """What became of each weight.

    Attributes:
        matched: Our variables that were found, by path.
        missing: Our variables that the source does not have.
        mismatched: Our variables that have another shape there, as `(path, ours, theirs)`.
        unused: Weights of the source that our network has no place for.
    """

    matched: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    mismatched: tuple[tuple[str, tuple, tuple], ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every weight of either side has its counterpart."""
        return not (self.missing or self.mismatched or self.unused)

    def without(self, layer: str) -> "WeightsReport":
        """The report on all layers but one."""
        inside = f"{layer}/"
        return dataclasses.replace(
            self,
            missing=tuple(path for path in self.missing if not path.startswith(inside)),
            mismatched=tuple(row for row in self.mismatched if not row[0].startswith(inside)),
        )

    def ignoring(self, module: str | None) -> "WeightsReport":
        """The report on a source without one module."""
        start = (f"{module}.", f"{module}/")
        return dataclasses.replace(
            self, unused=tuple(key for key in self.unused if not key.startswith(start))
        )

    def __str__(self) -> str:
        rows = [
            ("missing in the file", self.missing),
            (
                "of another shape there",
                [f"{path} {ours} (there {theirs})" for path, ours, theirs in self.mismatched],
            ),
            ("not used", self.unused),
        ]
        lines = [f"{len(self.matched)} weights found"]
        for title, names in rows:
            if names:
                shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
                lines.append(f"{len(names)} {title}: {shown}")
        return "; ".join(lines)


class Reader:
    """Reads one module of a source and notes what was read.

    Attributes:
        module: Its name in the source.
        wanted: The names that were asked for and are not there.
    """

    def __init__(self, source: Mapping[str, np.ndarray], module: str, separator: str, used: set):
        self.source, self.module, self.separator, self.used = source, module, separator, used
        self.wanted: list[str] = []

    def key(self, name: str) -> str:
        """The full name of a weight of the module; that of the module itself for `""`."""
        return f"{self.module}{self.separator}{name}" if name else self.module

    def has(self, name: str) -> bool:
        """Whether the module has a weight of this name."""
        return self.key(name) in self.source

    def __call__(self, name: str) -> np.ndarray:
        """The weight of this name.

        Raises:
            KeyError: If the module has none.
        """
        key = self.key(name)
        if key not in self.source:
            self.wanted.append(key)
            raise KeyError(key)
        self.used.add(key)
        return np.asarray(self.source[key])


def _bias(layer, read) -> list[np.ndarray]:
    return [read("bias")] if layer.use_bias else []


def _convolution(layer, read):
    return [read("weight").transpose(2, 3, 1, 0), *_bias(layer, read)]


def _depthwise(layer, read):
    weight = read("weight")  # (channels * multiplier, 1, height, width)
    weight = weight.reshape(-1, layer.depth_multiplier, *weight.shape[2:])
    return [weight.transpose(2, 3, 0, 1), *_bias(layer, read)]


def _dense(layer, read):
    weight = read("weight")  # (out, in), or (out, in, 1, 1) where theirs is a convolution
    if weight.ndim == 2:
        shape = _flattened(layer)
        if shape is not None:
            weight = weight.reshape(-1, shape[2], shape[0], shape[1])
    if weight.ndim == 4:
        weight = weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])
    else:
        weight = weight.T
    return [weight, *_bias(layer, read)]


def _flattened(layer) -> tuple[int, int, int] | None:
    """`(height, width, channels)` of the feature map that a dense layer reads flattened."""
    operation = producer(layer)
    while isinstance(operation, _PASSING):
        operation = producer(operation)
    if isinstance(operation, layers.Flatten):
        shape = operation.input.shape[1:]
        return shape if len(shape) == 3 else None
    return None


def producer(layer):
    """The layer or operation whose output a layer of a functional model takes first."""
    return layer._inbound_nodes[0].input_tensors[0]._keras_history.operation


def _batch_norm(layer, read):
    scale = [read("weight")] if layer.scale else []
    center = [read("bias")] if layer.center else []
    return [*scale, *center, read("running_mean"), read("running_var")]


def _norm(layer, read):
    scale = [read("weight")] if layer.scale else []
    return [*scale, *([read("bias")] if layer.center else [])]


def _attention(layer, read):
    """One matrix for queries, keys and values: `qkv` of timm, `in_proj` of torch."""
    joint, out = ("in_proj_", "out_proj.") if read.has("in_proj_weight") else ("qkv.", "proj.")
    return [
        read(f"{joint}weight").T,
        read(f"{joint}bias"),
        read(f"{out}weight").T,
        read(f"{out}bias"),
    ]


def _positions(layer, read):
    """Learned positions, which are published for square images, for the grid of the network."""
    positions = read("")
    if layer.grid is None or positions.ndim != 3:
        return [positions]
    return [resample_positions(positions, layer.grid)]


_FROM_TORCH = {
    layers.DepthwiseConv2D: _depthwise,
    layers.Conv2DTranspose: _convolution,  # (in, out, height, width) there
    layers.Conv2D: _convolution,
    layers.Dense: _dense,
    layers.BatchNormalization: _batch_norm,
    layers.LayerNormalization: _norm,
    layers.GroupNormalization: _norm,
    SelfAttention: _attention,
    PositionEmbedding: _positions,
}


def _by_name(layer, read):
    """Weights that have our names and shapes there, or one that has the module's name."""
    names = [variable.path.removeprefix(f"{layer.name}/") for variable in layer.weights]
    if len(names) == 1 and not read.has(names[0]):
        return [read("")]
    return [read(name) for name in names]


def convert(
    model: keras.Model, source: Mapping[str, np.ndarray], layout: Layout, *, from_torch: bool
) -> tuple[dict[str, list[np.ndarray]], WeightsReport]:
    """Finds the weights of a model in a source.

    Args:
        model: A model of ours.
        source: Arrays by name, as the other library has them.
        layout: How it names them.
        from_torch: Whether kernels lie as in torch, or as in Keras.

    Returns:
        The weights by layer, for `layer.set_weights`, and what became of each. Layers of which a
        weight is missing or has another shape are left out.
    """
    separator, known = (".", _FROM_TORCH) if from_torch else ("/", {})
    converters = [*layout.converters.items(), *known.items()]  # The first that fits counts.
    values, used = {}, set()
    matched, missing, mismatched = [], [], []
    first = next((layer.name for layer in model.layers if layer.weights), None)
    folds = {}  # Biases of convolutions that have none here, by layer.
    for layer in model.layers:
        if not layer.weights:
            continue
        paths = [variable.path for variable in layer.weights]
        try:
            module = layout.module(layer.name)
        except KeyError:
            missing += paths
            continue
        if module is None:
            continue
        read = Reader(source, module, separator, used)
        converter = next((c for kind, c in converters if isinstance(layer, kind)), _by_name)
        try:
            arrays = converter(layer, read)
        except KeyError:
            missing += paths
            continue
        if not getattr(layer, "use_bias", True) and read.has("bias"):
            folds[layer.name] = read("bias")
        if layout.bgr and layer.name == first:
            arrays = [arrays[0][:, :, ::-1], *arrays[1:]]
        if isinstance(layer, layers.BatchNormalization):
            arrays = _folded(layer, arrays, folds, layout.epsilon)
        shapes = [tuple(variable.shape) for variable in layer.weights]
        wrong = [
            (path, ours, array.shape)
            for path, ours, array in zip(paths, shapes, arrays, strict=True)
            if ours != array.shape
        ]
        if wrong:
            mismatched += wrong
        else:
            values[layer.name] = arrays
            matched += paths
    # A bias that no batch norm took in would change the answer.
    missing += [f"{name}/bias" for name in folds]
    unused = [key for key in source if key not in used and not layout.ignores(key)]
    return values, WeightsReport(
        tuple(matched), tuple(missing), tuple(mismatched), tuple(sorted(unused))
    )


def _folded(layer, arrays, folds, epsilon):
    """Takes the bias of the convolution before, and another epsilon, into the statistics."""
    *rest, mean, variance = arrays
    before = producer(layer).name
    if before in folds and folds[before].shape == mean.shape:
        mean = mean - folds.pop(before)
    if epsilon is not None:
        variance = variance + (epsilon - layer.epsilon)
    return [*rest, mean, variance]


def keras_weights(model: keras.Model, *, unnamed: bool = True) -> dict[str, np.ndarray]:
    """The weights of a Keras model as `{"layer/variable": array}`.

    Layers that nobody named have a number that depends on what was built before; here they count
    from 1 by type, in the order in which they were made.

    Args:
        model: A model of ours or of another library.
        unnamed: Whether it has such layers. Ours has none, but a `ClassToken` may be called
            `class_token`, as Keras would call it.
    """
    found = {}
    counts = collections.Counter()

    def number(name: str) -> tuple[str, int]:
        stem, _, last = name.rpartition("_")
        return (stem, int(last)) if last.isdigit() else (name, 0)

    for layer in sorted(model.layers, key=lambda layer: number(layer.name)):
        name = layer.name
        stem = number(name)[0]
        if unnamed and stem.replace("_", "") == type(layer).__name__.lower():
            counts[stem] += 1
            name = f"{stem}_{counts[stem]}"
        for variable in layer.weights:
            # What stands before the layer's name are name scopes, which NASNet is built in.
            path = f"/{variable.path}".partition(f"/{layer.name}/")[2] or variable.path
            # Nor has a variable that nobody named a name that stays.
            path = re.sub(r"\bvariable_\d+$", "variable", path)
            found[f"{name}/{path}"] = keras.ops.convert_to_numpy(variable)
    return found
