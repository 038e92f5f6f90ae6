"""Radial basis functions (Broomhead and Lowe 1988)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class RadialBasis(keras.layers.Layer):
    """How near the input is to each of some learned centres, by Gaussians.

    `h_j(x) = exp(-(|x - c_j| / s_j)^2 / features)`, where the centres c and the widths s are
    learned. Dividing by the number of features makes a width of 1 right for inputs of any size
    whose values differ by about 1, so that no unit starts dead. Distances are computed in float32
    also under mixed precision, since they are small differences of large numbers.

    Args:
        units: Number of centres.
        center_initializer: Keras initialiser of the centres; the default spreads them over the
            values 0..1. `place_centers` puts them on examples instead.
        width: Initial width, in the units of the input.

    Shape: `(batch, features)` to `(batch, units)`, values 0..1.

    Raises:
        ValueError: If `units` or `width` is out of range, or if the input is not `(batch,
            features)`.
    """

    def __init__(self, units: int, center_initializer=None, width: float = 0.5, **kwargs):
        super().__init__(**kwargs)
        if units < 1:
            raise ValueError(f"units={units!r} must be at least 1.")
        if width <= 0:
            raise ValueError(f"width={width!r} must be positive.")
        self.units = units
        self.center_initializer = keras.initializers.get(
            center_initializer or keras.initializers.RandomUniform(0.0, 1.0)
        )
        self.width = width

    def build(self, input_shape):
        if len(input_shape) != 2:
            raise ValueError(
                f"RadialBasis takes (batch, features), and got the shape {input_shape}."
            )
        # autocast=False keeps the variables in float32 under mixed precision.
        self.centers = self.add_weight(
            (self.units, input_shape[-1]),
            initializer=self.center_initializer,
            autocast=False,
            name="centers",
        )
        self.widths = self.add_weight(
            (self.units,),
            initializer=keras.initializers.Constant(self.width),
            autocast=False,
            name="widths",
        )

    def place_centers(self, examples) -> None:
        """Puts the centres on the given examples, as the paper does.

        Args:
            examples: `(units, features)`, inputs of this layer.

        Raises:
            ValueError: If the shape is another.
        """
        if tuple(examples.shape) != tuple(self.centers.shape):
            raise ValueError(
                f"examples of the shape {tuple(examples.shape)} can't be the centres: "
                f"{tuple(self.centers.shape)} are needed."
            )
        self.centers.assign(examples)

    def call(self, inputs):
        x = ops.cast(inputs, "float32")
        # |x - c|^2 = |x|^2 - 2 x.c + |c|^2, which needs no (batch, units, features) tensor.
        distances = (
            ops.sum(ops.square(x), axis=-1, keepdims=True)
            - 2.0 * ops.matmul(x, ops.transpose(self.centers))
            + ops.sum(ops.square(self.centers), axis=-1)
        )  # (batch, units)
        scale = self.centers.shape[-1] * ops.square(self.widths)
        # Rounding may leave a distance of -1e-6.
        return ops.cast(ops.exp(-ops.maximum(distances, 0.0) / scale), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.units)

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "center_initializer": keras.initializers.serialize(self.center_initializer),
            "width": self.width,
        }
