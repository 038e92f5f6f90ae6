"""Inception v4 and Inception-ResNet v2.

Szegedy et al., "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
AAAI 2017, arXiv:1602.07261.

What differs from the paper: Inception-ResNet v2 is that of its authors' TF-slim and of
keras.applications. It has the stem of Inception v3 and a module of four branches after it, twice as
many residual modules (Figure 15 has 5, 10 and 5), and batch norm without scale unless `gamma=True`.
Dropout is 0.2 in the paper and 0 in timm and keras.applications, and so here. Batch norm moves at
torch's rate of 0.1.

Inception v4: 42.7 million parameters, 12.25 G multiply-adds; Inception-ResNet v2: 55.9 million,
13.16 G. The earlier generations are in `inception`.
"""

import functools

import keras
from keras import layers

from vislearn.layers import preprocess
from vislearn.layers.inception import mixed, unit
from vislearn.models.classification.inception import (
    answer,
    check,
    check_repeats,
    inception,
    valid_stem,
)
from vislearn.registry import Paper

INCEPTION_V4 = Paper(
    "Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning",
    "Christian Szegedy, Sergey Ioffe, Vincent Vanhoucke, Alex Alemi",
    2017,
    "https://arxiv.org/abs/1602.07261",
)

HIGH, WIDE = (7, 1), (1, 7)
FORK = [(256, (1, 3)), (256, (3, 1))]
POOL = ("max", 3, 2, "valid")

STEM = (  # Figure 3, after its first three convolutions.
    [[POOL], [(96, 3, 2, "valid")]],
    [
        [(64, 1), (96, 3, 1, "valid")],
        [(64, 1), (64, WIDE), (64, HIGH), (96, 3, 1, "valid")],
    ],
    [[(192, 3, 2, "valid")], [POOL]],
)
REDUCTION_A = [  # Figure 7.
    [(384, 3, 2, "valid")],
    [(192, 1), (224, 3), (256, 3, 2, "valid")],
    [POOL],
]
REDUCTION_B = [  # Figure 8.
    [(192, 1), (192, 3, 2, "valid")],
    [(256, 1), (256, WIDE), (320, HIGH), (320, 3, 2, "valid")],
    [POOL],
]
MODULE_A = [  # Figure 4.
    [(96, 1)],
    [(64, 1), (96, 3)],
    [(64, 1), (96, 3), (96, 3)],
    [("avg", 3), (96, 1)],
]
MODULE_B = [  # Figure 5.
    [(384, 1)],
    [(192, 1), (224, WIDE), (256, HIGH)],
    [(192, 1), (192, HIGH), (224, WIDE), (224, HIGH), (256, WIDE)],
    [("avg", 3), (128, 1)],
]
MODULE_C = [  # Figure 6.
    [(256, 1)],
    [(384, 1), FORK],
    [(384, 1), (448, (3, 1)), (512, (1, 3)), FORK],
    [("avg", 3), (256, 1)],
]


