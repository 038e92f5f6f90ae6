"""Inference speed, side by side: our networks against what a user would pick instead.

    python benchmarks/inference.py
    python benchmarks/inference.py --models mobilenet_v2 --batch-size 1 --steps 50

Keras networks run as a compiled function of a batch, which is what serving and `predict` call, and
not through `predict`, whose overhead is the same for all; those of torch in inference mode and
channels-last memory. KERAS_BACKEND names the backend; torchvision and timm take part where they are
installed. The exported files are faster than any of these: see `vislearn export`, and `docs`.
"""

from collections.abc import Callable

import speed
from speed import Settings


def keras_step(build: Callable, name: str, settings: Settings, **options) -> Callable[[], None]:
    """A function that answers one batch with the network that `build` returns."""
    import keras

    from vislearn import backend

    with backend.precision(settings.precision):
        model = build(name, settings, **options)
    answer = backend.compiled(model)
    x = keras.ops.convert_to_tensor(speed.pixels(settings))
    # As NumPy, so that the work is over when the call is.
    return lambda: keras.ops.convert_to_numpy(answer(x))


def torch_step(library: str, name: str, settings: Settings) -> Callable[[], None]:
    """A function that answers one batch in torch."""
    import torch

    model = speed.of_torch(library, name, settings).eval()
    x = speed.torch_pixels(settings) / 255
    half = settings.precision == "mixed_bfloat16"

    def step() -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
            model(x)

    return step


def step(library: str, name: str, settings: Settings, **options) -> Callable[[], None]:
    """A function that answers one batch with a library's network."""
    if library in ("torchvision", "timm"):
        return torch_step(library, name, settings)
    return keras_step(speed.KERAS[library], name, settings, **options)


if __name__ == "__main__":
    speed.run(
        "Inference speed of our networks and of those that a user would pick instead, in turns.",
        "Inference",
        step,
        passes=1,
        defaults={"batch_size": 8, "steps": 5, "rounds": 7},
    )
