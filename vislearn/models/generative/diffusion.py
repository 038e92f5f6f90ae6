"""The U-Net of denoising diffusion models.

Ho, Jain and Abbeel, "Denoising Diffusion Probabilistic Models", NeurIPS 2020, arXiv:2006.11239
(appendix B); the class condition from Ho and Salimans, "Classifier-Free Diffusion Guidance",
2021, arXiv:2207.12598.

The network reads a noisy picture and how noisy it is, and answers the noise. It knows no schedule:
that is the business of `vislearn.ops.diffusion`, `vislearn.samplers` and `vislearn.training`.

What differs from the paper: the attention's output projection starts from small random values, not
from zero; times count from 1 to T as in the paper's text, where its code and the published weights
count from 0 to T - 1. CIFAR-10's network: 35.7 million parameters, 6.2 G multiply-adds a step.
"""

import functools

import keras
from keras import layers

from vislearn.layers import SinusoidalEmbedding
from vislearn.registry import Paper, register

DDPM = Paper(
    "Denoising Diffusion Probabilistic Models",
    "Jonathan Ho, Ajay Jain, Pieter Abbeel",
    2020,
    "https://arxiv.org/abs/2006.11239",
)
GUIDANCE = Paper(
    "Classifier-Free Diffusion Guidance",
    "Jonathan Ho, Tim Salimans",
    2021,
    "https://arxiv.org/abs/2207.12598",
)


def norm(x, groups, *, name):
    """Group normalisation with the epsilon of the published weights."""
    return layers.GroupNormalization(groups, epsilon=1e-6, name=name)(x)


def swish(x, *, name):
    return layers.Activation("silu", name=name)(x)


def conv(x, filters, *, kernel_initializer="glorot_uniform", name, **options):
    """A 3x3 convolution with bias."""
    return layers.Conv2D(
        filters, 3, padding="same", kernel_initializer=kernel_initializer, name=name, **options
    )(x)


def residual_block(x, time, filters, *, groups, dropout, name):
    """Two convolutions beside a shortcut; the time is added between them.

    The second convolution starts at zero, so that the block starts as its shortcut.
    """
    shortcut = x
    x = norm(x, groups, name=f"{name}_norm1")
    x = swish(x, name=f"{name}_swish1")
    x = conv(x, filters, name=f"{name}_conv1")
    time = layers.Dense(filters, name=f"{name}_time")(time)
    time = layers.Reshape((1, 1, filters), name=f"{name}_time_everywhere")(time)
    x = layers.Add(name=f"{name}_add_time")([x, time])
    x = norm(x, groups, name=f"{name}_norm2")
    x = swish(x, name=f"{name}_swish2")
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    x = conv(x, filters, kernel_initializer="zeros", name=f"{name}_conv2")
    if shortcut.shape[-1] != filters:
        shortcut = layers.Conv2D(filters, 1, name=f"{name}_shortcut")(shortcut)
    return layers.Add(name=f"{name}_out")([x, shortcut])


