"""What the blocks of transformers and their relatives are made of.

Vaswani et al., "Attention Is All You Need", NIPS 2017, arXiv:1706.03762; initialisation as DeiT's
(arXiv:2012.12877).
"""

import keras
from keras import layers

from vislearn.layers.layer_scale import LayerScale
from vislearn.layers.stochastic_depth import StochasticDepth


def small_normal():
    """The initialiser of projections: a truncated normal of deviation 0.02."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


def layer_norm(x, *, epsilon: float = 1e-6, name: str, **options):
    """Layer normalisation over the channels, with the epsilon of most published weights."""
    return layers.LayerNormalization(epsilon=epsilon, name=name, **options)(x)


def dense(x, units: int, *, name: str, **options):
    """A dense layer over the channels, from small weights; `options` are those of the layer."""
    return layers.Dense(units, name=name, **{"kernel_initializer": small_normal(), **options})(x)


def mlp(x, units: int, *, outputs: int | None = None, dropout: float = 0.0, name: str, **options):
    """Two dense layers with GELU between them.

    Args:
        x: `(..., channels)`.
        units: Outputs of the first.
        outputs: Outputs of the second; None for `channels`.
        dropout: Rate between them.
        name: Start of the layers' names.
        **options: Further arguments of both layers.

    Returns:
        `(..., outputs)`.
    """
    outputs = x.shape[-1] if outputs is None else outputs
    x = dense(x, units, name=f"{name}_dense1", **options)
    x = layers.Activation("gelu", name=f"{name}_gelu")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout1")(x)
    return dense(x, outputs, name=f"{name}_dense2", **options)


def add_branch(
    x,
    branch,
    *,
    dropout: float = 0.0,
    layer_scale: float | None = None,
    drop_rate: float = 0.0,
    name: str,
):
    """Adds a branch to its shortcut `x`.

    Args:
        x, branch: Tensors of one shape.
        dropout: Rate at which elements of the branch are dropped in training.
        layer_scale: What a learned factor for each channel starts from; None for no factor.
        drop_rate: Rate at which the whole branch is dropped in training.
        name: Start of the layers' names.
    """
    if dropout:
        branch = layers.Dropout(dropout, name=f"{name}_dropout")(branch)
    if layer_scale is not None:
        branch = LayerScale(layer_scale, name=f"{name}_scale")(branch)
    if drop_rate > 0:
        branch = StochasticDepth(drop_rate, name=f"{name}_drop")(branch)
    return layers.Add(name=f"{name}_add")([x, branch])
