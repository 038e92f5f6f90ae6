"""ConvNeXt in torchvision, timm and keras.applications."""

from keras.layers import DepthwiseConv2D

from vislearn.layers import LayerScale
from vislearn.weights.layout import Layout, Published


def _torchvision_names():
    """torchvision counts the parts of all stages in one row: stem, stage, downsampling, stage."""
    for stage in range(1, 5):
        block = f"stage{stage}_block{{b}}"
        theirs = f"features.{2 * stage - 1}.{{b-1}}"
        yield f"{block}_conv", f"{theirs}.block.0"
        yield f"{block}_norm", f"{theirs}.block.2"
        yield f"{block}_dense1", f"{theirs}.block.3"
        yield f"{block}_dense2", f"{theirs}.block.5"
        yield f"{block}_scale", f"{theirs}.layer_scale"
        yield f"stage{stage}_down_norm", f"features.{2 * stage - 2}.0"
        yield f"stage{stage}_down_conv", f"features.{2 * stage - 2}.1"


TORCHVISION = Layout(
    names=(
        ("stem_conv", "features.0.0"),
        ("stem_norm", "features.0.1"),
        *_torchvision_names(),
        ("norm", "classifier.0"),
        ("head", "classifier.2"),
    ),
    converters={LayerScale: lambda layer, read: [read("").reshape(-1)]},  # (channels, 1, 1)
)

TIMM = Layout(
    names=(
        ("stem_conv", "stem.0"),
        ("stem_norm", "stem.1"),
        ("stage{s}_down_norm", "stages.{s-1}.downsample.0"),
        ("stage{s}_down_conv", "stages.{s-1}.downsample.1"),
        ("stage{s}_block{b}_conv", "stages.{s-1}.blocks.{b-1}.conv_dw"),
        ("stage{s}_block{b}_norm", "stages.{s-1}.blocks.{b-1}.norm"),
        ("stage{s}_block{b}_dense{d}", "stages.{s-1}.blocks.{b-1}.mlp.fc{d}"),
        ("stage{s}_block{b}_scale", "stages.{s-1}.blocks.{b-1}"),
        ("norm", "head.norm"),
        ("head", "head.fc"),
    ),
)


def _depthwise(layer, read):
    """Theirs is a convolution with a group for each channel: `(height, width, 1, channels)`."""
    return [read("kernel").transpose(0, 1, 3, 2), read("bias")]


def _keras_layout(model: str) -> Layout:
    """Its layers carry the name of the model."""
    block = f"{model}_stage_{{s-1}}_block_{{b-1}}"
    down = f"{model}_downsampling"
    return Layout(
        names=(
            ("stem_conv", f"{model}_stem/{model}_stem_conv"),
            ("stem_norm", f"{model}_stem/{model}_stem_layernorm"),
            ("stage{s}_down_norm", f"{down}_block_{{s-2}}/{down}_layernorm_{{s-2}}"),
            ("stage{s}_down_conv", f"{down}_block_{{s-2}}/{down}_conv_{{s-2}}"),
            ("stage{s}_block{b}_conv", f"{block}_depthwise_conv"),
            ("stage{s}_block{b}_norm", f"{block}_layernorm"),
            ("stage{s}_block{b}_dense{d}", f"{block}_pointwise_conv_{{d}}"),
            ("stage{s}_block{b}_scale", f"{block}_layer_scale"),
            ("norm", f"{model}_head_layernorm"),
            ("head", f"{model}_head_dense"),
        ),
        converters={
            DepthwiseConv2D: _depthwise,
            LayerScale: lambda layer, read: [read("variable")],
        },
    )


_MODELS = {
    "convnext_tiny": (
        "ConvNeXtTiny",
        "8ae6e78ce2933352b1ef4008e6dd2f17bc40771563877d156bc6426c7cf503ff",
    ),
    "convnext_small": (
        "ConvNeXtSmall",
        "ce1277d8f1ee5a0ef0e171469089c18f5233860ceaf9b168049cb9263fd7483c",
    ),
    "convnext_base": (
        "ConvNeXtBase",
        "52cbb006d3dadd03f6e095a8ca1aca47aecdd75acb4bc74bce1f5c695d0086e6",
    ),
}

LAYOUTS = {
    "torchvision": TORCHVISION,
    "timm": TIMM,
    "keras.applications": {name: _keras_layout(name) for name in _MODELS},
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/convnext/"

PUBLISHED = {
    name: Published("keras.applications", model, f"{_KERAS}{name}.h5", f"sha256:{digest}")
    for name, (model, digest) in _MODELS.items()
}
