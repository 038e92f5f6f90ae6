"""References of Swin transformers."""

from case import TorchCase

SMALL = {
    "dim": 8,
    "repeats": (2, 2, 1),
    "num_heads": (1, 2, 4),
    "window_size": 4,
    "num_classes": 7,
}


def timm_swin(version: int, size):
    """A Swin transformer of timm, in the size of `SMALL`, for images of `size`."""

    def build():
        from timm.models.swin_transformer import SwinTransformer
        from timm.models.swin_transformer_v2 import SwinTransformerV2

        return {1: SwinTransformer, 2: SwinTransformerV2}[version](
            img_size=size,
            embed_dim=SMALL["dim"],
            depths=SMALL["repeats"],
            num_heads=SMALL["num_heads"],
            window_size=SMALL["window_size"],
            num_classes=SMALL["num_classes"],
        )

    return build


def torchvision_swin(version: int):
    """A Swin transformer of torchvision in the size of `SMALL`."""

    def build():
        from torchvision.models import swin_transformer as module

        kinds = {
            1: {},
            2: {"block": module.SwinTransformerBlockV2, "downsample_layer": module.PatchMergingV2},
        }
        model = module.SwinTransformer(
            patch_size=[4, 4],
            embed_dim=SMALL["dim"],
            depths=list(SMALL["repeats"]),
            num_heads=list(SMALL["num_heads"]),
            window_size=[SMALL["window_size"]] * 2,
            num_classes=SMALL["num_classes"],
            **kinds[version],
        )
        for part in model.modules():
            # Follows from the sizes, but is saved with the weights, which would draw it at random.
            if hasattr(part, "relative_coords_table"):
                part.register_buffer(
                    "relative_coords_table", part.relative_coords_table, persistent=False
                )
        return model

    return build


NAMES = {1: "swin_tiny", 2: "swin_v2_tiny"}
# Maps of 18x10, 9x5 and 5x3: filled up for windows and merging, and at last smaller than a window
# along one side alone, which is then not shifted.
ODD = (72, 40)

TORCH = {
    **{
        f"{name}_timm": TorchCase(name, "timm", timm_swin(version, 64), (64, 64, 3), SMALL)
        for version, name in NAMES.items()
    },
    **{
        f"{name}_timm_odd": TorchCase(name, "timm", timm_swin(version, ODD), (*ODD, 3), SMALL)
        for version, name in NAMES.items()
    },
    **{
        f"{name}_torchvision": TorchCase(
            name, "torchvision", torchvision_swin(version), (64, 64, 3), SMALL
        )
        for version, name in NAMES.items()
    },
}
