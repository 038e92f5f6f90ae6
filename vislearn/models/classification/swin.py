"""Swin transformers: attention inside windows that shift from block to block.

Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", ICCV 2021,
arXiv:2103.14030; version 2 from Liu et al., "Swin Transformer V2: Scaling Up Capacity and
Resolution", CVPR 2022, arXiv:2111.09883: attention by cosine, a position bias that a small network
makes of the log-spaced distance, and normalisation after each branch instead of before. Stochastic
depth from Huang et al., arXiv:1603.09382.

What differs from the papers: the rates of stochastic depth rise from the first block on, where the
authors' first block is never dropped. As in the authors' code, the patches are normalised, the
scale of the position bias of version 2 follows the window of the network itself, and the bias is
squeezed to 0..16.

The image may have any size that the patches divide: a feature map is filled up to whole windows,
and a window shrinks to a smaller feature map (the table of version 1 with it, so that weights of
224 pixels fit other sizes only as long as no stage is smaller than a window).

At 224x224 (version 2: 256x256) Swin-T has 28.3 million parameters and 4.5 G multiply-adds, SwinV2-T
28.3 million and 5.9 G.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    CosineWindowAttention,
    PatchMerging,
    WindowAttention,
    classification_head,
    drop_rates,
    preprocess,
)
from vislearn.layers.transformer import add_branch, dense, layer_norm, mlp, small_normal
from vislearn.registry import Paper, register

SWIN = Paper(
    "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows",
    "Ze Liu, Yutong Lin, Yue Cao, Han Hu, Yixuan Wei, Zheng Zhang, Stephen Lin, Baining Guo",
    2021,
    "https://arxiv.org/abs/2103.14030",
)
SWIN_V2 = Paper(
    "Swin Transformer V2: Scaling Up Capacity and Resolution",
    "Ze Liu, Han Hu, Yutong Lin, Zhuliang Yao, Zhenda Xie, Yixuan Wei, Jia Ning, Yue Cao, "
    "Zheng Zhang, Li Dong, Furu Wei, Baining Guo",
    2021,
    "https://arxiv.org/abs/2111.09883",
)
norm = functools.partial(layer_norm, epsilon=1e-5)  # Of the published weights.
ATTENTION = {1: WindowAttention, 2: CosineWindowAttention}


def window_attention(x, *, version, num_heads, window_size, shift, name):
    """Multi-head self-attention inside windows, (S)W-MSA."""
    return ATTENTION[version](
        num_heads, window_size, shift=shift, kernel_initializer=small_normal(), name=name
    )(x)


def residual(x, branch, *, version, drop_rate, norm_name, name):
    """Adds `branch`, a function of `(x, name=...)`, normalised before (version 1) or after it.

    After it, the normalisation starts from zero: a new network is then the identity.
    """
    if version == 1:
        y = branch(norm(x, name=norm_name), name=name)
    else:
        y = norm(branch(x, name=name), gamma_initializer="zeros", name=norm_name)
    return add_branch(x, y, drop_rate=drop_rate, name=name)


def swin_block(x, *, version, num_heads, window_size, shift, mlp_ratio, drop_rate=0.0, name):
    """Attention inside windows and a multi-layer perceptron, each beside a shortcut (Figure 3b)."""

    def attend(y, *, name):
        return window_attention(
            y,
            version=version,
            num_heads=num_heads,
            window_size=window_size,
            shift=shift,
            name=name,
        )

    def perceive(y, *, name):
        return mlp(y, int(y.shape[-1] * mlp_ratio), name=name)

    options = {"version": version, "drop_rate": drop_rate}
    x = residual(x, attend, norm_name=f"{name}_norm1", name=f"{name}_attention", **options)
    return residual(x, perceive, norm_name=f"{name}_norm2", name=f"{name}_mlp", **options)


def merge_patches(x, dim, *, version, name):
    """Halves the sides: 2x2 places side by side, normalised and projected to `dim` channels."""
    x = PatchMerging(name=name)(x)  # (batch, height / 2, width / 2, 4 * channels)
    if version == 1:
        x = norm(x, name=f"{name}_norm")
        return dense(x, dim, use_bias=False, name=f"{name}_dense")
    x = dense(x, dim, use_bias=False, name=f"{name}_dense")
    return norm(x, name=f"{name}_norm")


def timm(name, params, gmacs, theirs, dim, repeats, num_heads, drop_path_rate, *, version=1):
    """Registers a variant that timm has: section 3.3 of the paper, and its counts."""
    side, window_size = {1: (224, 7), 2: (256, 8)}[version]
    return register(
        name,
        paper={1: SWIN, 2: SWIN_V2}[version],
        family="swin",
        input_shape=(side, side, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"timm 1.0.31 {theirs}",
        # Windows of 3 that have to be shifted and filled up, on maps of 8x8 and 4x4.
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "dim": 8,
            "repeats": (2, 1),
            "num_heads": (1, 2),
            "window_size": 3,
            "drop_path_rate": 0.0,
        },
        version=version,
        dim=dim,
        repeats=repeats,
        num_heads=num_heads,
        window_size=window_size,
        drop_path_rate=drop_path_rate,
    )


_T, _S = (2, 2, 6, 2), (2, 2, 18, 2)
_H96, _H128 = (3, 6, 12, 24), (4, 8, 16, 32)
_V1, _V2 = "patch4_window7_224", "window8_256"


@timm("swin_tiny", 28_288_354, 4.4906, f"swin_tiny_{_V1}", 96, _T, _H96, 0.2)
@timm("swin_small", 49_606_258, 8.7409, f"swin_small_{_V1}", 96, _S, _H96, 0.3)
@timm("swin_base", 87_768_224, 15.4309, f"swin_base_{_V1}", 128, _S, _H128, 0.5)
@timm("swin_v2_tiny", 28_347_154, 5.9397, f"swinv2_tiny_{_V2}", 96, _T, _H96, 0.2, version=2)
@timm("swin_v2_small", 49_728_418, 11.5459, f"swinv2_small_{_V2}", 96, _S, _H96, 0.3, version=2)
@timm("swin_v2_base", 87_918_816, 20.3251, f"swinv2_base_{_V2}", 128, _S, _H128, 0.5, version=2)
def swin(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="swin",
    version=1,
    patch_size=4,
    dim=96,
    repeats=(2, 2, 6, 2),
    num_heads=(3, 6, 12, 24),
    window_size=7,
    mlp_ratio=4.0,
    drop_path_rate=0.0,
) -> keras.Model:
    """A Swin transformer (section 3 of the papers).

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        version: 1, or 2 for cosine attention, a continuous position bias and normalisation after
            each branch.
        patch_size: Side of a patch; it must divide the image's.
        dim: Channels of the first stage ("C"); each further stage doubles them.
        repeats: Blocks in each stage; every second one shifts its windows.
        num_heads: Attention heads in each stage; they must divide its channels.
        window_size: Side of a window ("M").
        mlp_ratio: Inner size of a block's dense layers, in units of its channels.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `C2` (stride 4, with patches of 4) to `C5` (stride 32), of shape
        `(batch, height, width, channels)`. They are not normalised.

    Raises:
        ValueError: If an argument is out of range.
    """
    sides = input_shape[:2]
    if version not in ATTENTION:
        raise ValueError(f"version={version!r} must be one of {sorted(ATTENTION)}.")
    if patch_size < 1 or any(side % patch_size for side in sides):
        raise ValueError(f"patch_size={patch_size!r} must divide the image's sides, {sides}.")
    if not repeats or len(repeats) != len(num_heads):
        raise ValueError(f"{repeats=} and {num_heads=} must have one number for each stage.")
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    # As torch's convolution starts; the paper doesn't say.
    x = layers.Conv2D(dim, patch_size, strides=patch_size, name="stem_conv")(x)
    x = norm(x, name="stem_norm")
    for stage, (count, heads) in enumerate(zip(repeats, num_heads, strict=True), start=1):
        if stage > 1:
            x = merge_patches(x, 2 * x.shape[-1], version=version, name=f"stage{stage}_merge")
        for block in range(1, count + 1):
            x = swin_block(
                x,
                version=version,
                num_heads=heads,
                window_size=window_size,
                shift=0 if block % 2 else window_size // 2,
                mlp_ratio=mlp_ratio,
                drop_rate=next(rates),
                name=f"stage{stage}_block{block}",
            )
        x = layers.Identity(name=f"C{stage + 1}")(x)
    x = norm(x, name="norm")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
