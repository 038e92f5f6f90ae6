"""VGG networks in torchvision, timm and keras.applications."""

from vislearn.registry import list_models, model_info
from vislearn.weights.layout import Layout, Published


def _features(*, repeats, batch_norm=False) -> tuple[tuple[str, str], ...]:
    """Our convolutions and theirs, which are numbered together with ReLUs and poolings."""
    names, number = [], 0
    for stage, count in enumerate(repeats, start=1):
        for index in range(1, count + 1):
            names.append((f"stage{stage}_conv{index}", f"features.{number}"))
            if batch_norm:
                names.append((f"stage{stage}_bn{index}", f"features.{number + 1}"))
            number += 3 if batch_norm else 2
        number += 1
    return tuple(names)


def _torch(*dense: tuple[str, str]) -> dict[str, Layout]:
    return {
        name: Layout(
            names=(*_features(**model_info(name).variant), *dense),
            ignored=("*.num_batches_tracked",),
        )
        for name in list_models(family="vgg")
    }


LAYOUTS = {
    "torchvision": _torch(
        ("dense1", "classifier.0"), ("dense2", "classifier.3"), ("head", "classifier.6")
    ),
    # The dense layers are convolutions there.
    "timm": _torch(("dense{d}", "pre_logits.fc{d}"), ("head", "head.fc")),
    "keras.applications": Layout(
        names=(
            ("stage{s}_{conv}", "block{s}_{conv}"),
            ("dense{d}", "fc{d}"),
            ("head", "predictions"),
        ),
        preprocessing="caffe",
        bgr=True,
    ),
}

_KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"


def _keras(model: str, md5: str) -> Published:
    name = model.lower()
    url = f"{_KERAS}{name}/{name}_weights_tf_dim_ordering_tf_kernels.h5"
    return Published("keras.applications", model, url, f"md5:{md5}")


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "vgg11": _timm("vgg11.tv_in1k"),
    "vgg13": _timm("vgg13.tv_in1k"),
    "vgg16": _keras("VGG16", "64373286793e3c8b2b4e3219cbf3544b"),
    "vgg19": _keras("VGG19", "cbe5617147190e668d6c5d5026f83318"),
    "vgg11_bn": _timm("vgg11_bn.tv_in1k"),
    "vgg13_bn": _timm("vgg13_bn.tv_in1k"),
    "vgg16_bn": _timm("vgg16_bn.tv_in1k"),
    "vgg19_bn": _timm("vgg19_bn.tv_in1k"),
}
