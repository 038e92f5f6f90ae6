"""Training speed, side by side: our networks against what a user would pick instead.

    python benchmarks/train_step.py
    python benchmarks/train_step.py --models resnet50 --batch-size 64 --json speed.json

All networks of a comparison train on the same random images. Keras networks take their steps by
`train_on_batch`: the compiled train step that `fit` uses, without the input pipeline, which is the
same for all and none of this benchmark's business; those of torch by forward, backward and SGD, in
channels-last memory. KERAS_BACKEND names the backend; torchvision and timm take part where they are
installed. `--against "Keras batch norm"` is our network with Keras's own layer in place of ours.
"""

from collections.abc import Callable

import speed
from speed import Settings

KERAS_LAYER = "Keras batch norm"


def with_keras_batch_norm(name: str, settings: Settings):
    """Our network with Keras's own layer."""
    import keras

    from vislearn.layers import BatchNormalization

    def clone(layer):
        kind = type(layer)
        if kind is BatchNormalization:
            kind = keras.layers.BatchNormalization
        return kind.from_config(layer.get_config())

    return keras.models.clone_model(speed.ours(name, settings), clone_function=clone)


def keras_step(build: Callable, name: str, settings: Settings, **options) -> Callable[[], None]:
    """A function that takes one training step of the network that `build` returns."""
    import keras

    from vislearn import backend

    with backend.precision(settings.precision):
        model = build(name, settings, **options)
    model.compile(
        keras.optimizers.SGD(0.01, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    x = keras.ops.convert_to_tensor(speed.pixels(settings))
    y = keras.ops.convert_to_tensor(speed.labels(settings))
    # The loss comes back as a number, so that the step is over when the call is.
    return lambda: model.train_on_batch(x, y)


def torch_step(library: str, name: str, settings: Settings) -> Callable[[], None]:
    """A function that takes one training step in torch."""
    import torch

    model = speed.of_torch(library, name, settings).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = speed.torch_pixels(settings) / 255
    y = torch.from_numpy(speed.labels(settings))
    half = settings.precision == "mixed_bfloat16"

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def step(library: str, name: str, settings: Settings, **options) -> Callable[[], None]:
    """A function that takes one training step of a library's network."""
    if library in ("torchvision", "timm"):
        return torch_step(library, name, settings)
    build = {**speed.KERAS, KERAS_LAYER: with_keras_batch_norm}[library]
    return keras_step(build, name, settings, **options)


if __name__ == "__main__":
    speed.run(
        "Training speed of our networks and of those that a user would pick instead, in turns.",
        "Training",
        step,
        passes=3,
        more=(KERAS_LAYER,),
        defaults={"batch_size": 32, "steps": 5, "rounds": 7},
    )
