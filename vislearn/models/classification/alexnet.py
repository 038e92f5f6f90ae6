"""AlexNet, as it won ImageNet in 2012 and as it was simplified in 2014.

Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks",
NIPS 2012 (`alexnet_2012`); Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014, arXiv:1404.5997 (`alexnet`).

- `alexnet_2012` was trained on two GPUs, each of which held half of the filters: the second, fourth
  and fifth convolution see the half of their own GPU only, which is a convolution in two groups.
  The first two are followed by local response normalisation. The paper states an input of 224x224;
  its 55x55 outputs of the first layer and its 60 million weights follow from 227x227 without
  padding, which is what is built here. What differs: the average image that the paper subtracts is
  one colour here. 60,965,224 parameters:

      conv1  11 * 11 * 3 * 96 + 96 = 34,944,     conv2  5 * 5 * 48 * 256 + 256 = 307,456,
      conv3  3 * 3 * 256 * 384 + 384 = 885,120,  conv4  3 * 3 * 192 * 384 + 384 = 663,936,
      conv5  3 * 3 * 192 * 256 + 256 = 442,624,  dense1 6 * 6 * 256 * 4096 + 4096 = 37,752,832,
      dense2 4096 * 4096 + 4096 = 16,781,312,    head   4096 * 1000 + 1000 = 4,097,000

- `alexnet` is one tower of 64, 192, 384, 256 and 256 filters without normalisation, as torchvision
  has it (the paper has 384 filters also in the fourth): 61.1 million parameters, 0.71 G
  multiply-adds. Before the dense layers it is pooled to 6x6, so that any image of at least 63x63
  will do.
"""

import keras
from keras import layers

from vislearn.layers import (
    GroupedConv2D,
    LocalResponseNormalization,
    classification_head,
    pool_to_grid,
    preprocess,
)
from vislearn.registry import Paper, register

ALEXNET = Paper(
    "ImageNet Classification with Deep Convolutional Neural Networks",
    "Alex Krizhevsky, Ilya Sutskever, Geoffrey E. Hinton",
    2012,
    "https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks",
)
ONE_WEIRD_TRICK = Paper(
    "One weird trick for parallelizing convolutional neural networks",
    "Alex Krizhevsky",
    2014,
    "https://arxiv.org/abs/1404.5997",
)

# Side of the kernel, and whether the layer sees only its own group, normalises, and is pooled.
CONVOLUTIONS = (
    (11, False, True, True),
    (5, True, True, True),
    (3, False, False, False),
    (3, True, False, False),
    (3, True, False, True),
)
# Endpoints by the convolution that is the last at their stride.
ENDPOINTS = {1: "C2", 2: "C3", 5: "C4"}
# In 2012 the biases of these start from 1, so that their ReLUs are open from the start.
OPEN = ("conv2", "conv4", "conv5", "dense1", "dense2")


def _initializers(deviation: float | None, name: str, inputs: int) -> dict:
    """How the weights of a layer start that reads `inputs` values for each output."""
    if deviation is not None:
        return {
            "kernel_initializer": keras.initializers.RandomNormal(stddev=deviation),
            "bias_initializer": "ones" if name in OPEN else "zeros",
        }
    limit = inputs**-0.5
    names = ("kernel_initializer", "bias_initializer")
    return {name: keras.initializers.RandomUniform(-limit, limit) for name in names}


TINY = {
    "input_shape": (64, 64, 3),
    "num_classes": 5,
    "filters": (8, 16, 16, 16, 16),
    "units": (32, 32),
    "grid": 2,
    "dropout": 0.1,
}


