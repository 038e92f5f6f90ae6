"""References of VGG networks."""

from case import KerasCase, TorchCase

# Filters of the stages of a network of width 8, and 7 classes.
STAGES = (8, 16, 32, 64, 64)
SMALL = {"width": 8, "units": 16, "num_classes": 7}


def torchvision_vgg(repeats, *, batch_norm=False):
    """A network of torchvision of width 8, with 16 units in place of 4096."""

    def build():
        from torch import nn
        from torchvision.models import vgg

        plan = []
        for filters, count in zip(STAGES, repeats, strict=True):
            plan += [*[filters] * count, "M"]
        model = vgg.VGG(vgg.make_layers(plan, batch_norm=batch_norm), num_classes=7)
        for index, sides in ((0, (64 * 7 * 7, 16)), (3, (16, 16)), (6, (16, 7))):
            model.classifier[index] = nn.Linear(*sides)
        return model

    return build


def timm_vgg(repeats):
    """A network of timm of width 8, whose dense layers are convolutions of 16 filters."""

    def build():
        from timm.layers import ClassifierHead
        from timm.models import vgg

        plan = []
        for filters, count in zip(STAGES, repeats, strict=True):
            plan += [*[filters] * count, "M"]
        model = vgg.VGG(plan, num_classes=7)
        model.pre_logits = vgg.ConvMlp(64, 16)
        model.head = ClassifierHead(16, 7)
        return model

    return build


TORCH = {
    "vgg11": TorchCase(
        "vgg11", "torchvision", torchvision_vgg((1, 1, 2, 2, 2)), (64, 320, 3), SMALL
    ),
    "vgg16_bn": TorchCase(
        "vgg16_bn",
        "torchvision",
        torchvision_vgg((2, 2, 3, 3, 3), batch_norm=True),
        (32, 96, 3),
        SMALL,
        gain=1.4,
    ),
    "vgg13_timm": TorchCase("vgg13", "timm", timm_vgg((2, 2, 2, 2, 2)), (64, 96, 3), SMALL),
}

# The file has the head of 224 pixels: half a gigabyte of weights each.
KERAS = {
    "vgg16": KerasCase("vgg16", "VGG16", (224, 224, 3), slow=True),
    "vgg19": KerasCase("vgg19", "VGG19", (224, 224, 3), slow=True),
}
