"""The anchors of a detector as a layer of its network."""

import keras
from keras import ops

from vislearn.ops.anchors import pyramid_anchors


@keras.saving.register_keras_serializable("vislearn")
class Anchors(keras.layers.Layer):
    """The anchors of all feature maps, the same for every example.

    Args:
        sizes: Side in pixels of the square anchor of scale 1, for each feature map.
        scales: Factors on the size.
        ratios: Heights divided by widths.

    Shape: the image batch and the feature maps, `[(batch, height, width, channels), ...]`, to
        `(batch, anchors, 4)`: float32, x1, y1, x2, y2 in pixels; see `vislearn.ops.anchors`.

    Raises:
        ValueError: If there is not one size a feature map, or an anchor would have no area.
    """

    def __init__(self, sizes, scales=(1.0,), ratios=(1.0,), **kwargs):
        # Never cast: bfloat16 would round pixel 257 to 256.
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.sizes, self.scales, self.ratios = tuple(sizes), tuple(scales), tuple(ratios)
        self.built = True

    def _anchors(self, shapes):
        (_, *image_size, _), *maps = shapes
        grids = [tuple(shape[1:3]) for shape in maps]
        return pyramid_anchors(tuple(image_size), grids, self.sizes, self.scales, self.ratios)

    def call(self, inputs):
        anchors = ops.convert_to_tensor(self._anchors([x.shape for x in inputs]))
        batch = ops.shape(inputs[0])[0]
        return ops.broadcast_to(ops.expand_dims(anchors, 0), (batch, *anchors.shape))

    def compute_output_spec(self, inputs):
        shape = (inputs[0].shape[0], *self._anchors([x.shape for x in inputs]).shape)
        return keras.KerasTensor(shape, dtype="float32")

    def get_config(self):
        config = super().get_config()
        return {**config, "sizes": self.sizes, "scales": self.scales, "ratios": self.ratios}


@keras.saving.register_keras_serializable("vislearn")
class ImageSize(keras.layers.Layer):
    """Height and width of the images, which decoding needs to cut boxes off at their edges.

    Shape: `(batch, height, width, channels)` to `(batch, 2)`, float32, in pixels.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **{**kwargs, "dtype": "float32"})
        self.built = True

    def call(self, inputs):
        size = ops.convert_to_tensor([tuple(inputs.shape[1:3])], dtype="float32")
        return ops.broadcast_to(size, (ops.shape(inputs)[0], 2))

    def compute_output_spec(self, inputs):
        return keras.KerasTensor((inputs.shape[0], 2), dtype="float32")
