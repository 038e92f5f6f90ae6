"""Augmentation by Keras's preprocessing layers, and by keras-cv's for what Keras lacks.

The layers move and colour the pixels of a batch; they draw from `example["seed"]` and no state of
their own. Annotations follow the matrix that a layer has drawn, by the rules of `geometry`: the
layers know no key points, and some leave boxes behind. Pixels are resampled with each movement.

What is drawn follows the description, with these exceptions. Factors are drawn where the
description draws logarithms. `Shear` holds the upper left corner and not the centre; `Contrast`
keeps the mean of each channel and not the middle grey; `Saturation` and `Hue` are those of HSV.
`Erase` draws both sides of a rectangle apart, so that `ratio` is of no effect. keras-cv cuts the
parts of `ScaleCrop` and `ResizedCrop`, and shifts the channels of `ColourShift`.

RandAugment and AugMix are not used: Keras draws one choice of operations for a whole batch, or once
for all batches of a graph. Nor are keras-cv's GridMask, which draws from a generator of its own and
not from a seed, and Mosaic, which shows a quarter of what ours does; see docs/augmentation.md.
"""

import math
from typing import Any

import keras
import tensorflow as tf

from vislearn.data import geometry
from vislearn.data.augmentation import draws
from vislearn.data.augmentation.description import Augmentation
from vislearn.data.augmentation.operations import Operation
from vislearn.data.engines.support import unsupported

Example = dict[str, Any]


@tf.autograph.experimental.do_not_convert
def apply(augmentation: Augmentation, example: Example) -> Example:
    """What the augmentation says, on a batch; see `Augmentation`.

    Raises:
        ImportError: If an operation needs keras-cv, and it is not installed.
        ValueError: If Keras has no means for an operation, or the operation cannot keep an
            annotation right that the example has.
    """
    images = example["images"]
    found = {**example, "images": tf.cast(images, tf.float32)}
    for number, operation in enumerate(augmentation.operations):
        how, which = tf.unstack(tf.random.split(tf.random.fold_in(example["seed"], number)))
        layers = _Layers(augmentation, found, _Seeds(how))
        done = draws.chosen(operation, tf.shape(images)[0], which)
        for name, values in layers(operation).items():
            found[name] = draws.where(done, values, found[name])
    return {**found, "images": draws.like(found["images"], images)}


class _Seeds(keras.random.SeedGenerator):
    """Seeds that follow from one, in place of a state that grows with every call."""

    def __init__(self, seed):
        self._rest = seed

    def next(self, ordered=True):
        seed, self._rest = tf.unstack(tf.random.split(self._rest))
        return tf.cast(seed, tf.int32)


