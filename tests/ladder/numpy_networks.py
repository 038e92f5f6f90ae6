"""Every network once more in NumPy, to check the Keras ones against.

A function has the name of the builder it mirrors. It takes pixels `x`, the weights `w` by path
(`"conv1/kernel"`) and the options `o` that the model was built with, and returns logits. Written
from the papers and for reading, in float64.
"""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

erf = np.vectorize(math.erf)


def relu(x):
    return np.maximum(x, 0)


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def gelu(x):
    return x * 0.5 * (1 + erf(x / math.sqrt(2)))


def scaled(x, mode):
    """Pixels 0..255 as the weights expect them."""
    if mode == "unit":
        return x / 255
    if mode == "symmetric":
        return x / 127.5 - 1
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    return (x / 255 - mean) / std


def flat(x):
    return x.reshape(len(x), -1)


def dense(x, w, name):
    return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]


def windows(x, size, stride):
    """(batch, rows, columns, channels, size, size)."""
    return sliding_window_view(x, (size, size), axis=(1, 2))[:, ::stride, ::stride]


def padded(x, before, after=None, value=0.0):
    after = before if after is None else after
    return np.pad(x, [(0, 0), (before, after), (before, after), (0, 0)], constant_values=value)


def conv(x, w, name, *, stride=1, pad=0):
    """Convolution with `pad` zeros on each side."""
    kernel = w[f"{name}/kernel"]
    x = windows(padded(x, pad), kernel.shape[0], stride)
    return np.einsum("bhwcij,ijco->bhwo", x, kernel) + w.get(f"{name}/bias", 0)


def max_pool(x, size, stride, pad=0):
    return windows(padded(x, pad, value=-np.inf), size, stride).max(axis=(-2, -1))


def mean_pool(x, size):
    return windows(x, size, size).mean(axis=(-2, -1))


def batch_norm(x, w, name, epsilon):
    scale = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + epsilon)
    return (x - w[f"{name}/moving_mean"]) * scale + w[f"{name}/beta"]


def layer_norm(x, w, name, epsilon):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + epsilon) * w[f"{name}/gamma"] + w[f"{name}/beta"]


def linear_classifier(x, w, o):
    return dense(flat(scaled(x, "unit")), w, "head")


def mlp(x, w, o):
    x = flat(scaled(x, "unit"))
    for index in range(len(o["units"])):
        x = relu(dense(x, w, f"dense{index + 1}"))
    return dense(x, w, "head")


def maxout_mlp(x, w, o):
    x = flat(scaled(x, "unit"))
    for index in range(len(o["units"])):
        x = dense(x, w, f"maxout{index + 1}")
        # The pieces of one unit stand side by side.
        x = np.maximum.reduce([x[:, piece :: o["pieces"]] for piece in range(o["pieces"])])
    return dense(x, w, "head")


def rbf_network(x, w, o):
    x = flat(scaled(x, "unit"))
    centers, widths = w["radial_basis/centers"], w["radial_basis/widths"]
    distances = ((x[:, None, :] - centers) ** 2).mean(axis=-1)  # (batch, units)
    return dense(np.exp(-distances / widths**2), w, "head")


def rvss_convnet(x, w, o):
    x = scaled(x, "unit")
    x = relu(conv(x, w, "conv1", stride=2))
    x = relu(conv(x, w, "conv2", stride=2))
    return dense(relu(dense(flat(x), w, "dense1")), w, "head")


def batchnorm_cnn(x, w, o):
    x = relu(batch_norm(conv(scaled(x, "unit"), w, "conv1"), w, "bn1", 1e-3))
    x = max_pool(relu(conv(x, w, "conv2")), 2, 2)
    x = relu(batch_norm(dense(flat(x), w, "dense1"), w, "bn2", 1e-3))
    return dense(x, w, "head")


def cifar_cnn(x, w, o):
    x = scaled(x, "imagenet")
    x = max_pool(relu(conv(x, w, "conv1", pad=2)), 2, 2)
    x = max_pool(relu(conv(x, w, "conv2", pad=2)), 2, 2)
    return dense(relu(dense(flat(x), w, "dense1")), w, "head")


def locally_connected_net(x, w, o):
    def local(x, name):
        x = windows(padded(x, 1), 3, 1)
        rows, columns, channels = x.shape[1:4]
        kernel = w[f"{name}/kernel"].reshape(rows, columns, 3, 3, channels, -1)
        return np.einsum("bhwcij,hwijco->bhwo", x, kernel) + w[f"{name}/bias"]

    x = scaled(x, "imagenet")
    x = max_pool(relu(conv(x, w, "conv1", pad=2)), 3, 2, pad=1)
    x = max_pool(relu(conv(x, w, "conv2", pad=2)), 3, 2, pad=1)
    x = relu(local(relu(local(x, "local1")), "local2"))
    return dense(flat(x), w, "head")


