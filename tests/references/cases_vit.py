"""References of vision transformers."""

from case import TorchCase

SIZE = {"dim": 24, "depth": 2, "num_heads": 3, "num_classes": 7}


def timm_vit(**options):
    """A transformer of timm with the positions of an image of 64 pixels."""

    def build():
        from timm.models.vision_transformer import VisionTransformer

        return VisionTransformer(
            img_size=64, embed_dim=24, depth=2, num_heads=3, dynamic_img_size=True, **options
        )

    return build


def torchvision_vit():
    """A transformer of torchvision."""
    from torchvision.models import VisionTransformer

    return VisionTransformer(
        image_size=64,
        patch_size=16,
        num_layers=2,
        num_heads=3,
        hidden_dim=24,
        mlp_dim=96,
        num_classes=7,
    )


TORCH = {
    "vit_small_patch16": TorchCase(
        "vit_small_patch16", "timm", timm_vit(patch_size=16, num_classes=7), (64, 64, 3), SIZE
    ),
    # Positions of a square of 4 x 4 patches, used for 3 x 5.
    "vit_small_patch16_resized": TorchCase(
        "vit_small_patch16", "timm", timm_vit(patch_size=16, num_classes=7), (48, 80, 3), SIZE
    ),
    "vit_base_patch16_torchvision": TorchCase(
        "vit_base_patch16", "torchvision", torchvision_vit, (64, 64, 3), SIZE
    ),
    # Patches of 16 here: 64 pixels are no multiple of 14.
    "dinov2_small": TorchCase(
        "dinov2_small",
        "timm",
        timm_vit(patch_size=16, num_classes=0, init_values=1e-5),
        (64, 64, 3),
        {**SIZE, "patch_size": 16, "num_classes": 0},
    ),
}
