"""Exact posteriors pass every test of calibration, and each kind of wrong one fails."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub.errors import FieldError
from galsim_hub.score import calibration

SETS, SAMPLES, NUMBERS = 500, 200, 4


@pytest.fixture(scope="module")
def gaussian():
    """Give truths, data, and the samples of posteriors with a chosen fault.

    Truths and noise have the variance 1, so that the posterior is N(data / 2, 1 / 2).
    """
    rng = np.random.default_rng(11)
    truths = rng.standard_normal((SETS, NUMBERS))
    data = truths + rng.standard_normal((SETS, NUMBERS))
    white = rng.standard_normal((SAMPLES, SETS, NUMBERS))

    def draw(stretch=1.0, shift=0.0):
        return data / 2 + np.sqrt(0.5) * (stretch * white + shift)

    return truths, data, white, draw


def tarp_gap(samples, truths, references=None):
    alphas, coverage = calibration.expected_coverage(samples, truths, 3, references)
    return np.abs(coverage - alphas).max()


def test_exact_posterior_passes_all_three(gaussian):
    truths, _, _, draw = gaussian
    assert tarp_gap(draw(), truths) <= 0.05
    assert calibration.rank_p_values(draw(), truths).min() > 0.01
    # Four numbers of 500 sets: 0.68 has a standard error of 0.010, 0.95 one of 0.005.
    assert calibration.interval_coverage(draw(), truths, 0.68).mean() == pytest.approx(
        0.68, abs=0.03
    )
    assert calibration.interval_coverage(draw(), truths, 0.95).mean() == pytest.approx(
        0.95, abs=0.015
    )


@pytest.mark.parametrize("fault", [{"stretch": 0.75}, {"stretch": 1.4}, {"shift": 0.4}], ids=str)
def test_wrong_posterior_fails_all_that_can_see_it(gaussian, fault):
    truths, _, _, draw = gaussian
    samples = draw(**fault)
    assert tarp_gap(samples, truths) > 0.05
    assert calibration.rank_p_values(samples, truths).max() < 1e-3
    if "stretch" in fault:
        covered = calibration.interval_coverage(samples, truths, 0.68).mean()
        assert np.sign(covered - 0.68) == np.sign(fault["stretch"] - 1.0)
        assert abs(covered - 0.68) > 0.05


def test_posterior_that_ignores_the_data_shows_with_references_that_know_them(gaussian):
    truths, data, white, _ = gaussian
    assert calibration.rank_p_values(white, truths).min() > 0.01  # the blind spot of ranks
    assert tarp_gap(white, truths, references=data) > 0.2


def test_coverage_is_exact_on_average_for_few_samples():
    rng = np.random.default_rng(4)
    truths, samples = rng.standard_normal(40_000), rng.standard_normal((6, 40_000))
    for level in (0.5, 0.68, 0.95):
        covered = calibration.interval_coverage(samples, truths, level)
        assert covered == pytest.approx(level, abs=0.01)


def test_p_values_of_right_posteriors_are_even():
    rng = np.random.default_rng(5)
    values = calibration.rank_p_values(
        rng.standard_normal((9, 300, 1000)), rng.standard_normal((300, 1000))
    )
    assert np.quantile(values, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.05)


def test_rank_is_the_number_of_samples_below():
    found = calibration.ranks([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]], [1.5, 0.0])
    assert found.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("samples", "truths", "message"),
    [
        (np.zeros((5, 3)), np.zeros(4), "do not fit"),
        (np.full((5, 3), np.nan), np.zeros(3), "finite"),
        (np.zeros((0, 3)), np.zeros(3), "do not fit"),
    ],
)
def test_arrays_that_make_no_sense_are_refused(samples, truths, message):
    with pytest.raises(FieldError, match=message):
        calibration.ranks(samples, truths)


def test_too_few_sets_for_ranks_are_refused():
    with pytest.raises(FieldError, match="10 or more"):
        calibration.rank_p_values(np.zeros((5, 9)), np.zeros(9))
