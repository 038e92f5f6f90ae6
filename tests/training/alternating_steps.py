"""Run by test_adversarial.py on each backend: the losses of a few steps from the same start.

    python alternating_steps.py FILE.npz

writes the losses of three epochs of one batch, the weights after them and a validation loss.
"""

import sys

import keras
import numpy as np

from vislearn.models.generative.gan import dcgan
from vislearn.training.adversarial import AdversarialTrainer


class FixedNoise(AdversarialTrainer):
    """The backends draw different numbers from the same seed."""

    def noise(self, count):
        latent = self.network.input_shape[1]
        drawn = np.random.default_rng(1).normal(size=(64, latent)).astype("float32")
        return keras.ops.convert_to_tensor(drawn)[:count]

    def shares(self, count):
        return keras.ops.reshape(keras.ops.linspace(0.0, 1.0, 64)[:count], (-1, 1, 1, 1))


def randomise(model, rng):
    """Weights that are the same on every backend, of about the size that DCGAN starts with."""
    for weight in model.trainable_variables:
        mean = 1.0 if weight.name == "gamma" else 0.0
        weight.assign(rng.normal(mean, 0.05, weight.shape))


def main(path):
    keras.utils.set_random_seed(0)
    options = {"input_shape": (16, 16, 1), "num_classes": 0, "width": 4, "latent": 3}
    trainer = FixedNoise(
        dcgan(**options),
        dcgan(part="discriminator", **options),
        discriminator_steps=2,
        gradient_penalty=1.0,
    )
    rng = np.random.default_rng(0)
    randomise(trainer.network, rng)
    randomise(trainer.discriminator, rng)
    trainer.compile(
        {
            "discriminator": keras.optimizers.Adam(1e-3, beta_1=0.5),
            "generator": keras.optimizers.Adam(1e-3, beta_1=0.5, use_ema=True, ema_momentum=0.9),
        }
    )
    images = rng.integers(0, 256, (16, 16, 16, 1)).astype("uint8")
    history = trainer.fit(images, batch_size=16, epochs=3, shuffle=False, verbose=0).history
    found = {f"history/{name}": np.asarray(values) for name, values in history.items()}
    validation = trainer.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    found |= {f"validation/{name}": np.asarray(value) for name, value in validation.items()}
    for index, variable in enumerate([*trainer.weights, *trainer.optimizer.variables]):
        found[f"variable/{index}"] = keras.ops.convert_to_numpy(variable)
    np.savez(path, **found)


if __name__ == "__main__":
    main(sys.argv[1])
