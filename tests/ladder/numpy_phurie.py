"""Deep-PHURIE once more in NumPy: see `numpy_networks`."""

from numpy_networks import conv, dense, flat, max_pool, relu, scaled


def deep_phurie(x, w, o):
    x = scaled(x, o["preprocessing"])
    for index in range(1, len(o["filters"]) + 1):
        x = max_pool(relu(conv(x, w, f"conv{index}", pad=1)), 2, 2)
    return dense(relu(dense(flat(x), w, "dense1")), w, "head")
