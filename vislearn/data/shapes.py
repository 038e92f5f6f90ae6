"""Coloured shapes on textured grounds: an embedded data set with every kind of annotation.

Each picture is a pure function of the configuration, the split and its number, drawn in
milliseconds, so the set is made where it is used: nothing is downloaded and nothing is written.
Circles, squares, triangles and stars of six colours lie on a grey or brown ground, turned at
random; later objects cover earlier ones. `vislearn.data.shapes_builder` is the same as a TFDS
builder.
"""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from vislearn.data.annotations import MaskArray, Numbered, Objects
from vislearn.data.reading import Listing

CLASSES = ("circle", "square", "triangle", "star")
KEYPOINTS = ("centre", "left", "top", "right", "bottom")
COLOURS = {
    "red": (215, 45, 40),
    "green": (45, 165, 65),
    "blue": (50, 85, 215),
    "yellow": (230, 210, 50),
    "purple": (150, 60, 190),
    "white": (235, 235, 235),
}
_SPLIT_NUMBERS = {"train": 0, "validation": 1, "test": 2}
_TRIES = 20  # positions that are tried for an object before it is left out


@dataclasses.dataclass(frozen=True)
class ShapesConfig:
    """What the pictures of a set are like.

    Attributes:
        name: Its name after the slash, as in `"shapes/64"`.
        size: Side of the pictures in pixels.
        objects: Fewest and most objects of a picture; where they find no room there are fewer.
        radius: Least and greatest radius of the circumscribed circle, as a share of the side.
        visible: Share of an object that must stay visible under those that are laid on it.
        contrast: Strength of the ground's texture, in grey levels.
        counts: Pictures by split.
        seed: Seed of the pictures.
    """

    name: str
    size: int = 96
    objects: tuple[int, int] = (1, 4)
    radius: tuple[float, float] = (0.10, 0.24)
    visible: float = 0.5
    contrast: float = 18.0
    counts: tuple[tuple[str, int], ...] = (("train", 2000), ("validation", 200), ("test", 400))
    seed: int = 0


