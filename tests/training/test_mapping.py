"""Maps of mass under an exact prior measure as right, and those under a wrong one do not."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import dataclasses

import numpy as np
import pytest

from galsim_hub import score
from training.score import mapping, mapping_rows, validation

SIDE = 32
PLAN = mapping.Plan(
    n_maps=12, n_samples=40, side=SIDE, margin=0, n_steps=2, n_warmup=15, thin=4, together=12
)


class Exact(score.GaussianPrior):
    """A Gaussian prior that is asked as a module is."""

    @staticmethod
    def law(k, amplitude=1e-4):
        return amplitude / (0.2 + k) ** 3

    def __init__(self, amplitude, side=SIDE):
        super().__init__(lambda k: self.law(k, amplitude), (side, side), pixel_scale=17.4)

    def sample(self, n, seed, shape=None):
        return super().sample(n, seed)


@pytest.fixture(scope="module")
def truths():
    """Give periodic maps of the prior of amplitude 1e-4."""
    return Exact(1e-4).sample(PLAN.n_maps, 3)


@pytest.fixture(scope="module")
def found(truths):
    return mapping.infer(Exact(1e-4), truths, PLAN)


def value(rows, name):
    """Give the first number of a row."""
    (row,) = [row for row in rows if row.quantity.startswith(name)]
    return float(row.value.split(",")[0].split(" ")[0].rstrip("%"))


def test_mean_under_an_exact_gaussian_is_the_wiener_filter(found):
    rows = mapping_rows.fidelity_rows(found, Exact(1e-4).std)
    # 40 samples add a fortieth of the posterior's variance, less than that of the error.
    assert value(rows, "RMSE of the posterior mean") == pytest.approx(1.0, abs=0.03)
    # What they add is known from their scatter, and without it there is only the Wiener filter.
    assert value(rows, "the same of endless") < value(rows, "RMSE of the posterior mean")
    assert value(rows, "the same of endless") == pytest.approx(1.0, abs=0.015)
    assert value(rows, "chi2 / N") == pytest.approx(1.0, abs=0.03)
    peaks = next(row.value for row in rows if row.quantity.startswith("peaks above 2"))
    mine, true = (float(part.split(" +- ")[0]) for part in peaks.split(","))
    assert mine == pytest.approx(true, rel=0.3)


def test_exact_prior_is_calibrated_and_one_of_too_little_power_is_not(truths, found):
    right = mapping_rows.calibration_rows(found, 1)
    wrong = mapping_rows.calibration_rows(mapping.infer(Exact(1e-5), truths, PLAN), 1)
    assert value(right, "pixels within their 68%") == pytest.approx(68, abs=4)
    assert value(wrong, "pixels within their 68%") < 55
    assert value(right, "TARP, coverage off by, random") < value(
        wrong, "TARP, coverage off by, random"
    )


def test_maps_are_compared_without_what_no_shear_shows(found):
    # The prior's own mean of a square scatters by a tenth of a map's standard deviation.
    for values in (found.truths, found.means, found.samples, found.wiener):
        assert np.abs(values.mean(axis=(-2, -1))).max() < 1e-3 * Exact(1e-4).std
    squares = mapping.training_squares(found.truths + 5.0, PLAN, 4)
    assert squares.shape == (4, SIDE, SIDE)
    assert np.abs(squares.mean(axis=(-2, -1))).max() < 1e-6


def test_training_maps_of_the_same_law_have_the_same_power(found):
    rows = mapping_rows.fidelity_rows(found, Exact(1e-4).std, found.truths)
    (row,) = [row for row in rows if row.quantity.startswith("power of training maps")]
    assert row.value == " ".join(["1.00"] * 8)
    peaks = {r.quantity.rsplit(", ", 1)[1]: r.value for r in rows if "above 2" in r.quantity}
    both = peaks["samples and truth"]
    assert both.split(", ")[1].startswith(peaks["training maps"])


@pytest.mark.parametrize(("factor", "gap"), [(1.0, 0.0), (1.2, 0.2)])
def test_power_of_samples_is_judged_by_the_law(factor, gap):
    row = validation.theory_row(Exact(factor * 1e-4), score.GaussianPrior(Exact.law, (SIDE, SIDE)))
    found, error = map(float, row.value.split(" +- "))
    assert abs(found - gap) < 4 * error
    assert 0.001 < error < 0.03


def test_noise_is_that_of_the_galaxies_in_a_pixel():
    seen = mapping.observe(np.zeros((64, 64)), 0.29, [1, 2])
    assert seen.n_galaxies.mean() == pytest.approx(70.7 * 0.29**2, rel=0.03)
    pulls = (seen.shear / seen.noise_std)[:, seen.is_seen]
    assert pulls.std() == pytest.approx(1.0, abs=0.03)


def test_chains_from_both_ends_agree(truths):
    plan = dataclasses.replace(PLAN, n_maps=1)
    r_hat, effective, seconds = mapping.agree(Exact(1e-4), truths[0].astype(float), plan, 40)
    assert np.median(r_hat) < 1.05  # 8 chains of 40 draws that remember each other
    assert effective.min() > 8
    assert seconds > 0


def test_squares_are_cut_inside_and_repeat_for_a_seed():
    maps = np.arange(5.0)[:, None, None] + np.zeros((5, 40, 40), np.float32)
    squares = mapping.cut(maps, dataclasses.replace(PLAN, n_maps=3))
    assert squares.shape == (3, SIDE, SIDE)
    assert squares[:, 0, 0].tolist() == [0.0, 2.0, 4.0]


def test_peaks_are_higher_than_all_eight_neighbours():
    image = np.zeros((1, 7, 7))
    image[0, 2, 2], image[0, 4, 5], image[0, 4, 4] = 3.0, 3.0, 2.0
    assert mapping_rows.count_peaks(image, 1.0) == 2
    assert mapping_rows.count_peaks(image, 3.0) == 0


def test_pdf_of_the_same_maps_is_the_same():
    maps = np.random.default_rng(1).standard_normal((4, 32, 32))
    assert mapping_rows.pdf_gap(maps, maps, 1.0) == 0.0
    assert mapping_rows.pdf_gap(1.3 * maps, maps, 1.0) > 0.1
