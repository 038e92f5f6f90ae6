"""The command that repeats a run."""

import shlex

import pytest

from vislearn import cli
from vislearn.training import default_recipe
from vislearn.training.preparation import prepare
from vislearn.training.repeating import repeat_command
from vislearn.training.run import Run

pytestmark = pytest.mark.tensorflow

CASES = {
    "nothing": {},
    "flags": {"epochs": 3, "learning_rate": 0.05, "schedule": "constant", "seed": 4},
    "fields": {"l1": 1e-4, "penalized": "dense*", "sam": 0.05, "augment": "crop"},
    "off": {"clip_norm": None, "agc": None, "augment": "none"},
    "described": {"augment": {"operations": [{"crop": {"padding": 0.25}}]}},
    "options": {"options": {"units": [12, 8], "activation": "tanh"}, "precision": "mixed_bfloat16"},
    "loss": {"loss": "cubed_hinge", "objective": {"margin": 2.0}},
}


@pytest.mark.parametrize("arguments", CASES.values(), ids=CASES)
def test_the_command_makes_the_same_run(arguments, tmp_path, monkeypatch):
    """Everything but the training itself is done."""
    config, *_ = prepare("mlp", data="digits", quiet=True, **arguments)
    words = shlex.split(repeat_command(config, tmp_path / "again"))
    assert words[:2] == ["vislearn", "train"]
    made = []

    def instead_of_training(model, *, out, devices, resume, **given):
        made.append(prepare(model, quiet=True, **given)[0])

    monkeypatch.setattr("vislearn.training.train", instead_of_training, raising=False)
    cli.app(words[1:], standalone_mode=False)
    assert made == [config]


def test_what_the_family_does_anyway_is_not_said():
    config, *_ = prepare("mlp", data="digits", quiet=True)
    assert default_recipe("mlp").epochs == config.recipe.epochs
    assert "--epochs" not in repeat_command(config, "runs/again")


def test_an_ensemble_names_its_members(tmp_path):
    config, *_ = prepare("mlp", data="digits", quiet=True)
    (tmp_path / "config.json").write_text(config.to_json())
    one = Run.open(tmp_path).config
    members = type(one)(**{**vars(one), "members": ["runs/a", "runs/b b"]})
    assert repeat_command(members, "runs/both") == (
        "vislearn ensemble runs/a 'runs/b b' --out runs/both"
    )
