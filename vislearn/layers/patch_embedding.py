"""An image as a map of embedded patches (arXiv:2010.11929, equation 1)."""

import keras


def patch_embedding(x, dim: int, patch_size: int, *, name: str = "patch_embedding"):
    """Cuts the image into patches that do not overlap, and embeds each linearly.

    Args:
        x: `(batch, height, width, channels)`.
        dim: Size of a token.
        patch_size: Side of a patch.
        name: Name of the layer.

    Returns:
        `(batch, height / patch_size, width / patch_size, dim)`.

    Raises:
        ValueError: If the patches don't fill the image.
    """
    sides = x.shape[1:3]
    if patch_size < 1 or any(side % patch_size for side in sides):
        raise ValueError(f"patch_size={patch_size!r} must divide the image's sides, {sides}.")
    return keras.layers.Conv2D(
        dim, patch_size, strides=patch_size, kernel_initializer="lecun_normal", name=name
    )(x)
