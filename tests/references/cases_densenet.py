"""References of densely connected networks."""

from case import KerasCase, TorchCase


def torchvision_densenet():
    """A DenseNet of torchvision with few layers and seven classes."""
    from torchvision.models import DenseNet

    return DenseNet(8, (2, 1, 1, 2), num_init_features=16, num_classes=7)


SMALL = {"repeats": (2, 1, 1, 2), "growth_rate": 8, "num_classes": 7}

TORCH = {
    "densenet121": TorchCase(
        "densenet121", "torchvision", torchvision_densenet, (64, 64, 3), SMALL
    ),
}

KERAS = {
    "densenet121": KerasCase("densenet121", "DenseNet121", gain=1.8),
    "densenet169": KerasCase("densenet169", "DenseNet169", gain=1.8, slow=True),
    "densenet201": KerasCase("densenet201", "DenseNet201", gain=1.8, slow=True),
}
