"""Style and noise in a generator (Karras et al. 2019, "StyleGAN", arXiv:1812.04948)."""

import keras
from keras import ops


@keras.saving.register_keras_serializable("vislearn")
class AdaptiveInstanceNormalization(keras.layers.Layer):
    """Normalises each channel of each image, and gives it the scale and shift of a style.

    `y_s (x - mean(x)) / deviation(x) + y_b`, equation 1 of the paper (equation 8 of Huang and
    Belongie 2017, arXiv:1703.06868), where scale and shift are a learned affine map of the style,
    which starts around scale 1 and shift 0.

    Args:
        epsilon: Added to the variance.

    Shape: `[images, styles]`, `(batch, height, width, channels)` and `(batch, size)`, to `(batch,
        height, width, channels)`.

    Raises:
        ValueError: If `epsilon` is not positive, or the inputs have other ranks.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        if epsilon <= 0:
            raise ValueError(f"epsilon={epsilon!r} must be positive.")
        self.epsilon = epsilon

    def build(self, input_shape):
        image, style = input_shape
        if len(image) != 4 or len(style) != 2:
            raise ValueError(
                "AdaptiveInstanceNormalization takes (batch, height, width, channels) and (batch, "
                f"size), and got {image} and {style}."
            )
        channels = image[-1]
        self.kernel = self.add_weight(
            (style[-1], 2 * channels), initializer="glorot_uniform", name="kernel"
        )
        self.bias = self.add_weight((2 * channels,), initializer="zeros", name="bias")

    def call(self, inputs):
        x, style = inputs
        style = ops.matmul(style, self.kernel) + self.bias
        # (batch, 1, 1, channels) each.
        scale, shift = ops.split(ops.cast(style, "float32")[:, None, None], 2, axis=-1)
        wide = ops.cast(x, "float32")
        mean = ops.mean(wide, axis=(1, 2), keepdims=True)
        variance = ops.mean(ops.square(wide - mean), axis=(1, 2), keepdims=True)
        normal = (wide - mean) * ops.rsqrt(variance + self.epsilon)
        return ops.cast((1.0 + scale) * normal + shift, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def get_config(self):
        return {**super().get_config(), "epsilon": self.epsilon}


@keras.saving.register_keras_serializable("vislearn")
class NoiseInjection(keras.layers.Layer):
    """Adds one image of noise to all channels, each with a learned weight (section 2, "B").

    The weights start at zero, so that a generator begins without noise.

    Args:
        seed: Seed of the noise, where none is given.

    Shape: `(batch, height, width, channels)`, unchanged, for standard normal noise, in inference
        too; or `[images, noise]` with noise `(batch, height, width, 1)`, for pictures that repeat
        and for the export, which knows no random numbers.
    """

    def __init__(self, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def build(self, input_shape):
        image = input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape
        self.gain = self.add_weight((image[-1],), initializer="zeros", name="gain")

    def call(self, inputs):
        if isinstance(inputs, list | tuple):
            x, noise = inputs
        else:
            x, shape = inputs, (*ops.shape(inputs)[:3], 1)
            noise = keras.random.normal(shape, dtype=x.dtype, seed=self.seed_generator)
        return x + self.gain * noise

    def compute_output_shape(self, input_shape):
        return input_shape[0] if isinstance(input_shape[0], list | tuple) else input_shape

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}
