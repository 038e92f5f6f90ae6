"""Vision transformers.

Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at Scale",
ICLR 2021, arXiv:2010.11929. The tiny and small sizes are from Touvron et al., "Training
data-efficient image transformers", ICML 2021, arXiv:2012.12877 (Table 1), without the distillation
token; stochastic depth from Huang et al., arXiv:1603.09382. DINOv2 (Oquab et al., TMLR 2024,
arXiv:2304.07193) is the same network with smaller patches and layer scale (arXiv:2103.17239), which
is published without a head: it gives features, and `num_classes` puts a linear head on them. What
`weights="imagenet"` loads of it was trained on LVD-142M, without labels.

What differs from the paper: weights start from a normal of deviation 0.02, as DeiT's, and the head
is one linear layer also in pre-training.

Any image size that the patches divide will do; positions learned at another are interpolated when
the weights are loaded. For dense tasks `create_backbone` makes the levels `C2` to `C5` from the
last map (ViTDet, arXiv:2203.16527). ViT-B/16 at 224x224: 86.6 million parameters, 17.6 G
multiply-adds.
"""

import functools
import math

import keras
from keras import layers

from vislearn.layers import (
    ClassToken,
    PositionEmbedding,
    SelfAttention,
    classification_head,
    drop_rates,
    patch_embedding,
    preprocess,
    simple_feature_pyramid,
)
from vislearn.layers.transformer import add_branch, layer_norm, mlp, small_normal
from vislearn.registry import Paper, check_levels, register

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
DINOV2 = Paper(
    "DINOv2: Learning Robust Visual Features without Supervision",
    "Maxime Oquab, Timothée Darcet, Théo Moutakanni, Huy Vo, Marc Szafraniec, Vasil Khalidov, "
    "Pierre Fernandez, Daniel Haziza, Francisco Massa, Alaaeldin El-Nouby, Mahmoud Assran, "
    "Nicolas Ballas, Wojciech Galuba, Russell Howes, Po-Yao Huang, Shang-Wen Li, Ishan Misra, "
    "Michael Rabbat, Vasu Sharma, Gabriel Synnaeve, Hu Xu, Hervé Jegou, Julien Mairal, "
    "Patrick Labatut, Armand Joulin, Piotr Bojanowski",
    2023,
    "https://arxiv.org/abs/2304.07193",
)


def embed(x, dim, patch_size, *, dropout):
    """Cuts the image into patches, row by row, and adds class token and positions (equation 1)."""
    x = patch_embedding(x, dim, patch_size)  # (batch, height / patch, width / patch, dim)
    grid = x.shape[1:3]
    x = layers.Reshape((-1, dim), name="patch_embedding_tokens")(x)  # (batch, tokens, dim)
    x = ClassToken(name="class_token")(x)  # (batch, 1 + tokens, dim)
    x = PositionEmbedding(grid, name="position_embedding")(x)
    return layers.Dropout(dropout, name="dropout")(x) if dropout else x


def softmax_attention(x, *, num_heads, name):
    """Multi-head self-attention (appendix A)."""
    return SelfAttention(num_heads, kernel_initializer=small_normal(), name=name)(x)


def attention_branch(x, attend, *, name, **options):
    """Multi-head self-attention beside a shortcut (equation 2)."""
    y = layer_norm(x, name=f"{name}_norm1")
    y = attend(y, name=f"{name}_attention")
    return add_branch(x, y, name=f"{name}_attention", **options)


def mlp_branch(x, mlp_ratio, *, dropout, name, **options):
    """Two dense layers with GELU beside a shortcut (equation 3)."""
    y = layer_norm(x, name=f"{name}_norm2")
    y = mlp(y, int(x.shape[-1] * mlp_ratio), dropout=dropout, name=f"{name}_mlp")
    return add_branch(x, y, dropout=dropout, name=f"{name}_mlp", **options)


def encode(x, attend, *, depth, mlp_ratio, dropout, drop_path_rate, layer_scale=None):
    """The blocks, each with its endpoint, and the last normalisation."""
    if depth < 1:
        raise ValueError(f"depth={depth!r} must be at least 1.")
    for index, rate in enumerate(drop_rates(drop_path_rate, depth), start=1):
        options = {
            "dropout": dropout,
            "drop_rate": rate,
            "layer_scale": layer_scale,
            "name": f"block{index}",
        }
        x = attention_branch(x, attend, **options)
        x = mlp_branch(x, mlp_ratio, **options)
        x = layers.Identity(name=f"block{index}_out")(x)
    return layer_norm(x, name="norm")


