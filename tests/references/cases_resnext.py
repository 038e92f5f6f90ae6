"""References of ResNeXt."""

from case import TorchCase


def torchvision_resnext():
    """One or two blocks a stage and seven classes."""
    from torchvision.models import resnet

    return resnet.ResNet(
        resnet.Bottleneck, [1, 2, 1, 1], num_classes=7, groups=32, width_per_group=4
    )


TORCH = {
    "resnext50_32x4d": TorchCase(
        "resnext50_32x4d",
        "torchvision",
        torchvision_resnext,
        (64, 64, 3),
        {"repeats": (1, 2, 1, 1), "num_classes": 7},
    ),
}