@register(
    "alexnet",
    paper=ONE_WEIRD_TRICK,
    family="alexnet",
    input_shape=(224, 224, 3),
    num_classes=1000,
    reference_params=61_100_840,
    reference_gmacs=0.7142,
    reference="torchvision 0.28.0 alexnet",
    tiny=TINY,
)
@register(
    "alexnet_2012",
    paper=ALEXNET,
    family="alexnet",
    input_shape=(227, 227, 3),
    num_classes=1000,
    reference_params=60_965_224,
    reference="counted from the layer table",
    # Where fewer values are added up, 0.01 is too little to learn from.
    tiny={**TINY, "input_shape": (72, 72, 3), "initial_deviation": 0.05},
    preprocessing="caffe",
    filters=(96, 256, 384, 384, 256),
    groups=2,
    response_norm=True,
    edition=2012,
    initial_deviation=0.01,
)
def alexnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="alexnet",
    filters=(64, 192, 384, 256, 256),
    units=(4096, 4096),
    groups=1,
    response_norm=False,
    grid=6,
    dropout=0.5,
    edition=2014,
    initial_deviation=None,
) -> keras.Model:
    """Five convolutions, three overlapping poolings and two hidden dense layers.

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        filters: Filters of the five convolutions.
        units: Outputs of the two hidden dense layers.
        groups: Groups of the second, fourth and fifth convolution.
        response_norm: Local response normalisation after the first two convolutions.
        grid: Side to which the last feature map is pooled.
        dropout: Rate at which units are dropped in training.
        edition: 2012: no padding around the image, and the outputs of the hidden dense layers are
            dropped. 2014: two zeros around the image, and the inputs of these layers are dropped.
        initial_deviation: Standard deviation of the initial weights, where the biases of the layers
            that the paper names start from 1; None for weights and biases that start as
            torchvision's do, uniform within one over the root of the number of inputs.

    Returns:
        A model with the endpoints `C2` (stride 4) to `C5` (stride 32). Without padding in the
        poolings they are smaller than the image divided by the stride: 55, 27, 13 and 6 pixels
        wide for the published inputs. Its features (`num_classes=0`) are those of the last hidden
        layer.

    Raises:
        ValueError: If an argument is out of range, or the image is smaller than 63x63 (67x67
            without padding).
    """
    for argument, values, count in (("filters", filters, 5), ("units", units, 2)):
        if len(values) != count:
            raise ValueError(f"{argument}={values!r} must be {count} numbers.")
    if any(count % groups for count in filters):
        raise ValueError(f"groups={groups!r} must divide filters={filters!r}.")
    if edition not in (2012, 2014):
        raise ValueError(f"edition={edition!r} must be 2012 or 2014.")

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    if edition == 2014:
        x = layers.ZeroPadding2D(2, name="conv1_pad")(x)
    for index, (size, grouped, normed, pooled) in enumerate(CONVOLUTIONS, start=1):
        number = groups if grouped else 1
        x = (layers.Conv2D if number == 1 else GroupedConv2D)(
            filters[index - 1],
            size,
            strides=4 if index == 1 else 1,
            padding="valid" if index == 1 else "same",
            groups=number,
            name=f"conv{index}",
            **_initializers(initial_deviation, f"conv{index}", size**2 * x.shape[-1] // number),
        )(x)
        x = layers.ReLU(name=f"relu{index}")(x)
        if normed and response_norm:
            x = LocalResponseNormalization(name=f"norm{index}")(x)
        if index in ENDPOINTS:
            x = layers.Identity(name=ENDPOINTS[index])(x)
        if pooled:
            x = layers.MaxPooling2D(3, 2, name=f"pool{index}")(x)
    x = layers.Identity(name="C5")(x)
    x = pool_to_grid(x, grid, name="grid")
    x = layers.Flatten(name="flatten")(x)
    for index, count in enumerate(units, start=1):
        dropped = layers.Dropout(dropout, name=f"dropout{index}")
        if edition == 2014:
            x = dropped(x)
        start = _initializers(initial_deviation, f"dense{index}", x.shape[-1])
        x = layers.Dense(count, "relu", name=f"dense{index}", **start)(x)
        if edition == 2012:
            x = dropped(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)
