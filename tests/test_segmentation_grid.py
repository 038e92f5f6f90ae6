"""The picture of masks: what it shows, and what it refuses."""

import numpy as np
import pytest

from vislearn import pictures

CLASSES = ["background", "cat", "dog", "frog"]


def images(count=2, height=6, width=8):
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype="uint8")


def masks(count=2, height=6, width=8):
    found = np.zeros((count, height, width), "int32")
    found[:, 2:4, 3:6] = 2
    return found


def test_panels_and_overlay():
    true = masks().astype("uint8")
    true[:, 0] = 255
    figure = pictures.segmentation_grid(
        images(), masks(), CLASSES, true_masks=true, titles=["one.jpg", "two.jpg"]
    )
    assert len(figure.axes) == 6
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["one.jpg\nimage", "truth", "answer", "two.jpg\nimage", "truth", "answer"]
    picture, truth, answer = (axes.images for axes in figure.axes[:3])
    np.testing.assert_array_equal(picture[0].get_array(), images()[0])
    grey, overlay = (image.get_array() for image in answer)
    np.testing.assert_array_equal(grey, np.round(images()[0].mean(-1)))
    opacity = overlay[..., 3]
    assert np.all(opacity[masks()[0] == 0] == 0)  # the background is clear
    assert np.all(opacity[masks()[0] == 2] > 0)
    assert np.unique(overlay[masks()[0] == 2], axis=0).shape == (1, 4)
    ignored = truth[1].get_array()[0]
    assert len(np.unique(ignored, axis=0)) == 1
    assert ignored[0, 3] > 0
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["background", "dog", "doesn't count"]


def test_without_truth():
    figure = pictures.segmentation_grid(images(), masks(), CLASSES)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["image", "answer"] * 2


def test_many_classes_have_colours_of_their_own():
    classes = [f"class {number}" for number in range(30)]
    numbers = np.arange(30, dtype="int32").reshape(1, 5, 6)
    figure = pictures.segmentation_grid(images(1, 5, 6), numbers, classes)
    overlay = figure.axes[1].images[1].get_array()
    assert len(np.unique(overlay.reshape(-1, 4).round(3), axis=0)) == 30


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": []}, "images is empty"),
        ({"masks": masks(1)}, "masks has 1 entries for 2 images"),
        ({"masks": masks(height=5)}, r"masks has a mask of shape \(5, 8\)"),
        ({"true_masks": masks(width=7)}, r"true_masks has a mask of shape \(6, 7\)"),
        ({"masks": masks() + 2}, r"holds \[4\], and the classes are 0 to 3"),
        ({"masks": masks() - 1}, r"holds \[-1\]"),
        ({"titles": ["one"]}, "titles has 1 entries"),
        ({"columns": 0}, "columns=0"),
        ({"images": images().astype("float32")}, "must be uint8"),
    ],
)
def test_refuses(change, message):
    arguments = {"images": images(), "masks": masks(), "classes": CLASSES, **change}
    with pytest.raises(ValueError, match=message):
        pictures.segmentation_grid(**arguments)
