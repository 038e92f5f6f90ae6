"""References of MLP-Mixer and gMLP."""

from case import TorchCase

SIZE = {"patch_size": 8, "num_classes": 7}


def timm_mixer(**options):
    """A Mixer of timm with 12 tokens and seven classes."""

    def build():
        from timm.layers import GatedMlp
        from timm.models.mlp_mixer import MlpMixer, SpatialGatingBlock

        if options.pop("gated", False):
            options.update(block_layer=SpatialGatingBlock, mlp_layer=GatedMlp)
        return MlpMixer(img_size=(24, 32), num_blocks=2, embed_dim=16, **SIZE, **options)

    return build


TORCH = {
    "mixer_b16": TorchCase(
        "mixer_b16",
        "timm",
        timm_mixer(mlp_ratio=(0.5, 4)),
        (24, 32, 3),
        {**SIZE, "depth": 2, "dim": 16, "tokens_units": 8, "channels_units": 64},
    ),
    "gmlp_s16": TorchCase(
        "gmlp_s16",
        "timm",
        timm_mixer(mlp_ratio=6, gated=True),
        (24, 32, 3),
        {**SIZE, "depth": 2, "dim": 16, "units": 96},
    ),
}