def attention_block(x, *, groups, num_heads, name):
    """Self-attention between all pixels, beside a shortcut."""
    _, height, width, dim = x.shape
    y = norm(x, groups, name=f"{name}_norm")
    y = layers.Reshape((height * width, dim), name=f"{name}_tokens")(y)  # (batch, pixels, dim)
    y = layers.MultiHeadAttention(num_heads, dim // num_heads, name=name)(y, y)
    y = layers.Reshape((height, width, dim), name=f"{name}_pixels")(y)
    return layers.Add(name=f"{name}_out")([x, y])


def embedding(inputs, filters, num_classes):
    """The time, and the label where there are classes, as `(batch, 4 * filters)`."""
    dim = 4 * filters
    x = SinusoidalEmbedding(filters, name="time_sinusoids")(inputs["time"])
    x = layers.Dense(dim, name="time_dense1")(x)
    x = swish(x, name="time_swish1")
    x = layers.Dense(dim, name="time_dense2")(x)
    if num_classes:
        # One row more than there are classes: the last is "any of them", for guidance.
        label = layers.Embedding(num_classes + 1, dim, name="label_embedding")(inputs["label"])
        x = layers.Add(name="time_label_add")([x, label])
    return swish(x, name="time_swish2")


def downsample(x, *, name):
    """Halves the sides."""
    return conv(x, x.shape[-1], strides=2, name=f"{name}_conv")


def upsample(x, *, name):
    """Doubles the sides: each pixel four times, then a convolution."""
    x = layers.UpSampling2D(2, name=f"{name}_repeat")(x)
    return conv(x, x.shape[-1], name=f"{name}_conv")


unet = functools.partial(
    register,
    family="diffusion",
    task="generation",
    input_shape=(32, 32, 3),
)
TINY = {
    "input_shape": (8, 8, 1),
    "filters": 8,
    "multipliers": (1, 2),
    "blocks": 1,
    "attention": (4,),
    "groups": 4,
}


@unet(
    "ddpm",
    paper=DDPM,
    num_classes=0,
    reference_params=35_746_307,
    reference_gmacs=6.2219,
    reference="diffusers 0.42.1 UNet2DModel/ddpm-cifar10-32",
    tiny={**TINY, "num_classes": 0},
)
@unet("conditional_ddpm", paper=GUIDANCE, num_classes=10, tiny={**TINY, "num_classes": 3})
def ddpm(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing=None,
    name="ddpm",
    filters=128,
    multipliers=(1, 2, 2, 2),
    blocks=2,
    attention=(16,),
    num_heads=1,
    dropout=0.1,
    groups=32,
) -> keras.Model:
    """A U-Net that predicts the noise in a picture.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            The sides must be multiples of 2 ** (levels - 1). `num_classes=0` is a network without
            condition. The picture comes in -1..1 and noise is no class, so `preprocessing` and
            `classifier_activation` must be None.
        filters: Filters of the first level; the time embedding has four times as many.
        multipliers: One a level, from fine to coarse: its filters in units of `filters`.
        blocks: Residual blocks a level on the way down; there is one more on the way up.
        attention: Heights in pixels of the levels whose residual blocks are followed by
            self-attention; the coarsest point has it always.
        num_heads: Attention heads.
        dropout: Rate in each residual block.
        groups: Groups of the normalisation; it must divide the filters of every level.

    Returns:
        A model from the dictionary `{"image": (batch, height, width, channels) in about -1..1,
        "time": (batch,) steps from 1}`, with classes also `"label": (batch,)` integers up to and
        including `num_classes`, which stands for any class, to the noise
        `(batch, height, width, channels)` in float32.

    Raises:
        ValueError: If an argument is out of range.
    """
    for argument, value in (
        ("classifier_activation", classifier_activation),
        ("preprocessing", preprocessing),
    ):
        if value is not None:
            raise ValueError(f"{argument}={value!r} must be None: the network predicts noise.")
    height, width, channels = input_shape
    heights = _checked_levels(height, width, multipliers, attention)
    _checked_filters(filters, multipliers, groups, num_heads)
    if blocks < 1:
        raise ValueError(f"blocks={blocks!r} must be at least 1.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must be at least 0 and less than 1.")

    inputs = {
        "image": keras.Input(input_shape, name="image"),
        "time": keras.Input((), name="time"),
    }
    if num_classes:
        inputs["label"] = keras.Input((), dtype="int32", name="label")
    time = embedding(inputs, filters, num_classes)
    residual = functools.partial(residual_block, groups=groups, dropout=dropout)
    attend = functools.partial(attention_block, groups=groups, num_heads=num_heads)

    x = conv(inputs["image"], filters, name="stem_conv")
    skips = [x]
    for level, multiplier in enumerate(multipliers):
        for index in range(blocks):
            block = f"down{level + 1}_block{index + 1}"
            x = residual(x, time, filters * multiplier, name=block)
            if heights[level] in attention:
                x = attend(x, name=f"{block}_attention")
            skips.append(x)
        if level < len(multipliers) - 1:
            x = downsample(x, name=f"down{level + 1}_downsample")
            skips.append(x)

    x = residual(x, time, x.shape[-1], name="middle_block1")
    x = attend(x, name="middle_attention")
    x = residual(x, time, x.shape[-1], name="middle_block2")

    for level in reversed(range(len(multipliers))):
        for index in range(blocks + 1):
            block = f"up{level + 1}_block{index + 1}"
            x = layers.Concatenate(name=f"{block}_concat")([x, skips.pop()])
            x = residual(x, time, filters * multipliers[level], name=block)
            if heights[level] in attention:
                x = attend(x, name=f"{block}_attention")
        if level > 0:
            x = upsample(x, name=f"up{level + 1}_upsample")

    x = norm(x, groups, name="head_norm")
    x = swish(x, name="head_swish")
    x = conv(x, channels, kernel_initializer="zeros", dtype="float32", name="head_conv")
    return keras.Model(inputs, x, name=name)


def _checked_levels(height, width, multipliers, attention) -> list[int]:
    """The height of each level."""
    if not multipliers or any(multiplier < 1 for multiplier in multipliers):
        raise ValueError(f"multipliers={multipliers!r} must be positive integers, one a level.")
    coarsest = 2 ** (len(multipliers) - 1)
    if height % coarsest or width % coarsest:
        raise ValueError(
            f"{len(multipliers)} multipliers need sides that are multiples of {coarsest}, and the "
            f"image has {height} x {width}."
        )
    heights = [height // 2**level for level in range(len(multipliers))]
    if unknown := [side for side in attention if side not in heights]:
        raise ValueError(f"attention={attention!r}: no level has height {unknown}, but {heights}.")
    return heights


def _checked_filters(filters, multipliers, groups, num_heads) -> None:
    if filters < 4 or filters % 2:
        raise ValueError(f"filters={filters!r} must be even and at least 4.")
    sizes = [filters * multiplier for multiplier in multipliers]
    if groups < 1 or any(size % groups for size in sizes):
        raise ValueError(f"groups={groups!r} must divide the filters of every level, {sizes}.")
    if num_heads < 1 or any(size % num_heads for size in sizes):
        raise ValueError(
            f"num_heads={num_heads!r} must divide the filters of every level, {sizes}."
        )
