"""The published simulator is the package's own, and gradients flow through it."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import tensorflow as tf

import galsim_hub
from galsim_hub import particle_mesh as pm
from galsim_hub.errors import (
    BandError,
    BoxError,
    CosmologyError,
    ExtrapolationWarning,
    SeedError,
    StepsError,
    UnsupportedModuleError,
)

BOX_SIZE = 160.0


@pytest.fixture(scope="module")
def simulator():
    """Give the module that the package carries."""
    return galsim_hub.load("hub:particle_mesh")


def test_it_gives_what_the_package_gives(simulator):
    scale_factors = [0.5, 1.0]
    result = simulator.simulate(seed=5, scale_factors=scale_factors, box_size=BOX_SIZE, sigma8=0.7)
    assert result.density.shape == (2, 32, 32, 32)

    box = pm.Box(simulator.n_cells, BOX_SIZE)
    cosmology = pm.Planck18(sigma8=0.7)
    growth = pm.Growth(cosmology)
    linear = pm.linear_field(box, pm.EisensteinHu(cosmology), seed=5)
    particles = pm.start(linear, box, growth, 0.1)
    first = 0.1
    for a, density, displacement in zip(*result, strict=True):
        stages = pm.scale_factors(first, float(a), 10)
        particles, first = pm.evolve(particles, box, growth, stages), float(a)
        expected = pm.density(particles.displacement, box)
        # Single precision, with lengths in cells there and in Mpc/h here.
        np.testing.assert_allclose(density, expected, atol=2e-4 * np.max(expected))
        np.testing.assert_allclose(displacement, particles.displacement, atol=2e-3)


def test_gradients_flow_to_the_normal_numbers_and_the_parameters(simulator):
    white = tf.constant(simulator.white_noise(3))
    values = {"Omega_m": tf.constant(0.3), "box_size": tf.constant(BOX_SIZE)}
    direction = tf.constant(np.random.default_rng(1).standard_normal([32] * 3), tf.float32)

    def figure(white, values):
        result = simulator.simulate(white=white, scale_factors=[0.6], **values)
        return tf.reduce_mean(tf.cast(result.displacement, tf.float64) ** 2)

    with tf.GradientTape() as tape:
        tape.watch([white, values])
        loss = figure(white, values)
    by_white, by_value = tape.gradient(loss, [white, values])

    step = 0.02  # of smooth functions in single precision
    up, down = (figure(white + s * direction, values) for s in (step, -step))
    expected = float(up - down) / (2 * step)
    assert float(tf.reduce_sum(by_white * direction)) == pytest.approx(expected, rel=1e-2)
    for name, value in values.items():
        up, down = (figure(white, values | {name: value * (1 + s)}) for s in (step, -step))
        expected = float(up - down) / (2 * step * float(value))
        assert float(by_value[name]) == pytest.approx(expected, rel=1e-2)


def test_the_numbers_of_a_seed_have_unit_variance_and_the_large_scales_of_any_grid(simulator):
    white = simulator.white_noise(7)
    assert np.std(white) == pytest.approx(1.0, abs=0.02)
    coarse = pm.white_modes(pm.Box(16, 1.0), 7)
    modes = np.fft.rfftn(white) / white.size**0.5
    np.testing.assert_allclose(modes[:7, :7, :7], coarse[:7, :7, :7], atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, SeedError, "one of seed and white"),
        ({"seed": 1, "Omega_M": 0.3}, CosmologyError, "Omega_m"),
        ({"seed": 1, "h": np.nan}, CosmologyError, "finite"),
        ({"seed": 1, "box_size": -5.0}, CosmologyError, "must be positive"),
        ({"seed": 1, "sigma8": 0.0}, CosmologyError, "must be positive"),
        ({"white": np.zeros([2, 32, 32, 32])}, BoxError, "one by one"),
        ({"seed": 1, "scale_factors": []}, StepsError, "ascend"),
        ({"seed": 1, "scale_factors": [0.05]}, StepsError, "ascend"),
        ({"seed": 1, "scale_factors": [0.9, 0.5]}, StepsError, "ascend"),
        ({"seed": 1, "scale_factors": [0.5, 2.0]}, StepsError, "to at most 1"),
    ],
    ids=str,
)
def test_bad_input_is_refused(simulator, arguments, error, words):
    with pytest.raises(error, match=words):
        simulator.simulate(**arguments)


def test_a_parameter_beyond_the_range_of_the_card_warns(simulator):
    with pytest.warns(ExtrapolationWarning, match="w0"):
        simulator.simulate(seed=1, scale_factors=[0.2], w0=-1.8)


def test_more_baryons_than_matter_are_refused(simulator):
    with (
        pytest.warns(ExtrapolationWarning, match="Omega_m"),
        pytest.raises(CosmologyError, match="less than Omega_b"),
    ):
        simulator.simulate(seed=1, Omega_m=0.02)


def test_a_simulator_has_no_bands():
    with pytest.raises(BandError, match="band"):
        galsim_hub.load("hub:particle_mesh", band="r")


def test_a_module_of_galaxies_is_no_simulator():
    with pytest.raises(UnsupportedModuleError, match=r"galsim_hub\.load"):
        pm.Simulator("hub:cosmos")


def test_a_halo_field_can_be_copied_and_sent_once_it_was_used():
    halo_field = galsim_hub.load("hub:halo_field")
    box = pm.Box(8, 8 * halo_field.cell)
    density = tf.random.stateless_uniform([8, 8, 8], [0, 1])
    expected = halo_field(density, box)
    for other in (pickle.loads(pickle.dumps(halo_field)), copy.deepcopy(halo_field)):
        np.testing.assert_array_equal(other(density, box), expected)
