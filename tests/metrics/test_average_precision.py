"""Average precision by pycocotools against cases worked out by hand."""

import numpy as np
import pytest

from vislearn.metrics.coco import average_precision

BOX = [10.0, 10, 30, 50]


def answers(rows, width=4):
    """From (box, score, class) rows of each picture to padded arrays."""
    found = {
        "boxes": np.zeros((len(rows), width, 4), "float32"),
        "scores": np.zeros((len(rows), width), "float32"),
        "classes": np.full((len(rows), width), -1, "int32"),
        "count": np.array([len(row) for row in rows], "int32"),
    }
    for image, row in enumerate(rows):
        for index, (box, score, number) in enumerate(row):
            found["boxes"][image, index] = box
            found["scores"][image, index] = score
            found["classes"][image, index] = number
    return found


def truth(rows, width=3):
    """From (box, class) or (box, class, crowd) rows of each picture to padded arrays."""
    found = {
        "boxes": np.zeros((len(rows), width, 4), "float32"),
        "labels": np.full((len(rows), width), -1, "int32"),
        "crowd": np.zeros((len(rows), width), bool),
    }
    for image, row in enumerate(rows):
        for index, (box, number, *crowd) in enumerate(row):
            found["boxes"][image, index], found["labels"][image, index] = box, number
            found["crowd"][image, index] = bool(crowd and crowd[0])
    return found


def moved(x):
    return [BOX[0] + x, BOX[1], BOX[2] + x, BOX[3]]


def test_perfect_answers_and_a_class_without_objects(capsys):
    objects = truth([[(BOX, 0), (moved(40), 1)], [(BOX, 1)]])
    found = answers([[(moved(40), 0.8, 1), (BOX, 0.3, 0)], [(BOX, 0.9, 1)]])
    precision = average_precision(found, objects, 3)
    assert precision.shape == (10, 3)
    np.testing.assert_allclose(precision[:, :2], 1)
    assert np.all(np.isnan(precision[:, 2]))
    assert capsys.readouterr().out == ""


def test_a_box_counts_up_to_its_overlap():
    """Moved by 3 of 20 pixels: 17 / 23 = 0.74, right up to 0.70."""
    precision = average_precision(answers([[(moved(3), 0.9, 0)]]), truth([[(BOX, 0)]]), 1)
    np.testing.assert_allclose(precision[:, 0], [1] * 5 + [0] * 5)


def test_half_found_and_half_wrong():
    """Two objects, one found, after a wrong one: precision 1/2 up to a recall of 1/2."""
    objects = truth([[(BOX, 0), (moved(40), 0)]])
    found = answers([[(moved(80), 0.9, 0), (BOX, 0.5, 0)]])
    # 51 of the 101 recalls are 0.5 or less.
    assert average_precision(found, objects, 1)[0, 0] == pytest.approx(0.5 * 51 / 101)


def test_twice_found_is_once_wrong_and_the_wrong_class_is_wrong():
    objects = truth([[(BOX, 0)], [(BOX, 0)]])
    found = answers([[(BOX, 0.9, 0), (BOX, 0.8, 0)], [(BOX, 0.7, 0)]])
    # Precision 1 up to a recall of 1/2, then 2/3.
    expected = (51 + 50 * 2 / 3) / 101
    assert average_precision(found, objects, 1)[0, 0] == pytest.approx(expected)
    found = answers([[(BOX, 0.9, 1)], []])
    assert average_precision(found, objects, 2)[0, 0] == 0


def test_crowds_count_neither_way():
    objects = truth([[(BOX, 0), (moved(100), 0, True)]])
    found = answers([[(moved(100), 0.95, 0), (moved(101), 0.94, 0), (BOX, 0.5, 0)]])
    assert average_precision(found, objects, 1)[0, 0] == pytest.approx(1)
    objects.pop("crowd")
    assert average_precision(found, objects, 1)[0, 0] < 1


def test_rows_after_the_count_are_no_detections():
    found = answers([[(BOX, 0.9, 0), (moved(50), 0.99, 0)]])
    found["count"][:] = 1
    assert average_precision(found, truth([[(BOX, 0)]]), 1)[0, 0] == pytest.approx(1)


def test_pictures_without_objects_or_detections():
    found = answers([[], [(BOX, 0.9, 0)]])
    assert average_precision(found, truth([[(BOX, 0)], []]), 1)[0, 0] == 0
    assert average_precision(answers([[]]), truth([[(BOX, 0)]]), 1)[0, 0] == 0