def pyramid(model, levels) -> dict:
    """Feature maps of other strides, for `create_backbone`: ViTDet's simple feature pyramid.

    From the tokens of the last block, without the normalisation after it, as ViTDet reads them. A
    level has the name of the power of two next to its stride: for patches of 16 `C2` to `C5`
    are of the strides 4, 8, 16 and 32; for patches of 14 they are of 3.5, 7, 14 and 28; patches of
    32 make `C3` to `C6`.
    """
    patches = model.get_layer("patch_embedding")
    middle = round(math.log2(patches.strides[0]))
    available = [f"C{level}" for level in range(max(0, middle - 2), middle + 2)]
    check_levels(levels, available, model.name)
    last = [layer for layer in model.layers if layer.name.endswith("_out")][-1]
    x = last.output[:, 1:]  # (batch, tokens, dim): without the class token
    x = layers.Reshape(patches.output.shape[1:], name="last_map")(x)
    return simple_feature_pyramid(x, levels, middle)


TINY = {
    "input_shape": (32, 32, 3),
    "num_classes": 5,
    "patch_size": 8,
    "dim": 32,
    "depth": 2,
    "num_heads": 4,
}


def sizes(name, patch_size, dim, depth, num_heads, **options):
    """Registers a variant: Table 1 of the paper."""
    return register(
        name,
        family="vit",
        pyramid=pyramid,
        patch_size=patch_size,
        dim=dim,
        depth=depth,
        num_heads=num_heads,
        **options,
    )


def timm(name, params, gmacs, *numbers, paper=VIT):
    """Registers a variant that timm has, with its counts."""
    return sizes(
        name,
        *numbers,
        paper=paper,
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"timm 1.0.31 {name}_224",
        tiny=TINY,
    )


def dinov2(name, params, *numbers):
    """Registers a variant of DINOv2; the count leaves out the mask token of its pre-training."""
    return sizes(
        name,
        *numbers,
        paper=DINOV2,
        input_shape=(518, 518, 3),
        num_classes=0,
        reference_params=params,
        reference="counted from the layer table",
        tiny={**TINY, "layer_scale": 0.1},
        preprocessing="imagenet",
        layer_scale=1e-5,
    )


deit = functools.partial(timm, paper=DEIT)


@deit("vit_tiny_patch16", 5_717_416, 1.2537, 16, 192, 12, 3)
@deit("vit_small_patch16", 22_050_664, 4.5989, 16, 384, 12, 6)
@timm("vit_base_patch16", 86_567_656, 17.5638, 16, 768, 12, 12)
@timm("vit_base_patch32", 88_224_232, 4.4092, 32, 768, 12, 12)
@timm("vit_large_patch16", 304_326_632, 61.5547, 16, 1024, 24, 16)
@dinov2("dinov2_small", 22_056_192, 14, 384, 12, 6)
@dinov2("dinov2_base", 86_579_712, 14, 768, 12, 12)
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
    layer_scale=None,
) -> keras.Model:
    """A vision transformer that reads the class from a token of its own.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            The positions are learned for one image size; DINOv2 has no head unless `num_classes`
            asks for one.
        patch_size: Side of a patch; it must divide the image's.
        dim: Size of a token ("hidden size D" in Table 1).
        depth: Number of blocks ("layers").
        num_heads: Attention heads; it must divide `dim`.
        mlp_ratio: Inner size of a block's dense layers, in units of `dim`.
        dropout: Rate after the positions and each dense layer but the attention's inner ones.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.
        layer_scale: What the learned factors on the channels of each branch start from; None for
            no factors.

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
    x = embed(x, dim, patch_size, dropout=dropout)
    x = encode(
        x,
        functools.partial(softmax_attention, num_heads=num_heads),
        depth=depth,
        mlp_ratio=mlp_ratio,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
        layer_scale=layer_scale,
    )
    x = x[:, 0]  # (batch, dim): the class token
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
