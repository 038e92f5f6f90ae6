"""Multiscale vision transformers in timm."""

from vislearn.layers import PoolingAttention
from vislearn.weights.layout import Layout, Published


def _attention(layer, read):
    found = [read("qkv.weight").T, read("qkv.bias")]
    for part in layer.pooled:
        initial = part[0]
        found += [
            read(f"pool_{initial}.weight").transpose(2, 3, 0, 1),
            read(f"norm_{initial}.weight"),
            read(f"norm_{initial}.bias"),
        ]
    if layer.relative_positions:
        found += [read("rel_pos_h"), read("rel_pos_w")]
    return [*found, read("proj.weight").T, read("proj.bias")]


_BLOCK = "stages.{s-1}.blocks.{b-1}"

LAYOUTS = {
    "timm": Layout(
        names=(
            ("stem_conv", "patch_embed.proj"),
            ("class_token", "cls_token"),
            ("position_embedding", "pos_embed"),
            ("stage{s}_block{b}_norm{n}", f"{_BLOCK}.norm{{n}}"),
            ("stage{s}_block{b}_attention_shortcut", f"{_BLOCK}.shortcut_proj_attn"),
            ("stage{s}_block{b}_mlp_shortcut", f"{_BLOCK}.shortcut_proj_mlp"),
            ("stage{s}_block{b}_mlp_dense{d}", f"{_BLOCK}.mlp.fc{{d}}"),
            ("stage{s}_block{b}_attention", f"{_BLOCK}.attn"),
            ("norm", "norm"),
            ("head", "head.fc"),
        ),
        converters={PoolingAttention: _attention},
    ),
}


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "mvit_v2_tiny": _timm("mvitv2_tiny.fb_in1k"),
    "mvit_v2_small": _timm("mvitv2_small.fb_in1k"),
    "mvit_v2_base": _timm("mvitv2_base.fb_in1k"),
}
