"""The classification of each pixel that the segmenters share."""

import keras


def segmentation_head(x, num_classes: int, activation: str | None, *, name: str = "head"):
    """A linear classifier of each pixel in float32, or nothing at all for `num_classes=0`.

    Args:
        x: `(batch, height, width, features)`.
        num_classes: Number of classes; 0 returns `x`.
        activation: Keras activation of the answer, over the classes; None gives logits.
        name: Name of the layer.

    Returns:
        `(batch, height, width, num_classes)`, float32 also under mixed precision.
    """
    if num_classes == 0:
        if activation is not None:
            raise ValueError(
                f"classifier_activation={activation!r} needs a head, and num_classes=0 has none."
            )
        return x
    return keras.layers.Conv2D(num_classes, 1, activation=activation, dtype="float32", name=name)(x)
