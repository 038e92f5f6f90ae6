"""Keras layers and blocks that several builders share, a file an idea."""

from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.convolution import conv, max_pool
from vislearn.layers.head import classification_head
from vislearn.layers.padded_identity import PaddedIdentity
from vislearn.layers.preprocessing import preprocess
from vislearn.layers.stochastic_depth import StochasticDepth

__all__ = [
    "BatchNormalization",
    "PaddedIdentity",
    "StochasticDepth",
    "classification_head",
    "conv",
    "max_pool",
    "preprocess",
]
