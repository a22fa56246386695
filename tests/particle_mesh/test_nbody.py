"""Particles evolve as theory says, and the reverse loop gives exact gradients."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, StepsError
from galsim_hub.particle_mesh.steps import bullfrog, fastpm

STAGES = np.geomspace(0.1, 1.0, 5)
SCHEMES = ["fastpm", "bullfrog"]


@pytest.fixture(scope="module")
def started(linear, box, growth):
    """Give particles at the first scale factor."""
    return pm.start(linear, box, growth, STAGES[0])


def follow(plan, x, p, force):
    """Run a schedule on numbers, with a force that is a formula."""
    x = x + plan.drift * p
    for keep, kick, drift in plan.stages.numpy():
        p = keep * p + kick * force(x)
        x = x + drift * p
    return x, p


@pytest.mark.parametrize("scheme", [fastpm, bullfrog])
def test_one_step_of_linear_growth_is_exact_to_a_ten_thousandth(growth, scheme):
    a, b = 0.5, 0.52
    plan = scheme(growth, tf.constant([a, b], tf.float64))
    x, p = follow(plan, growth.first(a), growth.momentum(a), lambda x: x)
    assert float(x / growth.first(b)) == pytest.approx(1.0, abs=1e-4)
    assert float(p / growth.momentum(b)) == pytest.approx(1.0, abs=1e-4)


def test_bullfrog_follows_second_order_theory(growth):
    # To second order a displacement D psi1 + e psi2 is pulled by D psi1 + (e - D^2) psi2.
    stages = np.geomspace(0.1, 1.0, 9)
    plan = bullfrog(growth, tf.constant(stages))

    def speed(a):
        rates = growth.first_rate(a) * growth.first(a), growth.second_rate(a) * growth.second(a)
        return np.array([float(a**2 * growth.cosmology.expansion(a) * rate) for rate in rates])

    start = np.array([float(growth.first(0.1)), float(growth.second(0.1))])
    x, p = follow(plan, start, speed(0.1), lambda x: x - np.array([0.0, x[0] ** 2]))
    assert float(x[0]) == pytest.approx(1.0, rel=1e-9)
    # A step matches momenta, and places up to the third power of its length: 2e-3 in 4 steps.
    np.testing.assert_allclose(p, speed(1.0), rtol=1e-3)
    assert float(x[1]) == pytest.approx(float(growth.second(1.0)), rel=1e-3)
    one = bullfrog(growth, tf.constant(stages[:2]))
    _, p = follow(one, start, speed(0.1), lambda x: x - np.array([0.0, x[0] ** 2]))
    np.testing.assert_allclose(p, speed(stages[1]), rtol=1e-9)


def test_small_perturbations_of_a_box_grow_linearly(linear, box, growth, started):
    tiny = 1e-4
    particles = pm.Particles(tiny * started.displacement, tiny * started.momentum)
    end = pm.evolve(particles, box, growth, STAGES).displacement / tiny
    first = pm.start(linear, box, growth, 1.0, order=1).displacement
    # The largest scales only: the force of a mesh is softer than Newton's near its cells.
    ours, theory = (pm.to_modes(x)[:, 1, 0, 0] for x in (end, first))
    assert np.abs(ours[0] / theory[0] - 1) < 0.05


@pytest.mark.parametrize("scheme", SCHEMES)
def test_momentum_is_conserved(started, box, growth, scheme):
    p = pm.evolve(started, box, growth, STAGES, scheme=scheme).momentum.numpy()
    assert np.abs(p.sum(axis=(1, 2, 3))).max() < 1e-10 * np.abs(p).sum()


def test_a_run_repeats_bit_for_bit(started, box, growth):
    first, again = (pm.evolve(started, box, growth, STAGES).displacement for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_stopping_on_the_way_changes_little(started, box, growth):
    whole = pm.evolve(started, box, growth, STAGES)
    (_, half), (a, end) = pm.snapshots(started, box, growth, STAGES, STAGES[[2, 4]])
    assert a == 1.0
    assert np.std(half.displacement) < np.std(end.displacement)
    np.testing.assert_allclose(end.displacement, whole.displacement, atol=1e-9)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_gradient_by_the_initial_field_agrees_with_differences(
    linear, box, growth, numbers, slope, scheme
):
    direction = tf.constant(numbers.normal(size=box.shape))
    weights = tf.constant(numbers.normal(size=box.shape))

    def figure(t):
        particles = pm.start(linear + t * direction, box, growth, STAGES[0])
        end = pm.evolve(particles, box, growth, STAGES, scheme=scheme)
        return tf.reduce_sum(weights * pm.density(end.displacement, box))

    t = tf.constant(0.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(t)
        result = figure(t)
    # 1e-6: no particle crosses a cell's wall between the two differences, where CIC has a kink.
    assert float(tape.gradient(result, t)) == pytest.approx(slope(figure, t, 1e-7), rel=1e-6)


@pytest.mark.parametrize("name", ["Omega_c", "sigma8", "w0"])
def test_the_gradient_by_a_parameter_agrees_with_differences(box, numbers, slope, name):
    weights = tf.constant(numbers.normal(size=(3, *box.shape)))
    white = pm.white_modes(box, 3)

    def figure(value):
        cosmology = pm.Planck15(**{name: value})
        growth = pm.Growth(cosmology)
        modes = pm.linear_modes(box, pm.EisensteinHu(cosmology), white)
        particles = pm.start(pm.to_field(modes, box.shape), box, growth, STAGES[0])
        end = pm.evolve(particles, box, growth, STAGES)
        return tf.reduce_sum(weights * end.displacement)

    value = getattr(pm.Planck15(), name)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = figure(value)
    assert float(tape.gradient(result, value)) == pytest.approx(
        slope(figure, value, 1e-6), rel=1e-5
    )


def test_a_batch_is_its_members(box, growth, started):
    batch = pm.Particles(*(tf.stack([x, 0.5 * x]) for x in started))
    together = pm.evolve(batch, box, growth, STAGES).displacement
    alone = pm.evolve(started, box, growth, STAGES).displacement
    np.testing.assert_allclose(together[0], alone, atol=1e-10)
    assert not np.allclose(together[1], alone)


def test_single_precision_is_close_to_double(box, growth, started):
    single = pm.Particles(*(tf.cast(x, tf.float32) for x in started))
    ours = pm.evolve(single, box, growth, STAGES).displacement
    assert ours.dtype == tf.float32
    double = pm.evolve(started, box, growth, STAGES).displacement.numpy()
    assert np.linalg.norm(ours.numpy() - double) < 1e-4 * np.linalg.norm(double)


def test_a_finer_force_gives_more_small_scale_power(linear, growth):
    box = pm.Box(8, 20.0)
    particles = pm.start(linear[:8, :8, :8], box, growth, 0.1)
    ends = [pm.evolve(particles, box, growth, STAGES, resolution=b).displacement for b in (1, 2)]
    coarse, fine = (np.std(pm.acceleration(x, box, resolution=2)) for x in ends)
    assert fine > coarse


@pytest.mark.parametrize("scheme", SCHEMES)
def test_any_even_box_and_a_finer_force_have_exact_gradients(growth, numbers, slope, scheme):
    box = pm.Box((6, 10, 4), (30.0, 40.0, 24.0))  # no power of two, no cube, no cubic cells
    linear, direction = tf.constant(numbers.normal(size=(2, 2, *box.shape)))
    weights = tf.constant(numbers.normal(size=(2, 12, 20, 8)))

    def figure(t):
        particles = pm.start(linear + t * direction, box, growth, STAGES[0])
        end = pm.evolve(particles, box, growth, STAGES, resolution=2, scheme=scheme)
        return tf.reduce_sum(weights * pm.density(end.displacement, box, resolution=2))

    t = tf.constant(0.0, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(t)
        result = figure(t)
    assert float(tape.gradient(result, t)) == pytest.approx(slope(figure, t, 1e-7), rel=1e-6)


def test_one_step_of_a_small_wave_in_a_box_grows_by_theory(growth):
    # Long enough that the mesh does not soften it: 256 cells. And small enough for first order.
    box, a, b = pm.Box((256, 4, 4), (2560.0, 40.0, 40.0)), 0.5, 0.52
    wave = 1e-5 * np.cos(2 * np.pi * np.arange(256) / 256)[:, None, None] * np.ones(box.shape)
    particles = pm.start(tf.constant(wave), box, growth, a)
    for scheme in SCHEMES:
        end = pm.evolve(particles, box, growth, [a, b], scheme=scheme)
        theory = pm.start(tf.constant(wave), box, growth, b)
        # Particles within a cell's corner see one side of it only: the force is off by half a cell
        # over the wavelength, which momenta feel at once and places a step later.
        for ours, expected, tolerance in zip(end, theory, (1e-4, 1e-3), strict=True):
            assert np.abs(ours - expected).max() < tolerance * np.abs(expected).max()


@pytest.mark.parametrize(
    "momentum",
    [tf.zeros([3, 16, 16, 16]), tf.zeros([3, 16, 16, 8], tf.float64)],
    ids=["another precision", "another shape"],
)
def test_momenta_that_are_not_of_the_particles_are_refused(started, box, growth, momentum):
    with pytest.raises(BoxError, match="one shape"):
        pm.evolve(pm.Particles(started.displacement, momentum), box, growth, STAGES)


@pytest.mark.parametrize("stages", [[0.1], [0.5, 0.1], [0.1, 0.1], [0.0, 1.0], [0.1, np.nan]])
def test_scale_factors_that_make_no_steps_are_refused(started, box, growth, stages):
    with pytest.raises(StepsError, match="ascending"):
        pm.evolve(started, box, growth, stages)


@pytest.mark.parametrize(("first", "last", "n"), [(1.0, 0.1, 5), (0.1, 0.1, 5), (0.1, 1.0, 0)])
def test_impossible_steps_are_refused(first, last, n):
    with pytest.raises(StepsError, match="at least one step"):
        pm.scale_factors(first, last, n)


def test_an_unknown_scheme_is_refused(started, box, growth):
    with pytest.raises(StepsError, match="bullfrog"):
        pm.evolve(started, box, growth, STAGES, scheme="leapfrog")


def test_a_step_too_long_to_be_undone_is_refused(started, box, growth):
    with tf.GradientTape() as tape:
        tape.watch(started)
        end = pm.evolve(started, box, growth, [0.1, 0.9], scheme="bullfrog")
    with pytest.raises(StepsError, match="shorter steps"):
        tape.gradient(end, started)


def test_an_output_that_is_no_stage_is_refused(started, box, growth):
    with pytest.raises(StepsError, match="Add it"):
        list(pm.snapshots(started, box, growth, STAGES, [0.33]))
    with pytest.raises(StepsError, match="ascending"):
        list(pm.snapshots(started, box, growth, [0.1, 0.5, 0.3, 1.0], [0.5]))


def test_a_batch_whose_size_is_not_known_is_evolved(linear, box, growth):
    stages = pm.scale_factors(0.2, 1.0, 2)

    @tf.function(input_signature=[tf.TensorSpec([None, *box.shape], tf.float64)])
    def run(fields):
        return observe(fields)

    def observe(fields):
        with tf.GradientTape() as tape:
            tape.watch(fields)
            particles = pm.evolve(pm.start(fields, box, growth, 0.2), box, growth, stages)
            density = pm.density(particles.displacement, box)
            power = pm.power_spectrum(density, box).power
        return density, power, tape.gradient(power, fields)

    found, expected = run(tf.stack([linear, -linear])), observe(linear)
    for one, other in zip(found, expected, strict=True):
        # Compiled for another shape: sums in another order.
        np.testing.assert_allclose(one[0], other, rtol=1e-8, atol=1e-9 * np.max(np.abs(other)))


@pytest.mark.parametrize("arguments", [(0.1, np.inf, 3), (0.1, 1.0, "a"), (0.1, 1.0, 2.5)])
def test_steps_that_cannot_be_counted_are_refused(arguments):
    with pytest.raises(StepsError, match="cannot be made"):
        pm.scale_factors(*arguments)
