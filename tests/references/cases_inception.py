"""References of inception networks: an eighth of the width, one or two modules of each kind."""

import contextlib
import functools
import importlib

from case import KerasCase, TorchCase


def narrow(conv):
    """A convolution of theirs with an eighth of the channels."""

    def build(inputs, filters, **options):
        return conv(inputs if inputs == 3 else inputs // 8, filters // 8, **options)

    return build


def torchvision_googlenet():
    """The googlenet of torchvision without its last module."""
    import torch
    from torchvision.models.googlenet import BasicConv2d, GoogLeNet, Inception

    conv = narrow(BasicConv2d)
    blocks = [conv, functools.partial(Inception, conv_block=conv), None]
    model = GoogLeNet(num_classes=7, aux_logits=False, init_weights=False, blocks=blocks)
    model.inception5b = torch.nn.Identity()
    model.fc = torch.nn.Linear(832 // 8, 7)
    return model


def torchvision_inception_v3():
    """The Inception v3 of torchvision with one module with 7x7 kernels."""
    import torch
    from torchvision.models import inception

    conv = narrow(inception.BasicConv2d)
    modules = (getattr(inception, f"Inception{letter}") for letter in "ABCDE")
    blocks = [conv, *(functools.partial(module, conv_block=conv) for module in modules), None]
    model = inception.Inception3(
        num_classes=7, aux_logits=False, init_weights=False, inception_blocks=blocks
    )
    for name in ("Mixed_6c", "Mixed_6d", "Mixed_6e"):
        setattr(model, name, torch.nn.Identity())
    model.fc = torch.nn.Linear(2048 // 8, 7)
    return model


@contextlib.contextmanager
def narrow_timm(name: str):
    """Inside, the networks of a module of timm, which is given, have an eighth of the channels."""
    module = importlib.import_module(f"timm.models.{name}")
    before = module.ConvNormAct
    module.ConvNormAct = narrow(before)
    try:
        yield module
    finally:
        module.ConvNormAct = before


def timm_inception_v4():
    """The Inception v4 of timm with one module of each kind."""
    import torch

    with narrow_timm("inception_v4") as timm:
        model = timm.InceptionV4(num_classes=7)
    for index in (*range(7, 10), *range(12, 18), 20, 21):
        model.features[index] = torch.nn.Identity()
    model.last_linear = torch.nn.Linear(1536 // 8, 7)
    return model


def timm_inception_resnet_v2():
    """The Inception-ResNet v2 of timm with one module of each kind, but all of the last."""
    import torch

    with narrow_timm("inception_resnet_v2") as timm:
        model = timm.InceptionResnetV2(num_classes=7)
    model.repeat, model.repeat_1 = model.repeat[:1], model.repeat_1[:1]
    for module in (model.repeat[0], model.repeat_1[0], *model.repeat_2, model.block8):
        old = module.conv2d
        module.conv2d = torch.nn.Conv2d(old.in_channels // 8, old.out_channels // 8, 1)
    model.classif = torch.nn.Linear(1536 // 8, 7)
    return model


TORCH = {
    "googlenet": TorchCase(
        "googlenet",
        "torchvision",
        torchvision_googlenet,
        (64, 64, 3),
        {"repeats": (2, 5, 1), "width": 0.125, "num_classes": 7},
        gain=1.4,
    ),
    "inception_v3": TorchCase(
        "inception_v3",
        "torchvision",
        torchvision_inception_v3,
        (80, 96, 3),
        {"stage4": (128,), "width": 0.125, "num_classes": 7},
        gain=1.4,
    ),
    "inception_v4": TorchCase(
        "inception_v4",
        "timm",
        timm_inception_v4,
        (80, 96, 3),
        {"repeats": (1, 1, 1), "width": 0.125, "num_classes": 7},
        gain=1.4,
    ),
    "inception_resnet_v2": TorchCase(
        "inception_resnet_v2",
        "timm",
        timm_inception_resnet_v2,
        (80, 96, 3),
        {"repeats": (1, 1, 10), "width": 0.125, "num_classes": 7},
    ),
}

KERAS = {
    "inception_resnet_v2": KerasCase(
        "inception_resnet_v2", "InceptionResNetV2", (75, 75, 3), slow=True
    ),
    "inception_v3": KerasCase("inception_v3", "InceptionV3", (75, 75, 3)),
}
