"""Residual networks.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, arXiv:1512.03385; stochastic
depth from Huang et al., ECCV 2016, arXiv:1603.09382; the wide variant from Zagoruyko and Komodakis,
BMVC 2016, arXiv:1605.07146.

What differs from the paper: a bottleneck strides in its 3x3 convolution, not in the first 1x1
(torchvision's "v1.5", half a point better; `stride_in_1x1=True` gives the paper's); convolutions
before batch norm carry no bias. ResNet-50: 25.6 million parameters, 4.09 G multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    PaddedIdentity,
    classification_head,
    conv,
    drop_rates,
    preprocess,
)
from vislearn.layers.residual import (
    batch_norm,
    bottleneck_block,
    merge,
    projection,
    stages,
    stem,
)
from vislearn.registry import Paper, register

RESNET = Paper(
    "Deep Residual Learning for Image Recognition",
    "Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun",
    2016,
    "https://arxiv.org/abs/1512.03385",
)
WIDE = Paper(
    "Wide Residual Networks",
    "Sergey Zagoruyko, Nikos Komodakis",
    2016,
    "https://arxiv.org/abs/1605.07146",
)


def basic_block(x, filters, *, stride=1, drop_rate=0.0, name):
    """Two 3x3 convolutions beside a shortcut (Figure 5, left)."""
    shortcut = projection(x, filters, stride=stride, name=name)
    x = conv(x, filters, 3, stride=stride, name=f"{name}_conv1")
    x = batch_norm(x, name=f"{name}_bn1")
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = conv(x, filters, 3, name=f"{name}_conv2")
    x = batch_norm(x, name=f"{name}_bn2")
    return merge(x, shortcut, drop_rate, name=name)


BLOCKS = {"basic": basic_block, "bottleneck": bottleneck_block}

imagenet = functools.partial(
    register,
    family="resnet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    tiny={"input_shape": (64, 64, 3), "num_classes": 5, "width": 8, "repeats": (1, 2, 1, 1)},
)


def torchvision(name, params, gmacs, block, repeats, *, paper=RESNET, **variant):
    """Registers a variant that torchvision has: Table 1 of the paper, and its counts."""
    return imagenet(
        name,
        paper=paper,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        block=block,
        repeats=repeats,
        **variant,
    )


@torchvision("resnet18", 11_699_112, 1.8141, "basic", (2, 2, 2, 2))
@torchvision("resnet34", 21_814_696, 3.6638, "basic", (3, 4, 6, 3))
@torchvision("resnet50", 25_610_152, 4.0892, "bottleneck", (3, 4, 6, 3))
@torchvision("resnet101", 44_654_504, 7.8014, "bottleneck", (3, 4, 23, 3))
@torchvision("resnet152", 60_344_232, 11.5136, "bottleneck", (3, 8, 36, 3))
@torchvision("wide_resnet50_2", 68_951_464, 11.398, "bottleneck", (3, 4, 6, 3), paper=WIDE, widen=2)
def resnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="resnet",
    block="bottleneck",
    repeats=(3, 4, 6, 3),
    width=64,
    widen=1,
    stride_in_1x1=False,
    drop_path_rate=0.0,
) -> keras.Model:
    """A residual network for ImageNet-sized images (Table 1 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        block: `"basic"` or `"bottleneck"`.
        repeats: Blocks in each of the four stages.
        width: Filters of the first stage; each further stage doubles them.
        widen: Factor on the inner filters of a bottleneck (wide residual networks).
        stride_in_1x1: Stride in the first 1x1 convolution of a bottleneck, as the paper and
            keras.applications do, rather than in the 3x3.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    if block not in BLOCKS:
        raise ValueError(f"block={block!r} must be one of {sorted(BLOCKS)}.")
    options = {"widen": widen, "stride_in_1x1": stride_in_1x1} if block == "bottleneck" else {}
    if block == "basic" and (widen != 1 or stride_in_1x1):
        raise ValueError(f"{widen=} and {stride_in_1x1=} are for block='bottleneck' only.")

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = stem(x, width)
    x = stages(x, functools.partial(BLOCKS[block], **options), repeats, width, drop_path_rate)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


cifar = functools.partial(
    register,
    paper=RESNET,
    family="resnet",
    input_shape=(32, 32, 3),
    num_classes=10,
    tiny={"input_shape": (16, 16, 3), "num_classes": 5, "depth": 8, "width": 8},
)
counted = {"reference_params": 271_098, "reference": "counted from the layer table"}


@cifar("resnet20_cifar", depth=20, **counted)
@cifar("resnet32_cifar", depth=32)
@cifar("resnet44_cifar", depth=44)
@cifar("resnet56_cifar", depth=56)
@cifar("resnet110_cifar", depth=110)
@cifar("plain20_cifar", depth=20, residual=False)
@cifar("plain56_cifar", depth=56, residual=False)
def resnet_cifar(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="resnet_cifar",
    depth=20,
    width=16,
    residual=True,
    drop_path_rate=0.0,
) -> keras.Model:
    """A residual or plain network for small images (section 4.2 of the paper).

    Three stages of n basic blocks, depth = 6n + 2; where the size changes, the shortcut is the
    identity with zeros for the new channels (option A), so that a residual network has exactly the
    weights of its plain counterpart.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        depth: Number of weight layers, 6n + 2.
        width: Filters of the first stage; each further stage doubles them.
        residual: False for the plain network, without shortcuts.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C0` (stride 1), `C1` and `C2` (stride 4).

    Raises:
        ValueError: If an argument is out of range.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"depth={depth!r} must be 6n + 2 with n of at least 1: 8, 14, 20, ...")
    if drop_path_rate and not residual:
        raise ValueError(
            f"drop_path_rate={drop_path_rate!r} needs shortcuts, and residual=False has none."
        )
    repeats = (depth - 2) // 6
    rates = iter(drop_rates(drop_path_rate, 3 * repeats))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = conv(x, width, 3, name="stem_conv")
    x = batch_norm(x, name="stem_bn")
    x = layers.ReLU(name="stem_relu")(x)
    for stage in range(3):
        filters = width * 2**stage
        for index in range(repeats):
            stride = 2 if stage > 0 and index == 0 else 1
            block = f"stage{stage + 1}_block{index + 1}"
            shortcut = x
            x = conv(x, filters, 3, stride=stride, name=f"{block}_conv1")
            x = batch_norm(x, name=f"{block}_bn1")
            x = layers.ReLU(name=f"{block}_relu1")(x)
            x = conv(x, filters, 3, name=f"{block}_conv2")
            x = batch_norm(x, name=f"{block}_bn2")
            if residual:
                shortcut = PaddedIdentity(filters, stride, name=f"{block}_shortcut")(shortcut)
                x = merge(x, shortcut, next(rates), name=block)
            else:
                x = layers.ReLU(name=f"{block}_out")(x)
        x = layers.Identity(name=f"C{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
