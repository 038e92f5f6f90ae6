"""COCO's average precision, by pycocotools, from arrays in memory."""

import contextlib
import io

import numpy as np


def average_precision(
    answers: dict[str, np.ndarray], truth: dict[str, np.ndarray], classes: int
) -> np.ndarray:
    """Average precision of boxes, as `COCOeval` computes it.

    Args:
        answers: `boxes` `(n, k, 4)` in pixels, `scores` `(n, k)`, `classes` `(n, k)`, `count`
            `(n,)`: how many rows of each image are detections.
        truth: `boxes` `(n, m, 4)` in pixels, `labels` `(n, m)` with -1 for rows that only fill up,
            and perhaps `crowd` `(n, m)`: detections on these count neither way.
        classes: Number of classes.

    Returns:
        `(10, classes)`: the average precision of each class at intersections over union of 0.50,
        0.55, ..., 0.95; NaN for a class that the truth does not have.
    """
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "Average precision needs pycocotools: pip install 'vislearn[data]'."
        ) from error

    images = [{"id": index + 1} for index in range(len(truth["labels"]))]
    # pycocotools takes number 0 of an annotation for "not matched", so ids start at 1.
    annotations = [
        {"id": number + 1, **annotation} for number, annotation in enumerate(_annotations(truth))
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # It prints its progress.
        expected = COCO()
        expected.dataset = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": number} for number in range(classes)],
        }
        expected.createIndex()
        found = COCO()
        found.dataset = {**expected.dataset, "annotations": _detections(answers)}
        found.createIndex()
        evaluation = COCOeval(expected, found, "bbox")
        evaluation.params.maxDets = [answers["scores"].shape[1]]
        evaluation.params.areaRng = [[0, 1e10]]
        evaluation.params.areaRngLbl = ["all"]
        evaluation.evaluate()
        evaluation.accumulate()
    # (thresholds, recalls, classes, areas, maxDets); -1 where there is no object of the class.
    precision = evaluation.eval["precision"][:, :, :, 0, 0]
    return np.where(precision < 0, np.nan, precision).mean(axis=1)  # (thresholds, classes)


def _annotations(truth):
    boxes, labels = np.asarray(truth["boxes"], np.float64), np.asarray(truth["labels"])
    crowd = np.asarray(truth["crowd"], bool) if "crowd" in truth else np.zeros(labels.shape, bool)
    for image, row in zip(*np.nonzero(labels >= 0), strict=True):
        box = _corner_and_size(boxes[image, row])
        yield {
            "image_id": int(image) + 1,
            "category_id": int(labels[image, row]),
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(crowd[image, row]),
        }


def _detections(answers):
    found = []
    for image, count in enumerate(answers["count"]):
        for row in range(int(count)):
            box = _corner_and_size(answers["boxes"][image, row].astype(np.float64))
            found.append(
                {
                    "id": len(found) + 1,
                    "image_id": image + 1,
                    "category_id": int(answers["classes"][image, row]),
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                    "score": float(answers["scores"][image, row]),
                }
            )
    return found


def _corner_and_size(box) -> list[float]:
    x1, y1, x2, y2 = map(float, box)
    return [x1, y1, x2 - x1, y2 - y1]
