"""Multiscale vision transformers: attention that pools queries, keys and values.

Fan et al., "Multiscale Vision Transformers", ICCV 2021, arXiv:2104.11227; version 2 from Li et al.,
"MViTv2: Improved Multiscale Vision Transformers for Classification and Detection", CVPR 2022,
arXiv:2112.01526: scores of relative positions in place of learned absolute ones, the pooled query
added to the answer, queries pooled in every block, no class token. Stochastic depth from Huang et
al., arXiv:1603.09382.

What differs from the papers: the rates of stochastic depth rise from the first block on, where the
authors' first block is never dropped. Version 1 is the image model (MViT-B-16) with pooling by
convolution, as the authors' published configuration has it: patches of 7x7 at stride 4, joint
absolute positions, channels and heads doubled in the last block before the blocks 2, 4 and 15,
whose queries are pooled at stride 2.

The count of version 1 is summed here, as no library has it. With D channels in, E channels out and
heads of 96 channels, a block has its attention, 3 D (D + 1) + D (D + 1); its pools, 3 * 96 + 2 * 96
numbers times 3 for each 3x3 (1056 for each of key, value and, where it strides, query); its
normalisations, 4 D; its multi-layer perceptron, 4 D (D + 1) + E (4 D + 1); and where E is 2 D, the
projection of its shortcut, E (D + 1). Around the blocks stand the patches, 14 208; class token and
positions, 96 * 3138; the last normalisation, 1536; and the head, 769 000.

At 224x224 version 1 has 36 982 600 parameters and 7.8 G multiply-adds, the 37.0 million and 7.8 G
of the paper's table; MViTv2-T has 24.2 million parameters, 4.7 G multiply-adds.
"""

import keras
from keras import layers

from vislearn.layers import (
    ClassToken,
    PoolingAttention,
    PositionEmbedding,
    TokenMaxPooling,
    classification_head,
    drop_rates,
    preprocess,
)
from vislearn.layers.transformer import add_branch, dense, layer_norm, mlp, small_normal
from vislearn.registry import Paper, check_levels, register

MVIT = Paper(
    "Multiscale Vision Transformers",
    "Haoqi Fan, Bo Xiong, Karttikeya Mangalam, Yanghao Li, Zhicheng Yan, Jitendra Malik, "
    "Christoph Feichtenhofer",
    2021,
    "https://arxiv.org/abs/2104.11227",
)
MVIT_V2 = Paper(
    "MViTv2: Improved Multiscale Vision Transformers for Classification and Detection",
    "Yanghao Li, Chao-Yuan Wu, Haoqi Fan, Karttikeya Mangalam, Bo Xiong, Jitendra Malik, "
    "Christoph Feichtenhofer",
    2021,
    "https://arxiv.org/abs/2112.01526",
)


def mvit_block(x, grid, *, version, num_heads, dims, strides, mlp_ratio, drop_rate=0.0, name):
    """Pooling attention and a multi-layer perceptron, each beside a shortcut (Figure 3).

    Args:
        x: `(batch, prefix + tokens, channels)`.
        grid: Rows and columns of the tokens.
        dims: Channels after the attention and after the perceptron. A shortcut that changes its
            channels starts from the normalised input, as in the authors' code.
        strides: At which queries, and keys and values, are pooled.

    Returns:
        The tokens, and their grid.
    """
    query_stride, key_stride = strides
    y = layer_norm(x, name=f"{name}_norm1")
    if x.shape[-1] != dims[0]:
        x = dense(y, dims[0], name=f"{name}_attention_shortcut")
    if query_stride > 1:
        x = TokenMaxPooling(grid, name=f"{name}_attention_pool")(x)
    attention = PoolingAttention(
        num_heads,
        dims[0],
        grid,
        query_stride=query_stride,
        key_stride=key_stride,
        pool_queries=version == 2,
        relative_positions=version == 2,
        residual=version == 2,
        kernel_initializer=small_normal(),
        name=f"{name}_attention",
    )
    x = add_branch(x, attention(y), drop_rate=drop_rate, name=f"{name}_attention")
    y = layer_norm(x, name=f"{name}_norm2")
    if x.shape[-1] != dims[1]:
        x = dense(y, dims[1], name=f"{name}_mlp_shortcut")
    y = mlp(y, int(dims[0] * mlp_ratio), outputs=dims[1], name=f"{name}_mlp")
    return add_branch(x, y, drop_rate=drop_rate, name=f"{name}_mlp"), attention.query_grid


