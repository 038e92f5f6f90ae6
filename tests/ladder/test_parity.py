"""Rung: with the same weights, the network answers as an independent implementation does.

A builder has its case in `CASES`, the network written out in NumPy, or a reference of another
library in `tests/references`, which compare answers over the weights in that library's own file.
"""

import keras
import numpy as np
import numpy_alexnet
import numpy_dense
import numpy_generators
import numpy_inception
import numpy_networks as networks
import numpy_performer
import numpy_phurie
import numpy_residual_adapter
import pytest
from case import keras_cases, torch_cases
from rungs import assert_same, builder, every_model, inputs, options, outputs, random_tiny

CASES = {
    "alexnet": numpy_alexnet.alexnet,
    "batchnorm_cnn": networks.batchnorm_cnn,
    "cifar_cnn": networks.cifar_cnn,
    "conv_vae": numpy_generators.conv_vae,
    "dcgan": numpy_generators.dcgan,
    "ddpm": numpy_generators.ddpm,
    "deep_phurie": numpy_phurie.deep_phurie,
    "inception_v2": numpy_inception.inception_v2,
    "lenet5": networks.lenet5,
    "lenet5_1998": networks.lenet5_1998,
    "linear_classifier": networks.linear_classifier,
    "locally_connected_net": networks.locally_connected_net,
    "maxout_mlp": networks.maxout_mlp,
    "mlp": networks.mlp,
    "performer": numpy_performer.performer,
    "rbf_network": networks.rbf_network,
    "residual_adapter_resnet": numpy_residual_adapter.residual_adapter_resnet,
    "resnet": networks.resnet,
    "resnet_cifar": networks.resnet_cifar,
    "retinanet": numpy_dense.retinanet,
    "rvss_convnet": networks.rvss_convnet,
    "unet": numpy_dense.unet,
    "vae": numpy_generators.vae,
    "vit": networks.vit,
}


REFERENCES = {
    builder(case.name).__name__ for case in (*torch_cases().values(), *keras_cases().values())
}


@every_model
def test_equals_an_independent_network(name):
    case = CASES.get(builder(name).__name__)
    if case is None and builder(name).__name__ in REFERENCES:
        pytest.skip("compared with another library's network in tests/references")
    if case is None:
        pytest.fail(
            f"{name} has no parity case: list a reference in tests/references/cases_*.py, or write "
            f"{builder(name).__name__} in numpy_networks.py and list it in CASES."
        )
    model = random_tiny(name)
    weights = {
        variable.path: np.asarray(keras.ops.convert_to_numpy(variable), "float64")
        for variable in model.weights
    }
    x = inputs(model)
    exact = keras.tree.map_structure(lambda value: value.astype("float64"), x)
    assert_same(outputs(model, x), case(exact, weights, options(name)))
