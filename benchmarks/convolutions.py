"""Each convolution of a network alone, through LiteRT and through ONNX Runtime.

    python benchmarks/convolutions.py resnet50

Tells where the difference comes from that `runtimes.py` shows for the whole network: those of one
shape and kernel are measured once, as a file with nothing else in it.
"""

import argparse
import statistics
import tempfile
from collections import Counter
from pathlib import Path

from runtimes import in_turns
from speed import installed, positive

RUNNERS = ("litert", "onnx")


def convolutions(name: str) -> Counter:
    """How often each convolution occurs: the shape of its input, and what its layer is made of."""
    import keras

    import vislearn

    found = Counter()
    for layer in vislearn.create_model(name).layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            size, stride, channels = layer.kernel_size, layer.strides, layer.output.shape[-1]
            kind = type(layer).__name__
            found[layer.input.shape[1:], kind, channels, size, stride, layer.padding] += 1
    keras.utils.clear_session()
    return found


def measure(case: tuple, options) -> dict[str, list[float]]:
    """Milliseconds a call of a single convolution in each runtime."""
    import keras
    import numpy as np

    from vislearn.export.convert import Endpoint
    from vislearn.export.package import FORMATS
    from vislearn.export.parity import write_format
    from vislearn.export.runtimes import RUNTIMES
    from vislearn.tasks.base import NOISE, Input, Signature

    shape, kind, channels, size, stride, padding = case
    inputs = keras.Input(shape, name="x")
    made = {"strides": stride, "padding": padding, "activation": "relu"}
    if kind == "DepthwiseConv2D":
        outputs = keras.layers.DepthwiseConv2D(size, **made)(inputs)
    else:
        outputs = keras.layers.Conv2D(channels, size, **made)(inputs)
    model = keras.Model(inputs, outputs)
    signature = Signature(
        "predict",
        (Input("x", shape, "float32", NOISE),),
        lambda tensors: {"y": model(tensors["x"], training=False)},
        model,
        {"y": NOISE},
    )
    batch = {"x": np.random.default_rng(0).standard_normal((1, *shape), "float32")}
    with tempfile.TemporaryDirectory() as folder:
        calls = {}
        for format in RUNNERS:
            write_format(Endpoint(signature), Path(folder), format)
            calls[format] = RUNTIMES[format](Path(folder) / FORMATS[format], options.threads)
        return in_turns(calls, batch, options.rounds, options.calls)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("model", help="name of the registry, such as resnet50")
    add("--threads", type=positive, default=2, help="of each runtime; default: %(default)s")
    add("--rounds", type=positive, default=5, help="default: %(default)s")
    add("--calls", type=positive, default=10, help="a round; default: %(default)s")
    options = parser.parse_args()
    if not installed("onnxruntime"):
        parser.error("ONNX Runtime is not installed: pip install vislearn[export]")

    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    table = Table(
        title=f"The convolutions of {options.model}, {options.threads} threads, ms a call"
    )
    for head in ("input", "convolution", "times", "LiteRT", "ONNX Runtime", "LiteRT / ONNX"):
        table.add_column(head, justify="right", no_wrap=True)
    sums = dict.fromkeys(RUNNERS, 0.0)
    found = convolutions(options.model)
    for case, count in track(found.items(), "Measuring", console=Console(stderr=True)):
        taken = measure(case, options)
        litert, onnx = (statistics.median(taken[format]) for format in RUNNERS)
        sums["litert"] += count * litert
        sums["onnx"] += count * onnx
        shape, kind, channels, size, stride, padding = case
        what = "depthwise" if kind == "DepthwiseConv2D" else f"{channels} of"
        table.add_row(
            "x".join(map(str, shape)),
            f"{what} {size[0]}x{size[1]}, stride {stride[0]}, {padding}",
            str(count),
            f"{litert:.2f}",
            f"{onnx:.2f}",
            f"{litert / onnx:.2f}",
        )
    total = (sums["litert"], sums["onnx"], sums["litert"] / sums["onnx"])
    table.add_row("all", "", str(sum(found.values())), *(f"{value:.2f}" for value in total))
    Console(width=max(110, Console().width)).print(table)


if __name__ == "__main__":
    main()
