"""Options of Swin transformers, and their windows."""

import keras
import numpy as np
import pytest

import vislearn
from vislearn.ops.windows import (
    APART,
    fitted_windows,
    log_spaced_coordinates,
    merge_windows,
    partition_windows,
    relative_position_index,
    roll_map,
    shift_mask,
)

SMALL = {
    "input_shape": (64, 96, 3),
    "num_classes": 5,
    "dim": 8,
    "repeats": (1, 1, 1, 1),
    "num_heads": (1, 2, 2, 2),
    "window_size": 4,
}


def create(name="swin_tiny", **options):
    return vislearn.create_model(name, **{**SMALL, **options})


def numpy(tensor):
    return keras.ops.convert_to_numpy(tensor)


@pytest.mark.parametrize("name", ["swin_tiny", "swin_v2_tiny"])
def test_endpoints(name):
    options = {key: value for key, value in SMALL.items() if key != "num_classes"}
    backbone = vislearn.create_backbone(name, levels=("C2", "C3", "C4", "C5"), **options)
    shapes = {level: tensor.shape[1:] for level, tensor in backbone.output.items()}
    assert shapes == {"C2": (16, 24, 8), "C3": (8, 12, 16), "C4": (4, 6, 32), "C5": (2, 3, 64)}


def test_epsilon_of_the_published_weights():
    found = {layer.epsilon for layer in create().layers if "norm" in layer.name}
    assert found == {1e-5}


def test_version_2_starts_as_the_identity():
    """Its branches are normalised with a factor of zero."""
    model = create("swin_v2_tiny")
    both = keras.Model(
        model.input, [model.get_layer("stem_norm").output, model.get_layer("C2").output]
    )
    before, after = both(np.random.default_rng(0).uniform(0, 255, (1, 64, 96, 3)))
    np.testing.assert_array_equal(numpy(before), numpy(after))


def test_windows_put_together_are_the_map():
    x = np.random.default_rng(0).normal(size=(2, 6, 8, 3)).astype("float32")
    windows = numpy(partition_windows(x, (3, 4)))
    assert windows.shape == (8, 12, 3)
    np.testing.assert_array_equal(windows[1], x[0, :3, 4:].reshape(12, 3))
    np.testing.assert_array_equal(windows[6], x[1, 3:, :4].reshape(12, 3))
    np.testing.assert_array_equal(numpy(merge_windows(windows, (3, 4), (6, 8))), x)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("shift", [(0, 0), (1, 2), (-2, 1), (0, -3)])
def test_roll(shift, training):
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype("float32")
    expected = np.roll(x, tuple(-step for step in shift), (1, 2))
    np.testing.assert_array_equal(numpy(roll_map(x, shift, training=training)), expected)


@pytest.mark.parametrize(("size", "shift"), [((8, 8), (2, 2)), ((8, 12), (1, 3)), ((4, 8), (0, 2))])
def test_only_neighbours_in_the_image_attend_to_each_other(size, shift):
    """Two places of a shifted window are apart if the roll, not the image, brought them there."""
    mask = shift_mask(size, (4, 4), shift)
    places = np.stack(np.indices(size), axis=-1)[None].astype("float32")
    found = numpy(partition_windows(roll_map(places, shift), (4, 4)))
    near = np.all(np.abs(found[:, :, None] - found[:, None]) < 4, axis=-1)
    np.testing.assert_array_equal(mask, np.where(near, 0, APART))


def test_no_mask_without_shift():
    assert shift_mask((8, 8), (4, 4), (0, 0)) is None


def test_windows_shrink_to_the_map():
    assert fitted_windows((5, 3), 4, 2) == ((4, 3), (2, 0))
    assert fitted_windows((4, 8), 4, 2) == ((4, 4), (0, 2))


def test_relative_positions():
    index, coordinates = relative_position_index((2, 3)), log_spaced_coordinates((2, 3))
    assert index.shape == (6, 6)
    assert coordinates.shape == (15, 2)
    # Of the last place from the first: one row and two columns on, both the farthest.
    farthest = np.log2(9) / 3
    np.testing.assert_allclose(coordinates[index[5, 0]], [farthest, farthest], rtol=1e-6)
    np.testing.assert_array_equal(coordinates[np.diag(index)], np.zeros((6, 2)))
    half = np.log2(5) / 3
    np.testing.assert_allclose(coordinates[index[0, 1]], [0, -half], rtol=1e-6)


def test_weights_of_version_2_fit_any_size(tmp_path):
    path = str(tmp_path / "small.keras")
    small = create("swin_v2_tiny")
    small.save(path)
    large = create("swin_v2_tiny", input_shape=(128, 128, 3), window_size=8, weights=path)
    for one, other in zip(small.get_weights(), large.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": 3}, r"version=3 must be one of \[1, 2\]"),
        ({"input_shape": (62, 64, 3)}, r"patch_size=4 must divide the image's sides, \(62, 64\)"),
        ({"patch_size": 0}, "patch_size=0"),
        ({"num_heads": (1, 2)}, r"num_heads=\(1, 2\) must have one number for each stage"),
        ({"num_heads": (3, 2, 2, 2)}, "num_heads=3 must divide dim=8"),
        ({"window_size": 0}, "window_size=0 must be at least 1"),
        ({"drop_path_rate": 1.0}, r"drop_path_rate=1\.0"),
    ],
)
def test_errors(options, message):
    with pytest.raises(ValueError, match=message):
        create(**options)
