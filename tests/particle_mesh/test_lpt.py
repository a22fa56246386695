"""Perturbation theory agrees with a plane wave and with an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, StepsError
from galsim_hub.particle_mesh.lpt import displacements
from tests.oracles.perturbation_theory import displacements as oracle

BOX = pm.Box((8, 12, 10), (80.0, 90.0, 60.0))


def test_both_orders_agree_with_an_independent_computation(numbers):
    field = numbers.normal(size=BOX.shape)
    field -= field.mean()
    for ours, theirs in zip(
        displacements(tf.constant(field), BOX), oracle(field, BOX), strict=True
    ):
        assert np.linalg.norm(ours - theirs) < 1e-12 * np.linalg.norm(theirs)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_wave_is_moved_exactly(growth, axis):
    wavenumber = 2 * np.pi / BOX.size[axis]
    q = np.indices(BOX.shape)[axis] * BOX.cell[axis]
    a, amplitude = 0.3, 0.5
    particles = pm.start(tf.constant(amplitude * np.cos(wavenumber * q)), BOX, growth, a)
    exact = np.zeros((3, *BOX.shape))
    exact[axis] = -amplitude / wavenumber * np.sin(wavenumber * q)
    scale = BOX.size[axis]
    np.testing.assert_allclose(particles.displacement, growth.first(a) * exact, atol=1e-14 * scale)
    np.testing.assert_allclose(particles.momentum, growth.momentum(a) * exact, atol=1e-14 * scale)


def test_the_momentum_is_the_speed_of_the_displacement(linear, box, growth):
    a, step = 0.2, 1e-4
    before, now, after = (pm.start(linear, box, growth, a + d) for d in (-step, 0.0, step))
    speed = (after.displacement - before.displacement) / (2 * step)
    expected = a**3 * growth.cosmology.expansion(a) * speed
    np.testing.assert_allclose(now.momentum, expected, atol=1e-6 * np.std(expected))


def test_positions_lie_in_the_box(linear, box, growth):
    x = pm.start(linear, box, growth, 1.0).positions(box)
    assert x.shape == (16**3, 3)
    assert np.all((x >= 0) & (x < 80.0))
    resting = pm.Particles(tf.zeros([3, *BOX.shape]), tf.zeros([3, *BOX.shape])).positions(BOX)
    np.testing.assert_allclose(resting[1], [0.0, 0.0, 6.0])


def test_a_third_order_is_refused(linear, box, growth):
    with pytest.raises(StepsError, match="Give 1 or 2"):
        pm.start(linear, box, growth, 0.1, order=3)


def test_a_field_of_another_box_is_refused(linear, growth):
    with pytest.raises(BoxError, match="Give the Box"):
        pm.start(linear, BOX, growth, 0.1)
