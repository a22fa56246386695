"""Distances and growth agree with closed forms, with astropy and with other integrations."""

from __future__ import annotations

import astropy.cosmology
import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import CosmologyError

UNIVERSES = [
    {},
    {"w0": -0.9},
    {"w0": -0.9, "wa": 0.3},
    {"Omega_k": 0.05},
    {"Omega_k": -0.05, "w0": -1.1, "wa": -0.2},
]


@pytest.mark.parametrize("parameters", UNIVERSES, ids=str)
def test_distances_are_those_of_astropy(parameters):
    ours = pm.Planck15(**parameters)
    theirs = astropy.cosmology.w0waCDM(
        H0=100.0,  # so that its Mpc are our Mpc/h
        Om0=float(ours.Omega_m),
        Ode0=float(ours.Omega_de),
        w0=float(ours.w0),
        wa=float(ours.wa),
        Tcmb0=0.0,
    )
    a = np.array([0.05, 0.3, 0.5, 0.9, 1.0])
    redshift = 1 / a - 1
    np.testing.assert_allclose(ours.expansion(a), theirs.efunc(redshift), rtol=1e-12)
    expected = theirs.comoving_distance(redshift).value
    np.testing.assert_allclose(ours.comoving_distance(a), expected, rtol=1e-7, atol=1e-9)
    expected = theirs.comoving_transverse_distance(redshift).value
    np.testing.assert_allclose(ours.transverse_distance(a), expected, rtol=1e-7, atol=1e-9)


def test_the_scale_factor_at_a_distance_is_found(cosmology):
    a = np.array([0.05, 0.5, 0.99, 1.0])
    found = cosmology.scale_factor(cosmology.comoving_distance(a))
    np.testing.assert_allclose(found, a, rtol=1e-12)


def test_growth_in_a_universe_of_matter_is_a_power_law():
    growth = pm.Growth(pm.Cosmology(1.0, 0.0, h=0.7, n_s=1.0, sigma8=0.8))
    a = np.array([1e-3, 0.1, 0.5, 1.0])
    np.testing.assert_allclose(growth.first(a), a, rtol=1e-9)
    np.testing.assert_allclose(growth.second(a), -3 / 7 * a**2, rtol=1e-9)
    np.testing.assert_allclose(growth.first_rate(a), 1.0, rtol=1e-9)
    np.testing.assert_allclose(growth.second_rate(a), 2.0, rtol=1e-9)


@pytest.mark.parametrize("curvature", [0.0, 0.1, -0.1])
def test_growth_with_a_cosmological_constant_is_heaths_integral(curvature):
    cosmology = pm.Planck15(Omega_k=curvature)
    matter, dark = float(cosmology.Omega_m), float(cosmology.Omega_de)

    def heath(a):  # Heath 1977, MNRAS 179, 351
        nodes, weights = np.polynomial.legendre.leggauss(200)
        x = 0.5 * a * (nodes + 1)
        square = matter / x**3 + curvature / x**2 + dark
        last = np.sqrt(matter / a**3 + curvature / a**2 + dark)
        return last * np.sum(0.5 * a * weights / (x * np.sqrt(square)) ** 3)

    a = np.array([1e-3, 0.01, 0.1, 0.3, 0.6, 1.0])
    expected = np.array([heath(x) for x in a]) / heath(1.0)
    np.testing.assert_allclose(pm.Growth(cosmology).first(a), expected, rtol=1e-6)


@pytest.mark.parametrize("parameters", UNIVERSES, ids=str)
def test_growth_agrees_with_runge_kutta_steps(parameters):
    cosmology = pm.Planck15(**parameters)
    n_steps, first = 4000, 1e-4
    x = np.linspace(np.log(first), 0.0, 2 * n_steps + 1)
    slope = cosmology.expansion_slope(np.exp(x)).numpy()
    matter = 1.5 * cosmology.matter_density(np.exp(x)).numpy()

    def right(i, y):
        d1, v1, d2, v2 = y
        drag = 2 + slope[i]
        return np.array([v1, matter[i] * d1 - drag * v1, v2, matter[i] * (d2 - d1**2) - drag * v2])

    y, h = np.array([first, first, -3 / 7 * first**2, -6 / 7 * first**2]), x[2] - x[0]
    for i in range(0, 2 * n_steps, 2):
        k1 = right(i, y)
        k2 = right(i + 1, y + 0.5 * h * k1)
        k3 = right(i + 1, y + 0.5 * h * k2)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + right(i + 2, y + h * k3))
    growth = pm.Growth(cosmology)
    # The start of the oracle, without the first correction of its slope, limits it to about 1e-6.
    np.testing.assert_allclose(growth.first_rate(1.0), y[1] / y[0], rtol=1e-5)
    np.testing.assert_allclose(growth.second(1.0), y[2] / y[0] ** 2, rtol=1e-5)
    np.testing.assert_allclose(growth.second_rate(1.0), y[3] / y[2], rtol=1e-5)


