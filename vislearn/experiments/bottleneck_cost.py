"""What a bottleneck and its groups cost.

For feature maps H x W, counted in multiply-adds:

    basic block, C channels              2 (3x3)                     18 H W C^2
    bottleneck, 4C channels              1x1, 3x3, 1x1: 4 + 9 + 4    17 H W C^2
    ResNeXt, G groups of c               G (8 C c + 9 c^2)           near 17 C^2 for (32, 4)

The bottleneck has four times the channels at a little less cost. The formulas are checked with
built blocks, and on the registered networks.
"""

import keras

from vislearn.catalogue import counts
from vislearn.experiments.harness import Context, experiment
from vislearn.layers import conv
from vislearn.multiply_adds import count_multiply_adds
from vislearn.pictures import Panel, chart

SIDE, CHANNELS = 14, 64


@experiment(
    claim="A bottleneck of 4C channels costs 17 HWC^2, less than the 18 HWC^2 of a basic block of "
    "C; groups as in ResNeXt change the width, not the cost.",
    source="CS163 notes; He et al. 2016, arXiv:1512.03385, figure 5; Xie et al. 2017, "
    "arXiv:1611.05431, table 2",
    expected="18 and 17 HWC^2; ResNeXt within 1% of 17 C^2; ResNeXt-50 within 5% of ResNet-50",
    minutes=0.05,
    quick="The same as the full run.",
)
def bottleneck_cost(context: Context) -> None:
    unit = SIDE**2 * CHANNELS**2
    basic = cost(CHANNELS, ((3, CHANNELS, 1), (3, CHANNELS, 1)))
    bottleneck = cost(4 * CHANNELS, ((1, CHANNELS, 1), (3, CHANNELS, 1), (1, 4 * CHANNELS, 1)))
    context.figure("basic block, in HWC^2", basic / unit, expected=18)
    context.figure("bottleneck, in HWC^2", bottleneck / unit, expected=17)
    widths, costs = [], []
    for groups, width in ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4)):
        inner = groups * width
        found = cost(4 * CHANNELS, ((1, inner, 1), (3, inner, groups), (1, 4 * CHANNELS, 1)))
        context.figure(
            f"ResNeXt, {groups} groups of {width}, in HWC^2",
            found / unit,
            expected=17,
            tolerance=0.6,
        )
        widths.append(inner)
        costs.append(found / unit)
    context.figure(
        "ResNeXt, 32 groups of 4: multiply-adds against G (8 C c + 9 c^2) HW",
        found,
        expected=SIDE**2 * 32 * (8 * CHANNELS * 4 + 9 * 4**2),
    )
    plain, grouped = counts("resnet50"), counts("resnext50_32x4d")
    for what in ("parameters", "multiply_adds"):
        context.figure(
            f"ResNeXt-50 against ResNet-50, {what.replace('_', '-')}",
            getattr(grouped, what) / getattr(plain, what),
            expected=1,
            tolerance=0.05,
        )
    context.picture(
        "widths",
        chart(
            Panel(
                "groups at equal cost",
                "channels of the 3x3 convolution",
                "cost in HWC²",
                {"ResNeXt block": (widths, costs), "basic block": ((64, 128), (18, 18))},
                limits=(0, 20),
            )
        ),
        "With 1, 2, 4, 8 and 32 groups the 3x3 convolution has up to twice the channels at the "
        "same cost.",
    )


def cost(channels: int, convolutions) -> int:
    """Multiply-adds of convolutions `(side, filters, groups)` in a row, on 14x14 pixels."""
    inputs = x = keras.Input((SIDE, SIDE, channels))
    for index, (side, filters, groups) in enumerate(convolutions):
        x = conv(x, filters, side, groups=groups, name=f"conv{index}")
    return count_multiply_adds(keras.Model(inputs, x))
