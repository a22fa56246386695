"""Lens planes hold the slab's matter, and convergence has its analytic value."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, CosmologyError


@pytest.fixture
def resting(box):
    """Give particles that stay on their grid."""
    zero = tf.zeros([3, *box.shape], tf.float64)
    return pm.Particles(zero, zero)


def test_a_slab_of_an_even_grid_has_no_contrast(resting, box):
    plane = pm.density_plane(resting, box, depth=77.5, width=20.0, distance=500.0, resolution=16)
    np.testing.assert_allclose(plane.contrast, 0.0, atol=1e-12)


def test_slabs_that_fill_the_box_add_up_to_its_projection(linear, box, growth):
    particles = pm.start(linear, box, growth, 1.0)
    slabs = [
        pm.density_plane(particles, box, depth=d, width=20.0, distance=d, resolution=16).contrast
        for d in (10.0, 30.0, 50.0, 70.0)
    ]
    whole = pm.density_plane(particles, box, depth=40.0, width=80.0, distance=40.0, resolution=16)
    np.testing.assert_allclose(np.mean(slabs, axis=0), whole.contrast, atol=1e-12)


def test_planes_have_gradients(linear, box, growth):
    with tf.GradientTape() as tape:
        tape.watch(linear)
        particles = pm.start(linear, box, growth, 1.0)
        plane = pm.density_plane(particles, box, depth=40.0, width=80.0, distance=1.0, resolution=8)
        figure = tf.reduce_sum(plane.contrast**2)
    assert np.std(tape.gradient(figure, linear)) > 0


def test_even_planes_have_the_convergence_of_the_lensing_integral(cosmology):
    behind = float(cosmology.comoving_distance(0.5))
    middles = pm.slab_middles(0.0, behind, 50.0)
    width = middles[1] - middles[0]
    planes = [pm.Plane(tf.ones([8, 8]), chi, width, (100.0, 100.0)) for chi in middles]
    kappa = pm.born_convergence(planes, cosmology, source=0.5, field=1.0, n_pixels=4)
    chi = np.linspace(0.0, behind, 2001)
    lens = chi * (behind - chi) / behind / cosmology.scale_factor(chi).numpy()
    integral = np.sum(lens[1:] + lens[:-1]) / 2 * (chi[1] - chi[0])
    expected = 1.5 * float(cosmology.Omega_m) / 2997.92458**2 * integral
    # 47 slabs are the middle rule of the integral: its error is about 1 / 47^2.
    np.testing.assert_allclose(kappa, expected, rtol=5e-4)


def test_planes_behind_the_source_do_not_lens(cosmology):
    plane = pm.Plane(tf.ones([8, 8]), 3000.0, 10.0, (100.0, 100.0))
    kappa = pm.born_convergence([plane], cosmology, source=0.9, field=1.0, n_pixels=4)
    np.testing.assert_array_equal(kappa, 0.0)


@pytest.mark.parametrize("width", [0.0, 81.0])
def test_an_impossible_slab_is_refused(resting, box, width):
    with pytest.raises(BoxError, match="thinner"):
        pm.density_plane(resting, box, depth=0.0, width=width, distance=1.0, resolution=8)


@pytest.mark.parametrize("n_pixels", [0, -1, 8.5])
def test_a_map_without_pixels_is_refused(resting, box, cosmology, n_pixels):
    slab = {"depth": 0.0, "width": 10.0, "distance": 1.0}
    with pytest.raises(BoxError, match="whole number above 0"):
        pm.density_plane(resting, box, **slab, resolution=n_pixels)
    plane = pm.density_plane(resting, box, **slab, resolution=8)
    with pytest.raises(BoxError, match="whole number above 0"):
        pm.born_convergence([plane], cosmology, source=0.5, field=1.0, n_pixels=n_pixels)


@pytest.mark.parametrize("source", [0.0, 1.0, 2.0])
def test_sources_that_are_not_in_the_past_are_refused(resting, box, cosmology, source):
    plane = pm.density_plane(resting, box, depth=0.0, width=10.0, distance=1.0, resolution=8)
    with pytest.raises(CosmologyError, match="in the past"):
        pm.born_convergence([plane], cosmology, source=source, field=1.0, n_pixels=4)


@pytest.mark.parametrize("line", [(0.0, 100.0, 0.0), (100.0, 0.0, 10.0)])
def test_slabs_that_fill_no_line_of_sight_are_refused(line):
    with pytest.raises(BoxError, match="first < last"):
        pm.slab_middles(*line)


def test_the_convergence_of_nothing_is_refused(cosmology):
    with pytest.raises(BoxError, match="at least one"):
        pm.born_convergence([], cosmology, source=0.5, field=1.0, n_pixels=4)


@pytest.mark.parametrize(("cells", "side"), [(24, 77.7), (32, 100.0)])
def test_slabs_that_tile_a_box_hold_each_particle_once_in_single_precision(cells, side):
    box = pm.Box(cells, side)
    # Layers of particles on edges, and others a rounding error below: 0 and the side are one place.
    for shift in (0.0, -1e-6):
        field = tf.fill([3, *box.shape], shift)
        particles = pm.Particles(field, field)
        for n_slabs in (1, 3, 7, cells):
            width = side / n_slabs
            slab = {"width": width, "distance": 1.0, "resolution": cells}
            contrasts = [
                pm.density_plane(particles, box, depth=(i + 0.5) * width, **slab).contrast
                for i in range(n_slabs)
            ]
            # One layer lost or counted twice would be 1 / cells.
            assert np.mean(contrasts) == pytest.approx(0.0, abs=1e-5)


def test_a_slab_of_the_whole_box_holds_all_of_it_wherever_its_middle_is():
    box = pm.Box(24, 77.7)
    zero = tf.zeros([3, *box.shape])
    for k in range(49):
        plane = pm.density_plane(
            pm.Particles(zero, zero),
            box,
            depth=k * 77.7 / 48,
            width=77.7,
            distance=1.0,
            resolution=24,
        )
        assert np.mean(plane.contrast) == pytest.approx(0.0, abs=1e-5)  # of sums of 24 cells


@pytest.mark.parametrize("axis", [0, 2])
def test_a_particle_that_is_nowhere_shows_in_planes(box, axis):
    x = np.zeros([3, *box.shape])
    x[axis, 1, 2, 3] = np.nan
    particles = pm.Particles(tf.constant(x), tf.constant(x))
    plane = pm.density_plane(particles, box, depth=15.0, width=20.0, distance=1.0, resolution=8)
    assert np.isnan(np.sum(plane.contrast))


def test_a_slab_that_lies_nowhere_is_refused(resting, box):
    with pytest.raises(BoxError, match="Give a place"):
        pm.density_plane(resting, box, depth=np.nan, width=20.0, distance=1.0, resolution=8)


@pytest.mark.parametrize("distance", [-100.0, np.nan])
def test_planes_that_are_not_in_front_of_the_observer_are_refused(cosmology, distance):
    plane = pm.Plane(tf.ones([8, 8]), distance, 10.0, (100.0, 100.0))
    with pytest.raises(BoxError, match="Leave the others out"):
        pm.born_convergence([plane], cosmology, source=0.5, field=1.0, n_pixels=4)


@pytest.mark.parametrize("field", [-1.0, 0.0, np.nan, 200.0])
def test_a_map_without_a_side_is_refused(cosmology, field):
    plane = pm.Plane(tf.ones([8, 8]), 10.0, 10.0, (100.0, 100.0))
    with pytest.raises(BoxError, match="deg a side"):
        pm.born_convergence([plane], cosmology, source=0.5, field=field, n_pixels=4)
