"""SqueezeNet in torchvision, which publishes pickled weights only."""

from vislearn.registry import list_models, model_info
from vislearn.weights.layout import Layout


def _features(*, stem, pooled_after, fires=8) -> tuple[tuple[str, str], ...]:
    """Our layers and theirs, which are numbered together with ReLU and poolings."""
    del stem
    names, number = [], 0
    for layer in range(1, fires + 2):
        ours = "conv1" if layer == 1 else f"fire{layer}_expand{{e}}"
        theirs = f"features.{number}" + ("" if layer == 1 else ".expand{e}x{e}")
        names.append((ours, theirs))
        if layer > 1:
            names.append((f"fire{layer}_squeeze", f"features.{number}.squeeze"))
        number += (2 if layer == 1 else 1) + (layer in pooled_after)
    return tuple(names)


LAYOUTS = {
    "torchvision": {
        name: Layout(names=(*_features(**model_info(name).variant), ("head", "classifier.1")))
        for name in list_models(family="squeezenet")
    }
}

PUBLISHED = {}
