"""MLP-Mixer and gMLP: tokens that meet through dense layers, without attention or convolution.

Tolstikhin et al., "MLP-Mixer: An all-MLP Architecture for Vision", NeurIPS 2021, arXiv:2105.01601;
Liu et al., "Pay Attention to MLPs", NeurIPS 2021, arXiv:2105.08050; stochastic depth from Huang et
al., arXiv:1603.09382.

What differs from the papers: the head starts from random weights, not from zero. The number of
tokens is part of the weights, so a network is for one image size. Mixer-B/16 at 224x224: 59.9
million parameters, 12.6 G multiply-adds; gMLP-S: 19.4 million, 4.39 G.
"""

import keras
from keras import layers

from vislearn.layers import (
    classification_head,
    drop_rates,
    patch_embedding,
    preprocess,
)
from vislearn.layers.transformer import add_branch, layer_norm, mlp
from vislearn.registry import Paper, register

MIXER = Paper(
    "MLP-Mixer: An all-MLP Architecture for Vision",
    "Ilya Tolstikhin, Neil Houlsby, Alexander Kolesnikov, Lucas Beyer, Xiaohua Zhai, "
    "Thomas Unterthiner, Jessica Yung, Andreas Steiner, Daniel Keysers, Jakob Uszkoreit, "
    "Mario Lucic, Alexey Dosovitskiy",
    2021,
    "https://arxiv.org/abs/2105.01601",
)
GMLP = Paper(
    "Pay Attention to MLPs",
    "Hanxiao Liu, Zihang Dai, David R. So, Quoc V. Le",
    2021,
    "https://arxiv.org/abs/2105.08050",
)


INITIAL = "glorot_uniform"  # Rather than transformers' small weights.


def transpose(x, *, name):
    """Tokens for channels, and back."""
    return layers.Permute((2, 1), name=name)(x)


def mixer_block(x, *, tokens_units, channels_units, drop_rate, name):
    """One MLP over the tokens, channel by channel, and one over the channels (Figure 1)."""
    y = layer_norm(x, name=f"{name}_norm1")
    y = transpose(y, name=f"{name}_tokens_last")  # (batch, dim, tokens)
    y = mlp(y, tokens_units, kernel_initializer=INITIAL, name=f"{name}_tokens")
    y = transpose(y, name=f"{name}_tokens_back")  # (batch, tokens, dim)
    x = add_branch(x, y, drop_rate=drop_rate, name=f"{name}_tokens")
    y = layer_norm(x, name=f"{name}_norm2")
    y = mlp(y, channels_units, kernel_initializer=INITIAL, name=f"{name}_channels")
    return add_branch(x, y, drop_rate=drop_rate, name=f"{name}_channels")


def gmlp_block(x, *, units, drop_rate, name):
    """An MLP over the channels with a gate between its layers (Figure 1)."""
    y = layer_norm(x, name=f"{name}_norm")
    y = layers.Dense(units, name=f"{name}_dense1")(y)
    y = layers.Activation("gelu", name=f"{name}_gelu")(y)
    y = spatial_gate(y, name=f"{name}_gate")
    y = layers.Dense(x.shape[-1], name=f"{name}_dense2")(y)
    return add_branch(x, y, drop_rate=drop_rate, name=name)


def spatial_gate(x, *, name):
    """One half of the channels, times a linear map over the tokens of the other half (section 2.1).

    The map starts as the constant 1, so that each token first goes its own way.
    """
    half = x.shape[-1] // 2
    kept, gate = x[:, :, :half], x[:, :, half:]  # (batch, tokens, half) each
    gate = layer_norm(gate, epsilon=1e-5, name=f"{name}_norm")
    gate = transpose(gate, name=f"{name}_tokens_last")  # (batch, half, tokens)
    gate = layers.Dense(
        gate.shape[-1],
        kernel_initializer=keras.initializers.RandomNormal(stddev=1e-6),
        bias_initializer="ones",
        name=f"{name}_dense",
    )(gate)
    gate = transpose(gate, name=f"{name}_tokens_back")  # (batch, tokens, half)
    return layers.Multiply(name=f"{name}_multiply")([kept, gate])


