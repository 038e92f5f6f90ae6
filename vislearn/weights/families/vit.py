"""Vision transformers in timm and torchvision."""

from vislearn.weights.layout import Layout, Published

LAYOUTS = {
    "timm": Layout(
        names=(
            ("patch_embedding", "patch_embed.proj"),
            ("class_token", "cls_token"),
            ("position_embedding", "pos_embed"),
            ("block{b}_norm{n}", "blocks.{b-1}.norm{n}"),
            ("block{b}_attention", "blocks.{b-1}.attn"),
            ("block{b}_attention_scale", "blocks.{b-1}.ls1"),
            ("block{b}_mlp_scale", "blocks.{b-1}.ls2"),
            ("block{b}_mlp_dense{d}", "blocks.{b-1}.mlp.fc{d}"),
            ("{part}", "{part}"),
        ),
        ignored=("mask_token",),
    ),
    "torchvision": Layout(
        names=(
            ("patch_embedding", "conv_proj"),
            ("class_token", "class_token"),
            ("position_embedding", "encoder.pos_embedding"),
            ("block{b}_norm{n}", "encoder.layers.encoder_layer_{b-1}.ln_{n}"),
            ("block{b}_attention", "encoder.layers.encoder_layer_{b-1}.self_attention"),
            ("block{b}_mlp_dense1", "encoder.layers.encoder_layer_{b-1}.mlp.0"),
            ("block{b}_mlp_dense2", "encoder.layers.encoder_layer_{b-1}.mlp.3"),
            ("norm", "encoder.ln"),
            ("head", "heads.head"),
        ),
        preprocessing="imagenet",
    ),
}


def _timm(model: str, classes: int = 1000) -> Published:
    return Published(
        "timm",
        model,
        f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors",
        classes=classes,
    )


PUBLISHED = {
    "vit_tiny_patch16": _timm("vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    "vit_small_patch16": _timm("vit_small_patch16_224.augreg_in21k_ft_in1k"),
    "vit_base_patch16": _timm("vit_base_patch16_224.augreg_in21k_ft_in1k"),
    "vit_base_patch32": _timm("vit_base_patch32_224.augreg_in21k_ft_in1k"),
    "vit_large_patch16": _timm("vit_large_patch16_224.augreg_in21k_ft_in1k"),
    "dinov2_small": _timm("vit_small_patch14_dinov2.lvd142m", classes=0),
    "dinov2_base": _timm("vit_base_patch14_dinov2.lvd142m", classes=0),
}
