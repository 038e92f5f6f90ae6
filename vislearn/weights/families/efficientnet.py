"""EfficientNets in keras.applications, torchvision and timm."""

import string

from vislearn.weights.layout import Layout, Published

_PARTS = {
    "expand_conv": "expand_conv",
    "expand_bn": "expand_bn",
    "depthwise_conv": "dwconv",
    "depthwise_bn": "bn",
    "se_reduce": "se_reduce",
    "se_expand": "se_expand",
    "project_conv": "project_conv",
    "project_bn": "project_bn",
}

# Their network scales pixels itself: by 1/255, by the mean and "variance" of the file, which is the
# deviation, and by the root of that once more. Together it is what ours calls "imagenet".
_KERAS = Layout(
    names=(
        ("stem_{kind}", "stem_{kind}"),
        ("top_{kind}", "top_{kind}"),
        ("head", "predictions"),
        *(
            (f"stage{{s}}_block{number}_{ours}", f"block{{s}}{letter}_{theirs}")
            for number, letter in enumerate(string.ascii_lowercase, start=1)
            for ours, theirs in _PARTS.items()
        ),
    ),
    ignored=("normalization_1/*",),
    options={"padding": "tensorflow"},
    epsilon=1e-3,
)

LAYOUTS = {
    "keras.applications": _KERAS,
    "torchvision": Layout(
        names=(
            ("stem_conv", "features.0.0"),
            ("stem_bn", "features.0.1"),
            ("stage1_block{b}_depthwise_conv", "features.1.{b-1}.block.0.0"),
            ("stage1_block{b}_depthwise_bn", "features.1.{b-1}.block.0.1"),
            ("stage1_block{b}_se_reduce", "features.1.{b-1}.block.1.fc1"),
            ("stage1_block{b}_se_expand", "features.1.{b-1}.block.1.fc2"),
            ("stage1_block{b}_project_conv", "features.1.{b-1}.block.2.0"),
            ("stage1_block{b}_project_bn", "features.1.{b-1}.block.2.1"),
            ("stage{s}_block{b}_expand_conv", "features.{s}.{b-1}.block.0.0"),
            ("stage{s}_block{b}_expand_bn", "features.{s}.{b-1}.block.0.1"),
            ("stage{s}_block{b}_depthwise_conv", "features.{s}.{b-1}.block.1.0"),
            ("stage{s}_block{b}_depthwise_bn", "features.{s}.{b-1}.block.1.1"),
            ("stage{s}_block{b}_se_reduce", "features.{s}.{b-1}.block.2.fc1"),
            ("stage{s}_block{b}_se_expand", "features.{s}.{b-1}.block.2.fc2"),
            ("stage{s}_block{b}_project_conv", "features.{s}.{b-1}.block.3.0"),
            ("stage{s}_block{b}_project_bn", "features.{s}.{b-1}.block.3.1"),
            ("top_conv", "features.8.0"),
            ("top_bn", "features.8.1"),
            ("head", "classifier.1"),
        ),
        ignored=("*.num_batches_tracked",),
    ),
    # Their own weights; those whose names start with `tf_` take `padding="tensorflow"` and
    # `epsilon=1e-3`, which the file does not say.
    "timm": Layout(
        names=(
            ("stem_conv", "conv_stem"),
            ("stem_bn", "bn1"),
            ("stage{s}_block{b}_se_{part}", "blocks.{s-1}.{b-1}.se.conv_{part}"),
            ("stage1_block{b}_depthwise_conv", "blocks.0.{b-1}.conv_dw"),
            ("stage1_block{b}_depthwise_bn", "blocks.0.{b-1}.bn1"),
            ("stage1_block{b}_project_conv", "blocks.0.{b-1}.conv_pw"),
            ("stage1_block{b}_project_bn", "blocks.0.{b-1}.bn2"),
            ("stage{s}_block{b}_expand_conv", "blocks.{s-1}.{b-1}.conv_pw"),
            ("stage{s}_block{b}_expand_bn", "blocks.{s-1}.{b-1}.bn1"),
            ("stage{s}_block{b}_depthwise_conv", "blocks.{s-1}.{b-1}.conv_dw"),
            ("stage{s}_block{b}_depthwise_bn", "blocks.{s-1}.{b-1}.bn2"),
            ("stage{s}_block{b}_project_conv", "blocks.{s-1}.{b-1}.conv_pwl"),
            ("stage{s}_block{b}_project_bn", "blocks.{s-1}.{b-1}.bn3"),
            ("top_conv", "conv_head"),
            ("top_bn", "bn2"),
            ("head", "classifier"),
        ),
        ignored=("*.num_batches_tracked",),
        options={"epsilon": 1e-5},
    ),
}

_URL = "https://storage.googleapis.com/keras-applications/"
_MD5 = {
    "b0": "902e53a9f72be733fc0bcb005b3ebbac",
    "b1": "1d254153d4ab51201f1646940f018540",
    "b2": "b15cce36ff4dcbd00b6dd88e7857a6ad",
    "b3": "ffd1fdc53d0ce67064dc6a9c7960ede0",
    "b4": "18c95ad55216b8f92d7e70b3a046e2fc",
    "b5": "ace28f2a6363774853a83a0b21b9421a",
    "b6": "165f6e37dce68623721b423839de8be5",
    "b7": "8c03f828fec3ef71311cd463b6759d99",
}

PUBLISHED = {
    f"efficientnet_{size}": Published(
        "keras.applications",
        f"EfficientNet{size.upper()}",
        f"{_URL}efficientnet{size}.h5",
        f"md5:{md5}",
    )
    for size, md5 in _MD5.items()
}
