"""LiteRT files with fewer bits than float32.

float16 rounds the weights; dynamic keeps weights in int8 and finds the ranges of the rest while it
runs; int8 computes in integers throughout, on ranges that calibration images show (Jacob et al.
2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", arXiv:1712.05877).
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from vislearn.export.operators import CUSTOM, litert_constants, litert_nodes, litert_operators
from vislearn.export.package import ExportError
from vislearn.export.quiet import quiet
from vislearn.export.runtimes import filled
from vislearn.tasks.base import Arrays

# What stays in float wherever it stands: the attention's softmax, too, and what is only broadcast,
# which are the anchors of detectors.
FLOAT_OPERATIONS = ["SOFTMAX", "BROADCAST_TO"]
# What varies less stays in float, too, such as channels that are never active: the 256 values of
# so small a range lie so close that XNNPACK takes them for a fault, and crashes on the way out.
LEAST_RANGE = 1e-5


def float16_or_dynamic(converter, kind: str) -> bytes:
    """The content of a file of this kind, which needs no images."""
    import tensorflow as tf

    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


class Int8Writer:
    """int8 files of one model: calibrated once, with any of its layers in float.

    Everything after the network stays in float: in int8, probabilities and coordinates of boxes
    could only take 256 values each. What has no integer form stays in float, too, and what the
    calibration never saw change; input and outputs keep their types.

    Args:
        converter: `tf.lite.TFLiteConverter` of the model.
        calibration: Example inputs, on which the ranges are set.
        layers_of: From the name of an operation to the Keras layers that it computes.
        batch: Examples a call, if they are fixed.

    Attributes:
        layers: The layers that have an operation in the file, in its order; of those that share
            one, such as a convolution, its normalisation and its activation, the largest.
    """

    def __init__(
        self,
        converter,
        calibration: Arrays,
        layers_of: Callable[[str], list[str]],
        batch: int | None = None,
    ):
        import tensorflow as tf

        def samples() -> Iterator[Arrays]:
            size = batch or 1
            for index in range(0, len(next(iter(calibration.values()))), size):
                some = {name: value[index : index + size] for name, value in calibration.items()}
                yield filled(some, size)

        with quiet():
            self._nodes = {name: layers_of(name) for name in litert_nodes(converter.convert())}
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = samples
            converter.target_spec.supported_ops = [
                tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
                tf.lite.OpsSet.TFLITE_BUILTINS,
            ]
            # As `tf.lite.experimental.QuantizationDebugger` does, which is the documented way to
            # keep chosen operations in float, but refuses a sampler, whose network is in a loop.
            converter.experimental_mlir_quantizer = True
            converter._experimental_calibrate_only = True
            self._calibrated = converter.convert()
        self._constant = litert_constants(self._calibrated, LEAST_RANGE)
        self.layers = [*dict.fromkeys(layers[0] for layers in self._nodes.values() if layers)]

    def _without(self, in_float: Collection[str]) -> list[str]:
        """Names of the operations that are not to be quantised."""
        wanted = {*in_float}
        found = [name for name, of in self._nodes.items() if not of or wanted & {*of}]
        return [*dict.fromkeys([*found, *self._constant])]

    def write(self, path: Path, in_float: Collection[str] = ()) -> None:
        """Writes the file with these layers, and what is computed together with them, in float.

        Raises:
            ExportError: If the file needs an operation that LiteRT has not built in.
        """
        from tensorflow.lite.python.convert import mlir_quantize  # It has no public name.

        with quiet():
            content = mlir_quantize(
                self._calibrated,
                denylisted_ops=FLOAT_OPERATIONS,
                denylisted_nodes=self._without(in_float),
            )
        write_checked(path, content)


def write_checked(path: Path, content: bytes) -> None:
    """Writes a `.tflite` file, and reads back what it computes.

    Raises:
        ExportError: If it needs an operation that LiteRT has not built in.
    """
    path.write_bytes(content)
    strangers = [name for name in litert_operators(path) if name.startswith(CUSTOM)]
    if strangers:
        raise ExportError(f"LiteRT has not built in: {', '.join(strangers)}.")
