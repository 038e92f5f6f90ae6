"""Loads random weights from another library's own file and compares the answers."""

from pathlib import Path

import keras
import numpy as np
from case import KerasCase, difference, image, keras_cases, seeded, stored, torch_cases

import vislearn
from vislearn.weights import layouts


def answer(model: keras.Model, x: np.ndarray) -> np.ndarray:
    """The answer in inference."""
    return keras.ops.convert_to_numpy(model(x, training=False))


def keras_model(case: KerasCase) -> keras.Model:
    """Theirs, with random weights that keep the signal near 1."""
    build = getattr(keras.applications, case.model)
    model = build(
        weights=None,
        input_shape=case.input_shape,
        classes=7,
        classifier_activation=None,
        **case.options,
    )
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            scale = [rng.normal(0.7, 0.2, shape)] if layer.scale else []
            beta, mean = rng.normal(0, 0.2, shape), rng.normal(0, 0.2, shape)
            layer.set_weights([*scale, beta, mean, rng.uniform(0.5, 1.5, shape)])
        else:
            for variable in layer.weights:
                shape = variable.shape
                if len(shape) > 1:  # Kernels, the inputs of a depthwise one being those of a pixel.
                    separate = isinstance(layer, keras.layers.DepthwiseConv2D)
                    separate = separate or variable.name == "depthwise_kernel"
                    inputs = np.prod(shape[:2] if separate else shape[:-1])
                    variable.assign(rng.normal(0, case.gain / np.sqrt(inputs), shape))
                elif variable.name in ("bias", "beta"):
                    variable.assign(rng.normal(0, 0.2, shape))
                else:  # Factors, which would hide a branch at 1e-6.
                    variable.assign(rng.normal(1, 0.2, shape))
    return model


def save_as_published(model: keras.Model, path) -> None:
    """Writes weights as the published files of keras.applications hold them."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def torch_difference(name: str, folder: Path) -> float:
    """The largest relative difference to what the torch network of a case answered."""
    from safetensors.numpy import save_file

    case, expected = torch_cases()[name], stored(name)
    path = folder / f"{name}.safetensors"
    save_file(seeded(expected["shapes"], case.gain), path)
    model = vislearn.create_model(
        case.name,
        input_shape=case.input_shape,
        preprocessing=None,
        weights=str(path),
        **case.options,
    )
    return difference(answer(model, image(case.input_shape)), expected["answer"])


def keras_difference(name: str, folder: Path) -> float:
    """The largest relative difference to what the keras.applications network of a case answers."""
    case = keras_cases()[name]
    theirs = keras_model(case)
    path = folder / f"{name}.h5"
    save_as_published(theirs, path)
    x = image(case.input_shape)
    if case.start is not None:
        theirs = keras.Model(theirs.get_layer(case.start).input, theirs.output)
    expected = answer(theirs, x)
    ours = vislearn.create_model(
        case.name,
        input_shape=case.input_shape,
        num_classes=7,
        preprocessing=None,
        weights=str(path),
    )
    family = vislearn.model_info(case.name).family
    if layouts(family, case.name)["keras.applications"].bgr:
        x = x[..., ::-1]  # Ours takes RGB.
    return difference(answer(ours, x), expected)
