"""Particles are seen once, where the light meets them."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, StepsError
from galsim_hub.particle_mesh.light_cone import _cross


@pytest.fixture(scope="module")
def stages(cosmology):
    """Give scale factors whose light spans 210 Mpc/h."""
    return cosmology.scale_factor(tf.constant([210.0, 120.0, 50.0, 0.0])).numpy()


def test_a_uniform_box_is_seen_whole_and_uniform(box, growth, stages):
    rest = pm.Particles(*(tf.zeros([3, *box.shape], tf.float64) for _ in range(2)))
    # Edges between the particles, over two copies of the box and a half.
    edges = [2.5, 42.5, 102.5, 202.5]
    planes, _ = pm.light_cone(rest, box, growth, stages, edges, n_pixels=8)
    assert [plane.width for plane in planes] == pytest.approx([40.0, 60.0, 100.0])
    for plane in planes:
        np.testing.assert_allclose(plane.contrast, 0.0, atol=1e-9)


def test_a_moving_particle_is_seen_where_it_meets_the_light():
    box = pm.Box(4, 100.0)
    before, after = np.zeros((2, 3, 4, 4, 4))
    before[2] = -5.0  # those of the first layer begin behind the face, in the copy before
    after[2], after[0] = 5.0, 2.0
    met = [
        (float(depth[0, 0]), float(across[0, 0, 0]))
        for across, depth, has_met in _cross(
            tf.constant(before), tf.constant(after), box, 30.0, 0.0
        )
        if has_met[0, 0]
    ]
    # Light 30 - 30 t, particle -5 + 10 t: they meet at t = 35 / 40, unless light has ended before.
    assert met == [(pytest.approx(30 - 30 * 0.875), pytest.approx(2.0 * 0.875 / 25.0))]


def test_every_particle_of_a_line_of_sight_is_seen_once(linear, box, growth, stages):
    particles = pm.start(linear, box, growth, stages[0])
    edges = [5.0, 85.0, 165.0]  # each slab as deep as the box
    planes, end = pm.light_cone(particles, box, growth, stages, edges, n_pixels=16)
    for plane in planes:
        # Only what walks over an edge between the times of its two ends is gained or lost.
        assert abs(float(tf.reduce_mean(plane.contrast))) < 0.02
    later = pm.evolve(particles, box, growth, stages)
    np.testing.assert_allclose(end.displacement, later.displacement, atol=1e-3)
    still = pm.density_plane(end, box, depth=45.0, width=80.0, distance=45.0, resolution=16)
    assert np.corrcoef(np.ravel(planes[0].contrast), np.ravel(still.contrast))[0, 1] > 0.95


def test_gradients_flow_across_the_line_of_sight(linear, box, growth, stages):
    with tf.GradientTape() as tape:
        tape.watch(linear)
        particles = pm.start(linear, box, growth, stages[0])
        (plane,), _ = pm.light_cone(particles, box, growth, stages, [5.0, 165.0], n_pixels=8)
        figure = tf.reduce_sum(plane.contrast**2)
    assert np.all(np.isfinite(tape.gradient(figure, linear)))


@pytest.mark.parametrize("edges", [[10.0], [20.0, 10.0], [-1.0, 10.0], [0.0, np.nan]])
def test_edges_that_make_no_slabs_are_refused(linear, box, growth, stages, edges):
    particles = pm.Particles(*(tf.zeros([3, *box.shape]) for _ in range(2)))
    with pytest.raises(BoxError, match="ascending"):
        pm.light_cone(particles, box, growth, stages, edges, n_pixels=8)


def test_planes_without_pixels_are_refused(linear, box, growth, stages):
    particles = pm.Particles(*(tf.zeros([3, *box.shape]) for _ in range(2)))
    with pytest.raises(BoxError, match="whole number above 0"):
        pm.light_cone(particles, box, growth, stages, [0.0, 100.0], n_pixels=0)


def test_steps_that_do_not_cover_the_slabs_are_refused(box, growth, stages):
    particles = pm.Particles(*(tf.zeros([3, *box.shape]) for _ in range(2)))
    with pytest.raises(StepsError, match="Begin earlier"):
        pm.light_cone(particles, box, growth, stages, [0.0, 300.0], n_pixels=8)


@pytest.mark.parametrize("axis", [0, 2])
def test_a_particle_that_is_nowhere_is_not_dropped_in_silence(box, axis):
    before = np.zeros([3, *box.shape])
    after = np.array(before)
    after[axis, 1, 2, 3] = np.nan
    crossings = _cross(tf.constant(before), tf.constant(after), box, 70.0, 0.0)
    seen = [np.sum(across * met[:, None]) for across, _, met in crossings]
    assert np.isnan(np.sum(seen))
