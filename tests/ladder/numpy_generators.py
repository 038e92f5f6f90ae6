"""Networks that make pictures, once more in NumPy: see `numpy_networks`."""

import numpy as np
from numpy_dense import doubled, transposed_conv
from numpy_networks import batch_norm, dense, flat, relu, scaled, softmax, windows


def same_conv(x, w, name, stride=2):
    """Padded so that the size is the stride's share; the odd zero stands at the end."""
    kernel = w[f"{name}/kernel"]
    total = kernel.shape[0] - stride
    edges = (total // 2, total - total // 2)
    x = windows(np.pad(x, [(0, 0), edges, edges, (0, 0)]), kernel.shape[0], stride)
    return np.einsum("bhwcij,ijco->bhwo", x, kernel) + w.get(f"{name}/bias", 0)


def stages(shape):
    """How often both sides can be halved down to at least 4."""
    count = 0
    while all(side % 2 ** (count + 1) == 0 and side >> (count + 1) >= 4 for side in shape[:2]):
        count += 1
    return count


def vae(x, w, o):
    hidden = np.tanh(dense(flat(scaled(x, "unit")), w, "encoder_hidden"))
    mean, log_variance = dense(hidden, w, "mean"), dense(hidden, w, "log_variance")
    pixels = dense(np.tanh(dense(mean, w, "decoder_hidden")), w, "decoder_pixels")
    return {"reconstruction": pixels.reshape(x.shape), "mean": mean, "log_variance": log_variance}


def conv_vae(x, w, o):
    count = stages(o["input_shape"])
    y = scaled(x, "unit")
    for stage in range(1, count + 1):
        y = relu(same_conv(y, w, f"encoder_conv{stage}"))
    smallest = y.shape
    hidden = relu(dense(flat(y), w, "encoder_hidden"))
    mean, log_variance = dense(hidden, w, "mean"), dense(hidden, w, "log_variance")
    y = relu(dense(relu(dense(mean, w, "decoder_hidden")), w, "decoder_expand")).reshape(smallest)
    for stage in reversed(range(2, count + 1)):
        y = relu(transposed_conv(y, w, f"decoder_conv{stage}"))
    pixels = transposed_conv(y, w, "reconstruction")
    return {"reconstruction": pixels, "mean": mean, "log_variance": log_variance}


def dcgan(noise, w, o):
    def normed(x, name):
        # Keras's transposed convolutions and projections have no bias here.
        return relu(batch_norm(x, w, f"{name}_bn", 1e-5))

    height, width, _ = o["input_shape"]
    count = stages(o["input_shape"])
    x = normed(noise @ w["project/kernel"], "project")
    x = x.reshape(len(x), height >> count, width >> count, -1)
    for index in range(1, count):
        x = normed(transposed_conv(x, w, f"conv{index}"), f"conv{index}")
    return np.tanh(transposed_conv(x, w, f"conv{count}"))


def swish(x):
    return x / (1 + np.exp(-x))


def ddpm(inputs, w, o):
    image, time = inputs["image"], inputs["time"]

    def norm(x, name):
        batch, height, width, _ = x.shape
        y = x.reshape(batch, height, width, o["groups"], -1)
        mean, variance = (f(y, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
        y = ((y - mean) / np.sqrt(variance + 1e-6)).reshape(x.shape)
        return y * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def conv(x, name, stride=1):
        if w[f"{name}/kernel"].shape[0] == 1:
            return x @ w[f"{name}/kernel"][0, 0] + w[f"{name}/bias"]
        return same_conv(x, w, name, stride)

    def residual(x, time, name):
        y = conv(swish(norm(x, f"{name}_norm1")), f"{name}_conv1")
        y = y + dense(time, w, f"{name}_time")[:, None, None]
        y = conv(swish(norm(y, f"{name}_norm2")), f"{name}_conv2")
        return y + (conv(x, f"{name}_shortcut") if f"{name}_shortcut/kernel" in w else x)

    def attention(x, name):
        y = norm(x, f"{name}_norm").reshape(len(x), -1, x.shape[-1])  # (batch, tokens, dim)
        query, key, value = (
            np.einsum("btd,dhe->bhte", y, w[f"{name}/{part}/kernel"])
            + w[f"{name}/{part}/bias"][:, None]
            for part in ("query", "key", "value")
        )
        y = softmax(query @ key.swapaxes(2, 3) / np.sqrt(query.shape[-1])) @ value
        y = np.einsum("bhte,hed->btd", y, w[f"{name}/attention_output/kernel"])
        return x + (y + w[f"{name}/attention_output/bias"]).reshape(x.shape)

    def block(x, name):
        x = residual(x, t, name)
        return attention(x, f"{name}_attention") if f"{name}_attention_norm/gamma" in w else x

    half = o["filters"] // 2
    angles = time[:, None] * 1e4 ** -(np.arange(half) / (half - 1))
    t = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    t = dense(swish(dense(t, w, "time_dense1")), w, "time_dense2")
    if "label" in inputs:
        t = t + w["label_embedding/embeddings"][inputs["label"].astype(int)]
    t = swish(t)

    levels = len(o["multipliers"])
    x = conv(image, "stem_conv")
    skips = [x]
    for level in range(1, levels + 1):
        for index in range(1, o["blocks"] + 1):
            skips.append(x := block(x, f"down{level}_block{index}"))
        if level < levels:
            skips.append(x := conv(x, f"down{level}_downsample_conv", stride=2))
    x = attention(residual(x, t, "middle_block1"), "middle_attention")
    x = residual(x, t, "middle_block2")
    for level in reversed(range(1, levels + 1)):
        for index in range(1, o["blocks"] + 2):
            x = block(np.concatenate([x, skips.pop()], axis=-1), f"up{level}_block{index}")
        if level > 1:
            x = conv(doubled(x), f"up{level}_upsample_conv")
    assert not skips
    return conv(swish(norm(x, "head_norm")), "head_conv")
