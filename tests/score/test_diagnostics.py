"""R-hat and the effective sample size are those of TensorFlow Probability and of theory."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub import score
from galsim_hub.errors import SamplingError


def autoregressive(rng, memory, n_draws=4000, n_chains=8):
    """Give chains whose draws remember the one before."""
    noise = rng.standard_normal((n_draws, n_chains))
    chains = np.empty_like(noise)
    chains[0] = noise[0]
    for i in range(1, n_draws):
        chains[i] = memory * chains[i - 1] + np.sqrt(1 - memory**2) * noise[i]
    return chains


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_effective_sample_size_is_that_of_theory(rng, memory):
    chains = autoregressive(rng, memory)
    expected = chains.size * (1 - memory) / (1 + memory)
    assert score.effective_sample_size(chains) == pytest.approx(expected, rel=0.15)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_diagnostics_agree_with_tensorflow_probability(rng):
    tfp = pytest.importorskip("tensorflow_probability")
    chains = autoregressive(rng, 0.7, 400, 4)
    chains[:, 0] += 0.3
    theirs = tfp.mcmc.potential_scale_reduction(chains, split_chains=True).numpy()
    # Theirs has the variance of means once more, divided by the number of chains.
    assert score.r_hat(chains) ** 2 == pytest.approx(theirs, rel=0.02)


def test_a_chain_elsewhere_shows(rng):
    chains = autoregressive(rng, 0.0, 100, 4)
    assert score.r_hat(chains) == pytest.approx(1.0, abs=0.02)
    chains[:, 0] += 2.0
    assert score.r_hat(chains) > 1.2


def test_numbers_that_never_move_have_no_diagnostics(rng):
    chains = np.stack([np.full((8, 3), 0.1), rng.standard_normal((8, 3))], axis=-1)
    for measure in (score.r_hat, score.effective_sample_size):
        np.testing.assert_array_equal(np.isnan(measure(chains)), [True, False])


def test_chains_that_are_stuck_apart_show():
    stuck = np.repeat([[0.0, 1.0]], 8, axis=0)
    assert score.r_hat(stuck) == np.inf
    assert score.effective_sample_size(stuck) < 4


@pytest.mark.parametrize("measure", [score.r_hat, score.effective_sample_size])
@pytest.mark.parametrize("shape", [(), (8,), (8, 0)])
def test_chain_without_an_axis_of_chains_is_refused(measure, shape):
    with pytest.raises(SamplingError, match=r"chain\[:, None\]"):
        measure(np.zeros(shape))


def test_too_few_draws_are_refused():
    with pytest.raises(SamplingError, match="n_draws"):
        score.r_hat(np.zeros((3, 2)))
