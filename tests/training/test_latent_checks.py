"""Latent checks: equal samples pass, unequal ones and learnt-by-heart ones are found."""

import numpy as np
import pytest

from training.validation.latents import (
    classifier_accuracy,
    coverage_quantities,
    memorisation_quantities,
    nearest,
)


@pytest.fixture
def generator():
    return np.random.default_rng(12)


def values(quantities) -> dict[str, float]:
    return {q.key: q.value for q in quantities}


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.42, 0.58), (2.0, 0.75, 1.0)])
def test_classifier_tells_apart_what_differs_and_nothing_else(generator, shift, low, high):
    conditions = generator.normal(size=(600, 2))
    one, other = (conditions @ np.ones((2, 3)) + generator.normal(size=(600, 3)) for _ in range(2))
    accuracy, error = classifier_accuracy(one, other + shift, conditions)
    assert low < accuracy < high
    assert 0 < error < 0.03


def test_honest_posterior_covers_the_truth_and_a_narrow_one_does_not(generator):
    truth = generator.normal(size=(2000, 4))
    width = np.full(truth.shape, 0.1)
    mean = truth + width * generator.normal(size=truth.shape)
    honest, narrow = (values(coverage_quantities(truth, mean, w)) for w in (width, 0.5 * width))
    # 8,000 latents: the share is good to 0.005.
    assert honest["coverage_68"] == pytest.approx(0.68, abs=0.02)
    assert honest["coverage_95"] == pytest.approx(0.95, abs=0.01)
    assert honest["coverage_ks"] < 0.05
    assert narrow["coverage_68"] < 0.45


def test_copies_of_training_galaxies_are_found(generator):
    train = generator.normal(size=(3000, 4))
    fresh, held_out = generator.normal(size=(2, 500, 4))
    halves = [train[:1500], train[1500:]]
    honest = values(memorisation_quantities(fresh, held_out, halves))
    assert abs(honest["memorisation"]) < 0.1
    assert abs(honest["memorisation_halves"]) < 0.1
    copied = train[:500] + 0.01 * generator.normal(size=(500, 4))
    learnt = values(memorisation_quantities(copied, held_out, halves))
    assert learnt["memorisation"] < -0.9
    assert learnt["memorisation_halves"] < -0.9


def test_nearest_neighbour_is_the_nearest(generator):
    points, others = generator.normal(size=(700, 3)), generator.normal(size=(50, 3))
    slow = np.linalg.norm(points[:, None] - others[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest(points, others), slow, atol=1e-6)
