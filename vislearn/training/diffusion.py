"""What a diffusion model minimises."""

import keras
from keras import ops

from vislearn.ops import diffusion
from vislearn.samplers import null_label, takes_labels


class NoiseObjective:
    """The simple loss of diffusion models: the mean squared error of the predicted noise.

    arXiv:2006.11239, equation 14, over times 1 to T that are equally likely. Where the network
    takes labels, some are replaced by the null label (arXiv:2207.12598, Algorithm 1), so that one
    network learns both noises that guidance needs.

    Args:
        schedule: `"linear"` or `"cosine"`; the samplers have to be told the same.
        train_steps: T.
        label_dropout: Share of the labels that are replaced in training.

    Raises:
        ValueError: If an argument is out of range.
    """

    parts = ("noise_mse",)

    def __init__(
        self, schedule: str = "linear", train_steps: int = 1000, label_dropout: float = 0.1
    ) -> None:
        if not 0 <= label_dropout <= 1:
            raise ValueError(f"label_dropout={label_dropout!r} must be between 0 and 1.")
        self.train_steps = train_steps
        self.label_dropout = label_dropout
        self.alpha_bar = diffusion.schedule_table(schedule, train_steps).astype("float32")

    def forward(self, network, x, *, seed_generator, training: bool):
        """Draws times and noise, and lets the network look for the noise.

        Args:
            network: A diffusion model.
            x: `{"images": (batch, height, width, channels), 0..255}`, and `"labels"` `(batch,)` if
                the network takes labels.
            seed_generator: For times, noise and dropped labels.
            training: Whether layers behave as in training, and labels are dropped.

        Returns:
            What `predict` returns.
        """
        images = ops.cast(x["images"], "float32")
        batch = ops.shape(images)[0]
        noise = keras.random.normal(ops.shape(images), dtype="float32", seed=seed_generator)
        t = keras.random.randint((batch,), 1, self.train_steps + 1, seed=seed_generator)
        labels = None
        if takes_labels(network):
            labels = ops.cast(x["labels"], "int32")
            if training and self.label_dropout:
                draw = keras.random.uniform((batch,), dtype="float32", seed=seed_generator)
                nobody = ops.full_like(labels, null_label(network))
                labels = ops.where(draw < self.label_dropout, nobody, labels)
        return self.predict(network, images, t, noise, labels, training=training)

    def predict(self, network, images, t, noise, labels=None, *, training: bool = False):
        """The network's prediction for pictures, times and noise that are given.

        Args:
            network: A diffusion model.
            images: `(batch, height, width, channels)`, 0..255.
            t: `(batch,)` integers, 1 to T.
            noise: Of the shape of `images`.
            labels: `(batch,)` integers if the network takes labels.
            training: Whether layers behave as in training.

        Returns:
            The predicted and the true noise.
        """
        x_0 = ops.cast(images, "float32") / 127.5 - 1.0
        alpha_bar = diffusion.at(ops.convert_to_tensor(self.alpha_bar), t)
        inputs = {
            "image": diffusion.q_sample(x_0, noise, alpha_bar),
            "time": ops.cast(t, "float32"),
        }
        if labels is not None:
            inputs["label"] = labels
        return network(inputs, training=training), noise

    def loss(self, y, outputs) -> dict:
        """The mean squared error, over all pixels of the batch.

        Args:
            y: Not used: the noise is its own target.
            outputs: What `forward` returns.
        """
        del y
        prediction, noise = outputs
        return {"noise_mse": ops.mean(ops.square(ops.cast(prediction, "float32") - noise))}
