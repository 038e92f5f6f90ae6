"""One residual network for several domains: a shared body, and small adapters for each domain.

Rebuffi, Bilen and Vedaldi, "Learning multiple visual domains with residual adapters", NIPS 2017,
arXiv:1705.08045. After each convolution of the body stands an adapter of the domain, x + a * x with
a 1x1 convolution a, and a batch norm of the domain; the head is the domain's, too. About a tenth of
the weights of a network are of its domain, so ten domains take twice the weights of one.

From the paper: 26 layers, three stages of four blocks with 64, 128 and 256 filters, 64x64 images,
adapters in residual form, batch norm for each domain. Chosen here: a stem of 32 filters at stride
1; shortcuts average 2x2 pixels and fill new channels with zeros (option A of arXiv:1512.03385),
so that no shortcut holds weights; adapters start at zero, so that a new domain starts with the body
as it is; no dropout. 6.5 million parameters, 0.96 G multiply-adds.
"""

import re

import keras
from keras import layers

from vislearn.layers import PaddedIdentity, classification_head, conv, preprocess
from vislearn.layers.residual import batch_norm, merge
from vislearn.registry import Paper, register

ADAPTERS = Paper(
    "Learning multiple visual domains with residual adapters",
    "Sylvestre-Alvise Rebuffi, Hakan Bilen, Andrea Vedaldi",
    2017,
    "https://arxiv.org/abs/1705.08045",
)


def adapted_conv(x, filters, *, stride=1, name, adapter):
    """A 3x3 convolution of the body, then the domain's adapter x + a * x and its batch norm."""
    x = conv(x, filters, 3, stride=stride, name=name)
    a = conv(x, filters, 1, kernel_initializer="zeros", name=f"{adapter}_conv")
    x = layers.Add(name=f"{adapter}_add")([x, a])
    return batch_norm(x, name=f"{adapter}_bn")


def adapted_block(x, filters, *, stride, domain, name):
    """Two adapted convolutions beside a shortcut without weights."""
    shortcut = x
    if stride > 1:
        shortcut = layers.AveragePooling2D(2, padding="same", name=f"{name}_shortcut_pool")(x)
    if x.shape[-1] != filters:
        shortcut = PaddedIdentity(filters, name=f"{name}_shortcut")(shortcut)
    first, second = (f"{name}_adapter{number}{domain}" for number in (1, 2))
    x = adapted_conv(x, filters, stride=stride, name=f"{name}_conv1", adapter=first)
    x = layers.ReLU(name=f"{name}_relu1")(x)
    x = adapted_conv(x, filters, name=f"{name}_conv2", adapter=second)
    return merge(x, shortcut, name=name)


@register(
    "residual_adapter_resnet26",
    paper=ADAPTERS,
    family="resnet",
    input_shape=(64, 64, 3),
    num_classes=10,
    tiny={"input_shape": (32, 32, 3), "num_classes": 5, "repeats": (1, 2), "width": 8},
)
def residual_adapter_resnet(
    *,
    input_shape,
    num_classes,
    classifier_activation=None,
    preprocessing="imagenet",
    name="residual_adapter_resnet",
    domain=None,
    repeats=(4, 4, 4),
    width=32,
) -> keras.Model:
    """The body with the adapters and the head of one domain (Figure 2 of the paper).

    The layers of the body, `stem_conv` and `stage1_block1_conv1`, have the same names and shapes
    in the network of each domain; `on_body_of` makes them the same layers:

        first = vislearn.create_model("residual_adapter_resnet26", domain="digits")
        second = vislearn.create_model("residual_adapter_resnet26", domain="flowers")
        second = on_body_of(first, second)

    Args:
        input_shape, num_classes, classifier_activation, preprocessing, name: See `create_model`.
        domain: Name of the domain, lower-case letters and digits, which its layers carry:
            `stage1_block1_adapter1_flowers_conv`; None for `stage1_block1_adapter1_conv`.
        repeats: Blocks in each stage.
        width: Filters of the stem; each stage doubles them.

    Returns:
        A model with the endpoints `C1` (stride 2) to `C3` (stride 8).

    Raises:
        ValueError: If an argument is out of range.
    """
    if domain is not None and not re.fullmatch(r"[a-z0-9]+", str(domain)):
        raise ValueError(f"domain={domain!r} must be lower-case letters and digits.")
    domain = "" if domain is None else f"_{domain}"

    inputs = keras.Input(input_shape, name="image")
    x = preprocess(inputs, preprocessing)
    x = adapted_conv(x, width, name="stem_conv", adapter=f"stem_adapter{domain}")
    x = layers.ReLU(name="stem_relu")(x)
    for stage, count in enumerate(repeats, start=1):
        for index in range(count):
            x = adapted_block(
                x,
                width * 2**stage,
                stride=2 if index == 0 else 1,
                domain=domain,
                name=f"stage{stage}_block{index + 1}",
            )
        x = layers.Identity(name=f"C{stage}")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = classification_head(x, num_classes, classifier_activation)
    return keras.Model(inputs, x, name=name)


def body_layers(model: keras.Model) -> list[str]:
    """The names of the layers whose weights all domains share."""
    return [
        layer.name
        for layer in model.layers
        if layer.weights and "_adapter" not in layer.name and layer.name != "head"
    ]


def on_body_of(body: keras.Model, model: keras.Model) -> keras.Model:
    """A network of another domain on the body of the first.

    Args:
        body: A network of a domain; it is left as it is.
        model: A newly built network of another domain, with the same body.

    Returns:
        `model` with the layers of `body` in place of those that all domains share: what trains
        them in one network trains them in both. With `trainable=False` of the `body_layers` only
        the domain's own are trained, as in the paper.

    Raises:
        ValueError: If the bodies differ.
    """
    found, wanted = (
        {name: [tuple(v.shape) for v in m.get_layer(name).weights] for name in body_layers(m)}
        for m in (body, model)
    )
    if found != wanted:
        differing = sorted(n for n in {*found, *wanted} if found.get(n) != wanted.get(n))
        raise ValueError(f"body={body.name!r} and model={model.name!r} differ in {differing[:5]}.")

    def shared(layer):
        return body.get_layer(layer.name) if layer.name in wanted else layer

    return keras.models.clone_model(model, clone_function=shared)
