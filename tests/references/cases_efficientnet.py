"""References of EfficientNets."""

from case import KerasCase, TorchCase

SHAPE = (64, 64, 3)
SMALL = {"width": 0.25, "depth": 0.4, "num_classes": 7}
# Without which what the second image changes is lost on the way.
GAIN = 1.6


def torchvision_efficientnet(**norm):
    """An EfficientNet of torchvision in the size of `SMALL`."""

    def build():
        from functools import partial

        from torch import nn
        from torchvision.models import efficientnet

        stages, last = efficientnet._efficientnet_conf(
            "efficientnet_b0", width_mult=SMALL["width"], depth_mult=SMALL["depth"]
        )
        return efficientnet.EfficientNet(
            stages,
            dropout=0.2,
            num_classes=7,
            last_channel=last,
            norm_layer=partial(nn.BatchNorm2d, **norm),
        )

    return build


def timm_efficientnet():
    """An EfficientNet of timm in the size of `SMALL`, but with as many channels at the end."""
    from timm.models.efficientnet import _gen_efficientnet

    return _gen_efficientnet(
        "efficientnet_b0",
        channel_multiplier=SMALL["width"],
        depth_multiplier=SMALL["depth"],
        num_classes=7,
    )


TORCH = {
    "efficientnet_b0": TorchCase(
        "efficientnet_b0", "torchvision", torchvision_efficientnet(), SHAPE, SMALL, GAIN
    ),
    "efficientnet_b5": TorchCase(
        "efficientnet_b5", "torchvision", torchvision_efficientnet(eps=1e-3), SHAPE, SMALL, GAIN
    ),
    "efficientnet_b5_timm": TorchCase(
        "efficientnet_b5", "timm", timm_efficientnet, SHAPE, SMALL, GAIN
    ),
}

KERAS = {
    f"efficientnet_b{size}": KerasCase(
        f"efficientnet_b{size}",
        f"EfficientNetB{size}",
        start="stem_conv_pad",
        gain=2.0,
        slow=size > 0,
    )
    for size in range(8)
}
