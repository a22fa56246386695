"""The learned prior inside the package: two moons."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import tensorflow as tf

import galsim_hub
from galsim_hub import score
from galsim_hub.errors import (
    BandError,
    CardError,
    FieldError,
    SamplingError,
    SeedError,
    UnsupportedModuleError,
)
from galsim_hub.score.fourier import wavenumbers


@pytest.fixture(scope="module")
def moons():
    """Give the module."""
    return galsim_hub.load("hub:two_moons_score")


def distance_to_moons(x):
    """Give the distance of points to the nearest half circle, without its noise."""
    angle = np.linspace(0, np.pi, 1000)
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    nodes = np.concatenate([upper, lower]) - [0.5, 0.25]
    return np.sqrt(((x[:, None] - nodes) ** 2).sum(-1).min(1))


def test_samples_lie_on_both_moons(moons):
    x = moons.sample(1000, seed=1)
    np.testing.assert_array_equal(x, moons.sample(1000, seed=1))
    assert np.sqrt(np.mean(distance_to_moons(x) ** 2)) == pytest.approx(0.05, rel=0.2)
    assert np.mean(x[:, 1] > 0) == pytest.approx(0.5, abs=0.08)  # 2% by chance, and a bar of 5%


def test_denoiser_brings_points_back(moons):
    x = moons.sample(500, seed=2)
    seen = x + 0.3 * np.random.default_rng(3).standard_normal(x.shape)
    before = np.mean((seen - x) ** 2)
    assert np.mean((moons.denoise(seen, 0.3).numpy() - x) ** 2) < 0.7 * before


def test_log_prob_ranks_points_on_the_moons_above_the_gap(moons):
    inside = moons.log_prob(moons.sample(20, seed=4), n_probes=8)
    outside = moons.log_prob(np.array([[0.0, 0.0], [1.5, 1.0]]), n_probes=8)
    assert np.median(inside) > outside.max() + 3


def test_density_of_a_point_depends_neither_on_its_company_nor_on_a_seed(moons):
    x = moons.sample(6, seed=4)
    together = moons.log_prob(x, seed=1)
    np.testing.assert_allclose(moons.log_prob(x[2:3], seed=2), together[2:3], atol=1e-3)


def test_density_is_behind_the_lowest_level_where_the_card_names_none(moons):
    assert moons.density_sigma == moons.sigma_range[0]


def test_levels_may_differ_from_point_to_point(moons):
    x = moons.sample(2, seed=5)
    both = moons.score(x, [0.1, 1.0]).numpy()
    np.testing.assert_allclose(both[1:], moons.score(x[1:], 1.0), rtol=1e-4, atol=1e-5)


def test_no_fields_have_no_densities(moons):
    assert moons.log_prob(np.zeros((0, 2))).shape == (0,)


def test_precision_of_a_tensor_does_not_matter(moons):
    x = tf.constant([[0.1, 0.2]], tf.float64)
    level = tf.constant(0.5, tf.float64)
    np.testing.assert_array_equal(moons.score(x, level), moons.score(x.numpy(), 0.5))


@pytest.mark.parametrize("shape", [None, 64, (0, 0), (-8, 8), (32.0, 32.0), (32,), (8, 8, 8), "no"])
def test_shape_that_is_none_is_refused_with_one_that_is(shape):
    prior = score.ScorePrior("hub:kappa_score")
    with pytest.raises(FieldError, match="several shapes.*such as shape="):
        prior.sample(1, seed=1, shape=shape)


def test_prior_survives_a_pickle(moons):
    copy = pickle.loads(pickle.dumps(moons))
    assert repr(copy) == repr(moons) == "galsim_hub.score.ScorePrior('hub:two_moons_score@1')"


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda p: p.score([[0.0, np.nan]], 0.1), "not finite"),
        (lambda p: p.score([[0.0, 0.0, 0.0]], 0.1), r"\(n, 2\)"),
        (lambda p: p.score([[0.0, 0.0]], 1e-4), "trained for noise levels"),
        (lambda p: p.score([[0.0, 0.0]], 100.0), "trained for noise levels"),
        (lambda p: p.check_pixel_scale(0.2), "no pixel scale"),
        (lambda p: p.sample(1, 1, shape=(3, 3)), r"makes fields of shape \(2,\), got"),
        (lambda p: p.sample(1, 1, shape=(3,)), r"such as shape=\(2,\)"),
        (lambda p: p.score(np.ma.masked_less([[-1.0, 0.0]], 0.0), 0.1), "1 values of x are masked"),
        (lambda p: p.score([["one", "two"]], 0.1), "x holds what is no number"),
        (lambda p: p.log_prob([[0.0, 0.0]], sigma=0.0), "trained for noise levels"),
        (lambda p: p.log_prob([[0.0, 0.0]], sigma=-1.0), "finite and not negative"),
        (lambda p: p.log_prob([[0.0, 0.0]], sigma=np.nan), "finite and not negative"),
        (lambda p: p.log_prob([[0.0, 0.0]], sigma=[0.1, 0.2]), "one number for all fields"),
        (lambda p: p.log_prob([[0.0, 0.0]], sigma="low"), "sigma holds what is no number"),
    ],
)
def test_bad_input_is_named(moons, ask, words):
    with pytest.raises(FieldError, match=words):
        ask(moons)


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda p: p.log_prob([[0.0, 0.0]], n_probes=0), SamplingError, "n_probes"),
        (lambda p: p.log_prob([[0.0, 0.0]], n_steps=1.5), SamplingError, "n_steps"),
        (lambda p: p.log_prob([[0.0, 0.0]], seed=0.5), SeedError, "0.5"),
        (lambda p: p.sample(0, seed=1), SamplingError, "n must be"),
        (lambda p: p.sample(1, seed=-1), SeedError, "-1"),
        (lambda p: p.sample(1, seed=1, n_steps=0), SamplingError, "n_steps"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(moons, ask, error, words):
    with pytest.raises(error, match=words):
        ask(moons)


def test_samples_start_as_fields_behind_independent_noise(monkeypatch):
    prior = score.ScorePrior("hub:kappa_score")
    monkeypatch.setattr("galsim_hub.score.prior.flow", lambda score, x, levels: x)
    monkeypatch.setattr(score.ScorePrior, "denoise", lambda self, x, sigma: x)
    start = prior.sample(400, seed=3, shape=(64, 64))
    variance = prior.gaussian((64, 64)).power + prior.sigma_range[1] ** 2
    ratios = np.abs(np.fft.rfft2(start, norm="ortho")) ** 2 / variance
    largest = wavenumbers((64, 64)) < 0.25
    assert ratios[:, largest].mean() == pytest.approx(1.0, abs=0.05)  # 3 sigma
    noise = np.random.default_rng(3).standard_normal(start.shape)  # of a user with the same seed
    assert abs(np.mean(noise * start) / start.std()) < 5 / np.sqrt(start.size)


def test_module_of_another_kind_is_refused(module_folder):
    with pytest.raises(UnsupportedModuleError, match="score_prior"):
        score.ScorePrior(module_folder)


def test_score_prior_has_no_bands():
    with pytest.raises(BandError, match="knows of no bands"):
        galsim_hub.load("hub:two_moons_score", band="r")


def test_log_prob_by_the_flow_is_the_gaussian_density():
    from galsim_hub.score.ode import flow_with_volume, levels_between, trace_probes

    prior = score.GaussianPrior(lambda k: 1.0 / (0.3 + k) ** 2, (6, 6))
    x = tf.constant(prior.sample(2, seed=1))
    levels = levels_between(0.1, 30.0, 40)
    probes = tf.constant(trace_probes((6, 6), 36, seed=1))
    end, change = flow_with_volume(prior.score, x, levels, probes)
    got = prior.log_prob(end, sigma=30.0) - change.numpy()
    # Of 36 numbers, whose trace is exact: what is left is of the steps.
    np.testing.assert_allclose(got, prior.log_prob(x, sigma=0.1), atol=0.1)


def test_flow_from_noise_has_the_power_of_the_prior():
    from galsim_hub.score.ode import flow, levels_between

    prior = score.GaussianPrior(lambda k: 1.0 / (0.3 + k) ** 2, (6, 6))
    noisy = score.GaussianPrior(prior.power + 900.0, (6, 6)).sample(1, seed=2)
    end = flow(prior.score, tf.constant(noisy), levels_between(30.0, 0.1, 40))
    # The flow scales every mode by the ratio of its deviations before and after.
    exact = np.sqrt((prior.power + 0.01) / (prior.power + 900.0))
    expected = np.fft.irfft2(np.fft.rfft2(noisy) * exact, s=(6, 6))
    np.testing.assert_allclose(end, expected, atol=0.005 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sigma", [2.0, 0.1]),
        ("density_sigma", 1e3),
        ("power", {"wavenumber": [0.1, 0.2, 0.3], "power": [1.0, 0.5]}),
    ],
)
def test_card_whose_levels_or_power_make_no_sense_is_refused(moons, copy_module, field, value):
    prior = {**moons.spec.prior, field: value}
    folder = copy_module(galsim_hub.registry.locate("hub:two_moons_score").folder, prior=prior)
    with pytest.raises(CardError, match=f"prior.{field}") as raised:
        score.ScorePrior(folder)
    assert raised.value.field == f"prior.{field}"
