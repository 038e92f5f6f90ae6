"""Swin transformers in timm and torchvision."""

import numpy as np

from vislearn.layers import CosineWindowAttention, WindowAttention
from vislearn.weights.layout import Layout, Published


def _attention(layer, read):
    return [
        read("qkv.weight").T,
        read("qkv.bias"),
        read("relative_position_bias_table"),
        read("proj.weight").T,
        read("proj.bias"),
    ]


def _cosine_attention(layer, read):
    """torchvision has a bias of keys, which it sets to zero."""
    if read.has("qkv.bias"):
        query, _, value = np.split(read("qkv.bias"), 3)
    else:
        query, value = read("q_bias"), read("v_bias")
    return [
        read("qkv.weight").T,
        query,
        value,
        read("logit_scale").reshape(-1),  # (heads, 1, 1)
        read("cpb_mlp.0.weight").T,
        read("cpb_mlp.0.bias"),
        read("cpb_mlp.2.weight").T,
        read("proj.weight").T,
        read("proj.bias"),
    ]


CONVERTERS = {CosineWindowAttention: _cosine_attention, WindowAttention: _attention}
# What the sizes give is no weight.
TABLES = ("*.relative_position_index", "*.relative_coords_table", "*.attn_mask")


def _torchvision_names():
    """torchvision counts the parts of all stages in one row: stem, stage, merging, stage."""
    for stage in range(1, 5):
        block = f"stage{stage}_block{{b}}"
        theirs = f"features.{2 * stage - 1}.{{b-1}}"
        yield f"{block}_norm{{n}}", f"{theirs}.norm{{n}}"
        yield f"{block}_attention", f"{theirs}.attn"
        yield f"{block}_mlp_dense1", f"{theirs}.mlp.0"
        yield f"{block}_mlp_dense2", f"{theirs}.mlp.3"
        yield f"stage{stage}_merge_norm", f"features.{2 * stage - 2}.norm"
        yield f"stage{stage}_merge_dense", f"features.{2 * stage - 2}.reduction"


LAYOUTS = {
    "timm": Layout(
        names=(
            ("stem_conv", "patch_embed.proj"),
            ("stem_norm", "patch_embed.norm"),
            ("stage{s}_merge_norm", "layers.{s-1}.downsample.norm"),
            ("stage{s}_merge_dense", "layers.{s-1}.downsample.reduction"),
            ("stage{s}_block{b}_norm{n}", "layers.{s-1}.blocks.{b-1}.norm{n}"),
            ("stage{s}_block{b}_attention", "layers.{s-1}.blocks.{b-1}.attn"),
            ("stage{s}_block{b}_mlp_dense{d}", "layers.{s-1}.blocks.{b-1}.mlp.fc{d}"),
            ("norm", "norm"),
            ("head", "head.fc"),
        ),
        ignored=TABLES,
        converters=CONVERTERS,
    ),
    "torchvision": Layout(
        names=(
            ("stem_conv", "features.0.0"),
            ("stem_norm", "features.0.2"),
            *_torchvision_names(),
            ("norm", "norm"),
            ("head", "head"),
        ),
        ignored=TABLES,
        converters=CONVERTERS,
    ),
}


def _timm(model: str) -> Published:
    return Published(
        "timm", model, f"https://huggingface.co/timm/{model}/resolve/main/model.safetensors"
    )


PUBLISHED = {
    "swin_tiny": _timm("swin_tiny_patch4_window7_224.ms_in1k"),
    "swin_small": _timm("swin_small_patch4_window7_224.ms_in1k"),
    "swin_base": _timm("swin_base_patch4_window7_224.ms_in1k"),
    "swin_v2_tiny": _timm("swinv2_tiny_window8_256.ms_in1k"),
    "swin_v2_small": _timm("swinv2_small_window8_256.ms_in1k"),
    "swin_v2_base": _timm("swinv2_base_window8_256.ms_in1k"),
}
