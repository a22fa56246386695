"""Scripts written for FlowPM run, and get this package's physics."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError
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


def test_power_is_measured_and_predicted(linear):
    k, power = flowpm.power_spectrum(linear[None], 80.0)
    assert power.shape == (1, len(k))
    ratio = flowpm.linear_matter_power(flowpm.Planck15(), k, 0.5) / (
        flowpm.linear_matter_power(flowpm.Planck15(), k)
    )
    np.testing.assert_allclose(ratio, float(pm.Growth(pm.Planck15()).first(0.5)) ** 2)


def test_without_cells_nbody_is_refused():
    with pytest.raises(BoxError, match="cells along a side"):
        flowpm.nbody(flowpm.Planck15(), tf.zeros([3, 1, 512, 3]), STAGES)
