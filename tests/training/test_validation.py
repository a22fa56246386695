"""Validation: biases and distances that are known come out as they went in; bars are judged."""

import galsim
import numpy as np
import pytest

from training.errors import ConfigError
from training.validation import distances
from training.validation.bias import MIN_COUNT, Bias, BiasCurve, bias_curve
from training.validation.measure import border_share, half_light_radius
from training.validation.moments import measure
from training.validation.part import Bar, Part, Quantity, load_bars, load_parts, passed, rows
from training.validation.population import column, curves, size_scatter
from training.validation.report import Report, markdown, write_report

EDGES = np.array([0.0, 1.0, 2.0, 3.0])


def make_sample(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.lognormal(1.0, 0.3, count), rng.uniform(0.0, 3.0, count)


def gaussian(sigma: float, flux: float = 100.0, g1: float = 0.0, size: int = 64) -> np.ndarray:
    """Draw a Gaussian, `sigma` in pixels, sampled and not integrated over pixels."""
    profile = galsim.Gaussian(sigma=sigma, flux=flux).shear(g1=g1, g2=0)
    return profile.drawImage(nx=size, ny=size, scale=1.0, method="no_pixel").array.astype(float)


@pytest.mark.parametrize("bias", [-0.1, 0.0, 0.04])
def test_bias_of_a_scaled_copy_is_that_scale_in_every_bin(bias):
    data, condition = make_sample(3000, 1)
    curve = bias_curve(data * (1 + bias), data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, bias, atol=1e-12)
    assert curve.worst().value == pytest.approx(bias, abs=1e-12)
    assert curve.whole.value == pytest.approx(bias, abs=1e-12)


def test_bias_is_measured_bin_by_bin():
    data, condition = make_sample(3000, 1)
    curve = bias_curve(data * np.where(condition < 1, 1.2, 1.0), data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, [0.2, 0.0, 0.0], atol=1e-12)
    assert curve.worst().value == pytest.approx(0.2)


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
    assert curve.worst().value == pytest.approx(1.0)


def test_failed_measurement_leaves_the_pair_out():
    data, condition = make_sample(1000, 1)
    generated = data.copy()
    generated[::3] = np.nan
    curve = bias_curve(generated, data, condition, EDGES)
    np.testing.assert_allclose(curve.bias, 0.0, atol=1e-12)
    assert curve.count.sum() == np.isfinite(generated).sum()


def test_distance_of_identical_samples_is_zero_and_of_disjoint_ones_is_one():
    sample, _ = make_sample(100, 1)
    assert distances.ks(sample, sample) == 0.0
    assert distances.ks(sample, sample + 100) == 1.0


def test_distance_is_the_largest_gap_of_the_cumulative_shares():
    assert distances.ks(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 4.0, 5.0, 6.0])) == 0.5
    assert distances.ks(np.array([1.0, np.nan, 2.0]), np.array([2.0, 1.0])) == 0.0


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


def test_worst_bin_can_leave_the_first_ones_out():
    curve = BiasCurve(
        np.array([20.0, 20.5, 21.5]), np.array([0.2, -0.1]), np.zeros(2), np.ones(2), Bias(0, 0, 2)
    )
    assert curve.worst().value == 0.2
    assert curve.worst(20.5).value == -0.1


def test_curve_without_a_full_bin_has_no_worst_one():
    data, condition = make_sample(10, 1)
    assert np.isnan(bias_curve(data, data, condition, EDGES).worst().value)


def test_bias_relative_to_the_condition_has_the_smaller_error():
    rng = np.random.default_rng(4)
    condition = rng.uniform(0.0, 3.0, 3000)
    expected = 10**condition
    data, drawn = (expected * rng.lognormal(0.0, 0.02, 3000) for _ in range(2))
    plain = bias_curve(drawn, data, condition, EDGES)
    relative = bias_curve(drawn / expected, data / expected, condition, EDGES)
    assert np.all(np.abs(relative.bias) < 4 * relative.error)
    assert np.all(relative.error < 0.003)  # 1.25 sqrt(2) 0.02 / sqrt(1000) is 0.0011
    assert np.all(relative.error < plain.error)


def test_wasserstein_distance_of_a_shift_is_that_shift_in_standard_deviations():
    sample = np.random.default_rng(1).normal(0.0, 2.0, 4000)
    assert distances.wasserstein(sample + 1.0, sample) == pytest.approx(1.0 / sample.std())
    assert distances.wasserstein(sample[:1000], np.append(sample[:1000], np.nan)) == 0.0


def test_total_variation_is_the_share_of_galaxies_that_moved_bin():
    ranges = ((0.0, 1.0), (0.0, 1.0))
    points = np.random.default_rng(1).uniform(0.0, 1.0, (1000, 2))
    moved = points.copy()
    moved[:250] = 5.0  # beyond the range: the last bin
    points[:250] = 0.01
    moved[250:] = points[250:]
    assert distances.total_variation(points, points, ranges) == 0.0
    assert distances.total_variation(moved, points, ranges) == pytest.approx(0.25)


def test_noise_floor_is_what_two_samples_of_one_population_show():
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=400), rng.normal(size=400)
    floor = distances.noise_floor(distances.ks, one, other)
    # The mean of Kolmogorov's distribution is 0.8687, for 200 effective rows.
    assert floor == pytest.approx(0.8687 * np.sqrt(2 / 400), rel=0.15)
    # A shift does not count as noise.
    shifted = distances.noise_floor(distances.ks, one, other + 10)
    assert shifted == pytest.approx(floor, rel=0.3)


