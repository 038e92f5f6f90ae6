"""The network with residual adapters in NumPy."""

import numpy as np
from numpy_networks import batch_norm, conv, dense, mean_pool, relu, scaled


def adapted(x, w, name, adapter, stride=1):
    x = conv(x, w, name, stride=stride, pad=1)
    x = x + x @ w[f"{adapter}_conv/kernel"][0, 0]
    return batch_norm(x, w, f"{adapter}_bn", 1e-5)


def residual_adapter_resnet(x, w, o):
    x = scaled(x, "imagenet")
    x = relu(adapted(x, w, "stem_conv", "stem_adapter"))
    for stage, count in enumerate(o["repeats"]):
        for index in range(count):
            name, stride = f"stage{stage + 1}_block{index + 1}", 2 if index == 0 else 1
            y = relu(adapted(x, w, f"{name}_conv1", f"{name}_adapter1", stride))
            y = adapted(y, w, f"{name}_conv2", f"{name}_adapter2")
            if stride == 2:
                x = mean_pool(x, 2)
                x = np.concatenate([x, np.zeros_like(x)], axis=-1)
            x = relu(x + y)
    return dense(x.mean(axis=(1, 2)), w, "head")
