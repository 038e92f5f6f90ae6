"""The classification head that most families share."""

import keras


def classification_head(x, num_classes: int, activation: str | None, *, name: str = "head"):
    """Linear classifier in float32, or nothing at all for `num_classes=0`.

    Args:
        x: `(batch, features)`.
        num_classes: Number of classes; 0 returns `x`.
        activation: Keras activation of the answer; None gives logits.
        name: Name of the layer.

    Returns:
        `(batch, num_classes)`, float32 also under mixed precision.
    """
    if num_classes == 0:
        if activation is not None:
            raise ValueError(
                f"classifier_activation={activation!r} needs a head, and num_classes=0 has none."
            )
        return x
    return keras.layers.Dense(num_classes, activation=activation, dtype="float32", name=name)(x)
