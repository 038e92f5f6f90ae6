"""Vision transformers.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
ICLR 2021, arXiv:2010.11929. The tiny and small sizes are from Touvron et al., "Training
data-efficient image transformers", ICML 2021, arXiv:2012.12877 (Table 1), without the distillation
token; stochastic depth from Huang et al., arXiv:1603.09382.

What differs from the paper: weights start from a normal of deviation 0.02, as DeiT's, and the head
is one linear layer also in pre-training. Keras's multi-head attention is used as it is: it holds
the same weights as the paper's, and computes its softmax in float32 under mixed precision.
ViT-B/16 at 224x224: 86.6 million parameters, 17.6 G multiply-adds.
"""

import functools

import keras
from keras import layers

from vislearn.layers import (
    ClassToken,
    PositionEmbedding,
    StochasticDepth,
    classification_head,
    drop_rates,
    preprocess,
)
from vislearn.registry import Paper, register

VIT = Paper(
    "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
    "Alexey Dosovitskiy, Lucas Beyer, Alexander Kolesnikov, Dirk Weissenborn, Xiaohua Zhai, "
    "Thomas Unterthiner, Mostafa Dehghani, Matthias Minderer, Georg Heigold, Sylvain Gelly, "
    "Jakob Uszkoreit, Neil Houlsby",
    2020,
    "https://arxiv.org/abs/2010.11929",
)
DEIT = Paper(
    "Training data-efficient image transformers & distillation through attention",
    "Hugo Touvron, Matthieu Cord, Matthijs Douze, Francisco Massa, Alexandre Sablayrolles, "
    "Hervé Jégou",
    2020,
    "https://arxiv.org/abs/2012.12877",
)


def dense(units, *, name):
    """A dense layer with the initialisation of DeiT."""
    return layers.Dense(units, kernel_initializer=_small(), name=name)


def norm(x, *, name):
    """Layer normalisation with the epsilon of the published weights."""
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)


def _small():
    return keras.initializers.TruncatedNormal(stddev=0.02)


def patch_tokens(x, dim, patch_size, *, name):
    """Cuts the image into patches and embeds each linearly, row by row (equation 1)."""
    sides = x.shape[1:3]
    if patch_size < 1 or any(side % patch_size for side in sides):
        raise ValueError(f"patch_size={patch_size!r} must divide the image's sides, {sides}.")
    x = layers.Conv2D(
        dim, patch_size, strides=patch_size, kernel_initializer="lecun_normal", name=name
    )(x)  # (batch, height / patch, width / patch, dim)
    return layers.Reshape((-1, dim), name=f"{name}_tokens")(x)  # (batch, tokens, dim)


def attention_branch(x, num_heads, *, dropout, drop_rate, name):
    """Multi-head self-attention beside a shortcut (equation 2)."""
    dim = x.shape[-1]
    y = norm(x, name=f"{name}_norm1")
    y = layers.MultiHeadAttention(
        num_heads, dim // num_heads, kernel_initializer=_small(), name=f"{name}_attention"
    )(y, y)
    return merge(x, y, dropout, drop_rate, name=f"{name}_attention")


def mlp_branch(x, mlp_ratio, *, dropout, drop_rate, name):
    """Two dense layers with GELU beside a shortcut (equation 3)."""
    dim = x.shape[-1]
    y = norm(x, name=f"{name}_norm2")
    y = dense(int(dim * mlp_ratio), name=f"{name}_mlp_dense1")(y)
    y = layers.Activation("gelu", name=f"{name}_mlp_gelu")(y)
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_mlp_dropout1")(y)
    y = dense(dim, name=f"{name}_mlp_dense2")(y)
    return merge(x, y, dropout, drop_rate, name=f"{name}_mlp")


def merge(x, y, dropout, drop_rate, *, name):
    """Adds the branch `y` to the shortcut `x`."""
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    if drop_rate > 0:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_add")([x, y])


TINY = {
    "input_shape": (32, 32, 3),
    "num_classes": 5,
    "patch_size": 8,
    "dim": 32,
    "depth": 2,
    "num_heads": 4,
}


def timm(name, params, gmacs, patch_size, dim, depth, num_heads, *, paper=VIT):
    """Registers a variant that timm has: Table 1 of the paper, and its counts."""
    return register(
        name,
        paper=paper,
        family="vit",
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"timm 1.0.31 {name}_224",
        tiny=TINY,
        patch_size=patch_size,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
    )


deit = functools.partial(timm, paper=DEIT)


@deit("vit_tiny_patch16", 5_717_416, 1.2537, 16, 192, 12, 3)
@deit("vit_small_patch16", 22_050_664, 4.5989, 16, 384, 12, 6)
@timm("vit_base_patch16", 86_567_656, 17.5638, 16, 768, 12, 12)
@timm("vit_base_patch32", 88_224_232, 4.4092, 32, 768, 12, 12)
@timm("vit_large_patch16", 304_326_632, 61.5547, 16, 1024, 24, 16)
def vit(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="vit",
    patch_size=16,
    dim=768,
    depth=12,
    num_heads=12,
    mlp_ratio=4.0,
    dropout=0.0,
    drop_path_rate=0.0,
) -> keras.Model:
    """A vision transformer that reads the class from a token of its own.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            The positions are learned for one image size.
        patch_size: Side of a patch; it must divide the image's.
        dim: Size of a token ("hidden size D" in Table 1).
        depth: Number of blocks ("layers").
        num_heads: Attention heads; it must divide `dim`.
        mlp_ratio: Inner size of a block's dense layers, in units of `dim`.
        dropout: Rate after the positions and each dense layer but the attention's inner ones.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `block1_out`, `block2_out`, ... of shape
        `(batch, 1 + tokens, dim)`, the class token first.

    Raises:
        ValueError: If an argument is out of range.
    """
    if num_heads < 1 or dim % num_heads:
        raise ValueError(f"num_heads={num_heads!r} must divide dim={dim!r}.")

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = patch_tokens(x, dim, patch_size, name="patch_embedding")
    x = ClassToken(name="class_token")(x)  # (batch, 1 + tokens, dim)
    x = PositionEmbedding(name="position_embedding")(x)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    for index, rate in enumerate(drop_rates(drop_path_rate, depth), start=1):
        options = {"dropout": dropout, "drop_rate": rate, "name": f"block{index}"}
        x = attention_branch(x, num_heads, **options)
        x = mlp_branch(x, mlp_ratio, **options)
        x = layers.Identity(name=f"block{index}_out")(x)
    x = norm(x, name="norm")
    x = x[:, 0]  # (batch, dim): the class token
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