@pytest.mark.parametrize("name", ["Omega_c", "Omega_k", "w0", "wa"])
def test_growth_and_distance_have_exact_gradients(name, slope):
    def figure(value):
        cosmology = pm.Planck15(w0=-0.95, wa=0.1, Omega_k=0.01).replace(**{name: value})
        growth = pm.Growth(cosmology)
        return growth.second(0.5) + growth.momentum(0.7) + 1e-3 * cosmology.transverse_distance(0.5)

    value = tf.constant(0.26 if name == "Omega_c" else -0.5, tf.float64)
    value = {"Omega_c": 0.26, "Omega_k": 0.01, "w0": -0.95, "wa": 0.1}[name] + 0.0 * value
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = figure(value)
    assert float(tape.gradient(result, value)) == pytest.approx(
        slope(figure, value, 1e-5), rel=1e-6
    )


@pytest.mark.parametrize(("name", "value"), [("h", 0.0), ("Omega_c", -0.1), ("w0", np.nan)])
def test_an_impossible_parameter_is_refused(name, value):
    with pytest.raises(CosmologyError, match=name) as caught:
        pm.Planck15(**{name: value})
    assert caught.value.parameter == name


@pytest.mark.parametrize("parameters", [{"Omega_k": -2.0}, {"Omega_k": -0.5, "Omega_c": 1e-3}])
def test_a_universe_that_bounced_is_refused(parameters):
    universe = pm.Planck15(**parameters)
    with pytest.raises(CosmologyError, match="bounced or turned"):
        pm.Growth(universe)


@pytest.mark.parametrize("a", [0.0, 1e-5, 2.0])
def test_growth_is_refused_where_it_is_not_known(growth, a):
    with pytest.raises(CosmologyError, match="Stay between"):
        growth.first(a)


@pytest.mark.parametrize("distance", [12000.0, -1000.0, np.nan])
def test_distances_without_a_scale_factor_are_refused(cosmology, distance):
    with pytest.raises(CosmologyError, match="the horizon"):
        cosmology.scale_factor([100.0, distance])


@pytest.mark.parametrize("parameters", [{"w0": -0.9, "wa": 1.0}, {"w0": 0.1}])
def test_a_universe_that_matter_never_ruled_is_refused(parameters):
    with pytest.raises(CosmologyError, match="matter never ruled"):
        pm.Growth(pm.Planck18(**parameters))
    pm.Growth(pm.Planck18(w0=-0.5, wa=0.5))  # an end of the ranges of particle_mesh/1


def test_the_hubble_constant_in_kilometres_per_second_is_refused():
    with pytest.raises(CosmologyError, match="h = H0 / 100"):
        pm.Planck18(h=67.66)


def test_several_values_of_a_parameter_are_refused():
    with pytest.raises(CosmologyError, match="several cosmologies"):
        pm.Planck18(w0=[-1.0, -0.9])


@pytest.mark.parametrize(
    ("name", "words"), [("Omega_m", r"Omega_c \+ Omega_b"), ("H0", "100 h"), ("sigma_8", "sigma8")]
)
def test_a_parameter_of_another_name_is_refused_with_the_right_one(cosmology, name, words):
    for make in (pm.Planck15, pm.Planck18, cosmology.replace):
        with pytest.raises(CosmologyError, match=words):
            make(**{name: 0.3})


def test_what_is_no_cosmology_or_growth_is_told_apart(cosmology, box):
    with pytest.raises(CosmologyError, match="needs a Cosmology, not 5"):
        pm.Growth(5)
    particles = pm.Particles(*(tf.zeros([3, *box.shape]) for _ in range(2)))
    with pytest.raises(CosmologyError, match=r"Growth\(cosmology\)"):
        pm.start(tf.zeros(box.shape), box, cosmology, 0.1)
    with pytest.raises(CosmologyError, match=r"Growth\(cosmology\)"):
        pm.evolve(particles, box, cosmology, [0.1, 1.0])
    with pytest.raises(CosmologyError, match=r"Growth\(cosmology\)"):
        pm.light_cone(particles, box, cosmology, [0.1, 1.0], [0.0, 10.0], n_pixels=8)
