"""RetinaNet: one network that scores and places a dense grid of anchors.

Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, arXiv:1708.02002, on a feature
pyramid (arXiv:1612.03144).

What differs from the paper: P6 is a convolution of P5, not of C5, and anchors are rounded to whole
pixels and matched also where they overlap little, all as torchvision's `retinanet_resnet50_fpn`.
Smaller networks from scratch need a norm in pyramid and heads, which the paper has not
(`norm="batch"`). On ResNet-50 with 800x800 pixels and 91 classes: 34.1 million parameters.

Measured on two CPU cores from scratch, the backbone a `resnet18` of 32 filters, 64 channels in
the pyramid, two convolutions in each head, batch norm, bfloat16. Photographs of blood cells (292,
at 240x320; C3 to C5, anchors of 16, 32 and 64 pixels; 1.1 G multiply-adds), 30 epochs in 7 CPU
minutes: a mAP of 0.89 at an overlap of 0.5 and 0.54 by COCO's mean on the 72 test photographs.
`shapes` at 96 pixels (C2 to C4 and one more level; 0.24 G), 10 epochs in 4 CPU minutes: 0.97 and
0.79.
"""

import functools
import math

import keras
from keras import layers

from vislearn.layers import Anchors, BatchNormalization, ImageSize, feature_pyramid, group_norm
from vislearn.registry import Paper, create_backbone, register

RETINANET = Paper(
    "Focal Loss for Dense Object Detection",
    "Tsung-Yi Lin, Priya Goyal, Ross Girshick, Kaiming He, Piotr Dollár",
    2017,
    "https://arxiv.org/abs/1708.02002",
)
# The three scales of an octave (section 4).
OCTAVE = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))

detector = functools.partial(
    register, paper=RETINANET, task="detection", family="retinanet", input_shape=(800, 800, 3)
)
tiny = {
    "input_shape": (64, 64, 3),
    "num_classes": 3,
    "backbone_options": {"width": 8, "repeats": (1, 1, 1, 1)},
    "fpn_channels": 8,
    "head_depth": 1,
    "extra_levels": 1,
}


