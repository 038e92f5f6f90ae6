"""The vision transformer with attention in linear time.

Choromanski et al., "Rethinking Attention with Performers", ICLR 2021, arXiv:2009.14794.

ViT-S/16 (`vit.py`) whose softmax attention is estimated by positive orthogonal random features
(FAVOR+); the paper's image experiments are generative ones on pixels, so that this network is not
one of its tables. The random vectors are drawn once with `seed` and saved with the weights; the
paper draws them anew now and then in training, which `FavorAttention.redraw` does.

Parameters: those of ViT-S/16, 22,050,664, and the random vectors, which are not trained: 12 blocks
of 256 x 64, 196,608; in all 22,247,272. For N tokens of D channels a block's attention takes
4 N D m multiply-adds with m features a head, where softmax's takes 2 N^2 D: fewer above N = 2 m, or
512 tokens, a square of 362 pixels. At 224 pixels it is 5.17 G against 4.60 G.
"""

import functools

import keras

from vislearn.layers import FavorAttention, classification_head, preprocess
from vislearn.layers.transformer import small_normal
from vislearn.models.classification.vit import TINY, embed, encode, pyramid
from vislearn.registry import Paper, register

PERFORMER = Paper(
    "Rethinking Attention with Performers",
    "Krzysztof Choromanski, Valerii Likhosherstov, David Dohan, Xingyou Song, Andreea Gane, "
    "Tamas Sarlos, Peter Hawkins, Jared Davis, Afroz Mohiuddin, Lukasz Kaiser, David Belanger, "
    "Lucy Colwell, Adrian Weller",
    2020,
    "https://arxiv.org/abs/2009.14794",
)


def favor(x, *, num_heads, num_features, seed, name):
    """Self-attention by random features, other ones in each block."""
    block = int(name.removeprefix("block").split("_")[0])
    return FavorAttention(
        num_heads,
        num_features,
        seed + block,
        kernel_initializer=small_normal(),
        name=name,
    )(x)


@register(
    "performer_vit_small",
    paper=PERFORMER,
    family="performer",
    input_shape=(224, 224, 3),
    num_classes=1000,
    reference_params=22_247_272,
    reference="counted from the layer table",
    tiny={**TINY, "num_features": 16},
    pyramid=pyramid,
)
def performer(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="performer",
    patch_size=16,
    dim=384,
    depth=12,
    num_heads=6,
    num_features=256,
    seed=0,
    mlp_ratio=4.0,
    dropout=0.0,
    drop_path_rate=0.0,
) -> keras.Model:
    """A vision transformer with FAVOR+ attention.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
            The positions are learned for one image size.
        patch_size: Side of a patch; it must divide the image's.
        dim: Size of a token.
        depth: Number of blocks.
        num_heads: Attention heads; it must divide `dim`.
        num_features: Random features a head ("m").
        seed: Seed of the random vectors.
        mlp_ratio: Inner size of a block's dense layers, in units of `dim`.
        dropout: Rate after the positions and each dense layer but the attention's inner ones.
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints of `vit`.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = embed(x, dim, patch_size, dropout=dropout)
    x = encode(
        x,
        functools.partial(favor, num_heads=num_heads, num_features=num_features, seed=seed),
        depth=depth,
        mlp_ratio=mlp_ratio,
        dropout=dropout,
        drop_path_rate=drop_path_rate,
    )
    x = x[:, 0]  # (batch, dim): the class token
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
