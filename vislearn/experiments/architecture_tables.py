"""AlexNet, VGG-16 and GoogLeNet's stem by layers: memory, parameters, multiply-adds.

From the registered networks, against the formulas by hand. Memory is that of the outputs of
convolutions and dense layers for one image in float32.

The lecture gives AlexNet an input of 227 pixels with two zeros around it, so that the first map has
56. Its VGG-16 costs 13.6 G multiply-adds: that is a network with two convolutions in the third
stage, and VGG-16 has three.
"""

from keras import layers

from vislearn.catalogue import build_shapes
from vislearn.experiments.harness import Context, experiment
from vislearn.multiply_adds import multiply_adds_by_layer
from vislearn.pictures import Panel, chart

# Layer -> side of its output, its filters, side of its kernel, channels of its input. A dense layer
# is a convolution that covers its input.
ALEXNET = {
    "conv1": (56, 64, 11, 3),
    "conv2": (27, 192, 5, 64),
    "conv3": (13, 384, 3, 192),
    "conv4": (13, 256, 3, 384),
    "conv5": (13, 256, 3, 256),
    "dense1": (1, 4096, 6, 256),
    "dense2": (1, 4096, 1, 4096),
    "head": (1, 1000, 1, 4096),
}
COUNTED = (layers.Conv2D, layers.Dense)


@experiment(
    claim="Early layers hold the memory, convolutions the arithmetic, dense layers the parameters; "
    "VGG-16 takes about 20 times AlexNet's arithmetic.",
    source="CS163 notes, architectures; Johnson, EECS 498-007: AlexNet 0.7 G, VGG-16 13.6 G",
    expected="AlexNet's table by layers exactly; VGG-16 with 138.36 M parameters and 15.47 G "
    "multiply-adds",
    minutes=0.1,
    quick="The same as the full run.",
)
def architecture_tables(context: Context) -> None:
    alexnet = table("alexnet", 227)
    for name, (side, filters, kernel, channels) in ALEXNET.items():
        memory, parameters, operations = alexnet[name]
        weights = kernel**2 * channels * filters
        context.figure(f"AlexNet {name}: memory, bytes", memory, expected=4 * side**2 * filters)
        context.figure(f"AlexNet {name}: parameters", parameters, expected=weights + filters)
        context.figure(f"AlexNet {name}: multiply-adds", operations, expected=weights * side**2)

    vgg = table("vgg16", 224)
    one, other = totals(alexnet), totals(vgg)
    context.figure("AlexNet: parameters, M", one[1] / 1e6, expected=61.1, tolerance=0.05)
    context.figure("VGG-16: parameters, M", other[1] / 1e6, expected=138.36, tolerance=0.01)
    context.figure(
        "VGG-16: G multiply-adds", other[2] / 1e9, expected=15.47, tolerance=0.01, printed=13.6
    )
    context.figure(
        "VGG-16 with one convolution less in stage 3: G multiply-adds",
        (other[2] - vgg["stage3_conv3"][2]) / 1e9,
        expected=13.6,
        tolerance=0.05,
    )
    for what, index, least in (("memory", 0, 20), ("parameters", 1, 2), ("multiply-adds", 2, 18)):
        context.figure(f"VGG-16 against AlexNet: {what}", other[index] / one[index], at_least=least)
    stem = totals(
        {name: row for name, row in table("googlenet", 224).items() if name.startswith("stem")}
    )
    vgg_stem = totals(
        {name: row for name, row in vgg.items() if name[:6] in ("stage1", "stage2", "stage3")}
    )
    context.figure(
        "GoogLeNet's stem: parameters, thousands", stem[1] / 1e3, expected=124, tolerance=1
    )
    for what, index, least in (("memory", 0, 5), ("parameters", 1, 8), ("multiply-adds", 2, 15)):
        context.figure(
            f"VGG-16 down to 28 pixels against GoogLeNet's stem: {what}",
            vgg_stem[index] / stem[index],
            at_least=least,
        )
    dense = sum(row[1] for name, row in alexnet.items() if name[0] in "dh")
    convolutions = sum(row[2] for name, row in alexnet.items() if name.startswith("conv"))
    context.figure("AlexNet: share of parameters in dense layers", dense / one[1], at_least=0.9)
    context.figure(
        "AlexNet: share of multiply-adds in convolutions", convolutions / one[2], at_least=0.9
    )
    _picture(context, alexnet, vgg)


def table(name: str, side: int) -> dict[str, tuple[int, int, int]]:
    """Bytes of the output, parameters and multiply-adds of each layer of a registered network."""
    model = build_shapes(name, input_shape=(side, side, 3))
    operations = multiply_adds_by_layer(model)
    rows = {}
    for layer in model.layers:
        if isinstance(layer, COUNTED):
            size = 4
            for extent in layer.output.shape[1:]:
                size *= extent
            rows[layer.name] = size, layer.count_params(), operations[layer.name]
    return rows


def totals(rows: dict[str, tuple[int, int, int]]) -> tuple[int, int, int]:
    """Sums of a table."""
    return tuple(sum(row[index] for row in rows.values()) for index in range(3))


def _picture(context: Context, alexnet, vgg) -> None:
    panels = []
    for what, index, unit in (
        ("memory, MB", 0, 2**20),
        ("parameters, M", 1, 1e6),
        ("G multiply-adds", 2, 1e9),
    ):
        lines = {}
        for name, rows in (("AlexNet", alexnet), ("VGG-16", vgg)):
            values = [row[index] / unit for row in rows.values()]
            places = [number / (len(values) - 1) for number in range(len(values))]
            lines[name] = places, values
        panels.append(Panel(what, "depth, 0 to 1", "", lines))
    context.picture(
        "layers",
        chart(*panels),
        "Where memory, parameters and arithmetic are, from the first layer to the last.",
    )
