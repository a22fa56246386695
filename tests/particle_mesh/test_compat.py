"""Scripts written for FlowPM run, and get this package's physics."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, CosmologyError, StepsError
from galsim_hub.particle_mesh.compat import flowpm

STAGES = np.linspace(0.1, 1.0, 4)


def test_the_snippet_of_the_talk_runs():
    def pk(k):
        return 1e4 * (np.asarray(k) / 0.02) / (1 + (np.asarray(k) / 0.02) ** 2.5)

    initial_conds = flowpm.linear_field(16, 100, pk, seed=1)
    state = flowpm.lpt_init(initial_conds, a0=0.1)
    final_state = flowpm.nbody(state, STAGES, 16)
    density = flowpm.cic_paint(tf.zeros_like(initial_conds), final_state[0])
    assert density.shape == (1, 16, 16, 16)
    np.testing.assert_allclose(tf.reduce_mean(density), 1.0, rtol=1e-5)


def test_the_calls_of_its_second_version_agree_with_ours(linear, box, growth):
    cosmology = flowpm.Planck15()
    state = flowpm.lpt_init(cosmology, linear[None], 0.1, order=2)
    final = flowpm.nbody(cosmology, state, STAGES, 16)
    assert final.shape == (3, 1, 16**3, 3)
    ours = pm.start(linear, box, growth, 0.1, gradient="four_point")
    ours = pm.evolve(ours, box, growth, STAGES)
    expected = np.reshape(ours.displacement / 5.0 + np.indices(box.shape), [3, -1]).T
    np.testing.assert_allclose(final[0, 0], expected, atol=1e-8)
    steps = flowpm.nbody(cosmology, state, STAGES, [16] * 3, return_intermediate_states=True)
    assert [a for a, _ in steps] == pytest.approx(STAGES[1:])
    np.testing.assert_allclose(steps[-1][1], final, atol=1e-7)


def test_painting_and_reading_take_its_layout(numbers):
    part = tf.constant(numbers.uniform(0, 8, size=(2, 30, 3)))
    mesh = flowpm.cic_paint(tf.ones([2, 8, 8, 8], tf.float64), part)
    np.testing.assert_allclose(tf.reduce_sum(mesh, axis=(1, 2, 3)), 512 + 30)
    assert flowpm.cic_readout(mesh, part).shape == (2, 30)
    grid = tf.reshape(part, [2, 5, 6, 3])  # flattened, as there
    again = flowpm.cic_paint(tf.ones([2, 8, 8, 8], tf.float64), grid, name="painted")
    np.testing.assert_array_equal(again, mesh)
    assert flowpm.cic_readout(mesh, grid, name="read").shape == (2, 30)


def test_power_is_measured_and_predicted(linear):
    k, power = flowpm.power_spectrum(linear[None], 80.0)
    assert power.shape == (1, len(k))
    ratio = flowpm.linear_matter_power(flowpm.Planck15(), k, 0.5) / (
        flowpm.linear_matter_power(flowpm.Planck15(), k)
    )
    np.testing.assert_allclose(ratio, float(pm.Growth(pm.Planck15()).first(0.5)) ** 2)


def test_the_script_of_its_front_page_runs():
    cosmo = flowpm.cosmology.Planck15()
    initial_conditions = flowpm.linear_field(
        16,
        100,
        lambda k: tf.cast(flowpm.tfpower.linear_matter_power(cosmo, k), tf.complex64),
        seed=1,
    )
    state = flowpm.lpt_init(cosmo, initial_conditions, 0.1)
    final_state = flowpm.nbody(cosmo, state, STAGES, 16)
    final_field = flowpm.cic_paint(tf.zeros_like(initial_conditions), final_state[0])
    assert final_field.shape == (1, 16, 16, 16)
    ours = pm.linear_field(pm.Box(16, 100.0), pm.EisensteinHu(cosmo), [1])
    np.testing.assert_allclose(initial_conditions, ours, atol=1e-4)


def test_painting_and_reading_go_into_a_graph():
    @tf.function
    def there_and_back(mesh, part):
        return flowpm.cic_readout(flowpm.cic_paint(mesh, part), part)

    part = tf.constant([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
    np.testing.assert_array_equal(there_and_back(tf.zeros([1, 8, 8, 8]), part), [[1.0, 1.0]])


def test_shapes_that_do_not_fit_are_refused():
    cosmo, mesh = flowpm.Planck15(), tf.zeros([1, 8, 8, 8])
    with pytest.raises(BoxError, match="batch, x, y, z"):
        flowpm.lpt_init(cosmo, tf.zeros([8, 8, 8]), 0.1)
    with pytest.raises(StepsError, match="scale factor to start at"):
        flowpm.lpt_init(cosmo, mesh)
    with pytest.raises(BoxError, match="4096"):
        flowpm.nbody(cosmo, tf.zeros([3, 1, 512, 3]), STAGES, 16)
    for positions in (tf.zeros([5, 3]), tf.zeros([2, 5, 3]), tf.zeros([1, 5, 2])):
        with pytest.raises(BoxError, match="particle, 3"):
            flowpm.cic_paint(mesh, positions)
        with pytest.raises(BoxError, match="particle, 3"):
            flowpm.cic_readout(mesh, positions)


def test_without_cells_nbody_is_refused():
    with pytest.raises(BoxError, match="cells along a side"):
        flowpm.nbody(flowpm.Planck15(), tf.zeros([3, 1, 512, 3]), STAGES)


def test_calls_of_the_release_and_of_the_repository_are_the_same():
    cosmo = flowpm.Planck15(Omega_c=0.2)
    field = flowpm.linear_field(16, 100.0, pm.EisensteinHu(cosmo), None, 1, seed=3)
    first = flowpm.lpt_init(cosmo, field, 0.1, 1)
    np.testing.assert_array_equal(flowpm.lpt_init(field, 0.1, 1, cosmo), first)
    np.testing.assert_array_equal(flowpm.lpt_init(field, 0.1, 1, cosmology=cosmo), first)
    np.testing.assert_array_equal(flowpm.lpt_init(cosmo=cosmo, linear=field, a=0.1, order=1), first)
    assert not np.array_equal(flowpm.lpt_init(field, 0.1, 1), first)
    assert not np.array_equal(flowpm.lpt_init(field, 0.1, 2, cosmo), first)
    last = flowpm.nbody(cosmo, first, STAGES, 16, 2)
    np.testing.assert_array_equal(flowpm.nbody(first, STAGES, 16, cosmo, 2, name="NBody"), last)
    assert not np.array_equal(flowpm.nbody(first, STAGES, 16, pm_nc_factor=2), last)
    with pytest.raises(CosmologyError, match="not a Cosmology"):
        flowpm.nbody(first, STAGES, 16, {"Omega0_m": 0.3})
    with pytest.raises(TypeError, match="cosmology"):
        flowpm.lpt_init(field, 0.1, 1, cosmo, cosmology=cosmo)


def test_a_dict_in_place_of_a_cosmology_is_told_of():
    with pytest.raises(CosmologyError, match="is not a Cosmology"):
        flowpm.lpt_init({"Omega0_m": 0.3}, tf.zeros([1, 4, 4, 4]), 0.1)


def test_cells_may_be_counted_by_a_float():
    state = flowpm.lpt_init(tf.zeros([1, 4, 4, 4]), 0.1)
    whole, real = (flowpm.nbody(state, [0.1, 1.0], nc) for nc in (4, 4.0))
    np.testing.assert_array_equal(whole, real)
