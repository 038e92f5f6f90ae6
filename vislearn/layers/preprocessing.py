"""The first layers of every model: from pixels 0..255 to what its weights expect."""

from typing import Any

import keras
import numpy as np

# mean and standard deviation of the pixels, in units of 0..255, by channel (RGB).
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)

_MODES = {
    "unit": (0.0, 255.0),  # 0..1
    "symmetric": (127.5, 127.5),  # -1..1: Inception, MobileNet, ViT
    "imagenet": (_IMAGENET_MEAN, _IMAGENET_STD),  # torchvision
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),  # VGG, ResNet of keras.applications
}


def preprocess(x, mode: str | dict[str, Any] | None, *, name: str = "preprocess"):
    """Scales pixels as (x - mean) / std.

    Args:
        x: `(batch, height, width, channels)`, pixels 0..255.
        mode: `"unit"` (0..1), `"symmetric"` (-1..1), `"imagenet"` (mean 0 and deviation 1 by
            channel over ImageNet) or `"caffe"` (mean 0 by channel), for both of these the average
            of the three channels where the image is not RGB, or None to leave the pixels as they
            are. Or constants of one's own data, `{"mean": ..., "std": ...}`, which
            `vislearn.data.fitted_preprocessing` finds: numbers, lists `(channels,)` or, as AlexNet
            and ResNet subtract a mean image, `(height, width, channels)`; without `std`, only the
            mean is subtracted.
        name: Name of the layer.

    Raises:
        ValueError: If the mode is unknown, or constants don't fit the images.
    """
    if mode is None:
        return x
    if isinstance(mode, dict):
        mean, std = _constants(mode, x.shape[1:])
    elif mode in _MODES:
        mean, std = _MODES[mode]
        if isinstance(mean, tuple) and x.shape[-1] != len(mean):
            mean, std = (sum(values) / len(values) for values in (mean, std))
        mean, std = np.asarray(mean), np.asarray(std)
    else:
        raise ValueError(
            f"preprocessing={mode!r} must be None, one of {sorted(_MODES)}, or constants "
            '{"mean": ..., "std": ...}.'
        )
    # As plain numbers and lists, which the file of the model keeps.
    return keras.layers.Rescaling((1 / std).tolist(), (-mean / std).tolist(), name=name)(x)


def _constants(given: dict[str, Any], shape: tuple[int | None, ...]) -> tuple:
    """Mean and deviation as arrays that broadcast over images of this shape."""
    if unknown := sorted(given.keys() - {"mean", "std"}):
        raise ValueError(f"preprocessing holds {unknown}, and may hold 'mean' and 'std'.")
    found = []
    for key, usual in (("mean", 0.0), ("std", 1.0)):
        try:
            values = np.asarray(given.get(key, usual), np.float64)
        except (TypeError, ValueError):
            raise ValueError(f"preprocessing: {key}={given[key]!r} must be numbers.") from None
        if values.shape not in ((), tuple(shape[-1:]), tuple(shape)):
            raise ValueError(
                f"preprocessing: {key} has the shape {values.shape}, and images {tuple(shape)}: it "
                "must be a number, one a channel, or of the shape of an image."
            )
        if not np.isfinite(values).all() or (key == "std" and not (values > 0).all()):
            rule = "positive" if key == "std" else "finite"
            raise ValueError(f"preprocessing: {key} must be {rule}, all of it.")
        found.append(values)
    return tuple(found)
