"""Rung: with the same weights, the network answers as an independent implementation does.

Every builder has its case in `CASES`: the network written out in NumPy. Where another Keras
implementation can be installed, the tests of the family compare with it too (`tests/models`).
"""

import keras
import numpy as np
import numpy_dense
import numpy_generators
import numpy_networks as networks
import pytest
from rungs import assert_same, builder, every_model, inputs, options, outputs, random_tiny

CASES = {
    "batchnorm_cnn": networks.batchnorm_cnn,
    "cifar_cnn": networks.cifar_cnn,
    "conv_vae": numpy_generators.conv_vae,
    "dcgan": numpy_generators.dcgan,
    "ddpm": numpy_generators.ddpm,
    "lenet5": networks.lenet5,
    "lenet5_1998": networks.lenet5_1998,
    "linear_classifier": networks.linear_classifier,
    "locally_connected_net": networks.locally_connected_net,
    "maxout_mlp": networks.maxout_mlp,
    "mlp": networks.mlp,
    "rbf_network": networks.rbf_network,
    "resnet": networks.resnet,
    "resnet_cifar": networks.resnet_cifar,
    "retinanet": numpy_dense.retinanet,
    "rvss_convnet": networks.rvss_convnet,
    "unet": numpy_dense.unet,
    "vae": numpy_generators.vae,
    "vit": networks.vit,
}


@every_model
def test_equals_numpy(name):
    case = CASES.get(builder(name).__name__)
    if case is None:
        pytest.fail(
            f"{name} has no parity case: write {builder(name).__name__} in numpy_networks.py "
            "and list it in CASES."
        )
    model = random_tiny(name)
    weights = {
        variable.path: np.asarray(keras.ops.convert_to_numpy(variable), "float64")
        for variable in model.weights
    }
    x = inputs(model)
    exact = keras.tree.map_structure(lambda value: value.astype("float64"), x)
    assert_same(outputs(model, x), case(exact, weights, options(name)))
