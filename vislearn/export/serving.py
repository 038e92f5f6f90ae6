"""What TensorFlow Serving and Triton read beside a model: warm-up, batching, tensor names.

savedmodel/1/assets.extra/tf_serving_warmup_requests   a request that TensorFlow Serving answers
                                                       before it says that the model is ready
serving/batching.config                                for `--batching_parameters_file` of it
serving/triton/config.pbtxt                            for `model.onnx` in a repository of Triton
"""

from pathlib import Path
from typing import Any

from vislearn.export.package import FORMATS, LABELS
from vislearn.export.runtimes import SIGNATURE
from vislearn.tasks.base import Arrays

WARM_UP_FILE = "assets.extra/tf_serving_warmup_requests"
BATCHING_FILE = "serving/batching.config"
TRITON_FILE = "serving/triton/config.pbtxt"
# Sizes that requests are put together to; others are padded to the next.
BATCH_SIZES = (1, 2, 4, 8, 16, 32)
_DELAY = 1000  # microseconds that a request waits for others
_TRITON_TYPES = {"uint8": "TYPE_UINT8", "int32": "TYPE_INT32", "float32": "TYPE_FP32"}


def write_configs(folder: Path, manifest: dict[str, Any]) -> None:
    """Writes the settings of those servers whose format the package holds.

    Args:
        folder: The package.
        manifest: What `model.json` is to hold.
    """
    texts = {}
    if (folder / FORMATS["savedmodel"]).is_dir() and manifest["batch"] is None:
        texts[BATCHING_FILE] = _batching()
    if (folder / FORMATS["onnx"]).is_file():
        texts[TRITON_FILE] = _triton(manifest)
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def write_warm_up(savedmodel: Path, name: str, request: Arrays) -> None:
    """Writes a TFRecord with one `tensorflow.serving.PredictionLog` into a SavedModel.

    The message is put together by hand: the package `tensorflow-serving-api`, which knows it,
    brings a whole RPC library for these four fields.

    Args:
        savedmodel: Its folder.
        name: Name of the model.
        request: Inputs of the request.
    """
    import tensorflow as tf

    inputs = (
        _field(1, key.encode()) + _field(2, tf.make_tensor_proto(value).SerializeToString())
        for key, value in request.items()
    )
    model_spec = _field(1, name.encode()) + _field(3, SIGNATURE.encode())
    message = _field(1, model_spec) + b"".join(_field(2, entry) for entry in inputs)
    (savedmodel / WARM_UP_FILE).parent.mkdir()
    with tf.io.TFRecordWriter(str(savedmodel / WARM_UP_FILE)) as writer:
        writer.write(_field(6, _field(1, message)))  # PredictionLog.predict_log.request


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes, a text or a message."""
    length, size = bytearray(), len(content)
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


def _batching() -> str:
    sizes = "".join(f"allowed_batch_sizes: {size}\n" for size in BATCH_SIZES)
    return (
        "# tensorflow_model_server --enable_batching --batching_parameters_file=THIS_FILE\n"
        f"max_batch_size {{ value: {BATCH_SIZES[-1]} }}\n"
        f"batch_timeout_micros {{ value: {_DELAY} }}\n"
        "max_enqueued_batches { value: 100 }\n"
        f"{sizes}"
    )


def _triton(manifest: dict[str, Any]) -> str:
    any_batch = manifest["batch"] is None
    lines = [
        "# models/NAME/config.pbtxt of a model repository, with models/NAME/1/model.onnx",
        'backend: "onnxruntime"',
        f"max_batch_size: {BATCH_SIZES[-1] if any_batch else 0}",
        *(f"input {_tensor(item, any_batch)}" for item in manifest["inputs"]),
        *(f"output {_tensor(item, any_batch, manifest)}" for item in manifest["outputs"]),
    ]
    if any_batch:
        lines.append(f"dynamic_batching {{ max_queue_delay_microseconds: {_DELAY} }}")
    return "\n".join([*lines, ""])


def _tensor(item: dict[str, Any], any_batch: bool, manifest: dict[str, Any] | None = None) -> str:
    """Name, type and shape; Triton adds the axis of the batch itself where it may vary.

    Of a classifier's scores, also the file with their names, in which Triton looks up the best.
    """
    shape = item["shape"][1:] if any_batch else item["shape"]
    # A shape may not be empty: one number an example is declared as a vector of one.
    more = "" if shape else " reshape { shape: [ ] }"
    if manifest and (manifest["task"], item["name"]) == ("classification", "scores"):
        more += f' label_filename: "{LABELS}"'
    return (
        f'{{ name: "{item["name"]}" data_type: {_TRITON_TYPES[item["dtype"]]} '
        f"dims: {shape or [1]}{more} }}"
    )
