"""Networks of fully connected layers: the perceptron, maxout, radial basis functions.

- Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors", Nature
  1986. ReLU in place of the sigmoid.
- Goodfellow et al., "Maxout Networks", ICML 2013, arXiv:1302.4389: the permutation-invariant MNIST
  network (section 5.1). The column norms of the weights are not constrained here.
- Broomhead and Lowe, "Multivariable Functional Interpolation and Adaptive Networks", Complex
  Systems 1988. Centres and widths are trained with the rest; the paper keeps them fixed and solves
  for the last layer.

Parameters for 28x28x1 pixels and 10 classes:

    mlp          784 * 256 + 256  +  256 * 84 + 84  +  84 * 10 + 10           =   223,398
    maxout_mlp   (784 * 240 + 240) * 5  +  (240 * 240 + 240) * 5  +  240 * 10 + 10 = 1,233,610
    rbf_network  100 * 784 + 100  +  100 * 10 + 10                            =    79,510
"""

import functools

import keras
from keras import layers

from vislearn import activations
from vislearn.layers import Maxout, RadialBasis, classification_head, preprocess
from vislearn.registry import Paper, register

BACKPROPAGATION = Paper(
    "Learning representations by back-propagating errors",
    "David E. Rumelhart, Geoffrey E. Hinton, Ronald J. Williams",
    1986,
    "https://doi.org/10.1038/323533a0",
)
MAXOUT = Paper(
    "Maxout Networks",
    "Ian J. Goodfellow, David Warde-Farley, Mehdi Mirza, Aaron Courville, Yoshua Bengio",
    2013,
    "https://arxiv.org/abs/1302.4389",
)
RADIAL_BASIS = Paper(
    "Multivariable Functional Interpolation and Adaptive Networks",
    "David S. Broomhead, David Lowe",
    1988,
    "https://www.complex-systems.com/abstracts/v02_i03_a05/",
)

counted = functools.partial(
    register,
    family="mlp",
    input_shape=(28, 28, 1),
    num_classes=10,
    reference="counted from the layer table",
)
TINY = {"input_shape": (8, 8, 1), "num_classes": 5}


@counted(
    "mlp",
    paper=BACKPROPAGATION,
    reference_params=223_398,
    tiny={**TINY, "units": (32, 16)},
)
def mlp(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="mlp",
    units=(256, 84),
    activation="relu",
    kernel_initializer="he_normal",
    dropout=0.0,
    input_dropout=0.0,
    max_norm=None,
) -> keras.Model:
    """A multi-layer perceptron.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        units: Outputs of each hidden layer.
        activation: Activation of the hidden layers: a name of Keras or of `vislearn.activations`.
        kernel_initializer: Keras initialiser of their weights; see `vislearn.initializers`.
        dropout: Rate at which hidden units are dropped in training.
        input_dropout: Rate at which pixels are dropped in training.
        max_norm: Largest norm of a hidden unit's incoming weights, kept after each step (Srivastava
            et al. 2014, section 5.1, who constrain dropout so); None for no limit.

    Raises:
        ValueError: If an argument is out of range.
    """
    if max_norm is not None and not max_norm > 0:
        raise ValueError(f"max_norm={max_norm!r} must be positive, or None.")
    limit = None if max_norm is None else keras.constraints.MaxNorm(max_norm)

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Flatten(name="flatten")(x)
    if input_dropout:
        x = layers.Dropout(input_dropout, name="dropout0")(x)
    for index, outputs in enumerate(units, start=1):
        x = layers.Dense(
            outputs,
            activations.get(activation),
            kernel_initializer=kernel_initializer,
            kernel_constraint=limit,
            name=f"dense{index}",
        )(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout{index}")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@counted(
    "maxout_mlp",
    paper=MAXOUT,
    reference_params=1_233_610,
    tiny={**TINY, "units": (16, 16), "pieces": 3},
)
def maxout_mlp(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="maxout_mlp",
    units=(240, 240),
    pieces=5,
    input_dropout=0.2,
    dropout=0.5,
) -> keras.Model:
    """Two maxout layers, trained with dropout, which maxout was made for.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        units: Outputs of each hidden layer.
        pieces: Linear functions that each output takes the maximum of.
        input_dropout: Rate at which pixels are dropped in training.
        dropout: Rate at which hidden units are dropped in training.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Flatten(name="flatten")(x)
    if input_dropout:
        x = layers.Dropout(input_dropout, name="dropout0")(x)
    for index, outputs in enumerate(units, start=1):
        x = Maxout(outputs, pieces, name=f"maxout{index}")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"dropout{index}")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


@counted(
    "rbf_network",
    paper=RADIAL_BASIS,
    reference_params=79_510,
    tiny={**TINY, "units": 32},
)
def rbf_network(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="unit",
    name="rbf_network",
    units=100,
) -> keras.Model:
    """Gaussians around learned centres, and a linear classifier on them.

    `model.get_layer("radial_basis").place_centers(examples)` puts the centres on training images,
    as the paper does; from random centres the network learns too, more slowly.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        units: Number of centres.

    Raises:
        ValueError: If an argument is out of range.
    """
    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = layers.Flatten(name="flatten")(x)
    x = RadialBasis(units, name="radial_basis")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
