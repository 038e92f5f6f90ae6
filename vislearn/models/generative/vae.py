"""Variational autoencoders.

Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114.

`vae` is the network of the paper's MNIST experiments: perceptrons with one hidden layer of 500 tanh
units (section 5 and appendix C); 20 latent variables, one of the sizes of Figure 2. `conv_vae` puts
strided convolutions in their place: kernel 4, stride 2 and a hidden layer of 256, as Burgess et
al., "Understanding disentangling in beta-VAE", arXiv:1804.03599, appendix A; the filters double
where the size is halved, as the paper's stay at 32.

The decoder answers logits: their sigmoid is the mean of each pixel in 0..1, also under a Gaussian
likelihood, so that a reconstruction is a picture whatever the loss is.

Parameters:

    vae       784 * 500 + 500  +  2 * (500 * 20 + 20)  +  20 * 500 + 500  +  500 * 784 + 784
              = 815,824
    conv_vae  convolutions 16 * (3 * 32 + 32 * 64 + 64 * 128) + 224
              + 2048 * 256 + 256  +  2 * (256 * 128 + 128)
              + 128 * 256 + 256  +  256 * 2048 + 2048
              + transposed convolutions 16 * (128 * 64 + 64 * 32 + 32 * 3) + 99
              = 1,480,771
"""

import keras
from keras import layers

from vislearn.layers import preprocess
from vislearn.layers.sampling import GaussianSample
from vislearn.registry import Paper, register

VAE = Paper(
    "Auto-Encoding Variational Bayes",
    "Diederik P. Kingma, Max Welling",
    2013,
    "https://arxiv.org/abs/1312.6114",
)


@register(
    "vae",
    paper=VAE,
    family="vae",
    task="generation",
    input_shape=(28, 28, 1),
    num_classes=0,
    reference_params=815_824,
    reference="counted from the layer table",
    tiny={"input_shape": (8, 8, 1), "num_classes": 0, "hidden": 32, "latent": 4},
)
def vae(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="vae",
    hidden=500,
    latent=20,
) -> keras.Model:
    """Encoder and decoder with one hidden layer each (appendix C of the paper).

    Args:
        input_shape, preprocessing, name: See `create_model`.
        num_classes: 0: the network has no classes.
        classifier_activation: None: it has no classifier.
        hidden: Units of the hidden layers.
        latent: Latent variables.

    Returns:
        A model from `(batch, height, width, channels)` to a dictionary: `reconstruction`, logits of
        the shape of the image; `mean` and `log_variance` of the code, `(batch, latent)`. All are
        float32. The layer `latent` gives the code that is decoded.

    Raises:
        ValueError: If an argument is out of range.
    """
    _check(num_classes, classifier_activation, hidden=hidden, latent=latent)
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Flatten(name="encoder_flatten")(x)
    x = layers.Dense(hidden, "tanh", name="encoder_hidden")(x)
    mean, log_variance, x = code(x, latent)
    x = layers.Dense(hidden, "tanh", name="decoder_hidden")(x)
    height, width, channels = input_shape
    x = layers.Dense(height * width * channels, dtype="float32", name="decoder_pixels")(x)
    x = layers.Reshape(input_shape, dtype="float32", name="reconstruction")(x)
    outputs = {"reconstruction": x, "mean": mean, "log_variance": log_variance}
    return keras.Model(inputs, outputs, name=name)


@register(
    "conv_vae",
    paper=VAE,
    family="vae",
    task="generation",
    input_shape=(32, 32, 3),
    num_classes=0,
    reference_params=1_480_771,
    reference="counted from the layer table",
    tiny={"input_shape": (16, 16, 3), "num_classes": 0, "width": 8, "hidden": 32, "latent": 4},
)
def conv_vae(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="conv_vae",
    width=32,
    hidden=256,
    latent=128,
) -> keras.Model:
    """Encoder and decoder of convolutions that halve and double the size.

    The size is halved as long as both sides are even and at least 4 remain: 32 to 4, 28 to 7.

    Args:
        input_shape, preprocessing, name: See `create_model`.
        num_classes: 0: the network has no classes.
        classifier_activation: None: it has no classifier.
        width: Filters of the first convolution; each further one doubles them.
        hidden: Units of the layer between the convolutions and the code, on either side.
        latent: Latent variables.

    Returns:
        A model as that of `vae`.

    Raises:
        ValueError: If an argument is out of range, or if the size can't be halved once.
    """
    _check(num_classes, classifier_activation, width=width, hidden=hidden, latent=latent)
    stages = halvings(input_shape)
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    for stage in range(stages):
        x = layers.Conv2D(
            width * 2**stage,
            4,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"encoder_conv{stage + 1}",
        )(x)
    smallest = x.shape[1:]
    x = layers.Flatten(name="encoder_flatten")(x)
    x = layers.Dense(hidden, "relu", kernel_initializer="he_normal", name="encoder_hidden")(x)
    mean, log_variance, x = code(x, latent)
    x = layers.Dense(hidden, "relu", kernel_initializer="he_normal", name="decoder_hidden")(x)
    units = smallest[0] * smallest[1] * smallest[2]
    x = layers.Dense(units, "relu", kernel_initializer="he_normal", name="decoder_expand")(x)
    x = layers.Reshape(smallest, name="decoder_reshape")(x)
    for stage in reversed(range(1, stages)):
        x = layers.Conv2DTranspose(
            width * 2 ** (stage - 1),
            4,
            strides=2,
            padding="same",
            activation="relu",
            kernel_initializer="he_normal",
            name=f"decoder_conv{stage + 1}",
        )(x)
    x = layers.Conv2DTranspose(
        input_shape[2], 4, strides=2, padding="same", dtype="float32", name="reconstruction"
    )(x)
    outputs = {"reconstruction": x, "mean": mean, "log_variance": log_variance}
    return keras.Model(inputs, outputs, name=name)


