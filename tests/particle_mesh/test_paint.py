"""Painting conserves mass, and is the adjoint of reading."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub.errors import BoxError
from galsim_hub.particle_mesh.paint import paint, read

SHAPE = (4, 6, 8)
N = 50


@pytest.fixture
def particles(numbers):
    """Give positions in and around a mesh, and weights, in two batches."""
    positions = numbers.uniform(-10.0, 20.0, size=(2, 3, N))
    return tf.constant(positions), tf.constant(numbers.normal(size=(2, N)))


def paint_one_by_one(positions, weights):
    mesh = np.zeros((2, *SHAPE))
    for b, i in itertools.product(range(2), range(N)):
        x = positions[b, :, i]
        for corner in itertools.product((0, 1), repeat=3):
            point = np.floor(x).astype(int) + corner
            share = np.prod(1 - np.abs(x - point))
            mesh[(b, *(point % SHAPE))] += share * weights[b, i]
    return mesh


def test_each_particle_is_shared_among_its_eight_neighbours(particles):
    expected = paint_one_by_one(*(x.numpy() for x in particles))
    np.testing.assert_allclose(paint(*particles, SHAPE), expected, atol=1e-13)


def test_mass_is_conserved(particles):
    positions, weights = particles
    mesh = paint(tf.cast(positions, tf.float32), tf.cast(weights**2, tf.float32), SHAPE)
    np.testing.assert_allclose(tf.reduce_sum(mesh), tf.reduce_sum(weights**2), rtol=1e-6)


def test_positions_may_be_counted_from_a_grid(numbers):
    origins = [tf.constant(axis.astype(float)) for axis in np.ix_(*(range(n) for n in SHAPE))]
    weights = tf.constant(numbers.normal(size=(2, np.prod(SHAPE))))
    offsets = tf.constant(numbers.normal(scale=3.0, size=(2, 3, np.prod(SHAPE))))
    positions = offsets + np.indices(SHAPE).reshape(3, -1)
    painted, expected = (
        paint(offsets, weights, SHAPE, origins=origins),
        paint(positions, weights, SHAPE),
    )
    np.testing.assert_allclose(painted, expected, atol=1e-13)
    with pytest.raises(BoxError, match="one axis a side"):
        paint(offsets[..., 1:], weights[:, 1:], SHAPE, origins=origins)


def test_reading_is_the_adjoint_of_painting(particles, numbers):
    positions, weights = particles
    mesh = tf.constant(numbers.normal(size=(2, *SHAPE)))
    left = tf.reduce_sum(mesh * paint(positions, weights, SHAPE))
    right = tf.reduce_sum(weights * read(mesh, positions))
    assert float(left) == pytest.approx(float(right), rel=1e-12)


@pytest.mark.parametrize("n_sides", [2, 3])
def test_a_mesh_that_rises_evenly_is_read_exactly(n_sides, numbers):
    axes = np.indices((8,) * n_sides).astype(float)
    mesh = tf.constant(np.einsum("i,i...->...", np.arange(1.0, n_sides + 1), axes)[None])
    positions = numbers.uniform(0.0, 7.0, size=(1, n_sides, N))
    expected = np.einsum("i,bij->bj", np.arange(1.0, n_sides + 1), positions)
    np.testing.assert_allclose(read(mesh, tf.constant(positions)), expected, rtol=1e-12)


def test_gradients_agree_with_differences(particles, numbers, slope):
    positions, weights = particles
    mesh = tf.constant(numbers.normal(size=(2, *SHAPE)))
    inputs = {"positions": positions, "weights": weights, "mesh": mesh}

    def figure(positions, weights, mesh):
        painted = paint(positions, weights, SHAPE)
        return tf.reduce_sum(painted**2 * mesh) + tf.reduce_sum(read(mesh, positions) ** 3)

    with tf.GradientTape() as tape:
        tape.watch(inputs)
        result = figure(**inputs)
    gradients = tape.gradient(result, inputs)
    for name, x in inputs.items():
        direction = tf.constant(numbers.normal(size=x.shape))

        def along(t, name=name, x=x, direction=direction):
            return figure(**{**inputs, name: x + t * direction})

        found = float(tf.reduce_sum(gradients[name] * direction))
        assert found == pytest.approx(slope(along, 0.0, 1e-6), rel=1e-6)


# A compiler divides by these by multiplying, which is not exact.
@pytest.mark.parametrize("n", [47, 82, 94, 98, 196, 206])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_particle_that_went_round_is_painted_where_it_began(n, dtype):
    for axis in range(3):
        shape = [4, 4, 4]
        shape[axis] = n
        positions = np.full((1, 3, 3), 1.25)
        positions[0, axis] = np.array([-n, n, 3 * n]) + 0.25
        positions = tf.constant(positions, dtype)
        mesh = paint(positions, tf.ones([1, 3], dtype), tuple(shape)).numpy()[0]
        along = mesh.sum(axis=tuple({0, 1, 2} - {axis}))
        np.testing.assert_array_equal(along, [2.25, 0.75] + [0] * (n - 2))


def test_a_particle_that_is_nowhere_is_not_dropped_in_silence(particles):
    positions, weights = (x.numpy() for x in particles)
    positions[0, 1, 3] = np.nan
    mesh = paint(tf.constant(positions), tf.constant(weights), SHAPE).numpy()
    assert np.isnan(mesh[0].sum())
    assert np.isfinite(mesh[1]).all()


def test_meshes_beyond_32_bits_are_refused():
    with pytest.raises(BoxError, match="32 bits"):
        paint(tf.zeros([1, 3, 4]), tf.zeros([1, 4]), (2048, 2048, 2048))


@pytest.mark.parametrize(
    ("positions", "weights"),
    [([2, 3, 5], [1, 5]), ([1, 5, 3], [1, 5]), ([3, 5], [5]), ([1, 2, 5], [1, 5])],
    ids=str,
)
def test_positions_and_weights_that_do_not_fit_are_refused(positions, weights):
    with pytest.raises(BoxError, match=r"Give positions of shape \(batch, 3, particle\)"):
        paint(tf.zeros(positions), tf.ones(weights), SHAPE)


@pytest.mark.parametrize(
    ("mesh", "positions"),
    [
        ([1, 8, 8, 8], [2, 3, 5]),
        ([2, 8, 8, 8], [1, 3, 5]),
        ([1, 8, 8, 8], [1, 5, 3]),
        ([8, 8, 8], [1, 3, 5]),
    ],
    ids=str,
)
def test_a_mesh_that_does_not_fit_its_positions_is_refused(mesh, positions):
    with pytest.raises(BoxError, match="one set a mesh|Give positions of shape"):
        read(tf.ones(mesh), tf.zeros(positions))
