"""MobileNets in keras.applications, torchvision and timm."""

from keras import layers

from vislearn.weights.layout import Layout, Published


def _dense(layer, read):
    """Where theirs is a 1x1 convolution of one pixel."""
    kernel = read("kernel")  # (1, 1, in, out)
    return [kernel.reshape(kernel.shape[-2:]), read("bias")]


KERAS_V1 = Layout(
    names=(
        ("stem_conv", "conv1"),
        ("stem_bn", "conv1_bn"),
        ("block{b}_depthwise_conv", "conv_dw_{b}"),
        ("block{b}_depthwise_bn", "conv_dw_{b}_bn"),
        ("block{b}_pointwise_conv", "conv_pw_{b}"),
        ("block{b}_pointwise_bn", "conv_pw_{b}_bn"),
        ("head", "conv_preds"),
    ),
    converters={layers.Dense: _dense},
)

KERAS_V2 = Layout(
    names=(
        ("stem_conv", "Conv1"),
        ("stem_bn", "bn_Conv1"),
        ("block1_{part}_conv", "expanded_conv_{part}"),
        ("block1_{part}_bn", "expanded_conv_{part}_BN"),
        ("block{b}_{part}_conv", "block_{b-1}_{part}"),
        ("block{b}_{part}_bn", "block_{b-1}_{part}_BN"),
        ("top_conv", "Conv_1"),
        ("top_bn", "Conv_1_bn"),
        ("head", "predictions"),
    ),
)

KERAS_V3 = Layout(
    names=(
        ("stem_conv", "conv"),
        ("stem_bn", "conv_bn"),
        ("block1_se_reduce", "expanded_conv_squeeze_excite_conv"),
        ("block1_se_expand", "expanded_conv_squeeze_excite_conv_1"),
        ("block1_{part}_conv", "expanded_conv_{part}"),
        ("block1_{part}_bn", "expanded_conv_{part}_bn"),
        ("block{b}_se_reduce", "expanded_conv_{b-1}_squeeze_excite_conv"),
        ("block{b}_se_expand", "expanded_conv_{b-1}_squeeze_excite_conv_1"),
        ("block{b}_{part}_conv", "expanded_conv_{b-1}_{part}"),
        ("block{b}_{part}_bn", "expanded_conv_{b-1}_{part}_bn"),
        ("top_conv", "conv_1"),
        ("top_bn", "conv_1_bn"),
        ("top_dense", "conv_2"),
        ("head", "logits"),
    ),
    converters={layers.Dense: _dense},
    options={"padding": "tensorflow"},
    preprocessing="symmetric",
)

TORCHVISION_V2 = Layout(
    names=(
        ("stem_conv", "features.0.0"),
        ("stem_bn", "features.0.1"),
        ("block1_depthwise_conv", "features.1.conv.0.0"),
        ("block1_depthwise_bn", "features.1.conv.0.1"),
        ("block1_project_conv", "features.1.conv.1"),
        ("block1_project_bn", "features.1.conv.2"),
        ("block{b}_expand_conv", "features.{b}.conv.0.0"),
        ("block{b}_expand_bn", "features.{b}.conv.0.1"),
        ("block{b}_depthwise_conv", "features.{b}.conv.1.0"),
        ("block{b}_depthwise_bn", "features.{b}.conv.1.1"),
        ("block{b}_project_conv", "features.{b}.conv.2"),
        ("block{b}_project_bn", "features.{b}.conv.3"),
        ("top_conv", "features.18.0"),
        ("top_bn", "features.18.1"),
        ("head", "classifier.1"),
    ),
    ignored=("*.num_batches_tracked",),
    options={"padding": "symmetric", "epsilon": 1e-5},
    preprocessing="imagenet",
)


def _torchvision_v3(blocks: int, squeezing: set[int]) -> Layout:
    """A block is a list of what it has: only the first does not expand, and some don't squeeze."""
    names = [("stem_conv", "features.0.0"), ("stem_bn", "features.0.1")]
    for b in range(1, blocks + 1):
        parts = ["expand"] * (b > 1) + ["depthwise"] + ["se"] * (b in squeezing) + ["project"]
        for index, part in enumerate(parts):
            theirs = f"features.{b}.block.{index}"
            if part == "se":
                names.append((f"block{b}_se_reduce", f"{theirs}.fc1"))
                names.append((f"block{b}_se_expand", f"{theirs}.fc2"))
            else:
                names.append((f"block{b}_{part}_conv", f"{theirs}.0"))
                names.append((f"block{b}_{part}_bn", f"{theirs}.1"))
    names += [
        ("top_conv", f"features.{blocks + 1}.0"),
        ("top_bn", f"features.{blocks + 1}.1"),
        ("top_dense", "classifier.0"),
        ("head", "classifier.3"),
    ]
    return Layout(names=names, ignored=("*.num_batches_tracked",))


