"""What the tests of the simulator share: one small box, so that little has to be compiled."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm


@pytest.fixture(scope="session")
def box():
    """Give a box with 5 Mpc/h cells."""
    return pm.Box(16, 80.0)


@pytest.fixture(scope="session")
def cosmology():
    """Give the parameters of Planck 2015."""
    return pm.Planck15()


@pytest.fixture(scope="session")
def growth(cosmology):
    """Give their growth."""
    return pm.Growth(cosmology)


@pytest.fixture(scope="session")
def linear(box, cosmology):
    """Give a linear field in float64."""
    return pm.linear_field(box, pm.EisensteinHu(cosmology), seed=3, dtype=tf.float64)


@pytest.fixture
def numbers():
    """Give a generator with a fixed seed."""
    return np.random.default_rng(2718)


@pytest.fixture(scope="session")
def slope():
    """Give a function that differentiates another by central differences."""

    def differentiate(function, x, step):
        return (float(function(x + step)) - float(function(x - step))) / (2 * step)

    return differentiate
