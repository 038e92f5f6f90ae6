"""ResNeXt: residual networks whose bottlenecks convolve in groups.

Xie et al., "Aggregated Residual Transformations for Deep Neural Networks", CVPR 2017,
arXiv:1611.05431. A block sums `cardinality` paths of `bottleneck_width` channels each; in the form
of Figure 3(c), which is computed here, that is the bottleneck of ResNet, wider inside, with a
grouped 3x3 convolution. `resnext50_32x4d` has 32 paths of 4 channels.

The paper has the first and the last of the variants; 32x8d is torchvision's. ResNeXt-50 32x4d:
25.1 million parameters, 4.23 G multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import classification_head, preprocess
from vislearn.layers.residual import bottleneck_block, stages, stem
from vislearn.registry import Paper, register

RESNEXT = Paper(
    "Aggregated Residual Transformations for Deep Neural Networks",
    "Saining Xie, Ross Girshick, Piotr Dollár, Zhuowen Tu, Kaiming He",
    2017,
    "https://arxiv.org/abs/1611.05431",
)


def torchvision(name, params, gmacs, repeats, cardinality, bottleneck_width):
    """Registers a variant that torchvision has (Tables 1 and 4 of the paper), and its counts."""
    return register(
        name,
        paper=RESNEXT,
        family="resnext",
        input_shape=(224, 224, 3),
        num_classes=1000,
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "width": 16,
            "repeats": (1, 2),
            "cardinality": 4,
            "bottleneck_width": 32,
        },
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"torchvision 0.28.0 {name}",
        repeats=repeats,
        cardinality=cardinality,
        bottleneck_width=bottleneck_width,
    )


@torchvision("resnext50_32x4d", 25_097_128, 4.2305, (3, 4, 6, 3), 32, 4)
@torchvision("resnext101_32x8d", 88_994_216, 16.4140, (3, 4, 23, 3), 32, 8)
@torchvision("resnext101_64x4d", 83_658_152, 15.4603, (3, 4, 23, 3), 64, 4)
def resnext(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="resnext",
    repeats=(3, 4, 6, 3),
    width=64,
    cardinality=32,
    bottleneck_width=4,
    drop_path_rate=0.0,
) -> keras.Model:
    """A ResNeXt (Table 1 of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Blocks in each stage.
        width: Filters of the stem and a quarter of those of the first stage; each further stage
            doubles them.
        cardinality: Groups of the 3x3 convolutions: C of the paper.
        bottleneck_width: Channels of a group in the first stage, where `width` is 64: d of the
            paper. They grow with `width` and from stage to stage.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range, or the channels can't be split into groups.
    """
    inner = cardinality * bottleneck_width  # For a width of 64.
    if cardinality < 1 or bottleneck_width < 1 or inner % 64:
        raise ValueError(
            f"{cardinality=} times {bottleneck_width=} must be a positive multiple of 64."
        )
    if inner // 64 * width % cardinality:
        raise ValueError(
            f"{cardinality=} must divide the {inner // 64 * width} channels of the first stage."
        )
    block = functools.partial(bottleneck_block, widen=inner // 64, groups=cardinality)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = stem(x, width)
    x = stages(x, block, repeats, width, drop_path_rate)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
