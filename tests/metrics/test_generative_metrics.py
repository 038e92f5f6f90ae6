"""Metrics of generated pictures, against closed forms and short re-computations."""

import keras
import numpy as np
import pytest

from vislearn.metrics import generative

RNG = np.random.default_rng


# Features -----------------------------------------------------------------------------------------


def classifier():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(6, activation="relu", name="last_features")(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def test_features_are_what_the_last_layer_reads():
    model = classifier()
    images = RNG(0).integers(0, 256, (5, 4, 4, 1), dtype=np.uint8)
    found = generative.features(model, images, batch_size=2)
    kernel, bias = model.get_layer("last_features").get_weights()
    expected = np.maximum(images.reshape(5, -1) @ kernel + bias, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    assert found.dtype == np.float64


def test_features_of_a_network_without_vectors_are_refused():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, name="dense_head")(inputs))
    with pytest.raises(ValueError, match="'dense_head', must read one vector"):
        generative.features(model, np.zeros((1, 4, 4, 1)))


@pytest.mark.slow
def test_inception_features_are_scaled_and_pooled(tmp_path):
    keras.utils.set_random_seed(0)
    network = keras.applications.InceptionV3(include_top=False, weights=None, pooling="avg")
    network.save_weights(tmp_path / "inception.weights.h5")
    images = RNG(0).integers(0, 256, (2, 299, 299, 3), dtype=np.uint8)
    found = generative.inception_features(images, str(tmp_path / "inception.weights.h5"))
    expected = network.predict_on_batch(images.astype("float32") / 127.5 - 1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


# Fréchet distance ---------------------------------------------------------------------------------


def test_frechet_distance_of_two_gaussians_in_closed_form():
    # Of diagonal covariances: the sum of squared differences of means and of deviations.
    means, deviations = np.array([[0.0, 1, 2], [1.0, -1, 2]]), np.array([[1.0, 2, 3], [2.0, 2, 1]])
    found = generative.frechet_distance_of_gaussians(
        means[0], np.diag(deviations[0] ** 2), means[1], np.diag(deviations[1] ** 2)
    )
    assert found == pytest.approx((1 + 4 + 0) + (1 + 0 + 4))


def test_frechet_distance_of_covariances_that_do_not_commute():
    rng = RNG(1)
    first, second = ((a := rng.normal(size=(5, 5))) @ a.T for _ in range(2))
    # An independent way: the eigenvalues of the product itself.
    trace = np.sqrt(np.linalg.eigvals(first @ second).astype(complex)).real.sum()
    expected = np.trace(first) + np.trace(second) - 2 * trace
    zero = np.zeros(5)
    found = generative.frechet_distance_of_gaussians(zero, first, zero, second)
    assert found == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_of_samples_comes_near_the_truth():
    rng = RNG(2)
    real, generated = rng.normal(size=(20_000, 4)), 2 * rng.normal(size=(20_000, 4)) + 1
    # Means 1 apart and deviations 1 apart, in each of four dimensions.
    assert generative.frechet_distance(real, generated) == pytest.approx(8, rel=0.03)
    assert generative.frechet_distance(real, real) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_warns_of_few_examples():
    few = RNG(0).normal(size=(8, 8))
    with pytest.warns(UserWarning, match="8 features is estimated from only 8 examples"):
        generative.frechet_distance(few, few)


@pytest.mark.parametrize(
    ("real", "generated", "message"),
    [
        (np.zeros((4, 2)), np.zeros((4, 3)), "real has 2 features and generated 3"),
        (np.zeros(4), np.zeros((4, 3)), r"real has shape \(4,\)"),
        (np.zeros((4, 3)), np.zeros((1, 3)), r"generated has shape \(1, 3\)"),
    ],
)
def test_distances_refuse_unfit_sets(real, generated, message):
    for distance in (generative.frechet_distance, generative.kernel_distance):
        with pytest.raises(ValueError, match=message):
            distance(real, generated)


# Kernel distance ----------------------------------------------------------------------------------


def test_squared_mmd_is_the_sum_over_pairs():
    rng = RNG(3)
    x, y = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)) + 1

    def kernel(a, b):
        return (np.dot(a, b) / 3 + 1) ** 3

    within = [
        np.mean([kernel(s[i], s[j]) for i in range(5) for j in range(5) if i != j]) for s in (x, y)
    ]
    across = np.mean([kernel(a, b) for a in x for b in y])
    assert generative.squared_mmd(x, y) == pytest.approx(sum(within) - 2 * across)