class _Layers:
    """What an operation makes of an example: a method an operation, named by its key.

    Args:
        augmentation: Says what is seen of the outside.
        example: With float32 images.
        seeds: What is drawn from.
    """

    def __init__(self, augmentation: Augmentation, example: Example, seeds: _Seeds):
        self.example, self.images, self.seeds = example, example["images"], seeds
        self.batch = tf.shape(self.images)[0]
        self.height, self.width, self.channels = self.images.shape[1:]
        self.fill, self.value = augmentation.fill, augmentation.fill_value
        self.outside = {"fill_mode": self.fill, "fill_value": self.value}

    def __call__(self, operation: Operation) -> Example:
        """What has changed of the example."""
        make = getattr(self, operation.key(), None)
        if make is None:
            raise unsupported("keras", operation)
        return make(operation)

    def _layer(self, name: str, *args, **options):
        """A layer of Keras that works on tensors of TensorFlow, whatever Keras's backend is."""
        # Its own state is never used, and a graph that is being traced could not make it.
        with keras.StatelessScope(initialize_variables=False):
            layer = getattr(keras.layers, name)(*args, dtype="float32", **options)
        layer.backend.set_backend("tensorflow")
        return layer

    def _drawn(self, name: str, *args, **options):
        """A layer, and what it draws for the batch."""
        layer = self._layer(name, *args, **options)
        return layer, layer.get_random_transformation(self.images, seed=self.seeds)

    def _coloured(self, name: str, *args) -> Example:
        layer, drawn = self._drawn(name, *args)
        return {"images": layer.transform_images(self.images, drawn)}

    def _moved(self, pixels, x, y) -> Example:
        """The pixels that a layer has moved, and the annotations moved like them.

        Args:
            pixels: The new images.
            x, y: Factors on the column and the row, and an offset, each a number or `(batch,)`:
                where in the old image a pixel of the new one comes from, in numbers of pixels.
        """
        values = [tf.broadcast_to(tf.cast(v, tf.float32), (self.batch,)) for v in (*x, *y)]
        rows = tf.reshape(tf.stack(values, axis=-1), (-1, 2, 3))
        # Ours are places, and the middle of the first pixel lies at (0.5, 0.5).
        half = 0.5 - tf.reduce_sum(rows[..., :2], axis=-1, keepdims=True) / 2
        back = tf.concat([rows[..., :2], rows[..., 2:] + half], axis=-1)  # (batch, 2, 3)
        movement = geometry.Affine(geometry.invert(back))
        moved = geometry.move(self.example, movement, fill=self.fill, value=self.value)
        names = moved.keys() - {"images", "seed"}
        return {**{name: moved[name] for name in names}, "images": pixels}

    def flip(self, of):
        layer, drawn = self._drawn("RandomFlip", of.axis)
        drawn["flips"] = tf.ones_like(drawn["flips"])  # Which are flipped is drawn for all layers.
        pixels = layer.transform_images(self.images, drawn)
        if of.axis == "horizontal":
            found = self._moved(pixels, (-1, 0, self.width - 1), (0, 1, 0))
        else:
            found = self._moved(pixels, (1, 0, 0), (0, -1, self.height - 1))
        return geometry.exchange_points(found, tf.fill((self.batch,), True), of.pairs)

    def shift(self, of):
        layer, drawn = self._drawn("RandomTranslation", of.y, of.x, **self.outside)
        x, y = tf.unstack(drawn["translations"], axis=-1)
        return self._moved(layer.transform_images(self.images, drawn), (1, 0, -x), (0, 1, -y))

    def shear(self, of):
        if max(of.x, of.y) > math.pi / 4:
            raise unsupported("keras", of, "by more than pi / 4")
        slopes = math.tan(of.x), math.tan(of.y)
        layer, drawn = self._drawn("RandomShear", *slopes, **self.outside)
        x, y = tf.unstack(drawn["shear_factor"], axis=-1)
        return self._moved(layer.transform_images(self.images, drawn), (1, x, 0), (y, 1, 0))

    def rotate(self, of):
        turns = of.angle / (2 * math.pi)
        layer, drawn = self._drawn("RandomRotation", turns, **self.outside)
        rows = tf.unstack(drawn["rotation_matrix"], axis=-1)
        return self._moved(layer.transform_images(self.images, drawn), rows[:3], rows[3:6])

    def zoom(self, of):
        if of.anywhere:
            raise unsupported("keras", of, "with anywhere=True")
        bounds = tuple(1 / scale - 1 for scale in reversed(of.scale))
        factors = bounds, bounds if of.per_axis else None
        layer, drawn = self._drawn("RandomZoom", *factors, **self.outside)
        x, y = drawn["width_zoom"][:, 0], drawn["height_zoom"][:, 0]
        pixels = layer.transform_images(self.images, drawn)
        middle = (self.width - 1) / 2, (self.height - 1) / 2
        return self._moved(pixels, (x, 0, middle[0] * (1 - x)), (0, y, middle[1] * (1 - y)))

    def scale_crop(self, of):
        low, high = (of.crop / side for side in reversed(of.short_side))
        side = draws.uniform((self.batch,), self.seeds.next(), low, high)
        return self._part(tf.stack([side, side], axis=-1))

    def resized_crop(self, of):
        area = draws.uniform((self.batch,), self.seeds.next(), *map(float, of.area))
        ratio = draws.log_uniform((self.batch,), self.seeds.next(), of.ratio)
        ratio *= self.height / self.width  # of shares of the sides
        part = tf.sqrt(tf.stack([area / ratio, area * ratio], axis=-1))
        return self._part(tf.minimum(part, 1.0))

    def _part(self, part):
        """A part of the images, shares of height and width `(batch, 2)`, resized to the whole."""
        corner = draws.uniform((self.batch, 2), self.seeds.next(), 0.0) * (1 - part)
        frames = tf.concat([corner, corner + part], axis=-1)  # (batch, 4) y1, x1, y2, x2
        layer = _keras_cv().RandomCropAndResize(
            (self.height, self.width), (1.0, 1.0), (1.0, 1.0), dtype="float32"
        )
        pixels = self._each(lambda image, frame: layer.augment_image(image, frame[None]), frames)
        (y, x), (high, wide) = (tf.unstack(values, axis=-1) for values in (corner, part))
        # The first and the last pixels of the part become those of the image.
        return self._moved(
            pixels, (wide, 0, x * (self.width - 1)), (0, high, y * (self.height - 1))
        )

    def _each(self, function, drawn):
        """What a function makes of each image and of what was drawn for it."""
        return tf.map_fn(
            lambda pair: tf.ensure_shape(function(*pair), self.images.shape[1:]),
            (self.images, drawn),
            fn_output_signature=tf.float32,
        )

    def crop(self, of):
        if "boxes" in self.example:
            raise ValueError(
                "crop: reflection shows objects a second time, without their boxes; use shift."
            )
        if not of.padding:
            return {}
        geometry.check_reflects("crop", self.height, self.width)
        high, wide = (max(int(side * of.padding), 1) for side in (self.height, self.width))
        layers = [self.images]
        if "masks" in self.example:
            layers.append(tf.cast(self.example["masks"][..., None], tf.float32))
        padded = tf.pad(
            tf.concat(layers, axis=-1), [[0, 0], [high, high], [wide, wide], [0, 0]], "REFLECT"
        )
        layer = self._layer("RandomCrop", self.height, self.width)

        def one(pair):  # The layer would cut all images of a batch at one place.
            image, seed = pair
            drawn = layer.get_random_transformation(image, seed=_Seeds(seed))
            return tf.ensure_shape(
                layer.transform_images(image, drawn), (self.height, self.width, padded.shape[-1])
            )

        seeds = tf.random.experimental.stateless_split(self.seeds.next(), self.batch)
        cut = tf.map_fn(one, (padded, seeds), fn_output_signature=tf.float32)
        found = {"images": cut[..., : self.channels]}
        if "masks" in self.example:
            found["masks"] = tf.cast(cut[..., -1], self.example["masks"].dtype)
        return found

    def brightness(self, of):
        return self._coloured("RandomBrightness", of.amount)

    def contrast(self, of):
        factors = (1 - 1 / (1 + of.amount), of.amount)
        if of.amount > 1:
            raise unsupported("keras", of, f"with amount={of.amount:g}, above 1")
        return self._coloured("RandomContrast", factors)

    def colour_shift(self, of):
        if of.amount:
            raise unsupported("keras", of, "with an amount")
        shifts = draws.uniform((self.batch, self.channels), self.seeds.next()) * of.offset
        layer = _keras_cv().RandomChannelShift(
            (0, 255), 1.0, channels=self.channels, dtype="float32"
        )
        return {"images": self._each(layer.augment_image, shifts)}

    def saturation(self, of):
        if self.channels == 1:
            return {}
        # It draws f and multiplies by f / (1 - f), and takes saturations to end at its range.
        factors = (1 / (2 + of.amount), (1 + of.amount) / (2 + of.amount))
        layer, drawn = self._drawn("RandomSaturation", factors, value_range=(0, 1))
        return {"images": 255 * layer.transform_images(self.images / 255, drawn)}

    def hue(self, of):
        if self.channels == 1:
            return {}
        return self._coloured("RandomHue", (0, of.angle / math.pi))

    def edges(self, of):
        # It draws 0.5 to 1 and adds 0 to 1 times the difference from a mean in which the pixel
        # itself weighs 5 of 13: 9 / 13 of the difference from the plain one.
        layer, drawn = self._drawn("RandomSharpness", (0.5, 1.0))
        drawn["factor"] = 0.5 + (drawn["factor"] - 0.5) * of.amount * 13 / 9
        return {"images": layer.transform_images(self.images, drawn)}

    def erase(self, of):
        fill = {"grey": geometry.GREY, "black": 0.0, "noise": None}[of.value]
        for _ in range(of.count):
            self.images = self._coloured("RandomErasing", (1, 1), of.area, fill)["images"]
        return {"images": self.images}

    def mixup(self, of):
        self._check_mixture(of, "boxes", "masks")
        if not of.alpha:
            return {}
        layer, drawn = self._drawn("MixUp", of.alpha)
        return self._mixed(layer, drawn, "labels", "targets")

    def cutmix(self, of):
        self._check_mixture(of, "boxes", "targets")
        if of.alpha > 1:
            raise unsupported("keras", of, f"with alpha={of.alpha:g}, above 1")
        if not of.alpha:
            return {}
        layer, drawn = self._drawn("CutMix", (of.alpha, of.alpha))
        found = self._mixed(layer, drawn, "labels")
        if "masks" in self.example:
            masks = self.example["masks"]
            others = tf.gather(masks, drawn["permutation_order"])
            found["masks"] = tf.where(drawn["batch_masks"][..., 0], others, masks)
        return found

    def _check_mixture(self, of, *without):
        for name in without:
            if name in self.example:
                raise ValueError(f"{of.key()}: {name} can't be put together so.")

    def _mixed(self, layer, drawn, *names):
        found = {"images": layer.transform_images(self.images, drawn)}
        for name in names:
            if name in self.example:
                found[name] = layer.transform_labels(self.example[name], drawn)
        return found


def _keras_cv():
    try:
        from keras_cv import layers
    except ImportError as error:
        raise ImportError(
            "This operation needs keras-cv with engine='keras': pip install 'vislearn[augment]'."
        ) from error
    # Its layers ask for TensorFlow's global generator, from which nothing is drawn here; where
    # operations are deterministic, as in a training, TensorFlow does not make one by itself.
    try:
        tf.random.get_global_generator()
    except RuntimeError:
        with tf.init_scope():
            tf.random.set_global_generator(tf.random.Generator.from_seed(0))
    return layers
