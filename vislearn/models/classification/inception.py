"""Inception networks, the first three generations.

GoogLeNet: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, arXiv:1409.4842; v2: Ioffe
and Szegedy, "Batch Normalization", ICML 2015, arXiv:1502.03167; v3: Szegedy et al., "Rethinking the
Inception Architecture for Computer Vision", CVPR 2016, arXiv:1512.00567. v4 and Inception-ResNet
are in `inception_v4`.

What differs from the papers: GoogLeNet has batch norm, and 3x3 where the paper has 5x5
convolutions, as torchvision's (whose weights know no other; `large_kernel=5` gives the paper's),
and no auxiliary classifiers unless asked for. v2 has the filters of its authors' TF-slim, by which
every module of stage 4 gives the 576 maps that Figure 5 states; it has no dropout, as the paper
recommends. v3 follows keras.applications: batch norm without scale, no dropout; `gamma` and
`count_padding` make it torchvision's. Batch norm moves at torch's rate of 0.1 in all of them.

GoogLeNet: 6.6 million parameters, 1.50 G multiply-adds; v2: 11.2 million, 1.93 G; v3: 23.9 million,
5.71 G.
"""

import functools
import math

import keras
from keras import layers

from vislearn.layers import classification_head, preprocess
from vislearn.layers.inception import batch_norm, mixed, pool, scaled, unit
from vislearn.registry import Paper, register

GOING_DEEPER = Paper(
    "Going Deeper with Convolutions",
    "Christian Szegedy, Wei Liu, Yangqing Jia, Pierre Sermanet, Scott Reed, Dragomir Anguelov, "
    "Dumitru Erhan, Vincent Vanhoucke, Andrew Rabinovich",
    2015,
    "https://arxiv.org/abs/1409.4842",
)
BATCH_NORM = Paper(
    "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate Shift",
    "Sergey Ioffe, Christian Szegedy",
    2015,
    "https://arxiv.org/abs/1502.03167",
)
RETHINKING = Paper(
    "Rethinking the Inception Architecture for Computer Vision",
    "Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens, Zbigniew Wojna",
    2016,
    "https://arxiv.org/abs/1512.00567",
)
# What each auxiliary loss of GoogLeNet counts beside the main one (1409.4842, section 5).
AUX_WEIGHT = 0.3


def valid_stem(x, **options):
    """The first layers of v3 and Inception-ResNet: 299 pixels to 35, most without padding."""
    x = unit(x, 32, 3, 2, "valid", name="stem", part="1", **options)
    x = unit(x, 32, 3, 1, "valid", name="stem", part="2", **options)
    x = unit(x, 64, 3, name="stem", part="3", **options)
    x = layers.Identity(name="C1")(x)
    x = pool(x, "max", 3, 2, "valid", name="stem_pool1")
    x = unit(x, 80, 1, name="stem", part="4", **options)
    x = unit(x, 192, 3, 1, "valid", name="stem", part="5", **options)
    x = layers.Identity(name="C2")(x)
    return pool(x, "max", 3, 2, "valid", name="stem_pool2")


def answer(x, num_classes, activation, dropout):
    """Global pooling, dropout and the head."""
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout > 0:
        x = layers.Dropout(dropout, name="dropout")(x)
    return classification_head(x, num_classes, activation)


def check(width, dropout):
    """Refuses what no network here can be built with."""
    if not width > 0:
        raise ValueError(f"width={width!r} must be positive.")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must be at least 0 and less than 1.")


def check_repeats(repeats, most=(math.inf,) * 3):
    """Refuses numbers of modules that are no numbers, or more than the table has."""
    allowed = len(repeats) == len(most) and all(
        isinstance(count, int) and 0 < count <= limit
        for count, limit in zip(repeats, most, strict=True)
    )
    if not allowed:
        upto = "" if math.inf in most else f" and at most {most}"
        raise ValueError(f"repeats={repeats!r} must be three positive integers{upto}.")


