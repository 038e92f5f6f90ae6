"""Runs the references of torch once and stores what they answered.

    python tests/references/generate.py            # all
    python tests/references/generate.py NAME ...   # these
    python tests/references/generate.py published  # do the published files fit, by their shapes?

Needs an environment with torch, torchvision and timm beside vislearn.
"""

import json
import sys
from importlib.metadata import version

import numpy as np
import torch
from case import PUBLISHED, STORED, image, seeded, torch_cases


def float_shapes(model) -> dict[str, tuple[int, ...]]:
    """The shapes of a torch model's weights, without counters and indices."""
    return {
        key: tuple(value.shape)
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }


def answer(case) -> dict:
    """Shapes of the weights, and the answer in float64 to the shared image."""
    model = case.build().eval()
    shapes = float_shapes(model)
    state = {key: torch.from_numpy(value) for key, value in seeded(shapes, case.gain).items()}
    model.load_state_dict(state, strict=False)
    x = torch.from_numpy(np.moveaxis(image(case.input_shape), -1, 1).copy())
    with torch.no_grad():
        found = model.double()(x.double()).numpy()
    return {
        "library": case.library,
        "version": version(case.library),
        "shapes": shapes,
        "answer": np.round(found, 7).tolist(),
    }


def fits(name: str, file) -> dict:
    """Whether all weights of a published torch model have a place in ours, and the other way."""
    from vislearn.catalogue import build_shapes
    from vislearn.weights import layouts
    from vislearn.weights.conversion import convert

    with torch.device("meta"):
        if file.library == "timm":
            import timm

            theirs = timm.create_model(file.model)
        else:
            import torchvision

            theirs = torchvision.models.get_model(file.model)
    shapes = float_shapes(theirs)
    layout = layouts(_info(name).family, name)[file.library]
    ours = build_shapes(name, num_classes=file.classes, **layout.options)
    nothing = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    _, report = convert(ours, nothing, layout, from_torch=True)
    if file.classes == 0:
        report = report.ignoring(layout.module("head"))
    return {
        "library": file.library,
        "version": version(file.library),
        "model": file.model,
        "tensors": len(shapes),
        "fits": report.complete,
        "report": str(report),
    }


def _info(name: str):
    from vislearn.registry import model_info

    return model_info(name)


def check_published() -> None:
    """Stores, for each published torch file, whether it fits."""
    import vislearn
    from vislearn.weights import published

    found = {}
    for name in vislearn.list_models():
        file = published(_info(name).family).get(name)
        if file is not None and file.library != "keras.applications":
            found[name] = fits(name, file)
            print(f"{name}: {found[name]['model']}: {found[name]['report']}", flush=True)
    PUBLISHED.write_text(json.dumps(found, indent=1) + "\n")


def main(names: list[str]) -> None:
    """Stores the expectations of the named cases, or of all."""
    if names == ["published"]:
        check_published()
        return
    cases = torch_cases()
    STORED.mkdir(exist_ok=True)
    for name in names or cases:
        found = answer(cases[name])
        (STORED / f"{name}.json").write_text(json.dumps(found, separators=(",", ":")) + "\n")
        size = np.max(np.abs(found["answer"]))
        print(f"{name}: {len(found['shapes'])} weights, answers up to {size:.3g}")


if __name__ == "__main__":
    main(sys.argv[1:])
