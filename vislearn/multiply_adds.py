"""How much arithmetic a model is: its multiply-adds for one image.

As the papers and fvcore count: multiplications with weights, and the two products of attention;
not biases, normalisation, activations, pooling or additions.
"""

import collections
import math

import keras
from keras import layers

from vislearn.layers import (
    ClassToken,
    CosineWindowAttention,
    FavorAttention,
    LayerScale,
    LocallyConnected2D,
    Maxout,
    PoolingAttention,
    PositionEmbedding,
    RadialBasis,
    SelfAttention,
    SkipInit,
    WindowAttention,
)


def count_multiply_adds(model: keras.Model) -> int:
    """Multiply-adds of one forward pass of a batch of one.

    A layer that the model calls several times counts each time.

    Args:
        model: A functional model with a fixed input size.

    Raises:
        ValueError: If the model is not functional, if its input size is not fixed, or if it holds
            a layer with weights, or a product of tensors, that this module doesn't know.
    """
    return sum(multiply_adds_by_layer(model).values())


def multiply_adds_by_layer(model: keras.Model) -> dict[str, int]:
    """Multiply-adds of one forward pass of a batch of one, by layer; see `count_multiply_adds`."""
    # Keras has no public way to walk the calls of a graph; a layer's own `input` and `output`
    # exist only where it is called once.
    if not hasattr(model, "_nodes_by_depth"):
        raise ValueError(f"model={model.name!r} is no functional model, so its graph isn't known.")
    found = collections.Counter()
    for nodes in model._nodes_by_depth.values():
        for node in nodes:
            found[node.operation.name] += _count_call(node)
    return found


def _count_call(node) -> int:
    operation = node.operation
    inputs = [tensor.shape for tensor in node.input_tensors]
    outputs = [tensor.shape for tensor in node.outputs]
    if isinstance(operation, layers.InputLayer):
        return 0
    if isinstance(operation, keras.Model):
        return count_multiply_adds(operation)
    if any(size is None for shape in (*inputs, *outputs) for size in shape[1:]):
        raise ValueError(
            f"Layer {operation.name!r} works on {inputs}: build the model with a fixed input size."
        )
    for kind, count in COUNTS.items():
        if isinstance(operation, kind):
            return count(operation, inputs, outputs[0])
    if getattr(operation, "weights", ()) and not isinstance(operation, FREE):
        raise ValueError(
            f"Layer {operation.name!r} is a {type(operation).__name__}, whose multiply-adds are "
            "not known: add it to COUNTS or FREE in vislearn/multiply_adds.py."
        )
    if type(operation).__name__ in PRODUCTS:
        raise ValueError(
            f"{operation.name!r} multiplies tensors outside any layer, which is not counted."
        )
    return 0


def _convolution(layer, inputs, output) -> int:
    # The kernel's third axis is that of one group, so grouped convolution needs no case.
    return math.prod(output[1:-1]) * math.prod(layer.kernel.shape)


def _depthwise(layer, inputs, output) -> int:
    return math.prod(output[1:-1]) * math.prod(layer.kernel.shape)


def _separable(layer, inputs, output) -> int:
    kernels = (layer.depthwise_kernel, layer.pointwise_kernel)
    return math.prod(output[1:-1]) * sum(math.prod(kernel.shape) for kernel in kernels)


def _transposed(layer, inputs, output) -> int:
    # Each pixel of the input is multiplied with the whole kernel.
    return math.prod(inputs[0][1:-1]) * math.prod(layer.kernel.shape)


def _dense(layer, inputs, output) -> int:
    return math.prod(inputs[0][1:]) * layer.kernel.shape[-1]


def _einsum_dense(layer, inputs, output) -> int:
    # Every element of the input meets each kernel axis that the input doesn't have.
    left, right = layer.equation.split("->")[0].split(",")
    new = [size for axis, size in zip(right, layer.kernel.shape, strict=True) if axis not in left]
    return math.prod(inputs[0][1:]) * math.prod(new)


