"""Losses of semantic segmentation: cross entropy of pixels, Dice, and their sum.

All take masks `(batch, height, width)` of class numbers, in which 255 means that the pixel doesn't
count, and logits `(batch, rows, columns, classes)`; of a mask larger than the logits the centre
counts, as a network of valid convolutions answers for it. The batch is the whole one, also where
several devices of TensorFlow have a part of it each.
"""

import keras
from keras import ops

from vislearn import backend
from vislearn.ops.masks import IGNORE, centre_crop


def one_hot_pixels(masks, logits):
    """Masks as one-hot vectors in the size of the logits, and which pixels count.

    Returns:
        `(batch, rows, columns, classes)` and `(batch, rows, columns)`, both float32.
    """
    masks = centre_crop(ops.cast(masks, "int32"), *logits.shape[1:3])
    counts = ops.cast(masks != IGNORE, "float32")
    # one_hot gives zeros for 255, which is no class: there are at most 255 of them, 0 to 254.
    return ops.one_hot(masks, logits.shape[-1], dtype="float32"), counts


@keras.saving.register_keras_serializable("vislearn")
class PixelCrossentropy(keras.losses.Loss):
    """The mean cross entropy of the pixels that count, over the whole batch.

    The value of an example is its share of this mean, times the batch size: the mean over the
    batch, Keras's default, is then the mean over pixels, however they are spread over the images.

    Args:
        label_smoothing: Probability mass spread over all classes, 0 to 1.

    Shape: masks and logits as above; `(batch,)` before reduction, in float32. A batch without a
        pixel that counts has the loss 0.

    Raises:
        ValueError: If `label_smoothing` is out of range.
    """

    def __init__(self, label_smoothing: float = 0.0, name: str = "cross_entropy", **kwargs):
        super().__init__(name=name, **kwargs)
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f"label_smoothing={label_smoothing!r} must be between 0 and 1.")
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        target, counts = one_hot_pixels(y_true, y_pred)
        log_probabilities = ops.log_softmax(ops.cast(y_pred, "float32"), axis=-1)
        target = target * (1.0 - self.label_smoothing) + self.label_smoothing / target.shape[-1]
        losses = -ops.sum(target * log_probabilities, axis=-1) * counts  # (batch, rows, columns)
        images = ops.cast(ops.shape(counts)[0], "float32")
        whole = backend.sum_over_replicas(ops.stack([ops.sum(counts), images]))
        per_image = ops.maximum(whole[0], 1.0) / whole[1]
        return ops.sum(losses, axis=(1, 2)) / per_image

    def get_config(self):
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


@keras.saving.register_keras_serializable("vislearn")
class Dice(keras.losses.Loss):
    """One less the soft Dice coefficient, averaged over the classes (Milletari 2016).

    "V-Net", arXiv:1606.04797, section 3, with p instead of p^2 in the denominator, as it has become
    usual. Class c has the coefficient 2 sum(p t) / (sum(p) + sum(t)), summed over all pixels of the
    batch that count: over one image, a class that isn't there would swing between 0 and 1.

    Args:
        smooth: Pixels added above and below the line, so that a class that neither the masks nor
            the answer have is worth 1.

    Shape: masks and logits as above; `(batch,)` before reduction, the same value for each example,
        in float32.

    Raises:
        ValueError: If `smooth` is not positive.
    """

    def __init__(self, smooth: float = 1.0, name: str = "dice", **kwargs):
        super().__init__(name=name, **kwargs)
        if smooth <= 0:
            raise ValueError(f"smooth={smooth!r} must be positive.")
        self.smooth = smooth

    def call(self, y_true, y_pred):
        target, counts = one_hot_pixels(y_true, y_pred)
        counts = counts[..., None]
        target = target * counts
        probabilities = ops.softmax(ops.cast(y_pred, "float32"), axis=-1) * counts
        shared = ops.sum(probabilities * target, axis=(0, 1, 2))  # (classes,)
        areas = ops.sum(probabilities, axis=(0, 1, 2)) + ops.sum(target, axis=(0, 1, 2))
        whole = backend.sum_over_replicas(ops.stack([shared, areas]))
        loss = 1.0 - ops.mean(self.coefficient(whole[0], whole[1]))
        return ops.broadcast_to(loss, (ops.shape(y_pred)[0],))

    def coefficient(self, shared, areas):
        """2 |P T| / (|P| + |T|) of each class, from sums over pixels `(classes,)`."""
        return (2.0 * shared + self.smooth) / (areas + self.smooth)

    def get_config(self):
        return {**super().get_config(), "smooth": self.smooth}


@keras.saving.register_keras_serializable("vislearn")
class Jaccard(Dice):
    """One less the soft intersection over union, averaged over the classes.

    Rahman and Wang, "Optimizing Intersection-Over-Union in Deep Neural Networks for Image
    Segmentation", ISVC 2016: class c has sum(p t) / sum(p + t - p t), summed over all pixels of the
    batch that count. It grows with the Dice coefficient, slower where a class is still bad.

    Args and shape: as of `Dice`.
    """

    def __init__(self, smooth: float = 1.0, name: str = "jaccard", **kwargs):
        super().__init__(smooth, name, **kwargs)

    def coefficient(self, shared, areas):
        """|P T| / (|P| + |T| - |P T|) of each class, from sums over pixels `(classes,)`."""
        return (shared + self.smooth) / (areas - shared + self.smooth)


@keras.saving.register_keras_serializable("vislearn")
class SegmentationLoss(keras.losses.Loss):
    """Cross entropy of the pixels plus `dice` times the Dice and `jaccard` times the Jaccard loss.

    Args:
        dice: Weight of the Dice loss, which helps small classes; 0 leaves it out.
        jaccard: Weight of the Jaccard loss, which does so too; 0 leaves it out.
        label_smoothing: Of the cross entropy.

    Shape: as of `PixelCrossentropy`.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        dice: float = 1.0,
        label_smoothing: float = 0.0,
        jaccard: float = 0.0,
        name: str = "segmentation_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if dice < 0 or jaccard < 0:
            raise ValueError(f"{dice=} and {jaccard=} must be at least 0.")
        self.dice, self.jaccard = dice, jaccard
        self.label_smoothing = label_smoothing
        cross_entropy = PixelCrossentropy(label_smoothing)
        self._parts = [(1.0, cross_entropy), (dice, Dice()), (jaccard, Jaccard())]

    def call(self, y_true, y_pred):
        return sum(weight * loss.call(y_true, y_pred) for weight, loss in self._parts if weight)

    def get_config(self):
        return {
            **super().get_config(),
            "dice": self.dice,
            "jaccard": self.jaccard,
            "label_smoothing": self.label_smoothing,
        }