def lenet5(x, w, o):
    x = scaled(x, "unit")
    x = max_pool(relu(conv(x, w, "conv1", pad=2)), 2, 2)
    x = max_pool(relu(conv(x, w, "conv2", pad=2)), 2, 2)
    return dense(relu(dense(flat(x), w, "dense1")), w, "head")


def lenet5_1998(x, w, o):
    x = mean_pool(np.tanh(conv(scaled(x, "unit"), w, "c1")), 2)
    x = mean_pool(np.tanh(conv(x, w, "c3")), 2)
    x = np.tanh(dense(flat(x), w, "c5"))
    return dense(np.tanh(dense(x, w, "f6")), w, "head")


def resnet_features(x, w, *, repeats, **_):
    """The stages of a residual network by the logarithm of their stride, from scaled pixels."""

    def normed(x, layer, **options):
        x = conv(x, w, layer, **options)
        return batch_norm(x, w, layer.replace("conv", "bn"), 1e-5)

    x = relu(normed(x, "stem_conv", stride=2, pad=3))
    x = max_pool(x, 3, 2, pad=1)
    stages = {}
    for stage, count in enumerate(repeats, start=1):
        for index in range(1, count + 1):
            name = f"stage{stage}_block{index}"
            stride = 2 if stage > 1 and index == 1 else 1
            shortcut = x
            if f"{name}_shortcut_conv/kernel" in w:
                shortcut = normed(x, f"{name}_shortcut_conv", stride=stride)
            if f"{name}_conv3/kernel" not in w:
                x = relu(normed(x, f"{name}_conv1", stride=stride, pad=1))
                x = normed(x, f"{name}_conv2", pad=1)
            else:
                x = relu(normed(x, f"{name}_conv1"))
                x = relu(normed(x, f"{name}_conv2", stride=stride, pad=1))
                x = normed(x, f"{name}_conv3")
            x = relu(x + shortcut)
        stages[stage + 1] = x
    return stages


def resnet(x, w, o):
    stages = resnet_features(scaled(x, "imagenet"), w, **o)
    return dense(stages[5].mean(axis=(1, 2)), w, "head")


def resnet_cifar(x, w, o):
    def normed(x, name, stride=1):
        x = conv(x, w, name, stride=stride, pad=1)
        return batch_norm(x, w, name.replace("conv", "bn"), 1e-5)

    x = relu(normed(scaled(x, "imagenet"), "stem_conv"))
    for stage in (1, 2, 3):
        for index in range(1, (o["depth"] - 2) // 6 + 1):
            block = f"stage{stage}_block{index}"
            stride = 2 if stage > 1 and index == 1 else 1
            y = relu(normed(x, f"{block}_conv1", stride))
            y = normed(y, f"{block}_conv2")
            if o["residual"]:
                x = x[:, ::stride, ::stride]
                y[..., : x.shape[-1]] += x
            x = relu(y)
    return dense(x.mean(axis=(1, 2)), w, "head")


def softmax_attention(x, w, name, heads):
    batch, tokens, dim = x.shape
    joint = x @ w[f"{name}/qkv_kernel"] + w[f"{name}/qkv_bias"]
    query, key, value = joint.reshape(batch, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    scores = softmax(query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1]))
    x = (scores @ value).swapaxes(1, 2).reshape(batch, tokens, dim)
    return x @ w[f"{name}/output_kernel"] + w[f"{name}/output_bias"]


def vit(x, w, o, attend=softmax_attention):
    x = conv(scaled(x, o["preprocessing"]), w, "patch_embedding", stride=o["patch_size"])
    x = x.reshape(len(x), -1, o["dim"])  # (batch, tokens, dim)
    token = np.broadcast_to(w["class_token/class_token"], (len(x), 1, o["dim"]))
    x = np.concatenate([token, x], axis=1) + w["position_embedding/position_embedding"]
    for index in range(1, o["depth"] + 1):
        block = f"block{index}"
        y = layer_norm(x, w, f"{block}_norm1", 1e-6)
        y = attend(y, w, f"{block}_attention", o["num_heads"])
        x = x + y * w.get(f"{block}_attention_scale/gamma", 1)
        y = layer_norm(x, w, f"{block}_norm2", 1e-6)
        y = dense(gelu(dense(y, w, f"{block}_mlp_dense1")), w, f"{block}_mlp_dense2")
        x = x + y * w.get(f"{block}_mlp_scale/gamma", 1)
    return dense(layer_norm(x, w, "norm", 1e-6)[:, 0], w, "head")
