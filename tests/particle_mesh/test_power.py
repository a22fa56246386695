"""Power spectra have the right amplitude, limits and gradients, and cover what is asked."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import CosmologyError, PowerSpectrumError
from galsim_hub.particle_mesh.power import transfer

K = np.geomspace(1e-4, 20.0, 400)


def test_sigma8_is_the_cosmologys(cosmology):
    assert float(pm.sigma(pm.EisensteinHu(cosmology), 8.0)) == pytest.approx(0.8159, rel=1e-12)


def test_sigma_of_a_power_law_is_known():
    # P = k^-1 has sigma^2 = 9 / (8 pi^2 R^2), by integrating the window over all k.
    assert float(pm.sigma(lambda k: 1.0 / k, 8.0)) ** 2 == pytest.approx(
        9 / (8 * np.pi**2 * 64), rel=1e-6
    )


def test_the_transfer_function_is_one_on_large_scales(cosmology):
    assert float(transfer(cosmology, 1e-6)) == pytest.approx(1.0, abs=1e-4)


def test_without_baryons_there_are_no_oscillations(cosmology):
    k = np.linspace(0.05, 0.3, 200)

    def wiggles(omega_b):
        ratio = transfer(cosmology.replace(Omega_c=0.31 - omega_b, Omega_b=omega_b), k)
        log = np.log(ratio)
        return np.std(log - np.polyval(np.polyfit(np.log(k), log, 4), np.log(k)))

    assert wiggles(1e-5) < 1e-4 < 1e-2 < wiggles(0.06)


def test_a_table_gives_back_the_function_that_made_it(cosmology):
    power = pm.EisensteinHu(cosmology)
    table = pm.TabulatedPower(K, power(K))
    k = np.geomspace(1.1e-4, 19.0, 1000)
    np.testing.assert_allclose(table(k), power(k), rtol=5e-4)


@pytest.mark.parametrize("name", ["Omega_c", "Omega_b", "h", "n_s", "sigma8"])
def test_power_has_exact_gradients(cosmology, name, slope):
    def figure(value):
        power = pm.EisensteinHu(cosmology.replace(**{name: value}))
        return tf.reduce_sum(tf.math.log(power(tf.constant([0.01, 0.2, 3.0], tf.float64))))

    value = getattr(cosmology, name)
    with tf.GradientTape() as tape:
        tape.watch(value)
        result = figure(value)
    assert float(tape.gradient(result, value)) == pytest.approx(
        slope(figure, value, 1e-6), rel=1e-6
    )


def test_a_table_that_does_not_cover_the_grid_is_refused(cosmology, box):
    power = pm.EisensteinHu(cosmology)
    k = np.geomspace(1e-3, 0.5, 50)
    with pytest.raises(PowerSpectrumError, match="Extend the table") as caught:
        pm.linear_field(box, pm.TabulatedPower(k, power(k)))
    assert caught.value.last == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("k", "power"),
    [
        ([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]),
        ([1.0, 3.0, 2.0, 4.0], [1.0] * 4),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 0.0, 1.0]),
        ([1.0, 2.0, 3.0, 4.0], [1.0] * 5),
        ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0, np.inf, 1.0]),
        ([0.0, 2.0, 3.0, 4.0], [1.0] * 4),
        ([-1.0, 2.0, 3.0, 4.0], [1.0] * 4),
        (np.ones((4, 2)), np.ones((4, 2))),
        ([], []),
    ],
)
def test_an_invalid_table_is_refused(k, power):
    with pytest.raises(PowerSpectrumError, match="ascending"):
        pm.TabulatedPower(k, power)


def test_the_fit_refuses_a_universe_without_baryons(cosmology):
    with pytest.raises(CosmologyError, match="Omega_b=1e-5"):
        pm.EisensteinHu(cosmology.replace(Omega_b=0.0))
    assert np.isfinite(pm.EisensteinHu(cosmology.replace(Omega_b=1e-5))(K)).all()


def test_sigma_of_a_table_as_camb_writes_it_is_that_of_the_function(cosmology):
    power = pm.EisensteinHu(cosmology)
    k = np.geomspace(1e-4, 2.0, 500)
    # What is beyond 2 h/Mpc adds less than 1e-3 to the variance, half of that to its root.
    assert float(pm.sigma(pm.TabulatedPower(k, power(k)), 8.0)) == pytest.approx(0.8159, rel=5e-4)


@pytest.mark.parametrize("ends", [(1e-4, 0.5), (0.05, 10.0)])
def test_sigma_of_a_table_that_lacks_too_much_is_refused(cosmology, ends):
    k = np.geomspace(*ends, 200)
    with pytest.raises(PowerSpectrumError, match="of the variance.*Extend the table"):
        pm.sigma(pm.TabulatedPower(k, pm.EisensteinHu(cosmology)(k)), 8.0)


@pytest.mark.parametrize("radius", [0.0, -8.0, np.nan])
def test_spheres_without_a_radius_are_refused(cosmology, radius):
    with pytest.raises(PowerSpectrumError, match="positive radius"):
        pm.sigma(pm.EisensteinHu(cosmology), radius)