def pyramid(model, levels) -> dict:
    """The feature maps of version 1, whose tokens carry a class token, for `create_backbone`."""
    ends = [layer for layer in model.layers if layer.name.endswith("_out")]
    check_levels(levels, [f"C{number + 2}" for number in range(len(ends))], model.name)
    found = {}
    for number, end in enumerate(ends):
        level = f"C{number + 2}"
        if level in levels:
            # The stem's grid, halved with every stage.
            rows, columns = model.get_layer("stem_conv").output.shape[1:3]
            grid = (-(-rows // 2**number), -(-columns // 2**number))
            x = layers.Cropping1D((1, 0), name=f"{level}_tokens")(end.output)
            found[level] = layers.Reshape((*grid, x.shape[-1]), name=level)(x)
    return found


def _register(name, repeats, drop_path_rate, *, version=2, **facts):
    return register(
        name,
        paper={1: MVIT, 2: MVIT_V2}[version],
        family="mvit",
        input_shape=(224, 224, 3),
        num_classes=1000,
        tiny={
            "input_shape": (32, 32, 3),
            "num_classes": 5,
            "dim": 8,
            # The pooled queries of version 1's last block don't reach its class token.
            "repeats": (1, 2) if version == 1 else (1, 1),
            "drop_path_rate": 0.0,
        },
        version=version,
        repeats=repeats,
        drop_path_rate=drop_path_rate,
        **facts,
    )


def timm(name, params, gmacs, repeats, drop_path_rate):
    """Registers a variant that timm has: Table 1 of the second paper, and its counts."""
    return _register(
        name,
        repeats,
        drop_path_rate,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"timm 1.0.31 {name.replace('_v2', 'v2')}",
    )


@_register("mvit_base", (1, 2, 11, 2), 0.1, version=1, pyramid=pyramid)
@timm("mvit_v2_tiny", 24_173_320, 4.6770, (1, 2, 5, 2), 0.1)
@timm("mvit_v2_small", 34_870_216, 6.9597, (1, 2, 11, 2), 0.1)
@timm("mvit_v2_base", 51_472_744, 10.1024, (2, 3, 16, 3), 0.3)
def mvit(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="mvit",
    version=2,
    dim=96,
    repeats=(1, 2, 5, 2),
    num_heads=1,
    key_stride=4,
    mlp_ratio=4.0,
    drop_path_rate=0.0,
) -> keras.Model:
    """A multiscale vision transformer for images.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            The positions are learned for one image size.
        version: 2, or 1 for a class token, absolute positions and channels that double in the
            perceptron before a stage instead of its first attention.
        dim: Channels of the first stage; each further stage doubles them.
        repeats: Blocks in each stage; the first of a further stage halves the sides.
        num_heads: Attention heads of the first stage; each further stage doubles them.
        key_stride: Stride at which keys and values of the first stage are pooled; each further
            stage halves it.
        mlp_ratio: Inner size of a block's dense layers, in units of its channels.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        Version 2: a model with the endpoints `C2` (stride 4) to `C5` (stride 32), of shape
        `(batch, height, width, channels)`, not normalised. Version 1: one with `stage1_out`, ...,
        of shape `(batch, 1 + tokens, channels)`, of which `create_backbone` makes those maps.

    Raises:
        ValueError: If an argument is out of range.
    """
    if version not in (1, 2):
        raise ValueError(f"version={version!r} must be 1 or 2.")
    if not repeats or min(repeats) < 1:
        raise ValueError(f"{repeats=} must have a number of at least 1 for each stage.")
    if key_stride < 1:
        raise ValueError(f"key_stride={key_stride!r} must be at least 1.")
    rates = iter(drop_rates(drop_path_rate, sum(repeats)))

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.ZeroPadding2D(3, name="stem_pad")(x)
    x = layers.Conv2D(dim, 7, strides=4, name="stem_conv")(x)
    grid = x.shape[1:3]
    x = layers.Reshape((-1, dim), name="stem_tokens")(x)  # (batch, tokens, channels)
    if version == 1:
        x = ClassToken(name="class_token")(x)
        x = PositionEmbedding(grid, name="position_embedding")(x)
    for stage, count in enumerate(repeats):
        width, following = dim * 2**stage, dim * 2 ** min(stage + 1, len(repeats) - 1)
        for block in range(1, count + 1):
            last = following if version == 1 and block == count else width
            x, grid = mvit_block(
                x,
                grid,
                version=version,
                num_heads=num_heads * 2**stage,
                dims=(width, last),
                strides=(2 if stage and block == 1 else 1, max(key_stride // 2**stage, 1)),
                mlp_ratio=mlp_ratio,
                drop_rate=next(rates),
                name=f"stage{stage + 1}_block{block}",
            )
        if version == 1:
            x = layers.Identity(name=f"stage{stage + 1}_out")(x)
        else:
            x = layers.Reshape((*grid, x.shape[-1]), name=f"C{stage + 2}")(x)
            if stage < len(repeats) - 1:
                x = layers.Reshape((-1, x.shape[-1]), name=f"stage{stage + 2}_tokens")(x)
    x = layer_norm(x, name="norm")
    # (batch, channels): the class token, or the mean of all tokens
    x = x[:, 0] if version == 1 else layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
