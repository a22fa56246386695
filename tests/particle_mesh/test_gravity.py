"""The force is FastPM's, conserves momentum, and vanishes where matter is even."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError
from galsim_hub.particle_mesh.kernels import gradient_kernels, inverse_laplacian

BOX = pm.Box((6, 8, 4), (60.0, 60.0, 50.0))


@pytest.fixture
def displacement(numbers):
    """Give random displacements of about half a cell."""
    return tf.constant(5.0 * numbers.normal(size=(3, *BOX.shape)))


def test_an_even_grid_feels_no_force(box):
    assert np.abs(pm.acceleration(tf.zeros([3, *box.shape]), box)).max() < 1e-6


@pytest.mark.parametrize("resolution", [1, 2])
def test_momentum_is_conserved(displacement, resolution):
    g = pm.acceleration(displacement, BOX, resolution=resolution).numpy()
    total = np.abs(g.sum(axis=(1, 2, 3)))
    assert np.all(total < 1e-12 * np.abs(g).sum())


def test_the_force_is_that_of_the_four_point_kernel(displacement):
    g = pm.acceleration(displacement, BOX)
    delta = np.fft.rfftn(pm.density(displacement, BOX).numpy())
    positions = pm.Particles(displacement, displacement).positions(BOX) / np.array(BOX.cell)
    for i, kernel in enumerate(gradient_kernels(BOX, "four_point")):
        field = np.fft.irfftn(-1j * kernel * inverse_laplacian(BOX) * delta, BOX.shape, (0, 1, 2))
        expected = pm_read(field, positions.numpy())
        np.testing.assert_allclose(np.ravel(g[i]), expected, atol=1e-11)


def pm_read(field, positions):
    """Read a mesh with numpy alone."""
    total, floor = 0.0, np.floor(positions).astype(int)
    for corner in np.indices((2, 2, 2)).reshape(3, -1).T:
        point = floor + corner
        share = np.prod(1 - np.abs(positions - point), axis=1)
        total = total + share * field[tuple((point % BOX.shape).T)]
    return total


def test_particles_are_weighted_to_a_mean_density_of_one(displacement):
    assert float(tf.reduce_mean(pm.density(displacement, BOX, resolution=2))) == pytest.approx(1.0)


def test_the_gradient_agrees_with_differences(displacement, numbers, slope):
    weights = tf.constant(numbers.normal(size=displacement.shape))
    direction = tf.constant(numbers.normal(size=displacement.shape))

    def figure(t):
        return tf.reduce_sum(weights * pm.acceleration(displacement + t * direction, BOX))

    t = tf.constant(0.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(t)
        result = figure(t)
    assert float(tape.gradient(result, t)) == pytest.approx(slope(figure, t, 1e-5), rel=1e-6)


@pytest.mark.parametrize("resolution", [0, 1.5, -1])
def test_an_impossible_resolution_is_refused(displacement, resolution):
    with pytest.raises(BoxError, match="force resolution"):
        pm.acceleration(displacement, BOX, resolution=resolution)


def test_an_unknown_gradient_is_refused():
    with pytest.raises(BoxError, match="four_point"):
        gradient_kernels(BOX, "exact")


def test_fields_that_are_not_those_of_the_box_are_refused(box, linear, growth):
    particles = pm.start(linear, box, growth, 0.1)
    for function in (pm.density, pm.acceleration):
        with pytest.raises(BoxError, match=r"Give particles\.displacement"):
            function(particles, box)
        with pytest.raises(BoxError, match="float32 or float64"):
            function(np.zeros([3, *box.shape], int), box)
        with pytest.raises(BoxError, match="1, 2, 3"):
            function(particles.displacement, box, resolution="a")


def test_a_density_that_does_not_fit_its_displacements_is_refused(box, linear, growth):
    x = pm.start(linear, box, growth, 0.1).displacement
    with pytest.raises(BoxError, match="as many of both"):
        pm.biased_density(tf.stack([linear, linear]), x, box, pm.Bias(1.0))
    with pytest.raises(BoxError, match="in one precision"):
        pm.biased_density(tf.cast(linear, tf.float32), x, box, pm.Bias(1.0))


def test_places_are_inside_the_box(box):
    shift = tf.fill([3, *box.shape], np.float32(-1e-9))
    places = pm.Particles(shift, shift).positions(box)
    assert float(tf.reduce_min(places)) == 0.0
    assert float(tf.reduce_max(places)) == 75.0
