"""Networks that answer for each place of the image, once more in NumPy: see `numpy_networks`."""

import numpy as np
from numpy_networks import batch_norm, conv, max_pool, relu, resnet_features, scaled


def transposed_conv(x, w, name):
    """Stride 2: every pixel paints the kernel, and where two overlap they add up."""
    kernel = w[f"{name}/kernel"]  # (side, side, out, in)
    side, (batch, rows, columns, _) = kernel.shape[0], x.shape
    full = np.zeros((batch, 2 * rows + side - 2, 2 * columns + side - 2, kernel.shape[2]))
    for i in range(side):
        for j in range(side):
            full[:, i : i + 2 * rows : 2, j : j + 2 * columns : 2] += x @ kernel[i, j].T
    # What a kernel of more than two pixels paints beyond the double size is cut off, half of it
    # (rounded down) at the start.
    start = (side - 2) // 2
    return full[:, start : start + 2 * rows, start : start + 2 * columns] + w.get(f"{name}/bias", 0)


def doubled(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


def unet(x, w, o):
    pad = {"same": 1, "valid": 0}[o["padding"]]

    def double_conv(x, name):
        for index in (1, 2):
            x = conv(x, w, f"{name}_conv{index}", pad=pad)
            if o["norm"] == "batch":
                x = batch_norm(x, w, f"{name}_bn{index}", 1e-5)
            x = relu(x)
        return x

    x = double_conv(scaled(x, o["preprocessing"]), "down0")
    skips = [x]
    for level in range(1, o["depth"] + 1):
        x = double_conv(max_pool(x, 2, 2), f"down{level}")
        skips.append(x)
    for level in reversed(range(o["depth"])):
        x, skip = transposed_conv(x, w, f"up{level}_transposed"), skips[level]
        rows, columns = ((a - b) // 2 for a, b in zip(skip.shape[1:3], x.shape[1:3], strict=True))
        skip = skip[:, rows : rows + x.shape[1], columns : columns + x.shape[2]]
        x = double_conv(np.concatenate([skip, x], axis=-1), f"up{level}")
    return conv(x, w, "head")


def anchors_of(image, maps, scales, ratios):
    """Boxes around the centres of the cells, in the order of `pyramid_anchors`."""
    found = []
    for number, x in maps.items():
        stride = [image[axis] // x.shape[1 + axis] for axis in (0, 1)]
        # torchvision rounds each side down, and below the corners to whole pixels.
        sides = [np.floor(4 * 2**number * scale) for scale in scales]
        shapes = [(side * r**0.5, side / r**0.5) for r in ratios for side in sides]
        for row in range(x.shape[1]):
            for column in range(x.shape[2]):
                y, z = row * stride[0], column * stride[1]
                for height, width in shapes:
                    h, v = np.round(width / 2), np.round(height / 2)
                    found.append((z - h, y - v, z + h, y + v))
    return np.array(found)


def retinanet(x, w, o):
    image = x.shape[1:3]
    stages = resnet_features(scaled(x, o["preprocessing"]), w, **o["backbone_options"])
    maps, above = {}, None
    for number in (5, 4, 3):
        lateral = conv(stages[number], w, f"P{number}_lateral")
        if above is not None:
            lateral = lateral + doubled(above)[:, : lateral.shape[1], : lateral.shape[2]]
        above = lateral
        maps[number] = conv(lateral, w, f"P{number}_smooth", pad=1)
    maps = dict(sorted(maps.items()))
    for number in range(6, 6 + o["extra_levels"]):
        before = maps[number - 1] if number == 6 else relu(maps[number - 1])
        maps[number] = conv(before, w, f"P{number}_conv", stride=2, pad=1)

    def head(name, outputs):
        answers = []
        for x in maps.values():
            for index in range(1, o["head_depth"] + 1):
                x = relu(conv(x, w, f"{name}_conv{index}", pad=1))
            answers.append(conv(x, w, f"{name}_out", pad=1).reshape(len(x), -1, outputs))
        return np.concatenate(answers, axis=1)  # (batch, anchors, outputs)

    anchors = anchors_of(image, maps, o["anchor_scales"], o["anchor_ratios"])
    return {
        "logits": head("class", o["num_classes"]),
        "deltas": head("box", 4),
        "anchors": np.broadcast_to(anchors, (len(x), *anchors.shape)),
        "image_size": np.broadcast_to(np.array(image, float), (len(x), 2)),
    }
