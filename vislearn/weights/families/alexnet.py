"""AlexNet in torchvision, which publishes pickled weights only; nobody has the one of 2012."""

from vislearn.weights.layout import Layout

_PLACES = {
    **{"conv1": "features.0", "conv2": "features.3", "conv3": "features.6"},
    **{"conv4": "features.8", "conv5": "features.10"},
    **{"dense1": "classifier.1", "dense2": "classifier.4", "head": "classifier.6"},
}

LAYOUTS = {"torchvision": {"alexnet": Layout(names=tuple(_PLACES.items()))}}

PUBLISHED = {}
