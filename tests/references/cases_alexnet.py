"""References of AlexNet."""

from case import TorchCase


def torchvision_alexnet():
    """Torchvision's, with 16 units in place of 4096 and seven classes."""
    from torch import nn
    from torchvision.models import AlexNet

    model = AlexNet(num_classes=7)
    model.classifier[1] = nn.Linear(256 * 6 * 6, 16)
    model.classifier[4] = nn.Linear(16, 16)
    model.classifier[6] = nn.Linear(16, 7)
    return model


OPTIONS = {"units": (16, 16), "num_classes": 7}

TORCH = {
    # The last feature map is 3 x 7 pixels: one side is enlarged to 6, the other reduced.
    "alexnet": TorchCase("alexnet", "torchvision", torchvision_alexnet, (127, 255, 3), OPTIONS),
    # 6 x 6 as published, so that nothing is pooled.
    "alexnet_224": TorchCase("alexnet", "torchvision", torchvision_alexnet, (224, 224, 3), OPTIONS),
}