inception = functools.partial(register, family="inception", num_classes=1000)

# Table 1 of 1409.4842, a stage a row: filters of 1x1, of 3x3 and what goes before, of 5x5 and what
# goes before, and after the pooling.
GOOGLENET = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


@inception(
    "googlenet",
    paper=GOING_DEEPER,
    input_shape=(224, 224, 3),
    reference_params=6_639_464,
    reference_gmacs=1.4984,
    reference="torchvision 0.28.0 googlenet(aux_logits=False)",
    tiny={"input_shape": (32, 32, 3), "num_classes": 5, "repeats": (1, 1, 1), "width": 0.125},
)
def googlenet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="googlenet",
    repeats=(2, 5, 2),
    width=1.0,
    large_kernel=3,
    aux_heads=False,
    dropout=0.2,
) -> keras.Model:
    """GoogLeNet with batch norm (Table 1 of arXiv:1409.4842).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Modules of each of the stages 3 to 5, the first ones of the table.
        width: Factor on all filters.
        large_kernel: Side of the kernels in the third branch: 5 in the paper, 3 in torchvision.
        aux_heads: Whether to answer `{"logits": ..., "aux1": ..., "aux2": ...}`, with classifiers
            after the first and the fourth module of stage 4. In training their losses are added
            with the weight `AUX_WEIGHT`: `compile(loss=..., loss_weights={"logits": 1.0, "aux1":
            AUX_WEIGHT, "aux2": AUX_WEIGHT})`; afterwards they are dropped:
            `keras.Model(model.input, model.output["logits"])`.
        dropout: Rate before the head; that of the auxiliary ones is 0.7.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(width, dropout)
    check_repeats(repeats, (2, 5, 2))
    if large_kernel < 1 or large_kernel % 2 == 0:
        raise ValueError(f"large_kernel={large_kernel!r} must be odd and positive.")
    if aux_heads and (num_classes == 0 or repeats[1] < 4):
        raise ValueError(
            f"aux_heads={aux_heads!r} needs classes and four modules in stage 4, and there are "
            f"num_classes={num_classes!r} and {repeats=}."
        )
    heads = {}
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = unit(x, 64, 7, 2, name="stem", part="1", width=width)
    x = layers.Identity(name="C1")(x)
    x = pool(x, "max", 3, 2, name="stem_pool1")
    x = unit(x, 64, 1, name="stem", part="2", width=width)
    x = unit(x, 192, 3, name="stem", part="3", width=width)
    x = layers.Identity(name="C2")(x)
    x = pool(x, "max", 3, 2, name="stem_pool2")
    for stage, (rows, count) in enumerate(zip(GOOGLENET, repeats, strict=True), start=3):
        if stage > 3:
            x = pool(x, "max", 3 if stage == 4 else 2, 2, name=f"stage{stage}_pool")
        for index, (one, before, three, before_five, five, after) in enumerate(rows[:count], 1):
            branches = [
                [(one, 1)],
                [(before, 1), (three, 3)],
                [(before_five, 1), (five, large_kernel)],
                [("max", 3), (after, 1)],
            ]
            x = mixed(x, branches, name=f"stage{stage}_block{index}", width=width)
            if aux_heads and stage == 4 and index in (1, 4):
                aux = f"aux{len(heads) + 1}"
                heads[aux] = aux_head(x, num_classes, classifier_activation, width, name=aux)
        x = layers.Identity(name=f"C{stage}")(x)
    x = answer(x, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, {"logits": x, **heads} if aux_heads else x, name=name)


def aux_head(x, num_classes, activation, width, *, name):
    """A classifier in the middle of the network (section 5), pooled as in torchvision."""
    x = layers.AdaptiveAveragePooling2D(4, name=f"{name}_pool")(x)
    x = unit(x, 128, 1, name=name, width=width)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(scaled(1024, width), activation="relu", name=f"{name}_dense")(x)
    x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
    return classification_head(x, num_classes, activation, name=f"{name}_head")


# Figure 5 of 1502.03167 as in TF-slim, a stage a row, less the modules of stride 2: filters of 1x1,
# of 3x3 and what goes before, of two 3x3 and what goes before, and after the pooling.
INCEPTION_V2 = (
    ((64, 64, 64, 64, 96, 32), (64, 64, 96, 64, 96, 64)),
    (
        (224, 64, 96, 96, 128, 128),
        (192, 96, 128, 96, 128, 128),
        (160, 128, 160, 128, 160, 96),
        (96, 128, 192, 160, 192, 96),
    ),
    ((352, 192, 320, 160, 224, 128), (352, 192, 320, 192, 224, 128)),
)
# The modules of stride 2, 3c and 4e, before the stages 4 and 5; the third branch pools.
REDUCTIONS = {4: (128, 160, 64, 96), 5: (128, 192, 192, 256)}


@inception(
    "inception_v2",
    paper=BATCH_NORM,
    input_shape=(224, 224, 3),
    # TF-slim's test counts 10,173,112 without gamma (9,952) and the head (1,025,000), and with 64
    # biases in place of the 192 weights of the first batch norm.
    reference_params=10_173_112 + 128 + 9_952 + 1_025_000,
    reference="TF-slim inception_v2, with gamma and a head",
    tiny={"input_shape": (32, 32, 3), "num_classes": 5, "repeats": (1, 1, 2), "width": 0.125},
)
def inception_v2(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="inception_v2",
    repeats=(2, 4, 2),
    width=1.0,
    gamma=True,
    dropout=0.0,
) -> keras.Model:
    """BN-Inception (Figure 5 of arXiv:1502.03167): two 3x3 convolutions in place of one of 5x5.

    Its first convolution is separable, with eight maps of each channel.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Modules of stride 1 of each of the stages 3 to 5, the first ones of the table.
        width: Factor on all filters.
        gamma: Whether batch norm has a scale.
        dropout: Rate before the head; the paper leaves it out.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(width, dropout)
    check_repeats(repeats, (2, 4, 2))
    options = {"width": width, "gamma": gamma}

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.ZeroPadding2D(3, name="stem_conv1_pad")(x)
    x = layers.SeparableConv2D(
        scaled(64, width), 7, 2, depth_multiplier=8, use_bias=False, name="stem_conv1"
    )(x)
    x = batch_norm(x, gamma=gamma, name="stem_bn1")
    x = layers.ReLU(name="stem_relu1")(x)
    x = layers.Identity(name="C1")(x)
    x = pool(x, "max", 3, 2, name="stem_pool1")
    x = unit(x, 64, 1, name="stem", part="2", **options)
    x = unit(x, 192, 3, name="stem", part="3", **options)
    x = layers.Identity(name="C2")(x)
    x = pool(x, "max", 3, 2, name="stem_pool2")
    for stage, (rows, count) in enumerate(zip(INCEPTION_V2, repeats, strict=True), start=3):
        if stage in REDUCTIONS:
            before, three, before_two, two = REDUCTIONS[stage]
            branches = [
                [(before, 1), (three, 3, 2)],
                [(before_two, 1), (two, 3), (two, 3, 2)],
                [("max", 3, 2)],
            ]
            x = mixed(x, branches, name=f"stage{stage}_reduction", **options)
        for index, (one, before, three, before_two, two, after) in enumerate(rows[:count], 1):
            branches = [
                [(one, 1)],
                [(before, 1), (three, 3)],
                [(before_two, 1), (two, 3), (two, 3)],
                [("max" if (stage, index) == (5, 2) else "avg", 3), (after, 1)],
            ]
            x = mixed(x, branches, name=f"stage{stage}_block{index}", **options)
        x = layers.Identity(name=f"C{stage}")(x)
    x = answer(x, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)


