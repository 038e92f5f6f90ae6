"""Feature maps of several strides from one (Li et al. 2022, arXiv:2203.16527, section 3)."""

from keras import layers


def simple_feature_pyramid(x, levels, middle: int) -> dict:
    """What detectors need of a plain transformer: its last map enlarged and reduced, in parallel.

    Four times as large by two transposed convolutions with a layer normalisation and a GELU
    between them, twice by one, as it is, and half as large by max pooling ("simple feature
    pyramid", Figure 2c of the paper). Each doubling halves the channels. Each map's last two
    convolutions are left to the pyramid that reads it, see `feature_pyramid`.

    Args:
        x: `(batch, height, width, dim)`.
        levels: The levels to make, of `C{middle - 2}` to `C{middle + 1}`.
        middle: The level of `x` itself.

    Returns:
        `{"C2": (batch, 4 * height, 4 * width, dim / 4), "C3": (batch, 2 * height, 2 * width,
        dim / 2), "C4": x, "C5": (batch, height / 2, width / 2, dim)}` for `middle=4`, what is asked
        of it; halves are rounded up.
    """
    outputs = {}
    for level in levels:
        steps = middle - int(level[1:])
        y = x
        if steps < 0:
            y = layers.MaxPooling2D(2, padding="same", name=f"{level}_pool")(y)
        for step in range(1, steps + 1):
            if step > 1:
                y = layers.LayerNormalization(epsilon=1e-6, name=f"{level}_norm{step - 1}")(y)
                y = layers.Activation("gelu", name=f"{level}_gelu{step - 1}")(y)
            filters = x.shape[-1] // 2**step
            y = layers.Conv2DTranspose(filters, 2, strides=2, name=f"{level}_up{step}")(y)
        outputs[level] = layers.Identity(name=level)(y)
    return outputs
