"""References of MobileNets."""

from case import KerasCase, TorchCase


def torchvision_mobilenet(name: str):
    """A MobileNet of torchvision of a quarter of the width."""

    def build():
        import torchvision

        return getattr(torchvision.models, name)(width_mult=0.25, num_classes=7)

    return build


def timm_mobilenet(name: str):
    """A MobileNet of timm; narrower ones round other layers than ours."""

    def build():
        import timm

        return timm.create_model(name, num_classes=7)

    return build


SHAPE = (64, 64, 3)
QUARTER = {"alpha": 0.25, "num_classes": 7}
WHOLE = {"num_classes": 7}
# Without which what the second image changes is lost on the way.
GAIN = 1.6

TORCH = {
    "mobilenet_v2": TorchCase(
        "mobilenet_v2", "torchvision", torchvision_mobilenet("mobilenet_v2"), SHAPE, QUARTER, GAIN
    ),
    "mobilenet_v3_large": TorchCase(
        "mobilenet_v3_large",
        "torchvision",
        torchvision_mobilenet("mobilenet_v3_large"),
        SHAPE,
        QUARTER,
        GAIN,
    ),
    "mobilenet_v3_small": TorchCase(
        "mobilenet_v3_small",
        "torchvision",
        torchvision_mobilenet("mobilenet_v3_small"),
        SHAPE,
        QUARTER,
        GAIN,
    ),
    "mobilenet_v1_timm": TorchCase(
        "mobilenet_v1", "timm", timm_mobilenet("mobilenetv1_100"), SHAPE, WHOLE, GAIN
    ),
    "mobilenet_v2_timm": TorchCase(
        "mobilenet_v2", "timm", timm_mobilenet("mobilenetv2_100"), SHAPE, WHOLE, GAIN
    ),
    "mobilenet_v3_small_timm": TorchCase(
        "mobilenet_v3_small", "timm", timm_mobilenet("mobilenetv3_small_100"), SHAPE, WHOLE, GAIN
    ),
}

# Theirs scales the pixels in the network.
RAW = {"include_preprocessing": False}

KERAS = {
    "mobilenet_v1": KerasCase("mobilenet_v1", "MobileNet", gain=2.0),
    "mobilenet_v2": KerasCase("mobilenet_v2", "MobileNetV2", gain=2.0),
    "mobilenet_v3_large": KerasCase(
        "mobilenet_v3_large", "MobileNetV3Large", options=RAW, gain=GAIN, slow=True
    ),
    "mobilenet_v3_small": KerasCase(
        "mobilenet_v3_small", "MobileNetV3Small", options=RAW, gain=2.0
    ),
}
