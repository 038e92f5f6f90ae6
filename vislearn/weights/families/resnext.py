"""ResNeXt in torchvision and timm: the names of residual networks."""

from vislearn.weights.families.resnet import TORCH
from vislearn.weights.layout import Published

LAYOUTS = {"torchvision": TORCH, "timm": TORCH}


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "resnext50_32x4d": _timm("resnext50_32x4d.tv_in1k"),
    "resnext101_32x8d": _timm("resnext101_32x8d.tv_in1k"),
    "resnext101_64x4d": _timm("resnext101_64x4d.tv_in1k"),
}
