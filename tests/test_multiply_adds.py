"""Each entry of the counter's table against multiplications counted by hand."""

import keras
import pytest
from keras import layers

from vislearn.layers import (
    CosineWindowAttention,
    FavorAttention,
    LocallyConnected2D,
    Maxout,
    PoolingAttention,
    RadialBasis,
    SelfAttention,
    WindowAttention,
)
from vislearn.multiply_adds import COUNTS, count_multiply_adds


def network(layer, *shape):
    inputs = keras.Input(shape)
    return keras.Model(inputs, layer(inputs))


BY_HAND = [
    (layers.Conv1D(5, 3), (8, 4), 6 * 3 * 4 * 5),
    (layers.Conv2D(5, 3, strides=2, padding="same"), (8, 8, 4), 4 * 4 * 9 * 4 * 5),
    (layers.Conv2D(6, 3, groups=2), (8, 8, 4), 6 * 6 * 9 * 2 * 6),
    (layers.Conv3D(5, 2), (4, 4, 4, 3), 27 * 8 * 3 * 5),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 4), 6 * 3 * 4 * 2),
    (layers.DepthwiseConv2D(3), (8, 8, 4), 6 * 6 * 9 * 4),
    (layers.SeparableConv1D(5, 3), (8, 4), 6 * (3 * 4 + 4 * 5)),
    (layers.SeparableConv2D(5, 3), (8, 8, 4), 6 * 6 * (9 * 4 + 4 * 5)),
    (layers.Conv1DTranspose(5, 2, strides=2), (8, 4), 8 * 2 * 4 * 5),
    (layers.Conv2DTranspose(5, 2, strides=2), (8, 8, 4), 64 * 4 * 4 * 5),
    (layers.Conv3DTranspose(5, 2, strides=2), (2, 2, 2, 4), 8 * 8 * 4 * 5),
    (layers.Dense(5), (4,), 4 * 5),
    (layers.Dense(5), (3, 4), 3 * 4 * 5),
    (layers.EinsumDense("abc,cd->abd", (3, 5)), (3, 4), 3 * 4 * 5),
    (layers.EinsumDense("abc,cde->abde", (3, 2, 5)), (3, 4), 3 * 4 * 2 * 5),
    (layers.EinsumDense("abcd,cde->abe", (3, 5)), (3, 2, 4), 3 * 2 * 4 * 5),
    (layers.EinsumDense("...c,cd->...d", 5), (3, 4), 3 * 4 * 5),
    (SelfAttention(2), (7, 6), 7 * 6 * 24 + 2 * 7 * 7 * 6),
    (FavorAttention(2, 5), (7, 6), 7 * 6 * 24 + 7 * 6 * 5 * 4 + 7 * 2 * 5),
    # Four windows of four tokens: projections, the two products, and the network of the bias.
    (WindowAttention(2, 2), (4, 4, 6), 16 * 6 * 24 + 4 * 2 * 4 * 4 * 6),
    (
        CosineWindowAttention(2, 2, hidden=5),
        (4, 4, 6),
        16 * 6 * 24 + 4 * 2 * 4 * 4 * 6 + 9 * 5 * (2 + 2),
    ),
    # 16 tokens of 3, pooled to four queries, keys and values of 4: projections, pooling, the two
    # products, and the scores of two rows and two columns.
    (
        PoolingAttention(2, 4, (4, 4), query_stride=2, key_stride=2),
        (16, 3),
        (16 * 3 * 12 + 4 * 4 * 4) + 3 * 4 * 9 * 4 + 2 * 4 * 4 * 4 + 4 * (2 + 2) * 4,
    ),
    (LocallyConnected2D(5, 3), (6, 6, 4), 16 * 9 * 4 * 5),
    (Maxout(5, 3), (4,), 4 * 5 * 3),
    (RadialBasis(5), (4,), 4 * 5),
]


@pytest.mark.parametrize(
    ("layer", "shape", "count"), BY_HAND, ids=[type(case[0]).__name__ for case in BY_HAND]
)
def test_by_hand(layer, shape, count):
    assert count_multiply_adds(network(layer, *shape)) == count


def test_attention():
    """Seven tokens of 8 look at nine of 6, with 2 heads of 3 for keys and 4 for values."""
    query, value = keras.Input((7, 8)), keras.Input((9, 6))
    attention = layers.MultiHeadAttention(2, 3, value_dim=4, output_shape=5)
    model = keras.Model([query, value], attention(query, value))
    projections = 7 * 8 * 6 + 9 * 6 * 6 + 9 * 6 * 8 + 7 * 8 * 5
    products = 2 * 7 * 9 * 3 + 2 * 7 * 9 * 4
    assert count_multiply_adds(model) == projections + products


def test_every_kind_is_tested():
    tested = {type(layer) for layer, _, _ in BY_HAND} | {layers.MultiHeadAttention}
    assert tested == {*COUNTS}


def test_a_layer_counts_each_time_it_is_called():
    dense = layers.Dense(4)
    inputs = keras.Input((4,))
    assert count_multiply_adds(keras.Model(inputs, dense(dense(inputs)))) == 2 * 16


def test_calls_outside_the_model_do_not_count():
    dense = layers.Dense(4)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, dense(inputs))
    dense(keras.Input((4,)))
    assert count_multiply_adds(model) == 16


def test_nested_models_count():
    inner = network(layers.Dense(4), 4)
    inputs = keras.Input((4,))
    assert count_multiply_adds(keras.Model(inputs, inner(inner(inputs)))) == 2 * 16


def test_normalisation_and_lookups_are_free():
    inputs = keras.Input((6,))
    x = layers.Embedding(10, 4)(inputs)
    x = layers.LayerNormalization()(x)
    x = layers.BatchNormalization()(x)
    assert count_multiply_adds(keras.Model(inputs, x)) == 0


class Unlisted(layers.Layer):
    """A layer with weights that the counter can't know."""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1],), name="kernel")

    def call(self, inputs):
        return inputs * self.kernel


def test_unknown_layers_with_weights_are_refused():
    with pytest.raises(ValueError, match=r"'strange' is a Unlisted.*COUNTS or FREE"):
        count_multiply_adds(network(Unlisted(name="strange"), 4))


def test_products_outside_layers_are_refused():
    inputs = keras.Input((4, 4))
    with pytest.raises(ValueError, match="multiplies tensors outside any layer"):
        count_multiply_adds(keras.Model(inputs, keras.ops.matmul(inputs, inputs)))


def test_open_sizes_are_refused():
    with pytest.raises(ValueError, match="fixed input size"):
        count_multiply_adds(network(layers.Conv2D(2, 3), None, 8, 3))


def test_attention_with_a_separate_key_is_refused():
    inputs = keras.Input((7, 8))
    attention = layers.MultiHeadAttention(2, 4)
    with pytest.raises(ValueError, match="query, value"):
        count_multiply_adds(keras.Model(inputs, attention(inputs, inputs, inputs)))


def test_only_functional_models():
    class Subclassed(keras.Model):
        """A model without a graph."""

    with pytest.raises(ValueError, match="no functional model"):
        count_multiply_adds(Subclassed(name="subclassed"))