@inception(
    "inception_v3",
    paper=RETHINKING,
    input_shape=(299, 299, 3),
    reference_params=23_851_784,
    reference_gmacs=5.7132,
    reference="keras.applications keras 3.15.1 / tensorflow 2.21.0 InceptionV3",
    tiny={
        "input_shape": (80, 80, 3),
        "num_classes": 5,
        "stage3": (32,),
        "stage4": (128,),
        "stage5": 1,
        "width": 0.125,
    },
)
def inception_v3(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="inception_v3",
    stage3=(32, 64, 64),
    stage4=(128, 160, 160, 192),
    stage5=2,
    width=1.0,
    gamma=False,
    count_padding=False,
    dropout=0.0,
) -> keras.Model:
    """Inception v3 (Table 1 of arXiv:1512.00567): long kernels factorised, few paddings.

    Strides count 2^n for the endpoint `C{n}`, but without padding the maps are smaller than the
    image divided by them: 147, 71, 35, 17 and 8 of 299 pixels. The image has 75 at least.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        stage3: Filters after the pooling of each module with 3x3 and 5x5 kernels (Figure 5).
        stage4: Inner filters of each module with 7x1 and 1x7 kernels (Figure 6).
        stage5: Number of modules that fork into 1x3 and 3x1 kernels (Figure 7).
        width: Factor on all filters.
        gamma: Whether batch norm has a scale, as in torchvision.
        count_padding: Whether average pooling counts the zeros of the padding, as in torchvision.
        dropout: Rate before the head; 0.2 in the paper.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C5` (stride 32).

    Raises:
        ValueError: If an argument is out of range.
    """
    check(width, dropout)
    for option, value in {"stage3": stage3, "stage4": stage4}.items():
        if not value or not all(isinstance(n, int) and n > 0 for n in value):
            raise ValueError(f"{option}={value!r} must be positive integers, a module each.")
    if not isinstance(stage5, int) or stage5 < 1:
        raise ValueError(f"stage5={stage5!r} must be a positive integer.")
    options = {"width": width, "gamma": gamma, "initializer": "glorot_uniform"}
    module = functools.partial(mixed, count_padding=count_padding, **options)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = valid_stem(x, **options)
    for index, after in enumerate(stage3, start=1):
        branches = [
            [(64, 1)],
            [(48, 1), (64, 5)],
            [(64, 1), (96, 3), (96, 3)],
            [("avg", 3), (after, 1)],
        ]
        x = module(x, branches, name=f"stage3_block{index}")
    x = layers.Identity(name="C3")(x)
    branches = [
        [(384, 3, 2, "valid")],
        [(64, 1), (96, 3), (96, 3, 2, "valid")],
        [("max", 3, 2, "valid")],
    ]
    x = module(x, branches, name="stage4_reduction")
    for index, inner in enumerate(stage4, start=1):
        high, wide = (7, 1), (1, 7)
        branches = [
            [(192, 1)],
            [(inner, 1), (inner, wide), (192, high)],
            [(inner, 1), (inner, high), (inner, wide), (inner, high), (192, wide)],
            [("avg", 3), (192, 1)],
        ]
        x = module(x, branches, name=f"stage4_block{index}")
    x = layers.Identity(name="C4")(x)
    branches = [
        [(192, 1), (320, 3, 2, "valid")],
        [(192, 1), (192, (1, 7)), (192, (7, 1)), (192, 3, 2, "valid")],
        [("max", 3, 2, "valid")],
    ]
    x = module(x, branches, name="stage5_reduction")
    for index in range(stage5):
        fork = [(384, (1, 3)), (384, (3, 1))]
        branches = [
            [(320, 1)],
            [(384, 1), fork],
            [(448, 1), (384, 3), fork],
            [("avg", 3), (192, 1)],
        ]
        x = module(x, branches, name=f"stage5_block{index + 1}")
    x = layers.Identity(name="C5")(x)
    x = answer(x, num_classes, classifier_activation, dropout)
    return keras.Model(inputs, x, name=name)
