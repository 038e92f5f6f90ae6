"""Generative adversarial networks of convolutions.

Radford, Metz and Chintala, "Unsupervised Representation Learning with Deep Convolutional Generative
Adversarial Networks", ICLR 2016, arXiv:1511.06434.

Figure 1 and section 3: no pooling, batch normalisation everywhere but in the generator's last and
the discriminator's first layer, ReLU and tanh in the generator, LeakyReLU of slope 0.2 in the
discriminator, weights from N(0, 0.02). What the paper leaves open follows its authors' code
(github.com/Newmu/dcgan_code): kernels of 5, no biases, gains of batch norm from N(1, 0.02), 128
filters in the discriminator's first layer. What differs from that code: noise is standard normal
rather than uniform, and training knows no weight decay.

A model is registered as its generator; `part="discriminator"` builds the other half.

Parameters, with batch-norm statistics, at 64x64x3:

    generator      100 * 16384  +  25 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
                   + 4 * (16384 + 512 + 256 + 128)                                = 18,920,320
    discriminator  25 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
                   + 4 * (256 + 512 + 1024)  +  16384                             = 17,236,352
"""

import keras
from keras import layers

from vislearn import backend
from vislearn.layers import BatchNormalization
from vislearn.models.generative.vae import halvings
from vislearn.registry import Paper, register

DCGAN = Paper(
    "Unsupervised Representation Learning with Deep Convolutional Generative Adversarial Networks",
    "Alec Radford, Luke Metz, Soumith Chintala",
    2015,
    "https://arxiv.org/abs/1511.06434",
)

PARTS = ("generator", "discriminator")


def batch_norm(x, *, name):
    """Batch normalisation with the gains of the authors' code."""
    gains = keras.initializers.RandomNormal(1.0, 0.02)
    return BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gains, name=name)(x)


def small() -> keras.initializers.Initializer:
    """The paper's N(0, 0.02)."""
    return keras.initializers.RandomNormal(0.0, 0.02)


@register(
    "dcgan",
    paper=DCGAN,
    family="gan",
    task="generation",
    input_shape=(64, 64, 3),
    num_classes=0,
    reference_params=18_920_320,
    reference="counted from the layer table",
    tiny={"input_shape": (16, 16, 3), "num_classes": 0, "width": 8, "latent": 8},
)
def dcgan(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing=None,
    name="dcgan",
    part="generator",
    latent=100,
    width=128,
    kernel_size=5,
) -> keras.Model:
    """The generator or the discriminator of a DCGAN (Figure 1 of the paper).

    The size is halved as long as both sides are even and at least 4 remain, so 64 pixels take four
    convolutions on either side, 32 three, and 28 two.

    Args:
        input_shape: Shape of the pictures: what the generator makes and the discriminator sees.
        num_classes: 0: the networks have no classes.
        classifier_activation: None: the discriminator answers a logit.
        preprocessing: None: pictures are in -1..1.
        name: See `create_model`.
        part: `"generator"` or `"discriminator"`.
        latent: Length of the noise.
        width: Filters beside the picture; each halving of the size doubles them.
        kernel_size: Side of the kernels. With one that 2 divides, such as 4, all pixels get equally
            many contributions, which leaves fewer checkerboards.

    Returns:
        The generator from noise `(batch, latent)` to pictures `(batch, height, width, channels)` in
        -1..1, or the discriminator from such pictures to logits `(batch, 1)`, positive for real
        ones. Both answer in float32.

    Raises:
        ValueError: If an argument is out of range, or if the size can't be halved once.
    """
    if part not in PARTS:
        raise ValueError(f"part={part!r} must be one of {PARTS}.")
    for argument, value, allowed in (
        ("num_classes", num_classes, 0),
        ("classifier_activation", classifier_activation, None),
        ("preprocessing", preprocessing, None),
    ):
        if value != allowed:
            raise ValueError(f"{argument}={value!r} must be {allowed!r}: a DCGAN has none.")
    for argument, value in (("latent", latent), ("width", width), ("kernel_size", kernel_size)):
        if value < 1:
            raise ValueError(f"{argument}={value!r} must be at least 1.")
    widths = [width * 2**stage for stage in range(halvings(input_shape))]
    if part == "generator":
        return generator(input_shape, latent, widths, kernel_size, name)
    return discriminator(input_shape, widths, kernel_size, f"{name}_discriminator")


def generator(input_shape, latent, widths, kernel_size, name) -> keras.Model:
    """Noise to pictures: a projection, then transposed convolutions that double the size."""
    height, width, channels = input_shape
    scale = 2 ** len(widths)
    smallest = (height // scale, width // scale, widths[-1])

    def up(filters, name):
        return layers.Conv2DTranspose(
            filters,
            kernel_size,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=small(),
            name=name,
        )

    inputs = keras.Input((latent,), name="noise")
    units = smallest[0] * smallest[1] * smallest[2]
    x = layers.Dense(units, use_bias=False, kernel_initializer=small(), name="project")(inputs)
    x = batch_norm(x, name="project_bn")
    x = layers.ReLU(name="project_relu")(x)
    x = layers.Reshape(smallest, name="reshape")(x)
    for index, filters in enumerate(reversed(widths[:-1]), start=1):
        x = up(filters, name=f"conv{index}")(x)
        x = batch_norm(x, name=f"conv{index}_bn")
        x = layers.ReLU(name=f"conv{index}_relu")(x)
    x = up(channels, name=f"conv{len(widths)}")(x)
    x = layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(inputs, x, name=name)


def discriminator(input_shape, widths, kernel_size, name) -> keras.Model:
    """Pictures to logits: strided convolutions, then one linear unit."""
    x = inputs = keras.Input(input_shape, name="image")
    for index, filters in enumerate(widths, start=1):
        x = layers.Conv2D(
            filters,
            kernel_size,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=small(),
            name=f"conv{index}",
        )(x)
        if index > 1:
            x = batch_norm(x, name=f"conv{index}_bn")
        x = layers.LeakyReLU(0.2, name=f"conv{index}_relu")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(1, use_bias=False, kernel_initializer=small(), dtype="float32", name="logit")(
        x
    )
    return keras.Model(inputs, x, name=name)


def opponent(generator: keras.Model) -> keras.Model:
    """A new discriminator with the sizes, widths, kernels and precision of a DCGAN's generator.

    Raises:
        ValueError: If the generator ends in no transposed convolution.
    """
    last = generator.layers[-2]
    if not isinstance(last, layers.Conv2DTranspose):
        raise ValueError(f"generator={generator.name!r} is none that `dcgan` built.")
    with backend.precision(last.dtype_policy.name):
        return dcgan(
            input_shape=generator.output_shape[1:],
            num_classes=0,
            name=generator.name,
            part="discriminator",
            width=last.input.shape[-1],
            kernel_size=last.kernel_size[0],
        )


def pixels(images):
    """From pictures in -1..1 to uint8."""
    from keras import ops

    return ops.cast(ops.round(127.5 * (ops.cast(images, "float32") + 1.0)), "uint8")


def sample(generator: keras.Model, noise):
    """Pictures from noise.

    Args:
        generator: A DCGAN's generator.
        noise: `(batch, latent)`, standard normal.

    Returns:
        `(batch, height, width, channels)`, uint8.
    """
    return pixels(generator(noise, training=False))