def code(x, latent: int):
    """From features `(batch, units)` to mean, log-variance and sample of the code, in float32."""
    mean = layers.Dense(latent, dtype="float32", name="mean")(x)
    log_variance = layers.Dense(latent, dtype="float32", name="log_variance")(x)
    return mean, log_variance, GaussianSample(dtype="float32", name="latent")([mean, log_variance])


def halvings(input_shape, smallest: int = 4) -> int:
    """How often both sides can be halved without a remainder and not below `smallest`.

    Raises:
        ValueError: If not even once.
    """
    height, width, _ = input_shape
    count = 0
    while height % 2 == width % 2 == 0 and min(height, width) // 2 >= smallest:
        height, width, count = height // 2, width // 2, count + 1
    if count == 0:
        raise ValueError(
            f"input_shape={tuple(input_shape)!r}: height and width must be even, and at least "
            f"{2 * smallest}."
        )
    return count


def _check(num_classes, classifier_activation, **sizes) -> None:
    if num_classes != 0:
        raise ValueError(f"num_classes={num_classes!r} must be 0: the network has no classes.")
    if classifier_activation is not None:
        raise ValueError(
            f"classifier_activation={classifier_activation!r} must be None: there is no classifier."
        )
    for argument, value in sizes.items():
        if value < 1:
            raise ValueError(f"{argument}={value!r} must be at least 1.")


def encoder(model: keras.Model) -> keras.Model:
    """The part of a variational autoencoder from pixels to `{"mean", "log_variance"}`.

    Its layers are those of `model`.
    """
    outputs = {name: model.output[name] for name in ("mean", "log_variance")}
    return keras.Model(model.input, outputs, name=f"{model.name}_encoder")


def decoder(model: keras.Model) -> keras.Model:
    """The part of a variational autoencoder from the code `(batch, latent)` to logits of pixels.

    Its layers are those of `model`.
    """
    names = [layer.name for layer in model.layers]
    latent = model.get_layer("latent")
    x = inputs = keras.Input(latent.output.shape[1:], name="latent")
    # Keras sorts layers by depth, and what follows the code is a chain.
    for layer in model.layers[names.index("latent") + 1 :]:
        x = layer(x)
    return keras.Model(inputs, x, name=f"{model.name}_decoder")


def pixels(logits):
    """From the decoder's logits to uint8 pictures of the same shape."""
    from keras import ops

    return ops.cast(ops.round(255.0 * ops.sigmoid(ops.cast(logits, "float32"))), "uint8")


def sample(decoder: keras.Model, noise):
    """Pictures for codes drawn from the prior.

    Args:
        decoder: What `decoder(model)` returned.
        noise: `(batch, latent)`, standard normal.

    Returns:
        `(batch, height, width, channels)`, uint8.
    """
    return pixels(decoder(noise, training=False))


def reconstruct(model: keras.Model, images):
    """Pictures as the autoencoder sees them, from the mean of their codes.

    Args:
        model: A variational autoencoder.
        images: `(batch, height, width, channels)`, 0..255.

    Returns:
        The same shape, uint8.
    """
    from keras import ops

    outputs = model(ops.cast(images, "float32"), training=False)
    return pixels(outputs["reconstruction"])


def interpolate(model: keras.Model, first, second, steps: int = 8):
    """Pictures on the straight way between the codes of two pictures.

    Args:
        model: A variational autoencoder.
        first, second: `(height, width, channels)`, 0..255.
        steps: Number of pictures, with the reconstructions of both ends.

    Returns:
        `(steps, height, width, channels)`, uint8.

    Raises:
        ValueError: If there are less than two steps.
    """
    from keras import ops

    if steps < 2:
        raise ValueError(f"steps={steps!r} must be at least 2, for both ends.")
    ends = ops.stack([ops.cast(first, "float32"), ops.cast(second, "float32")])
    codes = encoder(model)(ends, training=False)["mean"]  # (2, latent)
    share = ops.reshape(ops.linspace(0.0, 1.0, steps), (steps, 1))
    return sample(decoder(model), (1.0 - share) * codes[:1] + share * codes[1:])
