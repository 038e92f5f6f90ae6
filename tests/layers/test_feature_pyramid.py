"""The pyramid against NumPy, and the anchors of its maps."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.layers import Anchors, ImageSize, feature_pyramid, group_norm
from vislearn.ops.anchors import pyramid_anchors

rng = np.random.default_rng(0)


def random(*shape):
    return rng.normal(size=shape).astype("float32")


def built(shapes, **options):
    """A model that is nothing but a pyramid, with random biases."""
    inputs = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    model = keras.Model(inputs, feature_pyramid(inputs, 2, **options))
    for weight in model.weights:
        if weight.name == "bias":
            weight.assign(random(*weight.shape))
    return model


SHAPES = {"C3": (7, 6, 3), "C4": (4, 3, 4), "C5": (2, 2, 5)}


def test_pyramid_is_that_of_the_paper():
    """Laterals, twofold enlargement by repetition cut at odd sizes, sums, smoothing."""
    model = built(SHAPES, extra_levels=2)
    inputs = {name: random(2, *shape) for name, shape in SHAPES.items()}
    found = {name: ops.convert_to_numpy(value) for name, value in model(inputs).items()}
    assert list(found) == ["P3", "P4", "P5", "P6", "P7"]

    def convolved(name, x):
        return ops.convert_to_numpy(model.get_layer(name)(x))

    above = None
    for number in (5, 4, 3):
        x = inputs[f"C{number}"]
        kernel, bias = model.get_layer(f"P{number}_lateral").get_weights()
        x = x @ kernel[0, 0] + bias
        if above is not None:
            rows, columns = (np.arange(size) // 2 for size in x.shape[1:3])
            x = x + above[:, rows][:, :, columns]
        above = x
        np.testing.assert_allclose(
            found[f"P{number}"], convolved(f"P{number}_smooth", x), atol=1e-5
        )
    # P6 from P5: a 3x3 window over one pixel of padding, two pixels apart.
    assert found["P6"].shape == found["P7"].shape == (2, 1, 1, 2)
    kernel, bias = model.get_layer("P6_conv").get_weights()
    np.testing.assert_allclose(
        found["P6"][:, 0, 0],
        np.einsum("byxc,yxcd->bd", found["P5"], kernel[1:, 1:]) + bias,
        atol=1e-5,
    )
    kernel, bias = model.get_layer("P7_conv").get_weights()
    np.testing.assert_allclose(
        found["P7"][:, 0, 0], np.maximum(found["P6"][:, 0, 0], 0) @ kernel[1, 1] + bias, atol=1e-5
    )


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("batch", keras.layers.BatchNormalization), ("group", keras.layers.GroupNormalization)],
)
def test_every_convolution_is_normalised(norm, kind):
    model = built(SHAPES, extra_levels=1, norm=norm)
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert len(convolutions) == 7
    assert not any(layer.use_bias for layer in convolutions)
    assert sum(isinstance(layer, kind) for layer in model.layers) == 7


def test_group_norm_divides_the_channels():
    assert [group_norm(n, name="n").groups for n in (256, 64, 48, 20, 7)] == [32, 32, 24, 20, 7]


def test_anchors_are_those_of_the_maps_and_the_same_for_every_image():
    layer = Anchors((16, 32), (1.0, 2.0), (0.5, 1.0))
    maps = [random(3, 64, 48, 1), random(3, 8, 6, 2), random(3, 4, 3, 2)]
    found = ops.convert_to_numpy(layer(maps))
    expected = pyramid_anchors((64, 48), [(8, 6), (4, 3)], (16, 32), (1.0, 2.0), (0.5, 1.0))
    assert found.shape == (3, 4 * (48 + 12), 4)
    for one in found:
        np.testing.assert_array_equal(one, expected)
    copy = Anchors.from_config(layer.get_config())
    np.testing.assert_array_equal(ops.convert_to_numpy(copy(maps)), found)


def test_anchors_and_image_size_stay_whole_numbers_under_mixed_precision():
    """bfloat16 has no 513."""
    image = ops.convert_to_tensor(random(1, 513, 8, 3))
    for layer in (ImageSize(dtype="mixed_bfloat16"), Anchors((1026,), dtype="mixed_bfloat16")):
        is_size = isinstance(layer, ImageSize)
        found = layer(image) if is_size else layer([image, random(1, 1, 1, 1)])
        assert keras.backend.standardize_dtype(found.dtype) == "float32"
        wanted = [[513, 8]] if is_size else [[[-513, -513, 513, 513]]]
        np.testing.assert_array_equal(ops.convert_to_numpy(found), wanted)


def test_errors():
    with pytest.raises(ValueError, match="norm='layer'"):
        built(SHAPES, norm="layer")
    with pytest.raises(ValueError, match="levels must follow each other"):
        built({"C3": (8, 8, 3), "C5": (2, 2, 5)})
    with pytest.raises(ValueError, match="one for each of the 1 levels"):
        Anchors((8, 16))([random(1, 64, 64, 3), random(1, 8, 8, 2)])
