"""Few-shot classification by prototypes: a class is the mean of its features.

Snell et al., "Prototypical Networks for Few-shot Learning", NeurIPS 2017, arXiv:1703.05175. There
the network is trained by episodes of few images; here it is whatever network is at hand.
"""

import keras
import numpy as np

from vislearn.layers import classification_head
from vislearn.training.transfer import features


def prototype_classifier(
    network: keras.Model,
    images: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    *,
    classifier_activation: str | None = None,
) -> keras.Model:
    """A classifier that learns nothing: each image belongs to the nearest mean of features.

    With the features f of a trained network, the prototype of class k is (equation 1)

        c_k = mean of f(x) over the images of class k

    and the probability of a class falls with the squared distance (equation 2)

        p(k | x) = softmax_k(-|f(x) - c_k|^2)

    The squares of f(x) are the same for all classes and leave the softmax as it is, so that the
    answer is a linear layer with the kernel 2 c_k and the bias -|c_k|^2 (section 2.4). It takes one
    image of a class, and gets along with classes that the network has never seen.

    Args:
        network: A trained classifier, whose layer `head` is left off, or a network without head.
        images: `(n, height, width, channels)`, 0..255, some of each class.
        labels: Their classes, `(n,)`.
        num_classes: Number of classes.
        classifier_activation: Of the model that is returned; None for logits.

    Returns:
        The whole model, from images to `(batch, num_classes)`, with the new layer `head`. It shares
        the layers of the network.

    Raises:
        ValueError: If the network gives no vector of features, labels are out of range or not as
            many as images, or a class has no image.
    """
    names = [layer.name for layer in network.layers]
    vector = network.get_layer("head").input if "head" in names else network.output
    if len(vector.shape) != 2:
        raise ValueError(
            f"network={network.name!r} gives {tuple(vector.shape)}, not (batch, features)."
        )
    labels = np.asarray(labels)
    if labels.shape != (len(images),):
        raise ValueError(
            f"labels have the shape {labels.shape}, and there are {len(images)} images."
        )
    if {*labels.tolist()} != {*range(num_classes)}:
        raise ValueError(
            f"labels={sorted({*labels.tolist()})} must hold each of 0..{num_classes - 1}, and no "
            "other."
        )
    body = keras.Model(network.inputs, vector)
    found = features(body, (images[start : start + 64] for start in range(0, len(images), 64)))
    prototypes = np.stack([found[labels == k].mean(axis=0) for k in range(num_classes)])

    outputs = classification_head(vector, num_classes, classifier_activation)
    model = keras.Model(network.inputs, outputs, name=network.name)
    squares = np.sum(np.square(prototypes), axis=1)
    model.get_layer("head").set_weights([2.0 * prototypes.T, -squares])
    return model
