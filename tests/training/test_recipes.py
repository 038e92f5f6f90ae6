"""What a recipe refuses, in words, and what of it no training may leave unused."""

import pytest

from vislearn.registry import model_info
from vislearn.training import Recipe, train
from vislearn.training.preparation import chosen_recipe, prepare


@pytest.mark.parametrize(
    "wrong",
    [
        {"l1": "abc"},
        {"l2": [1]},
        {"learning_rate": "fast"},
        {"learning_rate": True},
        {"weight_decay": float("nan")},
        {"agc": "abc"},
        {"sam": {}},
        {"clip_norm": float("inf")},
        {"clip_value": "1"},
        {"label_smoothing": None},
        {"momentum": "0.9"},
        {"ema": [0.9]},
        {"layer_decay": "a"},
        {"dropout_schedule": 5},
        {"optimizer": ["sgd", "adam"]},
        {"schedule": ["cosine"]},
        {"optimizer_options": "x"},
        {"schedule_options": [1]},
        {"objective": "beta"},
        {"augment": 5},
        {"loss": "foo"},
        {"loss": ["log"]},
    ],
)
def test_wrong_types_are_named(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"^{name}=") as error:
        Recipe(**wrong)
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"factors": ["a"], "at": [0.5]}, r"factors=\['a'\] must be a positive number for each"),
        ({"at": ["a"], "factors": [0.1]}, r"at=\['a'\] must be shares above 0"),
        ({"at": 0.5}, "at=0.5 must be a list"),
    ],
)
def test_wrong_types_in_a_schedule(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(schedule="multiplicative", schedule_options=options)


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        ("mlp", {"optimizer": "sgd", "momentum": 0.9}, "momentum=0.9: optimizer='sgd' takes none"),
        ("mlp", {"optimizer": "rmsprop", "momentum": 0.9}, "optimizer_options are .*'momentum'"),
        ("mlp", {"penalized": "dense*"}, "penalized='dense\\*' needs l1 or l2"),
        ("retinanet", {"label_smoothing": 0.1}, "label_smoothing=0.1: the loss of detection"),
        ("conv_vae", {"label_smoothing": 0.1}, "label_smoothing=0.1: the loss of generation"),
        ("conv_vae", {"loss": "hinge"}, "loss='hinge': generation has a loss of its own"),
        ("mlp", {"augment": "strange"}, "augment='strange' must be one of"),
        ("mlp", {"epoch": 3}, r"\['epoch'\] are no fields"),
    ],
)
def test_nothing_that_was_asked_for_is_left_unused(model, given, message):
    with pytest.raises(ValueError, match=message):
        chosen_recipe(model_info(model), given)


def test_what_changes_nothing_by_its_value_is_taken():
    info = model_info("retinanet")
    assert chosen_recipe(info, {"label_smoothing": 0.0}).label_smoothing == 0
    assert chosen_recipe(info, {"optimizer": "sgd", "momentum": 0.0}).momentum == 0
    assert chosen_recipe(info, {"optimizer": "sgd"}).optimizer == "sgd"
    assert chosen_recipe(model_info("unet"), {"label_smoothing": 0.1}).label_smoothing == 0.1
    assert chosen_recipe(model_info("mlp"), {"penalized": "a*", "l1": 1e-4}).penalized == "a*"


def test_a_head_learns_from_images_as_they_are():
    info = model_info("resnet18")
    assert chosen_recipe(info, {}, tune="head").augment == "none"
    assert chosen_recipe(info, {"augment": "none"}, tune="head").augment == "none"
    with pytest.raises(ValueError, match="augment='strong': with tune='head' the features"):
        chosen_recipe(info, {"augment": "strong"}, tune="head")
    assert chosen_recipe(info, {"augment": "strong"}, tune="all").augment == "strong"


@pytest.mark.parametrize("name", ["widht", "input_shape"])
def test_options_are_checked_before_data_is_read(name):
    with pytest.raises(ValueError, match=rf"options holds \['{name}'\]"):
        prepare("mlp", data="nowhere", options={name: 3})


@pytest.mark.tensorflow  # It reads data.
def test_probabilities_are_not_trained_as_logits(tmp_path):
    with pytest.raises(ValueError, match=r"ends in softmax.*classifier_activation=None"):
        train(
            "linear_classifier",
            data="digits",
            out=tmp_path / "run",
            options={"classifier_activation": "softmax"},
            quiet=True,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.tensorflow
def test_the_command_says_it_in_a_line(monkeypatch, capsys):
    from vislearn import cli

    words = ["vislearn", "train", "mlp", "--data", "digits", "--out", "run", "--recipe", "l1=abc"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 1
    assert "Error: l1='abc' must be at least 0." in capsys.readouterr().err
