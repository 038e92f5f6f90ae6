"""Feature pyramid networks (Lin et al. 2017, arXiv:1612.03144)."""

from keras import layers

from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.convolution import conv

NORMS = (None, "batch", "group")


def normalize(x, norm: str | None, *, name: str):
    """Batch norm, group norm of up to 32 groups, or nothing.

    Raises:
        ValueError: If `norm` is none of these.
    """
    if norm not in NORMS:
        raise ValueError(f"norm={norm!r} must be one of {NORMS}.")
    if norm == "batch":
        return BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)
    if norm == "group":
        return group_norm(x.shape[-1], name=name)(x)
    return x


def group_norm(channels: int, *, name: str):
    """The group norm layer with the most groups, up to 32, that divide the channels."""
    groups = next(groups for groups in range(32, 0, -1) if channels % groups == 0)
    return layers.GroupNormalization(groups, epsilon=1e-5, name=name)


def feature_pyramid(
    features: dict, filters: int, *, extra_levels: int = 0, norm: str | None = None
) -> dict:
    """Feature maps of one width at every scale, each with the meaning of the coarsest.

    From the coarsest map down, each is a 1x1 convolution of the backbone's map plus the next
    coarser one enlarged twofold (Figure 3 of the paper), then smoothed by a 3x3 convolution. The
    extra levels are RetinaNet's P6 and P7 (arXiv:1708.02002, section 4): strided 3x3 convolutions
    of the coarsest map of the pyramid, as in torchvision; the paper takes P6 from C5.

    Args:
        features: `{"C3": (batch, height, width, channels), ...}` from fine to coarse, each half as
            large as the one before (rounded up).
        filters: Channels of every map.
        extra_levels: Number of coarser maps to add.
        norm: `"batch"`, `"group"`, or None, after every convolution.

    Returns:
        `{"P3": (batch, height, width, filters), ...}` from fine to coarse.

    Raises:
        ValueError: If a map is not half as large as the one before.
    """
    options = {"use_bias": norm is None, "kernel_initializer": "he_uniform"}
    names = list(features)
    pyramid = {}
    above = None
    for name in reversed(names):
        level = f"P{name[1:]}"
        x = conv(features[name], filters, 1, name=f"{level}_lateral", **options)
        x = normalize(x, norm, name=f"{level}_lateral_norm")
        if above is not None:
            x = layers.Add(name=f"{level}_add")([x, _enlarge(above, x, level)])
        above = x
        x = conv(x, filters, 3, name=f"{level}_smooth", **options)
        pyramid[level] = normalize(x, norm, name=f"{level}_norm")
    pyramid = dict(reversed(pyramid.items()))

    coarsest = int(names[-1][1:])
    for number in range(coarsest + 1, coarsest + 1 + extra_levels):
        x = pyramid[f"P{number - 1}"]
        if number > coarsest + 1:
            x = layers.ReLU(name=f"P{number}_relu")(x)
        x = conv(x, filters, 3, stride=2, name=f"P{number}_conv", **options)
        pyramid[f"P{number}"] = normalize(x, norm, name=f"P{number}_norm")
    return pyramid


def _enlarge(x, like, level: str):
    """Twofold by repetition, cut off at the size of `like`."""
    rows, columns = (
        2 * ours - theirs for ours, theirs in zip(x.shape[1:3], like.shape[1:3], strict=True)
    )
    if rows not in (0, 1) or columns not in (0, 1):
        raise ValueError(
            f"The feature map above {level} has the shape {x.shape}, and must have half the size "
            f"of {like.shape}, rounded up: levels must follow each other."
        )
    x = layers.UpSampling2D(2, name=f"{level}_enlarge")(x)
    if rows or columns:
        x = layers.Cropping2D(((0, rows), (0, columns)), name=f"{level}_crop")(x)
    return x