@detector(
    "retinanet_resnet50_fpn",
    num_classes=91,
    reference_params=34_121_239,
    reference="torchvision 0.28.0 retinanet_resnet50_fpn",
    backbone="resnet50",
    tiny=tiny,
)
@detector("retinanet", num_classes=80, tiny=tiny)
def retinanet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="retinanet",
    backbone="resnet18",
    backbone_options=None,
    levels=("C3", "C4", "C5"),
    extra_levels=2,
    fpn_channels=256,
    head_depth=4,
    norm=None,
    anchor_sizes=None,
    anchor_scales=OCTAVE,
    anchor_ratios=(0.5, 1.0, 2.0),
    prior_probability=0.01,
) -> keras.Model:
    """A one-stage detector with two heads that all levels of a pyramid share (Figure 3).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            With `num_classes=0` the network ends with the pyramid, `{"P3": ..., "P4": ...}`.
        backbone: Registry name of a classifier with the levels `C2`, `C3`, ...
        backbone_options: Further arguments of its builder.
        levels: Levels of the backbone that the pyramid starts from, from fine to coarse.
        extra_levels: Coarser levels added to the pyramid.
        fpn_channels: Channels of the pyramid and of the heads.
        head_depth: 3x3 convolutions in each head before the last.
        norm: Normalisation in pyramid and heads: `"batch"` (in the heads one for each level, since
            their statistics differ), `"group"`, or None as in the paper.
        anchor_sizes: Side in pixels of the square anchor of scale 1 at each level; None for four
            times the stride of the level, as published: 32 to 512 at P3 to P7.
        anchor_scales: Factors on these sizes.
        anchor_ratios: Heights divided by widths.
        prior_probability: Score of every anchor at the start of training; keeps the many
            background anchors from swamping it (section 4.1).

    Returns:
        A model from pixels to a dictionary, all float32, the anchors from the finest level to the
        coarsest, row by row, those of a cell together:
        `logits`: `(batch, anchors, num_classes)`;
        `deltas`: `(batch, anchors, 4)`, to be decoded by `vislearn.ops.boxes.decode`;
        `anchors`: `(batch, anchors, 4)`, x1, y1, x2, y2 in pixels;
        `image_size`: `(batch, 2)`, height and width of the image.

    Raises:
        ValueError: If an argument is out of range.
    """
    if head_depth < 0 or extra_levels < 0 or fpn_channels < 1:
        raise ValueError(
            f"{head_depth=} and {extra_levels=} must be at least 0, {fpn_channels=} at least 1."
        )
    if not 0 < prior_probability < 1:
        raise ValueError(f"{prior_probability=} must be between 0 and 1.")
    if list(levels) != sorted(set(levels)):
        raise ValueError(f"{levels=} must be from fine to coarse, each once.")
    body = create_backbone(
        backbone,
        input_shape=input_shape,
        levels=tuple(levels),
        preprocessing=preprocessing,
        **(backbone_options or {}),
    )
    pyramid = feature_pyramid(body.output, fpn_channels, extra_levels=extra_levels, norm=norm)
    if num_classes == 0:
        if classifier_activation is not None:
            raise ValueError(f"{classifier_activation=} needs heads, and num_classes=0 has none.")
        return keras.Model(body.inputs, pyramid, name=name)

    each_cell = len(anchor_scales) * len(anchor_ratios)
    prior = keras.initializers.Constant(-math.log((1 - prior_probability) / prior_probability))
    common = {"depth": head_depth, "norm": norm, "each_cell": each_cell}
    logits = head(pyramid, num_classes, bias=prior, name="class", **common)
    logits = layers.Activation(classifier_activation, dtype="float32", name="logits")(logits)
    deltas = head(pyramid, 4, bias="zeros", name="box", **common)
    if anchor_sizes is None:
        anchor_sizes = [4 * 2 ** int(level[1:]) for level in pyramid]
    image = body.inputs[0]
    maps = list(pyramid.values())
    anchors = Anchors(anchor_sizes, anchor_scales, anchor_ratios, name="anchors")([image, *maps])
    image_size = ImageSize(name="image_size")(image)
    outputs = {"logits": logits, "deltas": deltas, "anchors": anchors, "image_size": image_size}
    return keras.Model(image, outputs, name=name)


def head(pyramid: dict, outputs: int, *, depth, norm, each_cell, bias, name):
    """One head over all levels: `(batch, anchors, outputs)`.

    Its convolutions are the same layers at every level; so is group norm.
    """
    channels = next(iter(pyramid.values())).shape[-1]

    def convolution(filters, name, **options):
        # Section 4.1. An initializer of its own, as one that is shared gives the same kernel twice.
        start = keras.initializers.RandomNormal(stddev=0.01)
        return layers.Conv2D(
            filters, 3, padding="same", kernel_initializer=start, name=name, **options
        )

    convolutions = [
        convolution(channels, f"{name}_conv{index + 1}", use_bias=norm is None)
        for index in range(depth)
    ]
    groups = []
    if norm == "group":
        groups = [group_norm(channels, name=f"{name}_norm{index + 1}") for index in range(depth)]
    last = convolution(each_cell * outputs, f"{name}_out", bias_initializer=bias, dtype="float32")
    answers = []
    for level, x in pyramid.items():
        for index in range(depth):
            x = convolutions[index](x)
            if norm == "group":
                x = groups[index](x)
            elif norm == "batch":
                bn = f"{name}_{level}_norm{index + 1}"
                x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=bn)(x)
            x = layers.ReLU(name=f"{name}_{level}_relu{index + 1}")(x)
        x = last(x)
        # (batch, rows, columns, each_cell * outputs) -> (batch, anchors, outputs)
        answers.append(layers.Reshape((-1, outputs), dtype="float32", name=f"{name}_{level}")(x))
    if len(answers) == 1:
        return answers[0]
    return layers.Concatenate(axis=1, dtype="float32", name=f"{name}_all")(answers)
