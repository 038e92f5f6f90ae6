"""Residual networks in torchvision, timm and keras.applications."""

from vislearn.weights.layout import Layout, Published

TORCH = Layout(
    names=(
        ("stem_{kind}", "{kind}1"),
        ("stage{s}_block{b}_shortcut_conv", "layer{s}.{b-1}.downsample.0"),
        ("stage{s}_block{b}_shortcut_bn", "layer{s}.{b-1}.downsample.1"),
        ("stage{s}_block{b}_{part}", "layer{s}.{b-1}.{part}"),
        ("head", "fc"),
    ),
    ignored=("*.num_batches_tracked",),
)

KERAS = Layout(
    names=(
        ("stem_{kind}", "conv1_{kind}"),
        # The first stage is their conv2; a shortcut has the number 0.
        ("stage{s}_block{b}_shortcut_{kind}", "conv{s+1}_block{b}_0_{kind}"),
        ("stage{s}_block{b}_conv{c}", "conv{s+1}_block{b}_{c}_conv"),
        ("stage{s}_block{b}_bn{c}", "conv{s+1}_block{b}_{c}_bn"),
        ("head", "predictions"),
    ),
    options={"stride_in_1x1": True},
    preprocessing="caffe",
    bgr=True,
    epsilon=1.001e-5,
)
KERAS_V2 = Layout(
    names=(
        ("stem_conv", "conv1_conv"),
        ("stage{s}_block{b}_shortcut_conv", "conv{s+1}_block{b}_0_conv"),
        ("stage{s}_block{b}_conv{c}", "conv{s+1}_block{b}_{c}_conv"),
        ("stage{s}_block{b}_{norm}", "conv{s+1}_block{b}_{norm}"),
        ("post_bn", "post_bn"),
        ("head", "predictions"),
    ),
)

LAYOUTS = {
    "torchvision": TORCH,
    "timm": TORCH,
    "keras.applications": {"*_v2": KERAS_V2, "*": KERAS},
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"


def _keras(model: str, md5: str) -> Published:
    name = f"{model.lower()}_weights_tf_dim_ordering_tf_kernels.h5"
    return Published("keras.applications", model, _KERAS + name, f"md5:{md5}")


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "resnet18": _timm("resnet18.tv_in1k"),
    "resnet34": _timm("resnet34.tv_in1k"),
    "resnet50": _keras("ResNet50", "2cb95161c43110f7111970584f804107"),
    "resnet101": _keras("ResNet101", "f1aeb4b969a6efcfb50fad2f0c20cfc5"),
    "resnet152": _keras("ResNet152", "100835be76be38e30d865e96f2aaae62"),
    "resnet50_v2": _keras("ResNet50V2", "3ef43a0b657b3be2300d5770ece849e0"),
    "resnet101_v2": _keras("ResNet101V2", "6343647c601c52e1368623803854d971"),
    "resnet152_v2": _keras("ResNet152V2", "a49b44d1979771252814e80f8ec446f9"),
    "wide_resnet50_2": _timm("wide_resnet50_2.tv_in1k"),
}
