"""References of multiscale vision transformers."""

from case import TorchCase

SMALL = {"dim": 8, "repeats": (1, 2, 1), "num_classes": 7}
STRIDES = ((1, 1), (2, 2), (2, 2))


def timm_mvit(**options):
    """A multiscale vision transformer of timm, in the size of `SMALL`, for 64 pixels."""
    from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg

    config = MultiScaleVitCfg(
        depths=SMALL["repeats"],
        embed_dim=(8, 16, 32),
        num_heads=(1, 2, 4),
        stride_q=STRIDES,
        **options,
    )
    return MultiScaleVit(config, img_size=64, num_classes=SMALL["num_classes"])


def timm_version_1():
    """The first version, made of timm's parts: it pools queries only where they get fewer."""
    model = timm_mvit(
        expand_attn=False,
        use_cls_token=True,
        use_abs_pos=True,
        residual_pooling=False,
        rel_pos_type="none",
    )
    for stage in model.stages:
        for number, block in enumerate(stage.blocks):
            if number or stage is model.stages[0]:
                block.attn.pool_q = block.attn.norm_q = None
    return model


TORCH = {
    "mvit_v2_tiny": TorchCase("mvit_v2_tiny", "timm", timm_mvit, (64, 64, 3), SMALL),
    "mvit_base": TorchCase("mvit_base", "timm", timm_version_1, (64, 64, 3), SMALL),
}