def _attention(layer, inputs, output) -> int:
    if len(inputs) != 2 or any(len(shape) != 3 for shape in (*inputs, output)):
        raise ValueError(
            f"Attention {layer.name!r} is counted as layer(query, value) of (batch, tokens, dim) "
            f"only; it was called with {inputs}."
        )
    (_, queries, query_size), (_, keys, value_size) = inputs
    dim_key = layer.num_heads * layer.key_dim
    dim_value = layer.num_heads * layer.value_dim
    projections = (
        queries * query_size * dim_key
        + keys * value_size * (dim_key + dim_value)
        + queries * dim_value * output[2]
    )
    products = queries * keys * (dim_key + dim_value)  # q.k and attention.v
    return projections + products


def _self_attention(layer, inputs, output) -> int:
    _, tokens, dim = output
    return tokens * dim * 4 * dim + 2 * tokens * tokens * dim  # Projections; q.k and attention.v.


def _favor(layer, inputs, output) -> int:
    _, tokens, dim = output
    projections = tokens * dim * 4 * dim
    # Features of queries and of keys; keys with values, queries with those; the sums of the keys.
    features = 2 * tokens * dim * layer.num_features
    products = 2 * tokens * dim * layer.num_features
    sums = tokens * layer.num_heads * layer.num_features
    return projections + features + products + sums


def _window_attention(layer, inputs, output) -> int:
    # Projections of the whole windows, also of zeros that fill them up; the two products.
    places, window, dim = math.prod(layer.padded), math.prod(layer.window), output[-1]
    return places * (4 * dim * dim + 2 * window * dim)


def _cosine_window_attention(layer, inputs, output) -> int:
    positions, inner = layer.coordinates.shape
    bias = positions * layer.hidden * (inner + layer.num_heads)
    return _window_attention(layer, inputs, output) + bias


def _pooling_attention(layer, inputs, output) -> int:
    _, tokens, channels = inputs[0]
    grids = {"query": layer.query_grid, "key": layer.key_grid, "value": layer.key_grid}
    queries, keys = output[1], layer.prefix + math.prod(layer.key_grid)
    projections = tokens * channels * 3 * layer.dim + queries * layer.dim**2
    pools = sum(9 * layer.dim * math.prod(grids[part]) for part in layer.pooled)
    products = 2 * queries * keys * layer.dim
    positions = math.prod(layer.query_grid) * sum(layer.key_grid) * layer.dim
    return projections + pools + products + (positions if layer.relative_positions else 0)


def _locally_connected(layer, inputs, output) -> int:
    return math.prod(layer.kernel.shape)


def _radial_basis(layer, inputs, output) -> int:
    return math.prod(layer.centers.shape)


def _maxout(layer, inputs, output) -> int:
    return math.prod(layer.kernel.shape)


# Layer type -> function of (layer, shapes of its inputs, shape of its output); the first match
# counts, so a subclass stands before its base.
COUNTS = {
    layers.DepthwiseConv1D: _depthwise,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv1D: _separable,
    layers.SeparableConv2D: _separable,
    layers.Conv1DTranspose: _transposed,
    layers.Conv2DTranspose: _transposed,
    layers.Conv3DTranspose: _transposed,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Conv3D: _convolution,
    layers.Dense: _dense,
    layers.EinsumDense: _einsum_dense,
    layers.MultiHeadAttention: _attention,
    FavorAttention: _favor,
    SelfAttention: _self_attention,
    CosineWindowAttention: _cosine_window_attention,
    WindowAttention: _window_attention,
    PoolingAttention: _pooling_attention,
    LocallyConnected2D: _locally_connected,
    Maxout: _maxout,
    RadialBasis: _radial_basis,
}

# Layers whose weights are added or looked up, or scale channel by channel.
FREE = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.Embedding,
    layers.PReLU,
    layers.Rescaling,
    ClassToken,
    LayerScale,
    PositionEmbedding,
    SkipInit,
)

# keras.ops that a graph may hold outside any layer.
PRODUCTS = (
    "Conv",
    "ConvTranspose",
    "DepthwiseConv",
    "Dot",
    "DotProductAttention",
    "Einsum",
    "Matmul",
    "SeparableConv",
    "Tensordot",
)
