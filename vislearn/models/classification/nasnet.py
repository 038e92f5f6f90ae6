"""NASNet-A: two cells that a search found, repeated.

Zoph et al., "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
arXiv:1707.07012.

A cell reads the outputs of the two cells before it. It makes five new maps, each the sum of two
operations on maps that there are, and concatenates those at its end: `NORMAL` and `REDUCTION` are
Figure 4 as a table. Weights and arithmetic are those of keras.applications, down to the zeros
that the strided pooling of a reduction cell sees beyond the border.

What differs from it: statistics of batch norm move by 1% a step, not by 0.03%, which short
trainings don't live to see. What differs from the paper: where paths are dropped
(`drop_path_rate`), the rate grows with depth but not in the course of training; there is no
auxiliary classifier. NASNet-A (4 @ 1056): 5.33 million parameters, 0.56 G multiply-adds;
(6 @ 4032): 88.9 million, 23.8 G.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    BatchNormalization,
    StochasticDepth,
    classification_head,
    conv,
    drop_rates,
    preprocess,
)
from vislearn.registry import Paper, register

NASNET = Paper(
    "Learning Transferable Architectures for Scalable Image Recognition",
    "Barret Zoph, Vijay Vasudevan, Jonathon Shlens, Quoc V. Le",
    2018,
    "https://arxiv.org/abs/1707.07012",
)

# Figure 4: the two (operation, input) pairs whose sum is each new map. Inputs are the cells before,
# "current" (h_i) and "previous" (h_i-1), or the number of a new map.
NORMAL = (
    (("separable5", "current"), ("separable3", "previous")),
    (("separable5", "previous"), ("separable3", "previous")),
    (("average3", "current"), ("identity", "previous")),
    (("average3", "previous"), ("average3", "previous")),
    (("separable3", "current"), ("identity", "current")),
)
# Operations on the cells before have stride 2 here, those on new maps stride 1.
REDUCTION = (
    (("separable5", "current"), ("separable7", "previous")),
    (("max3", "current"), ("separable7", "previous")),
    (("average3", "current"), ("separable5", "previous")),
    (("average3", 1), ("identity", 2)),
    (("separable3", 1), ("max3", "current")),
)
# What a cell concatenates: the maps that nothing reads, and one that something does.
NORMAL_OUTPUTS = ("previous", 1, 2, 3, 4, 5)
REDUCTION_OUTPUTS = (2, 3, 4, 5)


def batch_norm(x, *, momentum, name):
    """Batch normalisation with the epsilon of the published weights."""
    return BatchNormalization(momentum=momentum, epsilon=1e-3, name=name)(x)


def separable(x, filters, size, *, stride, norm, name):
    """ReLU, separable convolution and batch norm, twice (appendix A.4)."""
    for part, step in ((1, stride), (2, 1)):
        x = layers.ReLU(name=f"{name}_relu{part}")(x)
        x = layers.SeparableConv2D(
            filters, size, step, padding="same", use_bias=False, name=f"{name}_conv{part}"
        )(x)
        x = norm(x, name=f"{name}_bn{part}")
    return x


def pool(x, kind, size, *, stride, name):
    """Pooling; where it strides, pixels beyond the border count as zeros."""
    padding = "same"
    if stride == 2:
        beyond = [(size // 2 - (side + 1) % 2, size // 2) for side in x.shape[1:3]]
        x, padding = layers.ZeroPadding2D(beyond, name=f"{name}_pad")(x), "valid"
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(size, stride, padding=padding, name=name)(x)


def operation(x, kind, filters, *, stride, norm, name):
    """One operation of the table: `"identity"`, or `"separable5"`, `"average3"`, `"max3"`."""
    if kind == "identity":
        return x
    kind, size = kind[:-1], int(kind[-1])
    if kind == "separable":
        return separable(x, filters, size, stride=stride, norm=norm, name=name)
    return pool(x, kind, size, stride=stride, name=name)


def fit(x, like, filters, *, norm, name):
    """Gives the output of the last cell but one the size and number of maps of a cell (A.4)."""
    if x.shape[1:3] == like.shape[1:3] and x.shape[-1] == filters:
        return x
    x = layers.ReLU(name=f"{name}_relu")(x)
    if x.shape[1:3] == like.shape[1:3]:
        x = conv(x, filters, 1, name=f"{name}_conv")
        return norm(x, name=f"{name}_bn")
    # Half of the maps from the even pixels, half from the odd ones.
    odd = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    odd = layers.Cropping2D(((1, 0), (1, 0)), name=f"{name}_crop")(odd)
    x = [
        conv(pixels, filters // 2, 1, stride=2, padding="tensorflow", name=f"{name}_conv{half}")
        for half, pixels in ((1, x), (2, odd))
    ]
    x = layers.Concatenate(name=f"{name}_concat")(x)
    return norm(x, name=f"{name}_bn")


def cell(current, previous, filters, *, stride=1, drop_rate=0.0, norm, name):
    """A normal cell, or with stride 2 a reduction cell.

    Args:
        current: `(batch, height, width, channels)`, the output of the last cell.
        previous: That of the last cell but one, or None for the first cell.
        filters: Of each new map.
        stride: 1 or 2.
        drop_rate: Rate at which training drops an operation.
        norm: Function of `(x, name=...)`, batch norm.
        name: Start of the layers' names.

    Returns:
        `(batch, ceil(height / stride), ceil(width / stride), 6 * filters)`, 4 with stride 2.
    """
    table, outputs = (NORMAL, NORMAL_OUTPUTS) if stride == 1 else (REDUCTION, REDUCTION_OUTPUTS)
    maps = {"previous": current}
    if previous is not None:
        maps["previous"] = fit(previous, current, filters, norm=norm, name=f"{name}_previous")
    x = layers.ReLU(name=f"{name}_current_relu")(current)
    x = conv(x, filters, 1, name=f"{name}_current_conv")
    maps["current"] = norm(x, name=f"{name}_current_bn")
    for number, pair in enumerate(table, start=1):
        terms = []
        for side, (kind, source) in zip(("left", "right"), pair, strict=True):
            step = 1 if source in range(1, number) else stride
            path = f"{name}_{side}{number}"
            x = operation(maps[source], kind, filters, stride=step, norm=norm, name=path)
            if drop_rate > 0 and kind != "identity":
                x = StochasticDepth(drop_rate, name=f"{path}_drop")(x)
            terms.append(x)
        maps[number] = layers.Add(name=f"{name}_add{number}")(terms)
    return layers.Concatenate(name=f"{name}_concat")([maps[output] for output in outputs])


def cells(repeats, filters):
    """All cells as `(name, filters, stride)`, with the filters of the first stage given."""
    yield "stem_cell1", filters // 4, 2
    yield "stem_cell2", filters // 2, 2
    for stage, count in enumerate(repeats, start=1):
        if stage > 1:
            filters *= 2
            yield f"stage{stage}_reduction", filters, 2
        for index in range(1, count + 1):
            yield f"stage{stage}_cell{index}", filters, 1


nasnet_a = functools.partial(
    register,
    paper=NASNET,
    family="nasnet",
    num_classes=1000,
    tiny={
        "input_shape": (32, 32, 3),
        "num_classes": 5,
        "repeats": (2,),
        "penultimate_filters": 48,
        "stem_filters": 8,
        "skip_reduction_input": False,
        "momentum": 0.9,
    },
)
KERAS = "keras.applications keras 3.15.1 / tensorflow 2.21.0"


@nasnet_a(
    "nasnet_mobile",
    input_shape=(224, 224, 3),
    reference_params=5_326_716,
    reference_gmacs=0.5636,
    reference=f"{KERAS} NASNetMobile",
    repeats=(4, 4, 4),
    penultimate_filters=1056,
    stem_filters=32,
)
@nasnet_a(
    "nasnet_large",
    input_shape=(331, 331, 3),
    reference_params=88_949_818,
    reference_gmacs=23.7834,
    reference=f"{KERAS} NASNetLarge",
    repeats=(6, 6, 6),
    penultimate_filters=4032,
    stem_filters=96,
    skip_reduction_input=True,
)
def nasnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="nasnet",
    repeats=(4, 4, 4),
    penultimate_filters=1056,
    stem_filters=32,
    skip_reduction_input=False,
    drop_path_rate=0.0,
    dropout=0.0,
    momentum=0.99,
) -> keras.Model:
    """NASNet-A for ImageNet (Figure 2, right, of the paper).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        repeats: Normal cells of each stage, all of them N in the paper's "N @ P".
        penultimate_filters: Feature maps of the last cell, P in the paper; a stage has twice those
            of the one before.
        stem_filters: Filters of the first convolution.
        skip_reduction_input: Whether the first cell after a reduction cell reads, beside its
            output, the cell before the reduction cell's input, rather than that input.
        drop_path_rate: The rate at which an operation of the last cell is dropped in training; it
            grows linearly with depth. The paper's are 0 for 4 @ 1056 and 0.3 for 6 @ 4032.
        dropout: Rate before the head.
        momentum: Of batch norm.

    Returns:
        A model with the endpoints `C1` (stride 2), `C2` (stride 4) and `C3` to `C5` (stride 32),
        one a stage.

    Raises:
        ValueError: If an argument is out of range.
    """
    if not repeats or not all(isinstance(count, int) and count > 0 for count in repeats):
        raise ValueError(f"repeats={repeats!r} must be positive integers, one a stage.")
    # The last normal cell concatenates six maps; the first cell of the stem has a quarter of the
    # first stage's filters, and reads halves of them.
    divisor = 24 * 2 ** (len(repeats) - 1)
    if penultimate_filters < 1 or penultimate_filters % divisor:
        raise ValueError(
            f"penultimate_filters={penultimate_filters!r} must be a positive multiple of {divisor} "
            f"with {repeats=}."
        )
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout={dropout!r} must be at least 0 and less than 1.")
    norm = functools.partial(batch_norm, momentum=momentum)
    plan = list(cells(repeats, 4 * penultimate_filters // divisor))
    rates = drop_rates(drop_path_rate, len(plan))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    options = {"use_bias": False, "kernel_initializer": "he_normal"}
    x = layers.Conv2D(stem_filters, 3, 2, **options, name="stem_conv")(x)
    x = norm(x, name="stem_bn")
    previous, level = None, 1
    for (path, filters, stride), rate in zip(plan, rates, strict=True):
        if stride == 2:
            x = layers.Identity(name=f"C{level}")(x)
            level += 1
        options = {"stride": stride, "drop_rate": rate, "norm": norm}
        current, x = x, cell(x, previous, filters, **options, name=path)
        if not (skip_reduction_input and path.endswith("_reduction")):
            previous = current
    x = layers.ReLU(name="final_relu")(x)
    x = layers.Identity(name=f"C{level}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if dropout > 0 and num_classes:
        x = layers.Dropout(dropout, name="dropout")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
