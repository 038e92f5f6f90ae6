"""Options of the linear classifier, the perceptrons, LeNets and small convolutional networks."""

import keras
import numpy as np
import pytest

import vislearn


def names(model):
    return [layer.name for layer in model.layers]


def test_linear_without_preprocessing_is_linear():
    model = vislearn.create_model("linear_classifier", preprocessing=None)
    first, second = np.random.default_rng(0).normal(size=(2, 1, 28, 28, 1)).astype("float32")
    np.testing.assert_allclose(
        np.asarray(model(first + second)), np.asarray(model(first) + model(second)), atol=1e-4
    )


def test_mlp_takes_any_depth():
    model = vislearn.create_model("mlp", input_shape=(8, 8, 1), units=(7, 6, 5), dropout=0.1)
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [
        *(7, 6, 5),
        10,
    ]
    assert names(model).count("dropout3") == 1


def test_mlp_limits_the_norms_of_its_weights():
    model = vislearn.create_model(
        "mlp", input_shape=(4, 4, 1), units=(8,), max_norm=0.5, input_dropout=0.2
    )
    assert "dropout0" in names(model)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss)
    pixels = np.random.default_rng(0).uniform(0, 255, (8, 4, 4, 1)).astype("float32")
    model.fit(pixels, np.arange(8), verbose=0)
    norms = np.linalg.norm(model.get_layer("dense1").get_weights()[0], axis=0)
    np.testing.assert_allclose(norms, 0.5, atol=1e-5)  # He's weights have a norm of about 1.4.
    with pytest.raises(ValueError, match="max_norm=0 must be positive"):
        vislearn.create_model("mlp", max_norm=0)


def test_maxout_without_dropout():
    model = vislearn.create_model("maxout_mlp", input_dropout=0.0, dropout=0.0)
    assert not [name for name in names(model) if name.startswith("dropout")]


def test_centers_on_examples_answer_to_them():
    """Placed on one image a class, the nearest centre tells the class without training."""
    model = vislearn.create_model("rbf_network", input_shape=(8, 8, 1), num_classes=0, units=3)
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 1)).astype("float32")
    model.get_layer("radial_basis").place_centers(pixels.reshape(3, 64) / 255)
    noisy = pixels + np.random.default_rng(1).normal(0, 20, pixels.shape)
    assert np.asarray(model(noisy.astype("float32"))).argmax(axis=1).tolist() == [0, 1, 2]


def test_cifar_cnn_is_the_network_of_the_ablation():
    """Four networks from two switches, with the same convolutions and dense layers."""
    plain, normed, dropped, both = (
        vislearn.create_model("cifar_cnn", batch_norm=batch_norm, dropout=dropout)
        for batch_norm, dropout in ((False, 0.0), (True, 0.0), (False, 0.4), (True, 0.4))
    )
    assert normed.count_params() - plain.count_params() == 4 * (32 + 64 + 256)
    assert dropped.count_params() == plain.count_params()
    assert both.count_params() == normed.count_params()
    assert {*names(dropped)} - {*names(plain)} == {"dropout1", "dropout2"}
    assert {*names(normed)} - {*names(plain)} == {"bn_conv1", "bn_conv2", "bn_dense1"}
    assert {*names(both)} == {*names(normed)} | {*names(dropped)}


def test_cifar_cnn_refuses_a_rate_out_of_range():
    with pytest.raises(ValueError, match=r"1\.5"):
        vislearn.create_model("cifar_cnn", dropout=1.5)


def test_batchnorm_cnn_without_batch_norm_for_comparison():
    counts = [
        vislearn.create_model("batchnorm_cnn", batch_norm=batch_norm).count_params()
        for batch_norm in (True, False)
    ]
    assert counts[0] - counts[1] == 4 * (32 + 128)


@pytest.mark.parametrize(
    ("name", "smallest"),
    [("lenet5", 4), ("lenet5_1998", 16), ("rvss_convnet", 13), ("batchnorm_cnn", 6)],
)
def test_smallest_image_is_the_one_documented(name, smallest):
    model = vislearn.create_model(name, input_shape=(smallest, smallest, 1))
    assert model.output_shape == (None, 10)
    side = smallest - 1
    with pytest.raises(ValueError, match=rf"input_shape=\({side}, {side}, 1\)"):
        vislearn.create_model(name, input_shape=(side, side, 1))


def test_lenet_layers_have_the_names_of_the_paper():
    found = names(vislearn.create_model("lenet5_1998"))
    assert [name for name in found if name in ("c1", "s2", "c3", "s4", "c5", "f6")] == [
        *("c1", "s2", "c3", "s4", "c5", "f6")
    ]
