"""References of NFNets."""

from case import TorchCase

SMALL = {"repeats": (1, 2, 1), "filters": (16, 32, 64), "group_size": 8, "num_classes": 7}


def timm_nfnet():
    """A network of timm with the weights' layout of DeepMind, in the size of `SMALL`."""
    import dataclasses

    from timm.models.nfnet import NormFreeNet, model_cfgs

    configuration = dataclasses.replace(
        model_cfgs["dm_nfnet_f0"],
        depths=SMALL["repeats"],
        channels=SMALL["filters"],
        group_size=SMALL["group_size"],
        stem_chs=SMALL["filters"][0] // 2,
        num_features=2 * SMALL["filters"][-1],
        ch_div=1,
    )
    return NormFreeNet(configuration, num_classes=7)


TORCH = {"nfnet_f0": TorchCase("nfnet_f0", "timm", timm_nfnet, (64, 64, 3), SMALL)}
