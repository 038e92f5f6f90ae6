"""The first layers of every model: from pixels 0..255 to what its weights expect."""

import keras

# mean and standard deviation of the pixels, in units of 0..255, by channel (RGB).
_IMAGENET_MEAN = (123.675, 116.28, 103.53)
_IMAGENET_STD = (58.395, 57.12, 57.375)

_MODES = {
    "unit": (0.0, 255.0),  # 0..1
    "symmetric": (127.5, 127.5),  # -1..1: Inception, MobileNet, ViT
    "imagenet": (_IMAGENET_MEAN, _IMAGENET_STD),  # torchvision
    "caffe": ((123.68, 116.779, 103.939), (1.0, 1.0, 1.0)),  # VGG, ResNet of keras.applications
}


def preprocess(x, mode: str | None, *, name: str = "preprocess"):
    """Scales pixels as (x - mean) / std.

    Args:
        x: `(batch, height, width, channels)`, pixels 0..255.
        mode: `"unit"` (0..1), `"symmetric"` (-1..1), `"imagenet"` (mean 0 and deviation 1 by
            channel over ImageNet) or `"caffe"` (mean 0 by channel), for both of these the average
            of the three channels where the image is not RGB, or None to leave the pixels as they
            are.
        name: Name of the layer.

    Raises:
        ValueError: If the mode is unknown.
    """
    if mode is None:
        return x
    if mode not in _MODES:
        raise ValueError(f"preprocessing={mode!r} must be None or one of {sorted(_MODES)}.")
    mean, std = _MODES[mode]
    if isinstance(mean, tuple):
        channels = x.shape[-1]
        if channels != len(mean):
            mean, std = (sum(values) / len(values) for values in (mean, std))
        else:
            scale = [1 / s for s in std]
            offset = [-m / s for m, s in zip(mean, std, strict=True)]
            return keras.layers.Rescaling(scale, offset, name=name)(x)
    return keras.layers.Rescaling(1 / std, -mean / std, name=name)(x)