def test_kernel_distance_is_zero_for_one_distribution_and_not_for_two():
    rng = RNG(4)
    real, same, other = (rng.normal(size=(2000, 8)) + shift for shift in (0, 0, 0.5))
    options = {"subsets": 50, "subset_size": 400}
    value, error = generative.kernel_distance(real, same, **options)
    assert abs(value) < 0.02
    assert 0 < error < 0.02
    value, error = generative.kernel_distance(real, other, **options)
    # Of normals with means 0 and m: with k = |m|^2 / d, E k(x,y) has the closed form below.
    assert value == pytest.approx(shifted_mmd(0.5, 8), rel=0.15)
    assert value > 5 * error
    assert generative.kernel_distance(real, other, **options)[0] == value, "a seed repeats"


def shifted_mmd(shift: float, width: int) -> float:
    """The squared MMD of N(0, I) and N(shift, I), by E (s / d + 1)^3 of the product s."""

    def expectation(square_of_first, product, square_of_second):
        # s = (a + z)(b + w): its first three moments about the mean `product`.
        variance = width + square_of_first + square_of_second
        third = 6 * product
        mean = product / width + 1
        return mean**3 + 3 * mean * variance / width**2 + third / width**3

    m = shift**2 * width
    return expectation(0, 0, 0) + expectation(m, m, m) - 2 * expectation(0, 0, m)


# Variety and novelty ------------------------------------------------------------------------------


def test_inception_score_counts_the_classes():
    assert generative.inception_score(np.eye(7)) == pytest.approx(7)
    assert generative.inception_score(np.eye(7)[[2, 2, 2]]) == pytest.approx(1)
    assert generative.inception_score(np.full((4, 5), 0.2)) == pytest.approx(1)
    with pytest.raises(ValueError, match="each row summing to 1"):
        generative.inception_score(np.ones((2, 3)))


@pytest.mark.parametrize("chunk", [1, 4, 100])
def test_nearest_is_that_of_all_differences(chunk):
    rng = RNG(5)
    queries, candidates = rng.uniform(0, 255, (9, 3, 3, 1)), rng.uniform(0, 255, (20, 3, 3, 1))
    numbers, distances = generative.nearest(queries, candidates, chunk)
    every = np.sqrt(((queries[:, None] - candidates[None]) ** 2).sum(axis=(2, 3, 4)))
    np.testing.assert_array_equal(numbers, every.argmin(axis=1))
    np.testing.assert_allclose(distances, every.min(axis=1))
    with pytest.raises(ValueError, match="can't be compared"):
        generative.nearest(queries, candidates[:, :2])


def test_copies_are_found_among_new_pictures():
    rng = RNG(6)
    training, held_out, new = (
        rng.integers(0, 256, (count, 6, 6, 1), dtype=np.uint8) for count in (300, 200, 30)
    )
    generated = np.concatenate([new, training[[17, 4]]])
    found = generative.find_copies(generated, training, held_out)
    np.testing.assert_array_equal(found.nearest[-2:], [17, 4])
    np.testing.assert_array_equal(found.distance[-2:], 0)
    assert np.all(found.distance[:-2] > 0)
    copies = found.distance < found.threshold
    assert copies[-2:].all()
    assert copies.mean() == found.share < 0.2


# Likelihood ---------------------------------------------------------------------------------------


def test_bits_of_a_uniform_density_are_those_of_its_levels():
    # All levels equally likely: 8 bits a value, whatever the units.
    assert generative.bits_per_dimension(12 * np.log(256), 12) == pytest.approx(8)
    assert generative.bits_per_dimension(0.0, 12, level=1 / 256) == pytest.approx(8)
    assert generative.bits_per_dimension(12 * np.log(2), 12, level=2 / 256) == pytest.approx(8)
    with pytest.raises(ValueError, match="level=0"):
        generative.bits_per_dimension(1.0, 12, level=0)
