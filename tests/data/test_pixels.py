"""Means and deviations of training images."""

import numpy as np
import pytest

from vislearn.data import fitted_preprocessing, load_dataset

pytestmark = pytest.mark.tensorflow


def test_of_the_training_images_alone():
    data = load_dataset("shapes", task="classification", image_size=16, quiet=True)
    images = data.arrays("train")["images"].astype(float)
    found = fitted_preprocessing(data)
    np.testing.assert_allclose(found["mean"], images.mean((0, 1, 2)))
    np.testing.assert_allclose(found["std"], images.std((0, 1, 2)))
    assert fitted_preprocessing(data, "channel_mean") == {"mean": found["mean"]}
    whole = fitted_preprocessing(data, "mean_image")
    np.testing.assert_allclose(whole["mean"], images.mean(0))
    with pytest.raises(ValueError, match="kind='image' must be one of"):
        fitted_preprocessing(data, "image")


@pytest.mark.parametrize("kind", ["mean_image", "channel_mean_std"])
def test_a_training_scales_by_them_and_exports_them(kind, tmp_path):
    from vislearn.commands import export_run
    from vislearn.export import load_predictor
    from vislearn.training import train

    data = load_dataset("digits", quiet=True)
    options = {"units": [32], "preprocessing": fitted_preprocessing(data, kind)}
    run = train("mlp", data="digits", out=tmp_path / "run", options=options, epochs=1, quiet=True)
    export_run(run.folder, tmp_path / "package", formats=("litert",), quantize=None)
    images = data.arrays("test", limit=20)["images"]
    expected = run.task().decode(run.model()(images.astype("float32")))["scores"]
    found = load_predictor(tmp_path / "package").predict(images)["scores"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
