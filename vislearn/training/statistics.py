"""What happens to signal and gradient on their way through a network, layer by layer."""

import dataclasses
from fnmatch import fnmatchcase

import keras
import numpy as np

from vislearn import backend


@dataclasses.dataclass(frozen=True)
class LayerStatistics:
    """Figures of the numbers of one layer.

    Attributes:
        name: The layer's name.
        mean, deviation: Their mean and standard deviation.
        zeros: Share of them that are 0, such as units that ReLU has switched off.
    """

    name: str
    mean: float
    deviation: float
    zeros: float

    @classmethod
    def of(cls, name: str, values) -> "LayerStatistics":
        """The figures of a tensor of any shape."""
        values = keras.ops.convert_to_numpy(keras.ops.cast(values, "float32")).astype("float64")
        return cls(name, float(values.mean()), float(values.std()), float(np.mean(values == 0)))


def activation_statistics(
    model: keras.Model, images, layers: str = "*", *, training: bool = False
) -> list[LayerStatistics]:
    """Statistics of what layers put out, over all examples, pixels and channels.

    Where they shrink or grow from layer to layer, the weights start too small or too large (Glorot
    and Bengio 2010; see `vislearn.initializers`).

    Args:
        model: A functional model.
        images: `(batch, ...)`, its inputs.
        layers: Wildcard of the layers' names, such as `"dense*"`.
        training: Whether layers behave as in training: with batch norm by the batch's own figures.

    Returns:
        One for each layer, from the first to the last.

    Raises:
        ValueError: If no layer has such a name.
    """
    chosen = [layer for layer in model.layers if fnmatchcase(layer.name, layers)]
    if not chosen:
        raise ValueError(f"layers={layers!r}: {model.name} has none of such a name.")
    taps = keras.Model(model.input, [layer.output for layer in chosen])
    outputs = taps(keras.ops.convert_to_tensor(images), training=training)
    return [
        LayerStatistics.of(layer.name, output)
        for layer, output in zip(chosen, outputs, strict=True)
    ]


def gradient_statistics(
    model: keras.Model, images, labels, loss, layers: str = "*"
) -> list[LayerStatistics]:
    """Statistics of the gradient of a loss with respect to each layer's kernel.

    Args:
        model: A functional model.
        images: `(batch, ...)`, its inputs.
        labels: Targets of the loss.
        loss: Keras loss, such as `ClassificationLoss()`.
        layers: Wildcard of the layers' names.

    Returns:
        One for each layer that has a kernel, from the first to the last.

    Raises:
        ValueError: If no layer with a kernel has such a name.
    """
    chosen = [
        layer
        for layer in model.layers
        if fnmatchcase(layer.name, layers) and getattr(layer, "kernel", None) is not None
    ]
    if not chosen:
        raise ValueError(f"layers={layers!r}: {model.name} has no such layer with a kernel.")
    images, labels = (keras.ops.convert_to_tensor(value) for value in (images, labels))
    _, gradients = backend.value_and_gradients(
        lambda: loss(labels, model(images, training=False)),
        [layer.kernel for layer in chosen],
        model.variables,
    )
    return [
        LayerStatistics.of(layer.name, gradient)
        for layer, gradient in zip(chosen, gradients, strict=True)
    ]
