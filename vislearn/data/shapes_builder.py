"""The shapes as a TFDS builder, for those who build their input on TFDS.

Importing this module makes the name known:

    import vislearn.data.shapes_builder
    builder = tfds.builder("shapes/64")
    builder.download_and_prepare()  # draws; nothing is downloaded
"""

import dataclasses

import numpy as np
import tensorflow_datasets as tfds

from vislearn.data import shapes


@dataclasses.dataclass(eq=False, kw_only=True)
class ShapesBuilderConfig(tfds.core.BuilderConfig):
    """A configuration of `vislearn.data.shapes` under its name."""

    shapes: shapes.ShapesConfig


class Shapes(tfds.core.GeneratorBasedBuilder):
    """Coloured shapes on textured grounds, with every kind of annotation."""

    # Nothing is downloaded, so there are no checksums to look for; TFDS 4.9.10 would need
    # importlib_resources for that, which it does not install.
    url_infos = None
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "The first."}  # noqa: RUF012 (read by TFDS)
    BUILDER_CONFIGS = [  # noqa: RUF012 (read by TFDS)
        ShapesBuilderConfig(
            name=config.name,
            description=f"{config.objects[0]} to {config.objects[1]} objects, {config.size} px",
            shapes=config,
        )
        for config in shapes.CONFIGS.values()
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        side = self.builder_config.shapes.size
        features = tfds.features
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.__doc__,
            features=features.FeaturesDict(
                {
                    "image": features.Image(shape=(side, side, 3), encoding_format="png"),
                    "label": features.ClassLabel(names=shapes.CLASSES),
                    "semantic_mask": features.Image(shape=(side, side, 1), encoding_format="png"),
                    "caption": features.Text(),
                    "objects": features.Sequence(
                        {
                            "bbox": features.BBoxFeature(),
                            "label": features.ClassLabel(names=shapes.CLASSES),
                            "colour": features.ClassLabel(names=[*shapes.COLOURS]),
                            "area": features.Scalar(np.int64),
                            "mask": features.Image(shape=(side, side, 1), encoding_format="png"),
                            # x, y in pixels and whether it is visible
                            "keypoints": features.Tensor(
                                shape=(len(shapes.KEYPOINTS), 3), dtype=np.float32
                            ),
                        }
                    ),
                }
            ),
            supervised_keys=("image", "label"),
        )

    def _split_generators(self, dl_manager) -> dict:
        return {split: self._generate_examples(split) for split, _ in self._config.counts}

    def _generate_examples(self, split):
        side = self._config.size
        for number in range(dict(self._config.counts)[split]):
            scene = shapes.draw_scene(self._config, split, number)
            objects = [
                {
                    "bbox": tfds.features.BBox(
                        ymin=y1 / side, xmin=x1 / side, ymax=y2 / side, xmax=x2 / side
                    ),
                    "label": int(label),
                    "colour": colour,
                    "area": int(area),
                    "mask": 255 * mask[..., None].astype(np.uint8),
                    "keypoints": keypoints,
                }
                for (x1, y1, x2, y2), label, colour, area, mask, keypoints in zip(
                    scene.boxes.tolist(),
                    scene.labels,
                    scene.colours,
                    scene.areas,
                    scene.masks,
                    scene.keypoints,
                    strict=True,
                )
            ]
            yield (
                number,
                {
                    "image": scene.image,
                    "label": scene.label,
                    "semantic_mask": scene.semantic_mask[..., None],
                    "caption": scene.caption,
                    "objects": objects,
                },
            )

    @property
    def _config(self) -> shapes.ShapesConfig:
        return self.builder_config.shapes
