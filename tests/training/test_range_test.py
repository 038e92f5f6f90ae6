"""The learning-rate range test."""

import json

import numpy as np
import pytest

import vislearn
from vislearn.training.range_test import lr_range, smooth, steepest


def test_averages_are_weighted_means():
    values = np.random.default_rng(0).normal(size=20)
    expected = [
        np.average(values[:count], weights=0.9 ** np.arange(count)[::-1])
        for count in range(1, len(values) + 1)
    ]
    np.testing.assert_allclose(smooth(values, 0.9), expected, rtol=1e-12)
    np.testing.assert_array_equal(smooth(values, 0.0), values)


def test_smoothing_both_leaves_a_line_where_it_is():
    """Averages of losses alone would stand behind their rates."""
    places = np.linspace(-6, 1, 200)
    rates, losses = np.exp(smooth(np.log(10**places), 0.9)), smooth(3 - 0.2 * places, 0.9)
    np.testing.assert_allclose(losses, 3 - 0.2 * np.log10(rates), rtol=1e-9)


def test_the_steepest_place_is_found_through_noise():
    """A logistic fall around 1e-3, and a rise after 1e-1."""
    places = np.linspace(-6, 1, 200)
    losses = 2.3 - 1.5 / (1 + np.exp(-4 * (places + 3))) + np.maximum(places + 1, 0) ** 2
    losses += np.random.default_rng(0).normal(0, 0.02, 200)
    assert np.log10(steepest(10**places, losses)) == pytest.approx(-3, abs=0.2)


def test_the_very_start_is_not_taken_for_the_steepest():
    """Of few steps the first are noise, which nothing smooths."""
    places = np.linspace(-6, 1, 20)
    losses = 2.3 - 1.5 / (1 + np.exp(-4 * (places + 3)))
    losses[0] += 3
    assert np.log10(steepest(10**places, losses)) == pytest.approx(-3, abs=0.6)


def test_no_suggestion_where_nothing_falls():
    rates = np.logspace(-6, 0, 50)
    assert steepest(rates, np.linspace(1, 2, 50)) is None


@pytest.fixture(scope="module")
def found():
    return lr_range("mlp", data="digits", steps=60, quiet=True, batch_size=64, augment="none")


def test_the_rate_grows_by_one_factor_until_the_loss_diverges(found):
    count = len(found.rates)
    np.testing.assert_allclose(found.rates, np.geomspace(1e-6, 10, 60)[:count], rtol=1e-3)
    assert len(found.losses) == len(found.smoothed_losses) == len(found.smoothed_rates) == count
    assert found.diverged == (count < 60)
    if found.diverged:
        assert found.smoothed_losses[-1] > 4 * min(found.smoothed_losses)
    assert found.losses[0] == pytest.approx(np.log(10), rel=0.5)


def test_the_suggestion_learns(found):
    """It lies where the loss falls, and within a decade and a half of the recipe's own rate."""
    assert found.rates[0] < found.suggestion < 10 * found.tenth
    assert abs(np.log10(found.suggestion / found.usual)) < 1.5


def test_it_is_saved_with_its_picture(found, tmp_path):
    found.save(tmp_path / "new")
    saved = json.loads((tmp_path / "new" / "lr_range.json").read_text())
    assert saved["suggestion"] == found.suggestion and saved["rates"] == found.rates
    assert (tmp_path / "new" / "lr_range.png").stat().st_size > 5000


def test_an_objective_is_swept():
    found = lr_range(
        "conv_vae",
        data="digits",
        steps=10,
        least=1e-4,
        greatest=1e-2,
        quiet=True,
        options={"width": 4, "hidden": 16, "latent": 4},
    )
    assert len(found.losses) == 10 and found.losses[-1] < found.losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"least": 1.0, "greatest": 0.1}, "least=1.0 must be positive and below greatest=0.1"),
        ({"steps": 5}, "steps=5 must be at least 10"),
        ({"smoothing": 1.0}, "smoothing=1.0 must be at least 0 and below 1"),
        ({"momentum": 2.0}, "momentum=2.0 must be"),
        ({"patients": 2}, "no fields of the recipe"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        lr_range("mlp", data="digits", quiet=True, **arguments)


def test_a_head_is_swept_alone(tmp_path):
    """It starts at zero, on features of one scale."""
    network = vislearn.create_model("mlp", input_shape=(8, 8, 1), num_classes=10)
    network.save(tmp_path / "start.keras")
    arguments = {"data": "digits", "weights": str(tmp_path / "start.keras"), "quiet": True}
    found = lr_range("mlp", tune="head", steps=10, greatest=0.1, **arguments)
    assert found.losses[0] == pytest.approx(np.log(10), rel=1e-4)
    assert found.losses[-1] < found.losses[0]
    assert found.usual == 1e-2


def test_the_test_images_are_not_read(monkeypatch):
    def load(source, **options):
        raise RuntimeError(f"test={options['test']}")

    monkeypatch.setattr("vislearn.training.preparation.load_dataset", load)
    with pytest.raises(RuntimeError, match="test=False"):
        lr_range("mlp", data="digits", quiet=True)


def test_a_gan_is_refused():
    with pytest.raises(ValueError, match="an optimiser for each of its networks"):
        lr_range("dcgan", data="digits", quiet=True, options={"width": 4, "latent": 4})


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    from vislearn.cli import app

    out = tmp_path / "range"
    arguments = ["lr-range", "mlp", "--data", "digits", "--steps", "10", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, "--recipe", "optimizer=sgd"])
    assert result.exit_code == 0, result.output
    saved = json.loads((out / "lr_range.json").read_text())
    assert saved["optimizer"] == "sgd" and (out / "lr_range.png").exists()
    for word in ("suggestion", "least loss / 10", "recipe           0.002 with sgd", str(out)):
        assert word in result.output