@pytest.mark.parametrize("distance", [distances.ks, distances.wasserstein])
def test_distance_to_an_empty_sample_is_nan(distance):
    nothing = np.full(3, np.nan)
    assert np.isnan(distance(nothing, np.arange(5.0)))
    assert np.isnan(distances.bootstrap_error(distance, nothing, np.arange(5.0)))


@pytest.mark.parametrize("sigma", [3.0, 6.0])
def test_half_light_radius_of_a_gaussian_is_its_own(sigma):
    # Pixels are sorted by the distance of their centres: good to a tenth of a pixel.
    expected = sigma * np.sqrt(2 * np.log(2))
    assert half_light_radius(gaussian(sigma)) == pytest.approx(expected, abs=0.1)


def make_table(count: int = 4000, size_scatter: float = 0.1, seed: int = 1) -> dict:
    rng = np.random.default_rng(seed)
    radius, magnitude = rng.uniform(4.0, 16.0, count), rng.uniform(20.0, 25.0, count)
    flux = 10 ** (0.4 * (25.94 - magnitude))
    names = ("M", "I", "D", "gini", "m20", "C", "A", "rho4")
    table = {name: rng.normal(size=count) for name in names}
    return table | {
        "flux": flux,
        "sigma": 0.8 * radius,
        "g1": np.full(count, 0.3),
        "g2": np.full(count, -0.4),
        "half_light_radius": 1.3 * radius**0.9 * rng.lognormal(0.0, size_scatter, count),
        "border": np.zeros(count),
        "flux_radius": radius,
        "mag_auto": magnitude,
        "zphot": rng.uniform(0.1, 2.0, count),
        "tried": np.array([count]),
    }


def test_scatter_of_size_is_taken_at_fixed_condition():
    # The trend of size with flux_radius (a power of 0.9) is no scatter.
    assert size_scatter(make_table(size_scatter=0.1)) == pytest.approx(0.1, rel=0.08)
    assert size_scatter(make_table(size_scatter=0.001)) < 0.02


def test_curves_show_a_bias_against_every_condition():
    pytest.importorskip("tensorflow")
    data, drawn = make_table(), make_table()
    drawn["flux"], drawn["sigma"] = 1.05 * drawn["flux"], 0.97 * drawn["sigma"]
    found = curves(data, drawn)
    assert len(found) == 6
    for (name, _), curve in found.items():
        bias = {"flux": 0.05, "size": -0.03}[name]
        assert curve.whole.value == pytest.approx(bias, abs=1e-6)


def test_ellipticity_is_the_length_of_the_shear():
    np.testing.assert_allclose(column(make_table(3), "g"), 0.5)


@pytest.mark.parametrize(
    ("bar", "value", "holds"),
    [
        (Bar(at_most=0.03), 0.03, True),
        (Bar(at_most=0.03), 0.031, False),
        (Bar(at_most=0.0), -0.5, True),
        (Bar(within=0.01), -0.01, True),
        (Bar(within=0.01), -0.011, False),
        (Bar(within=0.01), np.nan, False),
        (Bar(at_most=0.01), np.nan, False),
    ],
)
def test_bar_limits_the_value_or_its_absolute_value(bar, value, holds):
    assert bar.holds(value) is holds


def make_part(value: float = 0.02) -> Part:
    quantity = Quantity("ks_g", "KS distance of g", value, 0.005, 0.4)
    return Part("population", "2,000 galaxies.", [quantity], "| more |")


def test_every_bar_has_to_be_measured_to_pass():
    parts = {"population": make_part()}
    assert passed(parts, {"ks_g": Bar(at_most=0.03)})
    assert not passed(parts, {"ks_g": Bar(at_most=0.01)})
    bars = {"ks_g": Bar(at_most=0.03), "ks_rho4": Bar(at_most=0.03)}
    assert not passed(parts, bars)
    assert {
        "quantity": "ks_rho4",
        "value": "not measured",
        "sersic": "",
        "bar": "at most 0.03",
    } in rows(parts, bars)


def test_parts_of_another_module_are_not_reported(tmp_path):
    make_part().save(tmp_path, {"module": "a"})
    assert load_parts(tmp_path, {"module": "b"}) == {}
    assert load_parts(tmp_path, {"module": "a"}) == {"population": make_part()}


def test_bars_of_the_published_modules_are_readable_and_others_have_none():
    assert load_bars("cosmos@1")["flux_bias_worst"] == Bar(within=0.03)
    assert load_bars("cosmos@2")["ks_g"] == Bar(at_most=0.03)
    assert load_bars("mine@1") == {}


def test_bar_with_two_limits_is_refused(tmp_path):
    path = tmp_path / "bars.yaml"
    path.write_text("cosmos@1:\n  ks_g: {at_most: 1, within: 2}\n")
    with pytest.raises(ConfigError, match="ks_g"):
        load_bars("cosmos@1", path)


def test_written_report_states_numbers_errors_and_verdict(tmp_path):
    (tmp_path / "population-bias.png").write_bytes(b"")
    report = Report("cosmos@9", {"population": make_part()}, {"ks_g": Bar(at_most=0.01)})
    text = write_report(report, tmp_path)
    assert (tmp_path / "report.md").read_text() == text == markdown(report, tmp_path)
    assert "| KS distance of g | 0.020 ± 0.005 | 0.400 | at most 0.01: MISSED |" in text
    assert "The bars DO NOT hold." in text
    assert "2,000 galaxies." in text
    assert "population-bias.png" in text
