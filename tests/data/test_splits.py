"""Folds and left-out test images: nothing is chosen by what it is measured on."""

import numpy as np
import pytest

from vislearn.data import load_dataset
from vislearn.data.splits import stratified_folds


def test_folds_hold_everything_once_and_each_class_alike():
    labels = np.repeat([0, 1, 2], [50, 20, 30])
    folds = stratified_folds(labels, 5)
    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(100))
    for fold in folds:
        np.testing.assert_array_equal(np.bincount(labels[fold]), [10, 4, 6])
    for one, two in zip(folds, stratified_folds(labels, 5), strict=True):
        np.testing.assert_array_equal(one, two)


def test_folds_without_classes_are_random():
    first = stratified_folds(np.zeros(100, int), 4)[0]
    assert len(first) == 25 and first.max() - first.min() > 50


def test_too_many_folds():
    with pytest.raises(ValueError, match="folds=5 is more than the 3 images of class number 1"):
        stratified_folds(np.repeat([0, 1], [9, 3]), 5)


@pytest.mark.tensorflow
def test_folds_of_a_data_set():
    def names(dataset, split):
        return {image.tobytes() for image in dataset.arrays(split)["images"]}

    whole = load_dataset("digits")
    hidden, seen = names(whole, "test"), []
    for number in (1, 2, 3):
        part = load_dataset("digits", fold=(number, 3))
        splits = [names(part, split) for split in ("train", "validation", "test")]
        assert sum(map(len, splits)) == len(set.union(*splits))
        assert set.union(*splits) == names(whole, "train") | names(whole, "validation")
        assert not set.union(*splits) & hidden
        share = np.bincount(part.arrays("test")["labels"]) / part.info.counts["test"]
        assert np.all(np.abs(share - 0.1) < 0.01)
        seen.append(splits[2])
    assert (
        sum(map(len, seen))
        == len(set.union(*seen))
        == part.info.counts["train"] + (part.info.counts["validation"] + part.info.counts["test"])
    )


@pytest.mark.tensorflow
def test_without_the_test_split():
    dataset = load_dataset("digits", test=False)
    assert dataset.test is None and "test" not in dataset.info.counts
    assert "The test images are left out." in dataset.info.notes
    with pytest.raises(ValueError, match="split='test'"):
        dataset.arrays("test")
    whole = load_dataset("digits")
    for split in ("train", "validation"):
        np.testing.assert_array_equal(
            dataset.arrays(split)["images"], whole.arrays(split)["images"]
        )


@pytest.mark.parametrize("fold", [(0, 3), (4, 3), (1, 1), (1,)])
def test_wrong_fold(fold):
    with pytest.raises(ValueError, match="must be"):
        load_dataset("digits", fold=fold)