def patch_tokens(x, dim, patch_size):
    """Cuts the image into patches and embeds each linearly, row by row."""
    x = patch_embedding(x, dim, patch_size)  # (batch, height / patch, width / patch, dim)
    return layers.Reshape((-1, dim), name="patch_embedding_tokens")(x)  # (batch, tokens, dim)


def answer(x, num_classes, activation):
    """The mean of the normalised tokens, and the head."""
    x = layer_norm(x, name="norm")
    x = layers.GlobalAveragePooling1D(name="pool")(x)  # (batch, dim)
    return classification_head(x, num_classes, activation)


def timm(name, params, gmacs, paper, tiny, **variant):
    """Registers a variant that timm has: Table 1 of its paper, and its counts."""
    small = {"input_shape": (32, 32, 3), "num_classes": 5, "patch_size": 8, "drop_path_rate": 0.0}
    return register(
        name,
        paper=paper,
        family="mixer",
        input_shape=(224, 224, 3),
        num_classes=1000,
        reference_params=params,
        reference_gmacs=gmacs,
        reference=f"timm 1.0.31 {name}_224",
        tiny={**small, "dim": 32, "depth": 2, **tiny},
        **variant,
    )


def mixer_variant(name, params, gmacs, depth, dim, tokens_units, channels_units):
    """Registers a Mixer with patches of 16x16 pixels."""
    return timm(
        name,
        params,
        gmacs,
        MIXER,
        {"tokens_units": 16, "channels_units": 64},
        depth=depth,
        dim=dim,
        tokens_units=tokens_units,
        channels_units=channels_units,
        drop_path_rate=0.1,
    )


@mixer_variant("mixer_s16", 18_528_264, 3.7770, 8, 512, 256, 2048)
@mixer_variant("mixer_b16", 59_880_472, 12.6018, 12, 768, 384, 3072)
def mixer(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="mixer",
    patch_size=16,
    dim=768,
    depth=12,
    tokens_units=384,
    channels_units=3072,
    drop_path_rate=0.0,
) -> keras.Model:
    """An MLP-Mixer.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        patch_size: Side of a patch; it must divide the image's.
        dim: Size of a token ("hidden size C" in Table 1).
        depth: Number of blocks ("layers").
        tokens_units: Inner size of the MLP over the tokens ("MLP dimension D_S").
        channels_units: Inner size of the MLP over the channels ("MLP dimension D_C").
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `block1_out`, `block2_out`, ... of shape `(batch, tokens, dim)`.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = patch_tokens(x, dim, patch_size)
    for index, rate in enumerate(drop_rates(drop_path_rate, depth), start=1):
        x = mixer_block(
            x,
            tokens_units=tokens_units,
            channels_units=channels_units,
            drop_rate=rate,
            name=f"block{index}",
        )
        x = layers.Identity(name=f"block{index}_out")(x)
    return keras.Model(inputs, answer(x, num_classes, classifier_activation), name=name)


@timm(
    "gmlp_s16",
    19_422_656,
    4.3921,
    GMLP,
    {"units": 128},
    depth=30,
    dim=256,
    units=1536,
    drop_path_rate=0.05,
)
def gmlp(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="symmetric",
    name="gmlp",
    patch_size=16,
    dim=256,
    depth=30,
    units=1536,
    drop_path_rate=0.0,
) -> keras.Model:
    """A gMLP.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        patch_size: Side of a patch; it must divide the image's.
        dim: Size of a token ("d_model" in Table 1).
        depth: Number of blocks ("#L").
        units: Inner size of a block, even ("d_ffn").
        drop_path_rate: Stochastic depth: the rate at which the last block is dropped.

    Returns:
        A model with the endpoints `block1_out`, `block2_out`, ... of shape `(batch, tokens, dim)`.

    Raises:
        ValueError: If an argument is out of range.
    """
    if units < 2 or units % 2:
        raise ValueError(f"units={units!r} must be even: one half gates the other.")
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = patch_tokens(x, dim, patch_size)
    for index, rate in enumerate(drop_rates(drop_path_rate, depth), start=1):
        x = gmlp_block(x, units=units, drop_rate=rate, name=f"block{index}")
        x = layers.Identity(name=f"block{index}_out")(x)
    return keras.Model(inputs, answer(x, num_classes, classifier_activation), name=name)