CONFIGS = {
    config.name: config
    for config in (
        ShapesConfig("96"),
        ShapesConfig("64", size=64),
        ShapesConfig("128", size=128),
        # One object a picture: for classification, generation and pretraining.
        ShapesConfig("single", size=64, objects=(1, 1), radius=(0.2, 0.4)),
        ShapesConfig("single32", size=32, objects=(1, 1), radius=(0.2, 0.4)),
        # Many small objects, nearly covered ones among them, on a strong texture.
        ShapesConfig(
            "crowded", size=128, objects=(6, 12), radius=(0.05, 0.15), visible=0.3, contrast=30.0
        ),
    )
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """One picture and all that is known about it; n objects, in the order of laying.

    Attributes:
        image: `(size, size, 3)` uint8.
        owner: `(size, size)` uint8, the number of the object seen in a pixel from 1, 0 for ground.
        labels: `(n,)` int32 class numbers.
        colours: Name of the colour of each object.
        boxes: `(n, 4)` float32 xyxy, the tight box of the visible part.
        areas: `(n,)` int64, pixels of the visible part.
        keypoints: `(n, 5, 3)` float32 (x, y, visible): the centre and the outermost pixels to the
            left, top, right and bottom of the whole shape, each at the middle of its pixel.
        caption: A sentence such as `"a red circle left of a blue star"`.
    """

    image: np.ndarray
    owner: np.ndarray
    labels: np.ndarray
    colours: tuple[str, ...]
    boxes: np.ndarray
    areas: np.ndarray
    keypoints: np.ndarray
    caption: str

    @property
    def masks(self) -> np.ndarray:
        """`(n, size, size)` bool, the visible part of each object."""
        return self.owner == np.arange(1, len(self.labels) + 1)[:, np.newaxis, np.newaxis]

    @property
    def semantic_mask(self) -> np.ndarray:
        """`(size, size)` uint8: 0 for the ground, then the classes."""
        return np.concatenate([[0], self.labels + 1]).astype(np.uint8)[self.owner]

    @property
    def label(self) -> int:
        """The class of the object that shows most."""
        return int(self.labels[np.argmax(self.areas)])


def find_config(source: str, task: str) -> ShapesConfig | None:
    """The configuration of `"shapes"` or `"shapes/NAME"`; None for another source.

    Without a name it is one object a picture for classification, generation and pretraining,
    several for the other tasks.

    Raises:
        ValueError: If there is no such configuration.
    """
    base, slash, name = source.partition("/")
    if base != "shapes":
        return None
    if not slash:
        name = "single" if task in ("classification", "generation", "pretraining") else "96"
    if name not in CONFIGS:
        raise ValueError(f"{source!r}: the configurations of shapes are {[*CONFIGS]}.")
    return CONFIGS[name]


def list_shapes(
    config: ShapesConfig, task: str, progress: Callable[[int], None] = lambda count: None
) -> Listing:
    """Draws all splits, with what a task needs to know about the pictures.

    Args:
        config: What they are like.
        task: Name of the task.
        progress: Called with the number of pictures done.
    """
    files, done = {}, 0
    for split, count in config.counts:
        files[split] = []
        for number in range(count):
            scene = draw_scene(config, split, number)
            files[split].append((scene.image, _known(scene, task, f"shapes {split} {number}")))
            progress(done := done + 1)
    if task == "semantic_segmentation":
        return Listing(("background", *CLASSES), files, [])
    return Listing(CLASSES, files, [], KEYPOINTS if task == "detection" else ())


def _known(scene: Scene, task: str, name: str) -> Objects | MaskArray | int:
    if task == "semantic_segmentation":
        return MaskArray(scene.semantic_mask)
    if task != "detection":
        return scene.label
    return Objects(
        scene.boxes,
        scene.labels,
        np.zeros(len(scene.labels), bool),
        [f"{name} object {n}" for n in range(len(scene.labels))],
        scene.keypoints,
        [Numbered(scene.owner, n + 1) for n in range(len(scene.labels))],
    )


def draw_scene(config: ShapesConfig, split: str, number: int) -> Scene:
    """Draws picture `number` of a split.

    Args:
        config: What it is like.
        split: `"train"`, `"validation"` or `"test"`.
        number: From 0; any, also beyond the count of the configuration.
    """
    draw = np.random.default_rng((config.seed, _SPLIT_NUMBERS[split], number))
    size = config.size
    canvas = _ground(draw, size, config.contrast)
    owner = np.zeros((size, size), np.uint8)
    labels, colours, keypoints, wholes = [], [], [], []
    for _ in range(draw.integers(config.objects[0], config.objects[1] + 1)):
        for _ in range(_TRIES):
            label = int(draw.integers(len(CLASSES)))
            radius = size * draw.uniform(*config.radius)
            centre = draw.uniform(radius, size - radius, 2)
            window, distance = _distance(
                CLASSES[label], size, centre, radius, draw.uniform(0, 2 * math.pi)
            )
            inside = distance <= 0
            covered = owner.copy()
            covered[window][inside] = len(labels) + 1
            left = np.bincount(covered.ravel(), minlength=len(labels) + 2)[1:-1]
            if not np.any(left < config.visible * np.array(wholes)):
                break
        else:
            continue
        name = [*COLOURS][draw.integers(len(COLOURS))]
        colour = np.float32(COLOURS[name] + draw.uniform(-18, 18, 3))
        share = np.clip(0.5 - distance, 0, 1)[..., np.newaxis]  # of the pixel that is covered
        canvas[window] += share * (colour - canvas[window])
        owner = covered
        labels.append(label)
        colours.append(name)
        wholes.append(np.count_nonzero(inside))
        keypoints.append(_keypoints(inside, centre, window))
    canvas += 3 * draw.standard_normal(canvas.shape, np.float32)
    image = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
    keypoints = np.array(keypoints, np.float32)  # (n, 5, 3)
    places = keypoints[..., :2].astype(int)
    seen = owner[places[..., 1], places[..., 0]]  # (n, 5)
    keypoints[..., 2] = seen == np.arange(1, len(labels) + 1)[:, np.newaxis]
    boxes = np.array([tight_box(owner == n + 1) for n in range(len(labels))], np.float32)
    return Scene(
        image,
        owner,
        np.array(labels, np.int32),
        tuple(colours),
        boxes,
        np.bincount(owner.ravel(), minlength=len(labels) + 1)[1:],
        keypoints,
        _caption(labels, colours, boxes),
    )


def tight_box(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The edges (x1, y1, x2, y2) of the least box around the pixels of a mask, which has some."""
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def _distance(shape: str, size: int, centre, radius: float, angle: float):
    """A window around a shape and, for each of its pixels, how far the middle is from the outline.

    The distance is in pixels, negative inside. Outside of a corner it is less than the true one,
    which changes nothing that is used here: its sign, and its value next to the edge.

    Returns:
        The slices of rows and columns, and `(rows, columns)` float32.
    """
    spans = [
        slice(max(math.floor(c - radius - 1), 0), min(math.ceil(c + radius + 1), size))
        for c in centre
    ]
    x, y = (
        np.arange(span.start, span.stop, dtype=np.float32) + np.float32(0.5 - c)
        for span, c in zip(spans, centre, strict=True)
    )
    window, y = (spans[1], spans[0]), y[:, np.newaxis]
    if shape == "circle":
        return window, np.hypot(x, y) - np.float32(radius)
    corners = {"square": 4, "triangle": 3, "star": 5}[shape]
    # A star is what lies beyond at most one of the five lines that are drawn through its corners:
    # they pass the centre at cos(2 pi / 5) of the radius, the sides of a polygon at cos(pi / n).
    apothem = radius * math.cos((2 if shape == "star" else 1) * math.pi / corners)
    sides = [
        x * np.float32(math.cos(turn)) + y * np.float32(math.sin(turn)) - np.float32(apothem)
        for turn in angle + 2 * math.pi * np.arange(corners) / corners
    ]
    return window, np.sort(sides, axis=0)[-2 if shape == "star" else -1]


def _ground(draw: np.random.Generator, size: int, contrast: float) -> np.ndarray:
    """A textured ground of little colour, `(size, size, 3)` float32: three waves on grey."""
    x = np.arange(size, dtype=np.float32)
    waves = np.zeros((size, size), np.float32)
    for _ in range(3):
        length = size * draw.uniform(0.06, 0.8)
        turn, phase = draw.uniform(0, 2 * math.pi, 2)
        across, down = (
            np.float32(2 * math.pi / length * part) * x for part in (math.cos(turn), math.sin(turn))
        )
        # Of the sum of two angles, so that only 4 * size sines are taken.
        down = down[:, np.newaxis] + np.float32(phase)
        waves += np.sin(across) * np.cos(down) + np.cos(across) * np.sin(down)
    grey = draw.uniform(70, 170)
    tint = draw.uniform(-12, 12, 3)
    return np.float32(grey + tint) + (waves * np.float32(contrast / 2))[..., np.newaxis]


def _keypoints(inside: np.ndarray, centre, window) -> np.ndarray:
    """`(5, 3)`: see `Scene.keypoints`; of equals the first in reading order counts."""
    rows, columns = np.nonzero(inside)
    outermost = [np.argmin(columns), np.argmin(rows), np.argmax(columns), np.argmax(rows)]
    x, y = columns[outermost] + window[1].start + 0.5, rows[outermost] + window[0].start + 0.5
    return np.stack([[centre[0], *x], [centre[1], *y], np.zeros(5)], axis=-1)


def _caption(labels, colours, boxes) -> str:
    """What is to be seen; of many objects the first two, which lie lowest."""
    phrases = [
        f"a {colour} {CLASSES[label]}" for label, colour in zip(labels, colours, strict=True)
    ]
    if len(phrases) == 1:
        return phrases[0]
    (x, y), (u, v) = ((boxes[n, :2] + boxes[n, 2:]) / 2 for n in (0, 1))
    if abs(u - x) >= abs(v - y):
        relation = "left of" if x < u else "right of"
    else:
        relation = "above" if y < v else "below"
    return f"{phrases[0]} {relation} {phrases[1]}"
