"""What a diffusion model learns from, answers and exports."""

import numpy as np
import pytest
from keras import ops

import vislearn
from vislearn.models.generative.diffusion import TINY, ddpm
from vislearn.samplers import DDIM, SamplingLoop, to_pixels
from vislearn.tasks.diffusion import Diffusion
from vislearn.training.recipes import Recipe

CLASSES = ("a", "b", "c")


def network(classes=0):
    """A network of random weights that do something: new ones predict zero."""
    model = ddpm(**{**TINY, "num_classes": classes})
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 4
        variable.assign(0.5 * rng.normal(size=variable.shape) / np.sqrt(fan_in))
    return model


def called(signature, inputs):
    """The answers of a signature, as arrays."""
    tensors = {name: ops.convert_to_tensor(value) for name, value in inputs.items()}
    answers = signature.function(tensors).items()
    return {name: ops.convert_to_numpy(value) for name, value in answers}


def test_labels_are_learned_where_the_network_is_published_with_classes():
    task = Diffusion(CLASSES, "diffusion")
    assert task.num_classes(10) == 3
    assert task.num_classes(0) == 0
    with pytest.raises(ValueError, match="the data has none"):
        Diffusion((), "diffusion").num_classes(10)
    assert task.target({"images": 1, "labels": 2, "seed": 3}) == ({"images": 1, "labels": 2}, None)
    assert task.target({"images": 1}) == ({"images": 1}, None)


def test_objective_and_sampler_share_the_schedule():
    task = Diffusion((), "diffusion", schedule="cosine", train_steps=200, steps=10)
    objective = task.objective(network(), Recipe(objective={"label_dropout": 0.3}))
    loop = task.loop(network())
    np.testing.assert_array_equal(objective.alpha_bar, loop.sampler.alpha_bar())
    assert len(objective.alpha_bar) == 201
    assert objective.label_dropout == 0.3
    assert loop.steps == 10


@pytest.mark.parametrize("classes", [0, 3])
def test_samples_are_those_of_the_signature(classes):
    model = network(classes)
    task = Diffusion(CLASSES, "diffusion", steps=5, guidance=1.0)
    sampler, denoise = task.signatures(model)
    inputs = sampler.samples(3, seed=1)
    assert sorted(inputs) == (["label", "noise"] if classes else ["noise"])
    image = called(sampler, inputs)["image"]
    loop = SamplingLoop(model, DDIM(), 5, guidance=1.0 if classes else 0.0)
    expected = ops.convert_to_numpy(to_pixels(loop(inputs["noise"], inputs.get("label"))))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - expected.astype(int)).max() <= 1
    assert image.std() > 1

    inputs = denoise.samples(3)
    assert inputs["time"].min() >= 1
    noise = called(denoise, inputs)["noise"]
    assert noise.shape == inputs["image"].shape
    assert noise.std() > 0.02

    drawn = task.samples(model, 4, seed=2)
    assert drawn.shape == (4, 8, 8, 1)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, task.samples(model, 4, seed=2))
    assert np.any(drawn != task.samples(model, 4, seed=3))


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="must take image, time"):
        Diffusion(CLASSES).check_model(vislearn.create_model("linear_classifier"))
    Diffusion(CLASSES).check_model(network())
    Diffusion(CLASSES).check_model(network(3))


@pytest.mark.tensorflow
@pytest.mark.parametrize("format", ["litert", pytest.param("onnx", marks=pytest.mark.slow)])
def test_the_whole_sampler_is_exported(format, tmp_path):
    """A loop of steps in the file: the runtimes draw the pictures that Keras draws."""
    from vislearn.export.convert import Endpoint
    from vislearn.export.runtimes import RUNTIMES

    task = Diffusion(CLASSES, "diffusion", steps=10, guidance=1.0)
    model = network(3)
    signature = task.signatures(model)[0]
    inputs = signature.samples(3)
    endpoint, file = Endpoint(signature), tmp_path / "model"
    if format == "litert":
        endpoint.write_savedmodel(tmp_path / "savedmodel")
        endpoint.write_litert(tmp_path / "savedmodel", file)
    else:
        endpoint.write_onnx(file)
    comparison = task.compare(called(signature, inputs), RUNTIMES[format](file)(inputs))
    assert comparison.max_difference["image"] <= 1e-4
    # One graph of one pass: ten copies of it would be ten times as large.
    assert file.stat().st_size < 4 * model.count_params() + 300_000
