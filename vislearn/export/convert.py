"""From a Keras model to a file in each format; TensorFlow backend only.

An endpoint is a signature of a task: a function from named tensors to named tensors. It is traced
once, and every format is written from that trace.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from vislearn.export.package import ExportError
from vislearn.export.quantisation import Int8Writer, float16_or_dynamic, write_checked
from vislearn.export.quiet import quiet
from vislearn.export.runtimes import SIGNATURE
from vislearn.tasks.base import Arrays, Signature

# Old enough for onnxruntime and onnxruntime-web of the last years, new enough for every operation.
ONNX_OPSET = 18


def in_float32(model: keras.Model) -> keras.Model:
    """The model itself, or, if layers compute in lower precision, its float32 twin.

    The twin has the same configuration with float32 in place of `mixed_bfloat16` and its like,
    and the same weights, which mixed precision keeps in float32 anyway.

    Raises:
        ExportError: If a layer computes in lower precision and the model is not a functional or
            sequential one, whose configuration can be rewritten.
    """
    if not isinstance(model, keras.Function | keras.Sequential):
        if model.compute_dtype != "float32":
            raise ExportError(
                f"{model.name} computes in {model.compute_dtype}; only functional and sequential "
                "models can be turned to float32."
            )
        return model
    config = model.get_config()
    rewritten = _with_float32_policies(config)
    if rewritten == config:
        return model
    twin = model.__class__.from_config(rewritten)
    twin.set_weights(model.get_weights())
    return twin


def _with_float32_policies(config: Any) -> Any:
    """A copy of a configuration in which every dtype policy of low precision is float32."""
    low = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
    if isinstance(config, dict):
        if config.get("class_name") == "DTypePolicy" and config["config"]["name"] in low:
            return {**config, "config": {"name": "float32"}}
        return {
            key: "float32" if key == "dtype" and value in low else _with_float32_policies(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(_with_float32_policies(value) for value in config)
    return config


class Endpoint:
    """A traced signature, and what writes it in each format.

    Args:
        signature: What is to be exported.
        batch: Examples a call; None for any number.
        verb: A second name of it in the SavedModel, beside `serving_default`.
    """

    def __init__(self, signature: Signature, batch: int | None = None, verb: str | None = None):
        import tensorflow as tf

        self.batch = batch
        self._weights = {layer.name: _size(layer) for layer in signature.model.layers}
        self._specs = [
            tf.TensorSpec((batch, *input.shape), input.dtype, name=input.name)
            for input in signature.inputs
        ]
        names = [input.name for input in signature.inputs]
        # The archive finds the variables that the function uses; told of the model with `track`,
        # it would write each of them twice.
        self._archive = keras.export.ExportArchive()
        with quiet():
            self.function = self._archive.add_endpoint(
                SIGNATURE,
                lambda *tensors: signature.function(dict(zip(names, tensors, strict=True))),
                input_signature=self._specs,
            )
            traced = self.function.get_concrete_function().structured_outputs
            if verb is not None:
                self._archive.add_endpoint(verb, self.function)
        self.outputs = {
            name: (tuple(tensor.shape), tensor.dtype.name) for name, tensor in traced.items()
        }

    def write_savedmodel(self, path: Path) -> None:
        """Writes a SavedModel folder with the signature `serving_default` and its second name."""
        import tensorflow as tf

        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with quiet():
                self._archive.write_out(str(path), verbose=False)
        except tf.errors.OpError as error:  # What TensorFlow calls a full disk and the like.
            raise OSError(f"The SavedModel can't be written: {error.message}") from error
        assets = path / "assets"
        if assets.is_dir() and not any(assets.iterdir()):
            assets.rmdir()  # Would not survive Git or an archive without empty folders.

    def write_litert(self, savedmodel: Path, path: Path, kind: str | None = None) -> None:
        """Converts a written SavedModel to LiteRT, as `"float16"` or `"dynamic"` if asked to.

        Raises:
            ExportError: If the model needs an operation that LiteRT has not built in.
        """
        converter = self._converter(savedmodel)
        with self._explained(), quiet():
            content = float16_or_dynamic(converter, kind) if kind else converter.convert()
        write_checked(path, content)

    def int8_writer(self, savedmodel: Path, calibration: Arrays) -> Int8Writer:
        """What writes a SavedModel in int8.

        Raises:
            ExportError: If the model needs an operation that LiteRT has not built in.
        """
        converter = self._converter(savedmodel)
        with self._explained():
            return Int8Writer(converter, calibration, self._layers_of, self.batch)

    def _converter(self, savedmodel: Path):
        import tensorflow as tf

        converter = tf.lite.TFLiteConverter.from_saved_model(
            str(savedmodel), signature_keys=[SIGNATURE]
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Says which operation of which layer the converter lacks."""
        from tensorflow.lite.python.convert_phase import ConverterError  # It has no public name.

        try:
            yield
        except ConverterError as error:
            raise ExportError(self._explain(error)) from error

    def _explain(self, error) -> str:
        """What the converter's error says, shortened to the operations and their layers."""
        found = []
        for detail in error.errors:
            if detail.operator.name:
                name = detail.operator.name.removeprefix("tf.")
                calls = detail.location.call
                found.append(name + self._in_layer(calls[0].name if calls else ""))
        if not found:
            return f"LiteRT can't convert the model: {error}"
        return (
            f"LiteRT has not built in: {', '.join(dict.fromkeys(found))}. Build the layer from "
            "other operations, or export without format 'litert'."
        )

    def write_onnx(self, path: Path) -> None:
        """Writes an ONNX file whose input and outputs have the endpoint's names.

        Raises:
            ExportError: If the model needs an operation that ONNX has not.
        """
        with quiet():
            import onnx
            import tf2onnx

            proto, _ = tf2onnx.convert.from_function(
                self.function,
                input_signature=self._specs,
                opset=ONNX_OPSET,
                custom_op_handlers={"Erfc": (_erfc_to_onnx, [])},
            )
        # tf2onnx keeps an operation that it can't translate under its TensorFlow name.
        versions = {opset.domain: opset.version for opset in proto.opset_import}
        found = [
            node.op_type + self._in_layer(node.name)
            for node in proto.graph.node
            if not onnx.defs.has(node.op_type, versions[node.domain], node.domain)
        ]
        if found:
            raise ExportError(
                f"ONNX has no operation for: {', '.join(dict.fromkeys(found))}. Build the layer "
                "from other operations, or export without format 'onnx'."
            )
        if self.batch is None:
            for value in (*proto.graph.input, *proto.graph.output):
                value.type.tensor_type.shape.dim[0].dim_param = "batch"
        path.write_bytes(proto.SerializeToString())

    def _in_layer(self, name: str) -> str:
        """The layer that an operation such as `model_1/conv_2/Erf` belongs to, if one is known."""
        layers = self._layers_of(name)
        return f" in the layer {layers[0]!r}" if layers else ""

    def _layers_of(self, name: str) -> list[str]:
        """The layers that an operation computes, that with the most weights first.

        LiteRT computes several in one, and joins their names: `model_1/relu_1/Relu;model_1/conv_2/
        convolution`. Keras numbers the name of a layer anew at each call: `conv` is called as
        `conv_1`.
        """
        found = set()
        for one in name.split("@")[0].split(";"):
            parts = [
                layer
                for part in reversed(one.split("/")[:-1])
                for layer in (part, re.sub(r"_\d+$", "", part))
                if layer in self._weights
            ]
            found |= {*parts[:1]}
        return sorted(found, key=lambda layer: (-self._weights[layer], layer))


def _size(layer: keras.Layer) -> int:
    return sum(int(np.prod(weight.shape)) for weight in layer.weights)


def _erfc_to_onnx(graph, node, name: str, args: list) -> None:
    """Writes erfc(x), of which exact GELU is made and which tf2onnx leaves out, as 1 - erf(x)."""
    shape, dtype = graph.get_shape(node.output[0]), graph.get_dtype(node.output[0])
    graph.remove_node(node.name)
    erf = graph.make_node("Erf", node.input, shapes=[shape], dtypes=[dtype])
    one = graph.make_const(f"{name}_one", np.array(1, np.float32))
    graph.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        outputs=node.output,
        shapes=[shape],
        dtypes=[dtype],
        name=name,
    )
