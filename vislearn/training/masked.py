"""What a masked autoencoder minimises (arXiv:2111.06377)."""

import functools

import keras
from keras import ops

from vislearn.layers import ClassToken, PositionEmbedding
from vislearn.layers.transformer import dense, layer_norm
from vislearn.models.classification.vit import attention_branch, mlp_branch, softmax_attention
from vislearn.ops.gather import gather_rows
from vislearn.ops.windows import partition_windows


class MaskedObjective:
    """MAE: the pixels of patches that are hidden from the network.

    He et al. 2022, "Masked Autoencoders Are Scalable Vision Learners", arXiv:2111.06377: the
    network's blocks see the class token and the visible patches only, which is what makes it cheap;
    a small decoder gets their tokens, and one learned token in the place of each hidden patch, and
    gives pixels. Positions are learned in both, where the paper has fixed sines.

    Args:
        network: A vision transformer, built with `num_classes=0`.
        masked: Share of the patches that are hidden, drawn anew for each picture.
        decoder_depth: Blocks of the decoder; a few do as well as many (Table 1a).
        decoder_dim: Size of its tokens, 32 to the attention head; None for half of the network's.
        normalize: Whether each patch is brought to mean 0 and deviation 1 before it is compared
            (section 3, and Table 1d).

    Attributes:
        networks: `(embedding, decoder)`.

    Raises:
        ValueError: If the network has no blocks that all see the same patches, or if an argument is
            out of range.
    """

    parts = ("patch_mse",)

    def __init__(
        self,
        network: keras.Model,
        masked: float = 0.75,
        decoder_depth: int = 4,
        decoder_dim: int | None = None,
        normalize: bool = True,
    ):
        positions = _positions(network)
        rows, columns = positions.grid
        height, width, channels = network.input_shape[1:]
        self.patch = (height // rows, width // columns)
        self.patches, dim = rows * columns, positions.output.shape[-1]
        self.visible = self.patches - round(masked * self.patches)
        if not 0 < self.visible < self.patches:
            raise ValueError(f"masked={masked!r} leaves {self.visible} of {self.patches} patches.")
        if decoder_depth < 1:
            raise ValueError(f"decoder_depth={decoder_depth!r} must be at least 1.")
        decoder_dim = dim // 2 if decoder_dim is None else decoder_dim
        num_heads = max(1, decoder_dim // 32)
        if decoder_dim < 1 or decoder_dim % num_heads:
            raise ValueError(
                f"decoder_dim={decoder_dim!r} must be a positive multiple of its {num_heads} heads."
            )
        self.normalize = normalize
        self.stem = keras.Model(network.input, positions.output)
        self.encoder = _on_tokens(network, positions, 1 + self.visible)

        tokens = keras.Input((1 + self.visible, dim))
        x = dense(tokens, decoder_dim, name="decoder_embedding")
        x = ClassToken(name="decoder_mask_token")(x)  # (batch, 2 + visible, decoder dim)
        embedding = keras.Model(tokens, x, name="decoder_tokens")

        tokens = keras.Input((1 + self.patches, decoder_dim))
        x = PositionEmbedding(positions.grid, name="decoder_position_embedding")(tokens)
        attend = functools.partial(softmax_attention, num_heads=num_heads)
        for index in range(1, decoder_depth + 1):
            x = attention_branch(x, attend, name=f"decoder_block{index}")
            x = mlp_branch(x, 4.0, dropout=0.0, name=f"decoder_block{index}")
        x = layer_norm(x, name="decoder_norm")[:, 1:]  # (batch, patches, decoder dim)
        pixels = self.patch[0] * self.patch[1] * channels
        x = dense(x, pixels, dtype="float32", name="decoder_pixels")
        self.networks = (embedding, keras.Model(tokens, x, name="decoder"))

    def forward(self, network, x, *, seed_generator, training: bool):
        """Hides patches, and lets network and decoder fill them in.

        Args:
            network: Not used: `stem` and `encoder` are its own layers.
            x: Pictures `(batch, height, width, channels)`, 0..255.
            seed_generator: For the patches that are hidden.
            training: Whether layers behave as in training.

        Returns:
            The pixels of the hidden patches as they are found and as they are, each
            `(batch, hidden, rows * columns * channels)`, float32.
        """
        del network
        order, rank = random_order(ops.shape(x)[0], self.patches, seed_generator)
        hidden = order[:, self.visible :]  # The visible ones come first.
        first = ops.zeros_like(order[:, :1])

        tokens = self.stem(x, training=training)  # (batch, 1 + patches, dim)
        seen = ops.concatenate([first, order[:, : self.visible] + 1], axis=1)
        tokens = self.encoder(gather_rows(tokens, seen), training=training)

        embedding, decoder = self.networks
        tokens = embedding(tokens, training=training)  # The mask's, the class's, the visible ones.
        rows = ops.where(rank < self.visible, rank + 2, 0)
        rows = ops.concatenate([first + 1, rows], axis=1)  # (batch, 1 + patches)
        found = decoder(gather_rows(tokens, rows), training=training)
        return gather_rows(found, hidden), gather_rows(self.targets(x), hidden)

    def targets(self, images):
        """What is to be found: the patches row by row, of pixels 0..1 or normalised.

        Args:
            images: `(batch, height, width, channels)`, 0..255.

        Returns:
            `(batch, patches, rows * columns * channels)`, float32.
        """
        patches = pixel_patches(images, self.patch)
        if not self.normalize:
            return patches
        patches = patches - ops.mean(patches, axis=-1, keepdims=True)
        variance = ops.mean(ops.square(patches), axis=-1, keepdims=True)
        return patches * ops.rsqrt(variance + 1e-6)  # A patch of one colour is all 0.

    def loss(self, y, outputs) -> dict:
        """The mean squared error, over the pixels of hidden patches.

        Args:
            y: Not used: the pictures are their own target.
            outputs: What `forward` returns.
        """
        del y
        found, patches = outputs
        return {"patch_mse": ops.mean(ops.square(ops.cast(found, "float32") - patches))}


def random_order(batch, count: int, seed_generator):
    """An order of the patches for each picture.

    Returns:
        The patches in their order and the place of each patch in it, both `(batch, count)`.
    """
    order = ops.argsort(keras.random.uniform((batch, count), seed=seed_generator), axis=1)
    return order, ops.argsort(order, axis=1)


def pixel_patches(images, patch: tuple[int, int]):
    """The patches of images, row by row.

    Args:
        images: `(batch, height, width, channels)`, 0..255.
        patch: Its rows and columns, which divide the image's.

    Returns:
        `(batch, patches, rows * columns * channels)`, float32, 0..1.
    """
    height, width, channels = images.shape[1:]
    count = (height // patch[0]) * (width // patch[1])
    pixels = partition_windows(ops.cast(images, "float32") / 255.0, patch)
    return ops.reshape(pixels, (-1, count, patch[0] * patch[1] * channels))


def _positions(network: keras.Model) -> PositionEmbedding:
    """The layer after which patches are tokens on their own, none bound to a place in an array.

    Raises:
        ValueError: If there is none, or if the blocks after it make other patches.
    """
    found = [layer for layer in network.layers if isinstance(layer, PositionEmbedding)]
    blocks = [layer for layer in network.layers if layer.name.endswith("_out")]
    whole = bool(found) and found[0].grid is not None and bool(blocks)
    if not whole or any(block.output.shape != found[0].output.shape for block in blocks):
        raise ValueError(
            f"method='mae': the blocks of {network.name} do not take any choice of patches, as "
            "those of a vision transformer such as vit_small_patch16 do; method='simmim' is for "
            "networks with feature maps, 'simclr' for every classifier."
        )
    return found[0]


def _on_tokens(network: keras.Model, positions: PositionEmbedding, count: int) -> keras.Model:
    """What follows after the positions, up to the last normalisation, for another token count.

    The layers are the network's own, and so are their weights.
    """
    rest = keras.Model(positions.output, network.get_layer("norm").output)
    tokens = keras.Input((count, positions.output.shape[-1]), dtype=positions.compute_dtype)
    return keras.models.clone_model(rest, input_tensors=tokens, clone_function=lambda layer: layer)
