"""The U-Net of diffusion models, against the network written out in NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from vislearn.models.generative.diffusion import TINY, ddpm

OPTIONS = {**TINY, "num_classes": 3, "blocks": 2, "num_heads": 2}


def randomised(**options):
    """A network whose every weight has a value of its own."""
    model = ddpm(**options)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 4
        variable.assign(rng.normal(size=variable.shape) / np.sqrt(fan_in))
    return model


def inputs(count=3, side=8, label=True):
    rng = np.random.default_rng(1)
    found = {
        "image": rng.normal(size=(count, side, side, 1)).astype("float32"),
        "time": np.array([1.0, 500.0, 1000.0], "float32")[:count],
    }
    return {**found, "label": np.array([0, 2, 3], "int32")[:count]} if label else found


# The network in NumPy -----------------------------------------------------------------------------


def swish(x):
    return x / (1 + np.exp(-x))


class InNumPy:
    """Reads the weights of a network by path and computes in float64."""

    def __init__(self, model, groups, heads):
        self.weights = {
            v.path: ops.convert_to_numpy(v).astype("float64") for v in model.trainable_variables
        }
        self.groups, self.heads = groups, heads

    def norm(self, x, name):
        batch, height, width, _ = x.shape
        y = x.reshape(batch, height, width, self.groups, -1)
        mean, variance = (f(y, axis=(1, 2, 4), keepdims=True) for f in (np.mean, np.var))
        y = ((y - mean) / np.sqrt(variance + 1e-6)).reshape(x.shape)
        return y * self.weights[f"{name}/gamma"] + self.weights[f"{name}/beta"]

    def dense(self, x, name):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]

    def conv(self, x, name, stride=1):
        kernel, bias = self.weights[f"{name}/kernel"], self.weights[f"{name}/bias"]
        size, side = kernel.shape[0], x.shape[1] // stride
        if size == 1:
            return x @ kernel[0, 0] + bias
        # With stride 2, a row and a column of zeros at the end only.
        pad = (1, 1) if stride == 1 else (0, 1)
        x = np.pad(x, [(0, 0), pad, pad, (0, 0)])
        out = np.zeros((len(x), side, side, kernel.shape[3])) + bias
        for i in range(size):
            for j in range(size):
                rows = slice(i, i + stride * side, stride)
                columns = slice(j, j + stride * side, stride)
                out += x[:, rows, columns][:, :side, :side] @ kernel[i, j]
        return out

    def residual(self, x, time, name):
        y = self.conv(swish(self.norm(x, f"{name}_norm1")), f"{name}_conv1")
        y = y + self.dense(time, f"{name}_time")[:, None, None]
        y = self.conv(swish(self.norm(y, f"{name}_norm2")), f"{name}_conv2")
        has_shortcut = f"{name}_shortcut/kernel" in self.weights
        return y + (self.conv(x, f"{name}_shortcut") if has_shortcut else x)

    def attention(self, x, name):
        y = self.norm(x, f"{name}_norm").reshape(len(x), -1, x.shape[-1])
        w = {key.removeprefix(f"{name}/"): v for key, v in self.weights.items()}
        q, k, v = (
            np.einsum("btd,dhe->bhte", y, w[f"{part}/kernel"]) + w[f"{part}/bias"][:, None]
            for part in ("query", "key", "value")
        )
        scores = np.exp(q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1]))
        scores /= scores.sum(axis=-1, keepdims=True)
        kernel, bias = w["attention_output/kernel"], w["attention_output/bias"]
        y = np.einsum("bhte,hed->btd", scores @ v, kernel) + bias
        return x + y.reshape(x.shape)

    def __call__(self, image, time, label=None):
        angles = time[:, None] * 1e4 ** -(np.arange(4) / 3)
        t = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
        t = self.dense(swish(self.dense(t, "time_dense1")), "time_dense2")
        if label is not None:
            t = t + self.weights["label_embedding/embeddings"][label]
        t = swish(t)
        x = self.conv(image, "stem_conv")
        skips = [x]
        for block in ("down1_block1", "down1_block2"):
            skips.append(x := self.residual(x, t, block))
        skips.append(x := self.conv(x, "down1_downsample_conv", stride=2))
        for block in ("down2_block1", "down2_block2"):
            skips.append(x := self.attention(self.residual(x, t, block), f"{block}_attention"))
        x = self.attention(self.residual(x, t, "middle_block1"), "middle_attention")
        x = self.residual(x, t, "middle_block2")
        for block in ("up2_block1", "up2_block2", "up2_block3"):
            x = self.residual(np.concatenate([x, skips.pop()], axis=-1), t, block)
            x = self.attention(x, f"{block}_attention")
        x = self.conv(x.repeat(2, axis=1).repeat(2, axis=2), "up2_upsample_conv")
        for block in ("up1_block1", "up1_block2", "up1_block3"):
            x = self.residual(np.concatenate([x, skips.pop()], axis=-1), t, block)
        assert not skips
        return self.conv(swish(self.norm(x, "head_norm")), "head_conv")


@pytest.mark.parametrize("classes", [0, 3])
def test_equals_the_network_in_numpy(classes):
    model = randomised(**{**OPTIONS, "num_classes": classes})
    batch = inputs(label=classes > 0)
    expected = InNumPy(model, groups=4, heads=2)(**batch)
    found = model.predict_on_batch(batch)
    assert np.abs(expected).max() > 0.1
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


# Properties ---------------------------------------------------------------------------------------


def test_a_new_network_predicts_no_noise():
    model = ddpm(**{**TINY, "num_classes": 0})
    assert not model.predict_on_batch(inputs(label=False)).any()


def test_every_weight_but_those_softmax_ignores_gets_a_gradient():
    model = randomised(**OPTIONS)
    before = [ops.convert_to_numpy(value).copy() for value in model.trainable_variables]
    # One step: TensorFlow runs it as it comes, JAX would compile each operation by itself.
    eagerly = keras.backend.backend() == "tensorflow"
    model.compile(keras.optimizers.SGD(1.0), "mse", run_eagerly=eagerly)
    batch = inputs()
    model.train_on_batch(batch, np.random.default_rng(2).normal(size=batch["image"].shape))
    still = [
        variable.path
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(old, ops.convert_to_numpy(variable))
    ]
    # The same number added to all scores of a query changes nothing.
    assert [path for path in still if not path.endswith("attention/key/bias")] == []


def test_far_corners_see_each_other():
    model = randomised(**{**TINY, "num_classes": 0})
    batch = inputs(1, label=False)
    before = model.predict_on_batch(batch)
    batch["image"][0, 0, 0] += 1
    assert np.abs(model.predict_on_batch(batch) - before)[0, -1, -1].max() > 1e-5


def test_works_at_28_pixels_and_is_float32_in_bfloat16():
    from vislearn.backend import BFLOAT16, precision

    options = {"multipliers": (1, 2, 2), "attention": (7,), "filters": 8, "groups": 4, "blocks": 1}
    with precision(BFLOAT16):
        model = ddpm(input_shape=(28, 28, 1), num_classes=0, **options)
    assert model.output_shape == (None, 28, 28, 1)
    found = model.predict_on_batch(inputs(2, 28, label=False))
    assert found.dtype == np.float32
    # The times enter in float32: bfloat16 could not tell 999 from 1000.
    sines = model.get_layer("time_sinusoids")(np.array([999.0, 1000.0], "float32"))
    sines = ops.convert_to_numpy(ops.cast(sines, "float32"))
    assert np.any(sines[0] != sines[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classifier_activation": "softmax"}, "classifier_activation='softmax' must be None"),
        ({"preprocessing": "unit"}, "preprocessing='unit' must be None"),
        ({"input_shape": (9, 8, 1)}, "2 multipliers need sides that are multiples of 2"),
        ({"multipliers": ()}, r"multipliers=\(\)"),
        ({"attention": (16,)}, r"attention=\(16,\): no level has height \[16\], but \[8, 4\]"),
        ({"groups": 3}, r"groups=3 must divide .* \[8, 16\]"),
        ({"num_heads": 3}, "num_heads=3"),
        ({"filters": 7}, "filters=7"),
        ({"blocks": 0}, "blocks=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_refuses_what_can_not_be_built(options, message):
    with pytest.raises(ValueError, match=message):
        ddpm(**{**TINY, "num_classes": 0, **options})
