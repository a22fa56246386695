"""What the tests of score priors share: a Gaussian field, small enough to be sampled quickly."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

from galsim_hub import score

SIDE = 16


@pytest.fixture(scope="session")
def red_power():
    """Give a spectrum with more power on large scales, as fields in nature have."""
    return lambda k: 5.0 / (1.0 + (k / 0.3) ** 2) ** 2


@pytest.fixture(scope="session")
def prior(red_power):
    """Give a Gaussian prior."""
    return score.GaussianPrior(red_power, (SIDE, SIDE))


@pytest.fixture
def rng():
    """Give one generator of random numbers."""
    return np.random.default_rng(2022)
