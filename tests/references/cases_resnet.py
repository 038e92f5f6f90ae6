"""References of residual networks."""

from case import KerasCase, TorchCase


def torchvision_resnet(block: str, **options):
    """A resnet of torchvision with one block a stage and seven classes."""

    def build():
        from torchvision.models import resnet

        kinds = {"basic": resnet.BasicBlock, "bottleneck": resnet.Bottleneck}
        return resnet.ResNet(kinds[block], [1, 2, 1, 1], num_classes=7, **options)

    return build


SMALL = {"repeats": (1, 2, 1, 1), "num_classes": 7}

TORCH = {
    "resnet18": TorchCase(
        "resnet18", "torchvision", torchvision_resnet("basic"), (64, 64, 3), SMALL
    ),
    "resnet50": TorchCase(
        "resnet50", "torchvision", torchvision_resnet("bottleneck"), (64, 64, 3), SMALL
    ),
    "wide_resnet50_2": TorchCase(
        "wide_resnet50_2",
        "torchvision",
        torchvision_resnet("bottleneck", width_per_group=128),
        (64, 64, 3),
        SMALL,
    ),
}

KERAS = {
    "resnet50": KerasCase("resnet50", "ResNet50"),
    "resnet101": KerasCase("resnet101", "ResNet101", slow=True),
    "resnet152": KerasCase("resnet152", "ResNet152", slow=True),
    "resnet50_v2": KerasCase("resnet50_v2", "ResNet50V2"),
    "resnet101_v2": KerasCase("resnet101_v2", "ResNet101V2", slow=True),
    "resnet152_v2": KerasCase("resnet152_v2", "ResNet152V2", slow=True),
}
