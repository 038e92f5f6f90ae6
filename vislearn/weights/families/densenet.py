"""Densely connected networks in torchvision, timm and keras.applications."""

from vislearn.weights.layout import Layout, Published

TORCH = Layout(
    names=(
        ("stem_conv", "features.conv0"),
        ("stem_bn", "features.norm0"),
        ("stage{s}_layer{n}_conv{c}", "features.denseblock{s}.denselayer{n}.conv{c}"),
        ("stage{s}_layer{n}_bn{c}", "features.denseblock{s}.denselayer{n}.norm{c}"),
        # Our stages begin with the transition to them and end with batch norm; the last is norm5.
        ("stage{s}_transition_conv", "features.transition{s-1}.conv"),
        ("stage4_bn", "features.norm5"),
        ("stage{s}_bn", "features.transition{s}.norm"),
        ("head", "classifier"),
    ),
    ignored=("*.num_batches_tracked",),
)

LAYOUTS = {
    "torchvision": TORCH,
    "timm": TORCH,
    "keras.applications": Layout(
        names=(
            ("stem_{kind}", "conv1_{kind}"),
            # The first stage is their conv2, its end their pool2; batch norms count from 0.
            ("stage{s}_layer{n}_conv{c}", "conv{s+1}_block{n}_{c}_conv"),
            ("stage{s}_layer{n}_bn{c}", "conv{s+1}_block{n}_{c-1}_bn"),
            ("stage{s}_transition_conv", "pool{s}_conv"),
            ("stage4_bn", "bn"),
            ("stage{s}_bn", "pool{s+1}_bn"),
            ("head", "predictions"),
        ),
        preprocessing="imagenet",
        epsilon=1.001e-5,
    ),
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/densenet/"


def _keras(model: str, md5: str) -> Published:
    name = f"{model.lower()}_weights_tf_dim_ordering_tf_kernels.h5"
    return Published("keras.applications", model, _KERAS + name, f"md5:{md5}")


PUBLISHED = {
    "densenet121": _keras("DenseNet121", "9d60b8095a5708f2dcce2bca79d332c7"),
    "densenet161": Published(
        "timm",
        "densenet161.tv_in1k",
        "https://huggingface.co/timm/densenet161.tv_in1k/resolve/main/model.safetensors",
    ),
    "densenet169": _keras("DenseNet169", "d699b8f76981ab1b30698df4c175e90b"),
    "densenet201": _keras("DenseNet201", "1ceb130c1ea1b78c3bf6114dbdfd8807"),
}