@inception(
    "inception_v4",
    paper=INCEPTION_V4,
    input_shape=(299, 299, 3),
    reference_params=42_742_984,
    reference_gmacs=12.2540,
    reference="timm 1.0.31 inception_v4",
    tiny={"input_shape": (80, 80, 3), "num_classes": 5, "repeats": (1, 1, 1), "width": 0.125},
)
def inception_v4(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="inception_v4",
    repeats=(4, 7, 3),
    width=1.0,
    dropout=0.0,
) -> keras.Model:
    """Inception v4 (Figure 9 of the paper).

    As in Inception v3, few layers are padded: the maps are 147, 71, 35, 17 and 8 of 299 pixels.
    The image has 75 at least.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Modules of each of the stages 3 to 5.
        width: Factor on all filters.
        dropout: Rate before the head; 0.2 in the paper.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(width, dropout)
    check_repeats(repeats)
    options = {"width": width, "initializer": "glorot_uniform"}

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = unit(x, 32, 3, 2, "valid", name="stem", part="1", **options)
    x = unit(x, 32, 3, 1, "valid", name="stem", part="2", **options)
    x = unit(x, 64, 3, name="stem", part="3", **options)
    x = layers.Identity(name="C1")(x)
    for index, branches in enumerate(STEM, start=1):
        if index == len(STEM):
            x = layers.Identity(name="C2")(x)
        x = mixed(x, branches, name=f"stem_block{index}", **options)
    for stage, (reduction, module) in enumerate(
        ((None, MODULE_A), (REDUCTION_A, MODULE_B), (REDUCTION_B, MODULE_C)), start=3
    ):
        if reduction is not None:
            x = mixed(x, reduction, name=f"stage{stage}_reduction", **options)
        for index in range(repeats[stage - 3]):
            x = mixed(x, module, name=f"stage{stage}_block{index + 1}", **options)
        x = layers.Identity(name=f"C{stage}")(x)
    x = answer(x, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)


# What goes before the residual modules of each stage.
BEFORE = (
    [
        [(96, 1)],
        [(48, 1), (64, 5)],
        [(64, 1), (96, 3), (96, 3)],
        [("avg", 3), (64, 1)],
    ],
    [
        [(384, 3, 2, "valid")],
        [(256, 1), (256, 3), (384, 3, 2, "valid")],
        [POOL],
    ],
    [  # Figure 18.
        [(256, 1), (384, 3, 2, "valid")],
        [(256, 1), (288, 3, 2, "valid")],
        [(256, 1), (288, 3), (320, 3, 2, "valid")],
        [POOL],
    ],
)
# The residual modules (Figures 16, 17 and 19), and by how much they are scaled.
RESIDUAL = (
    (0.17, [[(32, 1)], [(32, 1), (32, 3)], [(32, 1), (48, 3), (64, 3)]]),
    (0.10, [[(192, 1)], [(128, 1), (160, WIDE), (192, HIGH)]]),
    (0.20, [[(192, 1)], [(192, 1), (224, (1, 3)), (256, (3, 1))]]),
)


def residual(x, branches, scale, *, linear=False, name, **options):
    """A residual module (Figure 20): its branches, to as many maps as `x` has, scaled and added."""
    y = mixed(x, branches, name=name, **options)
    y = layers.Conv2D(
        x.shape[-1], 1, kernel_initializer=options["initializer"], name=f"{name}_conv"
    )(y)
    y = layers.Rescaling(scale, name=f"{name}_scale")(y)
    x = layers.Add(name=f"{name}_add")([x, y])
    return x if linear else layers.ReLU(name=f"{name}_out")(x)


@inception(
    "inception_resnet_v2",
    paper=INCEPTION_V4,
    input_shape=(299, 299, 3),
    reference_params=55_873_736,
    reference_gmacs=13.1558,
    reference="keras.applications keras 3.15.1 / tensorflow 2.21.0 InceptionResNetV2",
    tiny={"input_shape": (80, 80, 3), "num_classes": 5, "repeats": (1, 1, 1), "width": 0.125},
)
def inception_resnet_v2(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="inception_resnet_v2",
    repeats=(10, 20, 10),
    width=1.0,
    gamma=False,
    dropout=0.0,
) -> keras.Model:
    """Inception-ResNet v2 (Figure 15 of the paper): inception modules as residuals.

    What a module adds is scaled down, since it did not train otherwise (section 3.3); the last one
    is added as it is, and without ReLU. As in Inception v3, few layers are padded: the maps are
    147, 71, 35, 17 and 8 of 299 pixels. The image has 75 at least.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Residual modules of each of the stages 3 to 5.
        width: Factor on all filters.
        gamma: Whether batch norm has a scale, as in timm.
        dropout: Rate before the head; 0.2 in the paper.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(width, dropout)
    check_repeats(repeats)
    options = {"width": width, "gamma": gamma, "initializer": "glorot_uniform"}
    module = functools.partial(residual, **options)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = valid_stem(x, **options)
    for stage, (before, (scale, branches), count) in enumerate(
        zip(BEFORE, RESIDUAL, repeats, strict=True), start=3
    ):
        first = "mixed" if stage == 3 else "reduction"
        x = mixed(x, before, name=f"stage{stage}_{first}", **options)
        for index in range(1, count + 1):
            last = (stage, index) == (5, count)
            x = module(
                x,
                branches,
                1.0 if last else scale,
                linear=last,
                name=f"stage{stage}_block{index}",
            )
        if stage == 5:
            x = unit(x, 1536, 1, name="final", **options)
        x = layers.Identity(name=f"C{stage}")(x)
    x = answer(x, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)
