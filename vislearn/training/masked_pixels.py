"""What a network of feature maps minimises that fills in pictures (arXiv:2111.09886)."""

import keras
from keras import ops

from vislearn.layers.transformer import dense
from vislearn.ops.gather import gather_rows
from vislearn.training.masked import pixel_patches, random_order
from vislearn.training.transfer import endpoints


class MaskedPixelsObjective:
    """SimMIM: the pixels of squares that are grey in what the network sees.

    Xie et al. 2022, "SimMIM: A Simple Framework for Masked Image Modeling", arXiv:2111.09886: a
    linear layer on the last feature map gives the pixels that each of its cells stands for, and the
    absolute error of those that were hidden is the loss. What is hidden is a cell of that map, as
    in the paper (32 of 192 pixels); it is grey here, where the paper learns a token.

    Args:
        network: A model with feature maps, built with `num_classes=0`.
        masked: Share of the cells that are hidden, drawn anew for each picture.

    Attributes:
        networks: `(head,)`.

    Raises:
        ValueError: If the network has no feature map that divides the image, or if an argument is
            out of range.
    """

    parts = ("pixel_mae",)

    def __init__(self, network: keras.Model, masked: float = 0.6):
        last = network.get_layer(endpoints(network)[-1])
        if len(last.output.shape) != 4:
            raise ValueError(
                f"method='simmim': {network.name} has tokens and no feature maps; method='mae' is "
                "for vision transformers."
            )
        (height, width, channels), grid = network.input_shape[1:], last.output.shape[1:3]
        if height % grid[0] or width % grid[1]:
            raise ValueError(
                f"method='simmim': the last feature map of {network.name}, {grid[0]} x {grid[1]}, "
                f"does not divide the image, {height} x {width}."
            )
        self.cell, self.cells = (height // grid[0], width // grid[1]), grid[0] * grid[1]
        self.grid = grid
        self.hidden = round(masked * self.cells)
        if not 0 < self.hidden < self.cells:
            raise ValueError(f"masked={masked!r} hides {self.hidden} of {self.cells} cells.")
        self.maps = keras.Model(network.input, last.output)
        features = keras.Input(last.output.shape[1:])
        pixels = self.cell[0] * self.cell[1] * channels
        found = dense(features, pixels, dtype="float32", name="pixels")
        self.networks = (keras.Model(features, found, name="pixels"),)

    def forward(self, network, x, *, seed_generator, training: bool):
        """Greys cells out, and lets the network find them.

        Args:
            network: Not used: `maps` are its own layers.
            x: Pictures `(batch, height, width, channels)`, 0..255.
            seed_generator: For the cells that are hidden.
            training: Whether layers behave as in training.

        Returns:
            The pixels of the hidden cells as they are found and as they are, 0..1, each
            `(batch, hidden, rows * columns * channels)`, float32.
        """
        del network
        order, rank = random_order(ops.shape(x)[0], self.cells, seed_generator)
        hidden = ops.reshape(rank < self.hidden, (-1, *self.grid, 1))
        for axis, pixels in enumerate(self.cell, start=1):
            hidden = ops.repeat(hidden, pixels, axis=axis)  # to (batch, height, width, 1)
        seen = ops.where(hidden, 127.5, ops.cast(x, "float32"))
        found = self.networks[0](self.maps(seen, training=training), training=training)
        found = ops.reshape(found, (-1, self.cells, found.shape[-1]))
        chosen = order[:, : self.hidden]
        return gather_rows(found, chosen), gather_rows(pixel_patches(x, self.cell), chosen)

    def loss(self, y, outputs) -> dict:
        """The mean absolute error, over the pixels of hidden cells.

        Args:
            y: Not used: the pictures are their own target.
            outputs: What `forward` returns.
        """
        del y
        found, there = outputs
        return {"pixel_mae": ops.mean(ops.abs(found - there))}