def _timm(repeats: tuple[int, ...], *, top=(), plain=1, pointwise="project", **options) -> Layout:
    """Stages of blocks, of which the first `plain` ones do not expand."""
    names = [("stem_conv", "conv_stem"), ("stem_bn", "bn1")]
    places = [(s, b) for s, count in enumerate(repeats) for b in range(count)]
    for number, (s, b) in enumerate(places, start=1):
        ours, theirs = f"block{number}", f"blocks.{s}.{b}"
        parts = [("depthwise", "conv_dw", "bn1"), (pointwise, "conv_pw", "bn2")]
        if number > plain:
            parts = [
                ("expand", "conv_pw", "bn1"),
                ("depthwise", "conv_dw", "bn2"),
                ("project", "conv_pwl", "bn3"),
            ]
        for part, conv, bn in parts:
            names.append((f"{ours}_{part}_conv", f"{theirs}.{conv}"))
            names.append((f"{ours}_{part}_bn", f"{theirs}.{bn}"))
        names.append((f"{ours}_se_{{part}}", f"{theirs}.se.conv_{{part}}"))
    return Layout(
        names=(*names, *top, ("head", "classifier")),
        ignored=("*.num_batches_tracked",),
        options={"padding": "symmetric", "epsilon": 1e-5},
        **options,
    )


def _timm_v3(repeats: tuple[int, ...]) -> Layout:
    """Their last convolution is a stage of its own."""
    last = f"blocks.{len(repeats)}.0"
    return _timm(
        repeats,
        top=(("top_conv", f"{last}.conv"), ("top_bn", f"{last}.bn1"), ("top_dense", "conv_head")),
    )


LAYOUTS = {
    "keras.applications": {
        "mobilenet_v1": KERAS_V1,
        "mobilenet_v2": KERAS_V2,
        "mobilenet_v3_*": KERAS_V3,
    },
    "torchvision": {
        "mobilenet_v2": TORCHVISION_V2,
        "mobilenet_v3_large": _torchvision_v3(15, {4, 5, 6, 11, 12, 13, 14, 15}),
        "mobilenet_v3_small": _torchvision_v3(11, {1, 4, 5, 6, 7, 8, 9, 10, 11}),
    },
    # Their own weights; those whose names start with `tf_` take `padding="tensorflow"` and
    # `epsilon=1e-3`, which the file does not say.
    "timm": {
        "mobilenet_v1": _timm((1, 2, 2, 6, 2), plain=13, pointwise="pointwise"),
        "mobilenet_v2": _timm(
            (1, 2, 3, 4, 3, 3, 1),
            top=(("top_conv", "conv_head"), ("top_bn", "bn2")),
            preprocessing="imagenet",
        ),
        "mobilenet_v3_large": _timm_v3((1, 2, 3, 4, 2, 3)),
        "mobilenet_v3_small": _timm_v3((1, 2, 3, 2, 3)),
    },
}

_URL = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _keras(model: str, file: str, md5: str | None = None) -> Published:
    digest = None if md5 is None else f"md5:{md5}"
    return Published("keras.applications", model, _URL + file, digest)


PUBLISHED = {
    "mobilenet_v1": _keras("MobileNet", "mobilenet/mobilenet_1_0_224_tf.h5"),
    "mobilenet_v2": _keras(
        "MobileNetV2",
        "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
    ),
    "mobilenet_v3_large": _keras(
        "MobileNetV3Large",
        "mobilenet_v3/weights_mobilenet_v3_large_224_1.0_float.h5",
        "59e551e166be033d707958cf9e29a6a7",
    ),
    "mobilenet_v3_small": _keras(
        "MobileNetV3Small",
        "mobilenet_v3/weights_mobilenet_v3_small_224_1.0_float.h5",
        "8768d4c2e7dee89b9d02b2d03d65d862",
    ),
}
