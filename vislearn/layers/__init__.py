"""Keras layers and blocks that several builders share, a file an idea."""

from vislearn.layers.anchors import Anchors, ImageSize
from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.class_token import ClassToken
from vislearn.layers.convolution import conv, max_pool
from vislearn.layers.feature_pyramid import feature_pyramid, group_norm
from vislearn.layers.head import classification_head
from vislearn.layers.locally_connected import LocallyConnected2D
from vislearn.layers.maxout import Maxout
from vislearn.layers.padded_identity import PaddedIdentity
from vislearn.layers.position_embedding import PositionEmbedding
from vislearn.layers.preprocessing import preprocess
from vislearn.layers.radial_basis import RadialBasis
from vislearn.layers.sampling import GaussianSample
from vislearn.layers.segmentation_head import segmentation_head
from vislearn.layers.sinusoidal_embedding import SinusoidalEmbedding
from vislearn.layers.stochastic_depth import StochasticDepth, drop_rates

__all__ = [
    "Anchors",
    "BatchNormalization",
    "ClassToken",
    "GaussianSample",
    "ImageSize",
    "LocallyConnected2D",
    "Maxout",
    "PaddedIdentity",
    "PositionEmbedding",
    "RadialBasis",
    "SinusoidalEmbedding",
    "StochasticDepth",
    "classification_head",
    "conv",
    "drop_rates",
    "feature_pyramid",
    "group_norm",
    "max_pool",
    "preprocess",
    "segmentation_head",
]
