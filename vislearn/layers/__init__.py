"""Keras layers and blocks that several builders share, a file an idea."""

from vislearn.layers.anchors import Anchors, ImageSize
from vislearn.layers.batch_normalization import BatchNormalization
from vislearn.layers.centering import Centering
from vislearn.layers.class_token import ClassToken
from vislearn.layers.convolution import conv, depthwise_conv, max_pool
from vislearn.layers.directions import Directions
from vislearn.layers.dropout import DropConnect, MonteCarloDropout, ScheduledDropout
from vislearn.layers.favor_attention import FavorAttention
from vislearn.layers.feature_pyramid import feature_pyramid, group_norm
from vislearn.layers.fractional_pooling import FractionalMaxPooling2D
from vislearn.layers.grouped_convolution import GroupedConv2D
from vislearn.layers.head import classification_head
from vislearn.layers.inverted_residual import conv_block, inverted_residual, round_filters
from vislearn.layers.layer_scale import LayerScale
from vislearn.layers.local_response_normalization import LocalResponseNormalization
from vislearn.layers.locally_connected import LocallyConnected2D
from vislearn.layers.log_mean_probability import LogMeanProbability
from vislearn.layers.maxout import Maxout
from vislearn.layers.padded_identity import PaddedIdentity
from vislearn.layers.patch_embedding import patch_embedding
from vislearn.layers.patch_merging import PatchMerging
from vislearn.layers.pooling import AdaptivePooling2D, L2Pooling2D, ceil_max_pool, pool_to_grid
from vislearn.layers.pooling_attention import PoolingAttention, TokenMaxPooling
from vislearn.layers.position_embedding import PositionEmbedding
from vislearn.layers.preprocessing import preprocess
from vislearn.layers.radial_basis import RadialBasis
from vislearn.layers.sampling import GaussianSample
from vislearn.layers.scaled_convolution import ScaledStandardizedConv2D
from vislearn.layers.segmentation_head import segmentation_head
from vislearn.layers.self_attention import SelfAttention
from vislearn.layers.simple_feature_pyramid import simple_feature_pyramid
from vislearn.layers.sinusoidal_embedding import SinusoidalEmbedding
from vislearn.layers.skip_init import SkipInit
from vislearn.layers.squeeze_excitation import squeeze_excitation
from vislearn.layers.stochastic_depth import StochasticDepth, drop_rates
from vislearn.layers.style import AdaptiveInstanceNormalization, NoiseInjection
from vislearn.layers.unpooling import IndexedMaxPooling2D, MaxUnpooling2D
from vislearn.layers.window_attention import CosineWindowAttention, WindowAttention

__all__ = [
    "AdaptiveInstanceNormalization",
    "AdaptivePooling2D",
    "Anchors",
    "BatchNormalization",
    "Centering",
    "ClassToken",
    "CosineWindowAttention",
    "Directions",
    "DropConnect",
    "FavorAttention",
    "FractionalMaxPooling2D",
    "GaussianSample",
    "GroupedConv2D",
    "ImageSize",
    "IndexedMaxPooling2D",
    "L2Pooling2D",
    "LayerScale",
    "LocalResponseNormalization",
    "LocallyConnected2D",
    "LogMeanProbability",
    "MaxUnpooling2D",
    "Maxout",
    "MonteCarloDropout",
    "NoiseInjection",
    "PaddedIdentity",
    "PatchMerging",
    "PoolingAttention",
    "PositionEmbedding",
    "RadialBasis",
    "ScaledStandardizedConv2D",
    "ScheduledDropout",
    "SelfAttention",
    "SinusoidalEmbedding",
    "SkipInit",
    "StochasticDepth",
    "TokenMaxPooling",
    "WindowAttention",
    "ceil_max_pool",
    "classification_head",
    "conv",
    "conv_block",
    "depthwise_conv",
    "drop_rates",
    "feature_pyramid",
    "group_norm",
    "inverted_residual",
    "max_pool",
    "patch_embedding",
    "pool_to_grid",
    "preprocess",
    "round_filters",
    "segmentation_head",
    "simple_feature_pyramid",
    "squeeze_excitation",
]
