"""References of ConvNeXt."""

from case import KerasCase, TorchCase

SMALL = {"repeats": (1, 2, 1, 1), "filters": (8, 16, 24, 32), "num_classes": 7}


def torchvision_convnext():
    """A ConvNeXt of torchvision in the size of `SMALL`."""
    from torchvision.models.convnext import CNBlockConfig, ConvNeXt

    widths = (*SMALL["filters"], None)
    settings = [
        CNBlockConfig(width, following, count)
        for width, following, count in zip(widths, widths[1:], SMALL["repeats"], strict=False)
    ]
    return ConvNeXt(settings, num_classes=7)


def timm_convnext():
    """A ConvNeXt of timm in the size of `SMALL`."""
    from timm.models.convnext import ConvNeXt

    return ConvNeXt(depths=SMALL["repeats"], dims=SMALL["filters"], num_classes=7)


SHAPE = (64, 64, 3)

TORCH = {
    "convnext_torchvision": TorchCase(
        "convnext_tiny", "torchvision", torchvision_convnext, SHAPE, SMALL
    ),
    "convnext_timm": TorchCase("convnext_tiny", "timm", timm_convnext, SHAPE, SMALL),
}

# Theirs normalises the pixels in the network.
RAW = {"include_preprocessing": False}

KERAS = {
    "convnext_tiny": KerasCase("convnext_tiny", "ConvNeXtTiny", options=RAW),
    "convnext_small": KerasCase("convnext_small", "ConvNeXtSmall", options=RAW, slow=True),
    "convnext_base": KerasCase("convnext_base", "ConvNeXtBase", options=RAW, slow=True),
}
