"""The options that a recipe has for what is minimised: refused by name, type and range."""

import pytest

import vislearn
from vislearn.tasks import get_task
from vislearn.training.recipes import Recipe

# Of each network the objective's options that are wrong, and what is said about them.
WRONG = [
    ("retinanet", {"chess": 1}, r"objective has no options \['chess'\]; it has \['alpha', "),
    ("retinanet", {"box_loss": 3}, "objective: box_loss=3 must be of the type str"),
    ("retinanet", {"gamma": -1}, "gamma=-1 at least 0"),
    ("unet", {"label_smoothing": 0.1}, r"\['label_smoothing'\]; it has \['dice', 'jaccard'\]"),
    ("unet", {"dice": True}, "objective: dice=True must be of the type float"),
    ("vae", {"beta": "much"}, "objective: beta='much' must be of the type float"),
    ("vae", {"beta": -1}, "beta=-1 must be at least 0"),
    ("ddpm", {"schedule": "cosine"}, r"\['schedule'\]; it has \['label_dropout'\]"),
]


def made(name: str, options: dict):
    info = vislearn.model_info(name)
    task = get_task(info.task, ("a", "b"), info.family)
    recipe = Recipe(objective=options)
    return task.objective(None, recipe) or task.loss(recipe)


@pytest.mark.parametrize(("name", "options", "message"), WRONG)
def test_wrong_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        made(name, options)


def test_right_ones_arrive():
    assert made("vae", {"beta": 4}).beta == 4  # An integer will do for a float.
    assert made("unet", {"jaccard": 0.5}).jaccard == 0.5


def test_pretraining():
    network = vislearn.create_model(
        "resnet20_cifar", **{**vislearn.model_info("resnet20_cifar").tiny, "num_classes": 0}
    )
    task = get_task("pretraining", ("a", "b"), method="simclr")
    with pytest.raises(
        ValueError, match=r"\['temprature'\]; it has \['projection', 'temperature'\]"
    ):
        task.objective(network, Recipe(objective={"temprature": 1.0}))
