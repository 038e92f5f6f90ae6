"""Squeeze and excitation (Hu et al. 2018, arXiv:1709.01507)."""

import keras

from vislearn.layers.convolution import conv


def squeeze_excitation(x, squeezed: int, *, activation="relu", gate="sigmoid", name: str):
    """Weighs each channel by what all channels are in the whole image (Figure 1 of the paper).

    Args:
        x: `(batch, height, width, channels)`.
        squeezed: Number of inner channels.
        activation: Keras activation of the inner channels.
        gate: Keras activation of the weights.
        name: Start of the layers' names.

    Returns:
        A tensor of the shape of `x`.
    """
    y = keras.layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)
    y = conv(y, squeezed, 1, use_bias=True, name=f"{name}_reduce")  # (batch, 1, 1, squeezed)
    y = keras.layers.Activation(activation, name=f"{name}_act")(y)
    y = conv(y, x.shape[-1], 1, use_bias=True, name=f"{name}_expand")
    y = keras.layers.Activation(gate, name=f"{name}_gate")(y)
    return keras.layers.Multiply(name=f"{name}_scale")([x, y])
