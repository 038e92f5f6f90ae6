"""ConvNeXt: a residual network brought up to date by the choices of vision transformers.

Liu et al., "A ConvNet for the 2020s", CVPR 2022, arXiv:2201.03545; the factors of the branches
("layer scale") from Touvron et al., arXiv:2103.17239, stochastic depth from Huang et al.,
arXiv:1603.09382.

What differs from the paper: the rates of stochastic depth rise from the first block on, where the
authors' first block is never dropped. As in the authors' code, the 1x1 convolutions are dense
layers, and the pooled features are normalised. ConvNeXt-T: 28.6 million parameters, 4.46 G
multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    classification_head,
    drop_rates,
    preprocess,
)
from vislearn.layers.transformer import add_branch, layer_norm, mlp, small_normal
from vislearn.registry import Paper, register

CONVNEXT = Paper(
    "A ConvNet for the 2020s",
    "Zhuang Liu, Hanzi Mao, Chao-Yuan Wu, Christoph Feichtenhofer, Trevor Darrell, Saining Xie",
    2022,
    "https://arxiv.org/abs/2201.03545",
)


def patches(x, filters, size, *, name):
    """A convolution over patches that do not overlap: each becomes one pixel."""
    return layers.Conv2D(filters, size, strides=size, kernel_initializer=small_normal(), name=name)(
        x
    )


def convnext_block(x, *, layer_scale, drop_rate=0.0, name):
    """7x7 depthwise, then an inverted bottleneck with one activation (Figure 4, right)."""
    y = layers.DepthwiseConv2D(
        7, padding="same", depthwise_initializer=small_normal(), name=f"{name}_conv"
    )(x)
    y = layer_norm(y, name=f"{name}_norm")
    y = mlp(y, 4 * x.shape[-1], name=name)  # Dense layers over the channels are 1x1 convolutions.
    return add_branch(x, y, layer_scale=layer_scale, drop_rate=drop_rate, name=name)


def torchvision(name, params, gmacs, repeats, filters, drop_path_rate):
    """Registers a variant that torchvision has: section 3 of the paper, and its counts."""
    return register(
        name,
        paper=CONVNEXT,
        family="convnext",
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "repeats": (1, 1),
            "filters": (8, 16),
            "drop_path_rate": 0.0,
        },
        repeats=repeats,
        filters=filters,
        drop_path_rate=drop_path_rate,
    )


small = functools.partial(torchvision, repeats=(3, 3, 27, 3))


@torchvision("convnext_tiny", 28_589_128, 4.4555, (3, 3, 9, 3), (96, 192, 384, 768), 0.1)
@small("convnext_small", 50_223_688, 8.6837, filters=(96, 192, 384, 768), drop_path_rate=0.4)
@small("convnext_base", 88_591_464, 15.3547, filters=(128, 256, 512, 1024), drop_path_rate=0.5)
def convnext(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="convnext",
    repeats=(3, 3, 9, 3),
    filters=(96, 192, 384, 768),
    layer_scale=1e-6,
    drop_path_rate=0.0,
) -> keras.Model:
    """A ConvNeXt (section 3 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Blocks in each stage.
        filters: Channels of each stage.
        layer_scale: What the factors of a branch's channels start from.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32). They are not normalised.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not repeats or len(repeats) != len(filters):
        raise ValueError(f"{repeats=} and {filters=} must have one number for each stage.")
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for stage, (count, width) in enumerate(zip(repeats, filters, strict=True), start=1):
        if stage == 1:
            x = patches(x, width, 4, name="stem_conv")
            x = layer_norm(x, name="stem_norm")
        else:
            x = layer_norm(x, name=f"stage{stage}_down_norm")
            x = patches(x, width, 2, name=f"stage{stage}_down_conv")
        for block in range(1, count + 1):
            x = convnext_block(
                x,
                layer_scale=layer_scale,
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
        x = layers.Identity(name=f"C{stage + 1}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layer_norm(x, name="norm")
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
