"""References of SqueezeNet."""

from case import TorchCase


def torchvision_squeezenet(version: str):
    """A network of torchvision with seven classes."""

    def build():
        from torchvision.models import SqueezeNet

        return SqueezeNet(version, num_classes=7)

    return build


def case(version: str) -> TorchCase:
    """Sides that are pooled with and without a window over the border."""
    return TorchCase(
        f"squeezenet{version}",
        "torchvision",
        torchvision_squeezenet(version),
        (64, 71, 3),
        {"num_classes": 7},
        gain=1.4,
    )


TORCH = {f"squeezenet{version}": case(version) for version in ("1_0", "1_1")}
