"""What a network minimises that learns from two views of each picture (arXiv:2002.05709)."""

import keras
from keras import layers, ops

from vislearn.losses.ntxent import nt_xent


class ContrastiveObjective:
    """SimCLR: two views of a picture have similar projections, those of other pictures others.

    Chen et al. 2020, "A Simple Framework for Contrastive Learning of Visual Representations",
    arXiv:2002.05709, Algorithm 1: the network f gives features h, a small network g projects them
    to z, on which the loss is; h is what is used afterwards, for g forgets what the views do not
    share (section 4.2). The other pictures are those of the batch, so that large batches teach
    more (section 5.2).

    Args:
        network: A model built with `num_classes=0`.
        temperature: Of the loss; 0.5 serves for CIFAR-10 (appendix B.9).
        projection: Size of z.

    Attributes:
        networks: `(g,)`: a dense layer as wide as h, ReLU, and a dense layer.

    Raises:
        ValueError: If the network gives anything but `(batch, features)`, or an argument is out of
            range.
    """

    parts = ("nt_xent",)

    def __init__(self, network: keras.Model, temperature: float = 0.5, projection: int = 128):
        if temperature <= 0:
            raise ValueError(f"temperature={temperature!r} must be positive.")
        if projection < 1:
            raise ValueError(f"projection={projection!r} must be at least 1.")
        check_features(network)
        self.temperature = temperature
        features = network.output_shape[-1]
        projector = [
            keras.Input((features,)),
            layers.Dense(features, activation="relu", name="projection_dense1"),
            layers.Dense(projection, dtype="float32", name="projection_dense2"),
        ]
        self.networks = (keras.Sequential(projector, name="projection"),)

    def forward(self, network, x, *, seed_generator, training: bool):
        """The projections of all views.

        Args:
            network: The model f.
            x: Two views of each picture, `(batch, 2, height, width, channels)`, 0..255.
            seed_generator: Not used: the views are drawn where the pictures are read.
            training: Whether layers behave as in training.

        Returns:
            `(batch, 2, projection)`.
        """
        del seed_generator
        # Both in one batch, so that batch normalisation has the statistics of both.
        h = network(ops.reshape(x, (-1, *x.shape[2:])), training=training)  # (2 batch, features)
        z = self.networks[0](h, training=training)
        return ops.reshape(z, (-1, 2, z.shape[-1]))

    def loss(self, y, outputs) -> dict:
        """NT-Xent, the mean over the views of the batch.

        Args:
            y: Not used: the views are each other's target.
            outputs: What `forward` returns.
        """
        del y
        return {"nt_xent": nt_xent(outputs[:, 0], outputs[:, 1], temperature=self.temperature)}


def check_features(network: keras.Model) -> None:
    """Sees that a network gives features, which a head can be put on.

    Raises:
        ValueError: If it gives anything but `(batch, features)`.
    """
    if len(network.output_shape) != 2:
        raise ValueError(
            f"{network.name} gives {network.output_shape}, not (batch, features): build it with "
            "num_classes=0."
        )
