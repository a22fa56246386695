"""Splitting the noise samples the exact posterior of Gaussian fields, holes and all."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import SamplingError

SIDE = 9  # odd: the highest modes of even sides have no definite shear
CHAINS = 400


@pytest.fixture(scope="module")
def small():
    """Give a prior of fields that dense matrices can hold."""
    return score.GaussianPrior(lambda k: 0.3 / (0.3 + k) ** 2, (SIDE, SIDE))


def dense_posterior(prior, likelihood):
    """Give the exact mean and covariance, by matrices."""
    units = np.eye(SIDE**2, dtype=np.float32).reshape(-1, SIDE, SIDE)
    modes = np.fft.rfft2(units) * prior.power
    covariance = np.fft.irfft2(modes, s=(SIDE, SIDE)).reshape(SIDE**2, -1)
    matrix = likelihood.operator.forward(units).numpy().reshape(SIDE**2, -1).T
    weight = (likelihood.mask / likelihood.noise_variance).numpy().ravel()
    exact = np.linalg.inv(np.linalg.inv(covariance) + matrix.T @ (weight[:, None] * matrix))
    return exact @ matrix.T @ (weight * likelihood.data.numpy().ravel()), exact


def uneven(operator, prior):
    """Give data with noise of every level above 0.6, and holes."""
    rng = np.random.default_rng(3)
    truth = operator.forward(prior.sample(1, seed=2)).numpy()[0]
    std = rng.uniform(0.6, 1.2, truth.shape)
    mask = rng.random(truth.shape) < 0.8
    return score.GaussianLikelihood(
        operator, truth + std * rng.standard_normal(truth.shape), std, mask
    )


@pytest.mark.parametrize("name", ["identity", "fourier", "shear"])
def test_mean_and_covariance_are_those_of_matrices(small, name):
    mask = np.random.default_rng(1).random((SIDE, SIDE // 2 + 1)) < 0.7
    operators = {
        "identity": score.Identity(),
        "fourier": score.MaskedFourier(mask, SIDE),
        "shear": score.KaiserSquires((SIDE, SIDE)),
    }
    likelihood = uneven(operators[name], small)
    mean, covariance = dense_posterior(small, likelihood)
    start = small.sample(CHAINS, seed=4)
    found = score.noise_splitting(small, likelihood, start, seed=5, n_steps=2, n_warmup=40)
    values, axes = np.linalg.eigh(covariance)
    pulls = (found.samples.reshape(CHAINS, -1) - mean) @ axes / np.sqrt(values)
    # Along each axis of the covariance: 81 means, each known to 1 / sqrt(400), and 81 variances.
    assert np.abs(pulls.mean(axis=0)).max() < 4.0 / np.sqrt(CHAINS)
    assert np.abs(pulls.var(axis=0) - 1.0).max() < 4.5 * np.sqrt(2.0 / CHAINS)
    assert np.mean(pulls**2) == pytest.approx(1.0, abs=4.0 * np.sqrt(2.0 / CHAINS / SIDE**2))
    expected = (found.expected.reshape(CHAINS, -1) - mean) @ axes / np.sqrt(values)
    assert np.abs(expected.mean(axis=0)).max() < 4.0 / np.sqrt(CHAINS)
    # Their scatter is a part of that of the draws, in every direction.
    assert expected.var(axis=0).max() < 0.95
    assert np.array_equal(found.mean, found.expected.mean(axis=0))


def test_one_step_or_many_draw_the_same_law_for_a_gaussian(small):
    likelihood = uneven(score.Identity(), small)
    start = small.sample(CHAINS, seed=4)
    spreads = [
        score.noise_splitting(small, likelihood, start, seed=6, n_steps=n, n_warmup=20).std.mean()
        for n in (1, 6)
    ]
    assert spreads[0] == pytest.approx(spreads[1], rel=0.03)


def test_numbers_without_a_spectrum_are_sampled_too():
    class Point:
        """Two independent numbers of variance 4 and 1 around 3, far from their own Gaussian."""

        std, sigma_range = 3.5, (0.01, 50.0)
        variance = np.array([4.0, 1.0], np.float32)

        def gaussian(self, event_shape):
            return None

        def score(self, x, sigma):
            return (3.0 - x) / (self.variance + tf.cast(sigma, tf.float32) ** 2)

        def denoise(self, x, sigma):
            return x + tf.cast(sigma, tf.float32) ** 2 * self.score(x, sigma)

    likelihood = score.GaussianLikelihood(score.Identity(), [0.0, 0.0], 2.0)
    found = score.noise_splitting(
        Point(), likelihood, np.zeros((4000, 2)), seed=1, n_steps=60, n_warmup=2
    )
    assert found.mean == pytest.approx([1.5, 2.4], abs=0.1)
    assert found.std**2 == pytest.approx([2.0, 0.8], rel=0.1)


def test_chains_from_the_data_and_from_the_prior_agree():
    # The mean causes no shear: it is the prior's alone, and the slowest of all to mix.
    balanced = score.GaussianPrior(
        lambda k: np.where(k > 0, 0.3 / (0.3 + k) ** 2, 0.0), (SIDE, SIDE)
    )
    likelihood = uneven(score.KaiserSquires((SIDE, SIDE)), balanced)
    seen = likelihood.operator.adjoint(likelihood.data).numpy()
    start = np.concatenate([np.repeat(seen, 10, axis=0), balanced.sample(10, seed=7)])
    found = score.noise_splitting(
        balanced, likelihood, start, seed=8, n_steps=2, n_warmup=40, n_draws=60, thin=2
    )
    assert np.median(found.diagnostics["r_hat"]) <= 1.02
    assert found.diagnostics["rho"] == pytest.approx(0.6, abs=0.01)


def test_interrupted_run_ends_with_the_same_samples(small, tmp_path, monkeypatch):
    likelihood = uneven(score.Identity(), small)
    start, path = small.sample(2, seed=1), tmp_path / "chains.npz"
    settings = {"seed": 8, "n_steps": 2, "n_warmup": 3, "n_draws": 2, "thin": 2}
    whole = score.noise_splitting(small, likelihood, start, **settings)

    def interrupt(done, total):
        assert total == 6
        if done == 4:
            raise InterruptedError

    monkeypatch.setattr("galsim_hub.score.sampling.run._SAVE_EVERY", -1.0)
    with pytest.raises(InterruptedError):
        score.noise_splitting(
            small, likelihood, start, checkpoint=path, progress=interrupt, **settings
        )
    again = score.noise_splitting(small, likelihood, start, checkpoint=path, **settings)
    np.testing.assert_array_equal(again.chains, whole.chains)


def test_blurred_data_are_refused(small):
    likelihood = score.GaussianLikelihood(
        score.Blur(np.ones((3, 3)) / 9), np.zeros((SIDE, SIDE)), 1.0
    )
    with pytest.raises(SamplingError, match="annealed_hmc"):
        score.noise_splitting(small, likelihood, np.zeros((1, SIDE, SIDE)), seed=1)


def test_setting_that_makes_no_sense_is_refused(small):
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros((SIDE, SIDE)), 1.0)
    for name in ("n_steps", "n_draws", "thin"):
        with pytest.raises(SamplingError) as caught:
            score.noise_splitting(small, likelihood, np.zeros((1, SIDE, SIDE)), seed=1, **{name: 0})
        assert caught.value.name == name
