"""Validation: biases that are known come out as they went in."""

import galsim
import numpy as np
import pytest

from training.validation.bias import MIN_COUNT, bias_curve
from training.validation.moments import FIELDS, Moments, measure, measure_all
from training.validation.report import (
    Report,
    bias_figure,
    border_share,
    ellipticity,
    ks,
    markdown,
    write_report,
)

EDGES = np.array([0.0, 1.0, 2.0, 3.0])


def make_sample(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(1.0, 0.3, count), rng.uniform(0.0, 3.0, count)


def gaussian(sigma: float, flux: float = 100.0, g1: float = 0.0, size: int = 64) -> np.ndarray:
    """Draw a Gaussian, `sigma` in pixels, sampled and not integrated over pixels."""
    profile = galsim.Gaussian(sigma=sigma, flux=flux).shear(g1=g1, g2=0)
    return profile.drawImage(nx=size, ny=size, scale=1.0, method="no_pixel").array.astype(float)


def make_moments(values: np.ndarray) -> Moments:
    return Moments(*(values for _ in FIELDS))


def make_report(bias: float = 0.0, border: float = 0.0) -> Report:
    data, condition = make_sample(2000, 3)
    curve = bias_curve(data * (1 + bias), data, condition, EDGES)
    sample, drawn = make_moments(data), make_moments(data * (1 + bias))
    return Report("validation", 2000, sample, drawn, curve, curve, border)


@pytest.mark.parametrize("bias", [-0.1, 0.0, 0.04])
def test_bias_of_a_scaled_copy_is_that_scale_in_every_bin(bias):
    data, condition = make_sample(3000, 1)
    curve = bias_curve(data * (1 + bias), data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, bias, atol=1e-12)
    assert curve.worst == pytest.approx(abs(bias), abs=1e-12)


def test_bias_is_measured_bin_by_bin():
    data, condition = make_sample(3000, 1)
    curve = bias_curve(data * np.where(condition < 1, 1.2, 1.0), data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, [0.2, 0.0, 0.0], atol=1e-12)


def test_error_covers_the_bias_of_two_samples_of_one_population():
    one, condition = make_sample(30_000, 1)
    other, _ = make_sample(30_000, 2)
    curve = bias_curve(one, other, condition, EDGES)
    # The standard error of a median is 1.25 sigma / sqrt(n); a ratio of two has sqrt(2) more.
    expected = np.sqrt(2) * 1.2533 * 0.3 / np.sqrt(10_000)
    np.testing.assert_allclose(curve.error, expected, rtol=0.25)  # 100 resamplings: 7%
    assert np.all(np.abs(curve.bias) < 4 * curve.error)


def test_bin_of_few_pairs_does_not_count():
    data, condition = make_sample(1000, 1)
    condition[MIN_COUNT - 1 :] = 2.5
    condition[: MIN_COUNT - 1] = 0.5
    curve = bias_curve(data * 2, data, condition, EDGES)
    assert np.isnan(curve.bias[0])
    assert curve.count[0] == MIN_COUNT - 1
    assert curve.worst == pytest.approx(1.0)


def test_failed_measurement_leaves_the_pair_out():
    data, condition = make_sample(1000, 1)
    generated = data.copy()
    generated[::3] = np.nan
    curve = bias_curve(generated, data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, 0.0, atol=1e-12)
    assert curve.count.sum() == np.isfinite(generated).sum()


def test_distance_of_identical_samples_is_zero_and_of_disjoint_ones_is_one():
    sample, _ = make_sample(100, 1)
    assert ks(sample, sample) == 0.0
    assert ks(sample, sample + 100) == 1.0


def test_distance_is_the_largest_gap_of_the_cumulative_shares():
    assert ks(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])) == 0.5
    assert ks(np.array([1.0, np.nan, 2.0]), np.array([2.0, 1.0])) == 0.0


def test_border_share_counts_two_pixels_on_each_side():
    flat = np.ones((16, 16), np.float32)
    assert border_share(flat) == pytest.approx(1 - 12**2 / 16**2)
    inner = np.zeros((16, 16), np.float32)
    inner[2:-2, 2:-2] = 1.0
    assert border_share(inner) == 0.0


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_moments_of_a_gaussian_are_its_own(sigma):
    flux, size, g1, g2, rho4 = measure(gaussian(sigma, g1=0.2))
    assert flux == pytest.approx(100.0, rel=1e-3)
    # Adaptive moments of a sampled Gaussian are exact up to HSM's convergence, 1e-6, and its size
    # is that of the round profile of the same area, which a shear conserves.
    assert size == pytest.approx(sigma, rel=1e-3)
    assert (g1, g2) == pytest.approx((0.2, 0.0), abs=1e-3)
    assert rho4 == pytest.approx(
        2.0, rel=1e-3
    )  # <r^4> / sigma^4 of a Gaussian under its own weight


def test_stamp_that_cannot_be_measured_is_nan():
    assert np.all(np.isnan(measure(np.zeros((32, 32)))))


def test_stamps_are_measured_in_order_over_processes_and_failures_counted():
    images = np.stack([gaussian(2.0), np.zeros((64, 64)), gaussian(4.0)])
    moments = measure_all(images, processes=1)
    np.testing.assert_allclose(moments.sigma, [2.0, np.nan, 4.0], rtol=1e-3)
    assert moments.failures == 1


def test_ellipticity_is_the_length_of_the_shear():
    moments = Moments(*(np.array([v]) for v in (1.0, 1.0, 0.3, -0.4, 2.0)))
    np.testing.assert_allclose(ellipticity(moments), [0.5])


@pytest.mark.parametrize(
    ("bias", "border", "passed"),
    [
        (0.0, 0.0, True),
        (0.029, 9e-4, True),
        (0.031, 0.0, False),
        (-0.031, 0.0, False),
        (0.0, 2e-3, False),
    ],
)
def test_report_passes_when_all_bars_hold(bias, border, passed):
    assert make_report(bias, border).passed is passed


def test_report_without_any_full_bin_does_not_pass():
    data, condition = make_sample(10, 1)
    empty = bias_curve(data, data, condition, EDGES)
    moments = make_moments(data)
    with np.errstate(all="ignore"):
        try:
            passed = Report("validation", 10, moments, moments, empty, empty, 0.0).passed
        except RuntimeWarning:  # numpy's, about a slice of NaNs only
            passed = False
    assert not passed


def test_written_report_states_counts_and_bars(tmp_path):
    report = make_report(0.01)
    write_report(report, tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    assert text == markdown(report)
    assert "2,000 galaxies" in text
    assert "| median flux bias, worst bin, mag_auto 20.5-25 | 1.0% | 3% |" in text
    assert all(f"| {count} |" in text for count in report.flux.count)
    assert (tmp_path / "report" / "bias.png").read_bytes().startswith(b"\x89PNG")


def test_figure_has_one_panel_a_curve():
    assert len(bias_figure(make_report()).axes) == 2
