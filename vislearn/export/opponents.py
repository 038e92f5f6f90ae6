"""The same architecture in torchvision or timm, to be timed beside the files of a package.

What is timed is the network alone, with random weights, from the same uint8 pictures to logits: an
exported file scales pixels and decodes besides.
"""

import dataclasses
import importlib.util
from typing import Any

from vislearn.export.runtimes import IMAGE, default_threads
from vislearn.tasks.base import Arrays

# By our registry names, what torchvision calls the same network.
TORCHVISION = {
    **{
        name: name
        for name in (
            *("alexnet", "googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"),
            *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
            *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
            *("resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2"),
            *(f"densenet{depth}" for depth in (121, 161, 169, 201)),
            *("mobilenet_v2", "mobilenet_v3_large", "mobilenet_v3_small"),
            *(f"efficientnet_b{number}" for number in range(8)),
            *("convnext_tiny", "convnext_small", "convnext_base"),
        )
    },
    **{f"swin_{size}": f"swin_{size[0]}" for size in ("tiny", "small", "base")},
    **{f"swin_v2_{size}": f"swin_v2_{size[0]}" for size in ("tiny", "small", "base")},
    "vit_base_patch16": "vit_b_16",
    "vit_base_patch32": "vit_b_32",
    "vit_large_patch16": "vit_l_16",
}
# What timm calls it; of the others, `vislearn.weights` knows those whose weights are timm's.
TIMM = {
    **{name: name for name in ("resnet50", "densenet121", "efficientnet_b0", "vgg16")},
    **{name: name for name in ("inception_v3", "convnext_tiny")},
    "mobilenet_v2": "mobilenetv2_100",
    "vit_small_patch16": "vit_small_patch16_224",
    "swin_tiny": "swin_tiny_patch4_window7_224",
}


@dataclasses.dataclass(frozen=True)
class Opponent:
    """A network of another library.

    Attributes:
        library: `"torchvision"` or `"timm"`.
        model: Its name there.
        classes: How many classes it tells apart.
        size: Side of its pictures in pixels.
    """

    library: str
    model: str
    classes: int
    size: int


def installed(package: str) -> bool:
    """Whether a package can be found."""
    return importlib.util.find_spec(package.replace("-", "_")) is not None


def timm_name(name: str) -> str | None:
    """What timm calls a network of our registry; None where it has none that we know of."""
    from vislearn.registry import list_models, model_info
    from vislearn.weights import published

    if name in TIMM:
        return TIMM[name]
    file = published(model_info(name).family).get(name) if name in list_models() else None
    return file.model if file is not None and file.library == "timm" else None


def opponent_of(manifest: dict[str, Any]) -> tuple[Opponent | None, str]:
    """The network to compare a package with, or why there is none."""
    training = manifest["training"]
    name = training.get("model")
    known = {"torchvision": TORCHVISION.get(name), "timm": timm_name(name)}
    known = {library: model for library, model in known.items() if model is not None}
    if manifest["task"] != "classification" or not known:
        return None, f"torch: neither torchvision nor timm has {name or 'what this package holds'}."
    if training.get("options"):
        return None, f"torch: {name} was built with options, {training['options']}."
    height, width, channels = manifest["inputs"][0]["shape"][1:]
    if channels != 3 or height != width:
        return None, f"torch: {name} takes square colour pictures there, not {height}x{width}."
    for library, model in known.items():
        if installed("torch") and installed(library):
            return Opponent(library, model, len(manifest["classes"]), height), ""
    return None, f"torch: not installed; pip install torch {next(iter(known))}, to compare {name}."


def torch_network(opponent: Opponent):
    """The network with random weights, channels last in memory.

    Raises:
        ImportError: If torch or the library can't be imported.
    """
    import torch

    if opponent.library == "timm":
        import timm

        sized = {"img_size": opponent.size} if "patch" in opponent.model else {}
        model = timm.create_model(opponent.model, num_classes=opponent.classes, **sized)
    else:
        import torchvision

        quirks = {"image_size": opponent.size} if opponent.model.startswith("vit_") else {}
        if opponent.model in ("inception_v3", "googlenet"):
            quirks = {"aux_logits": False, "init_weights": False}
        model = torchvision.models.get_model(
            opponent.model, weights=None, num_classes=opponent.classes, **quirks
        )
    return model.to(memory_format=torch.channels_last)


class Torch:
    """A network in torch, on the CPU, called like the runtimes of exported files."""

    needs = "torch"

    def __init__(self, opponent: Opponent, threads: int | None = None):
        import torch

        torch.set_num_threads(threads or default_threads())
        self._torch, self._model = torch, torch_network(opponent).eval()

    def __call__(self, inputs: Arrays) -> Arrays:
        with self._torch.inference_mode():
            # A picture is channels last already: nothing is copied but to float32.
            pixels = self._torch.from_numpy(inputs[IMAGE]).permute(0, 3, 1, 2)
            return {"logits": self._model(pixels.float()).numpy()}
