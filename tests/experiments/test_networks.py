"""What experiments find out about networks and their weights."""

import keras
import numpy as np

import vislearn
from vislearn.experiments.batchnorm_only import trained
from vislearn.experiments.linear_vs_mlp import one_matrix
from vislearn.experiments.permuted_pixels import permute


def test_changes_outside_of_batch_norm_are_counted():
    keras.utils.set_random_seed(0)
    before = vislearn.create_model("resnet20_cifar", depth=8, width=4)
    after = vislearn.create_model("resnet20_cifar", depth=8, width=4)
    after.set_weights(before.get_weights())
    for name in ("stem_bn", "stage2_block1_bn2"):
        after.get_layer(name).gamma.assign(after.get_layer(name).gamma + 1)
    scales = 2 * (3 * 4 + 2 * 8 + 2 * 16)
    assert trained(before, after) == (0, scales / before.count_params())
    kernel = after.get_layer("stem_conv").get_weights()[0]
    kernel[0, 0, 0, :3] += 1
    after.get_layer("stem_conv").set_weights([kernel])
    assert trained(before, after)[0] == 3


def test_only_a_linear_network_is_one_matrix():
    images = np.random.default_rng(0).uniform(0, 255, (5, 4, 4, 1)).astype("float32")
    for activation, same in (("linear", True), ("relu", False)):
        model = vislearn.create_model(
            "mlp", input_shape=(4, 4, 1), units=(6, 5), activation=activation
        )
        for layer in model.layers:
            if layer.weights:
                layer.bias.assign(keras.random.normal(layer.bias.shape, seed=1))
        logits = np.asarray(model(images))
        assert np.allclose(one_matrix(model, images), logits, atol=1e-4) == same


def test_permuted_pixels():
    images = np.arange(2 * 4 * 3).reshape(2, 4, 3, 1)
    order = np.random.default_rng(0).permutation(12)
    permuted = permute(images, order)
    assert permuted.shape == images.shape
    assert [permuted[1].ravel()[place] for place in range(12)] == [12 + pixel for pixel in order]
