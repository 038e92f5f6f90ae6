"""The `vislearn train` command that repeats a training."""

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vislearn.registry import model_info
from vislearn.training.recipes import Recipe, default_recipe
from vislearn.training.run import Config
from vislearn.training.tuning import Tuning

# Arguments of `train` that hold several values, by the flag that takes one of them.
GROUPS = {"option": "options", "objective": "objective", "task_option": "task_options"}
RECIPE_FIELDS = {field.name for field in dataclasses.fields(Recipe)} - {"objective"}
# Fields of the recipe that have a flag of their own.
_FLAGS = {
    *("epochs", "batch_size", "optimizer", "learning_rate", "schedule", "weight_decay"),
    *("label_smoothing", "clip_norm", "agc", "momentum", "ema", "layer_decay", "patience"),
}


def train_command(
    model: str, data: str | Path, out: str | Path, arguments: Mapping[str, Any]
) -> str:
    """`vislearn train ...` for a shell, with these arguments of `vislearn.training.train`."""
    words = ["vislearn", "train", model, "--data", str(data), "--out", str(out)]
    for name, value in arguments.items():
        if name == "data_options":
            if value.get("strict"):
                words.append("--strict")
            if "data_dir" in value:
                words += ["--data-dir", str(value["data_dir"])]
        elif name in GROUPS.values():
            flag = next(key for key, group in GROUPS.items() if group == name)
            for key, inner in value.items():
                words += [f"--{flag.replace('_', '-')}", f"{key}={_plain(inner)}"]
        elif name == "augment" and isinstance(value, str):
            words += ["--augment", value]
        elif name in RECIPE_FIELDS - _FLAGS or (name in _FLAGS and value is None):
            words += ["--recipe", f"{name}={_plain(value)}"]
        elif value is not None:
            text = "x".join(map(str, value)) if isinstance(value, tuple) else str(value)
            words += [f"--{name.replace('_', '-')}", text]
    return shlex.join(words)


def repeat_command(config: Config, out: str | Path) -> str:
    """The command that repeats a run: what differs from its family's recipe, and no more.

    Args:
        config: Of the run.
        out: Folder for the repeated one.
    """
    if config.members:
        return shlex.join(["vislearn", "ensemble", *config.members, "--out", str(out)])
    usual = default_recipe(model_info(config.model).family)
    if config.tune is not None:
        usual = Tuning.parse(config.tune).recipe(usual)
    recipe, before = dataclasses.asdict(config.recipe), dataclasses.asdict(usual)
    fitted = {"image_size": tuple(config.data_options["image_size"])}
    return train_command(
        config.model,
        config.data,
        out,
        {
            **fitted,
            **{name: value for name, value in recipe.items() if value != before[name]},
            "options": config.options,
            "task_options": config.task_options,
            "data_options": config.data_options,
            "precision": None if config.precision == "float32" else config.precision,
            "seed": config.seed or None,
            "weights": config.weights,
            "tune": config.tune,
        },
    )


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
