"""Linear modes are Gaussian, real in space, and the same at every resolution."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, PowerSpectrumError, SeedError
from galsim_hub.particle_mesh.fourier import multiplicity

SHAPES = [(8, 8, 8), (6, 10, 12)]


@pytest.mark.parametrize("shape", SHAPES)
def test_modes_are_those_of_a_real_field(shape):
    box = pm.Box(shape, 10.0)
    modes = pm.white_modes(box, 5)
    np.testing.assert_allclose(
        np.fft.rfftn(np.fft.irfftn(modes, shape, (0, 1, 2))), modes, atol=1e-12
    )


def test_modes_have_unit_variance_and_no_skewness():
    modes = pm.white_modes(pm.Box(48, 10.0), 11)
    weights = multiplicity(48) * np.ones(modes.shape)
    n = weights.sum()
    assert np.sum(weights * np.abs(modes) ** 2) / n == pytest.approx(1.0, abs=4 * np.sqrt(2 / n))
    field = np.fft.irfftn(modes) * 48**1.5
    assert np.mean(field**3) == pytest.approx(0.0, abs=4 * np.sqrt(15 / n))
    assert np.mean(field**4) == pytest.approx(3.0, abs=4 * np.sqrt(96 / n))


def test_a_finer_grid_has_the_same_large_scales():
    coarse, fine = (pm.white_modes(pm.Box(n, 10.0), 7) for n in (8, 12))
    low = np.r_[0:4, -3:0]  # below the Nyquist mode of the coarse grid
    np.testing.assert_array_equal(
        coarse[np.ix_(low, low, range(4))], fine[np.ix_(low, low, range(4))]
    )


def test_a_seed_fixes_the_bits_and_another_changes_all(box):
    first, again, other = (pm.white_modes(box, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    product = np.sum(first * other.conj()).real / np.sum(np.abs(first) ** 2)
    assert abs(product) < 4 / np.sqrt(first.size)


def test_twenty_fields_have_the_power_that_was_asked_for(cosmology):
    box = pm.Box(16, 100.0)
    power = pm.EisensteinHu(cosmology)
    fields = pm.linear_field(box, power, list(range(20)), dtype=tf.float64)
    # Each mode against its own power, so that the width of a shell does not matter.
    k = box.wavenumber()
    k[0, 0, 0] = 1.0
    white = pm.to_modes(fields) / np.sqrt(power(k) * box.n_cells**2 / box.volume)
    found = pm.power_spectrum(pm.to_field(white, box.shape), box)
    unit = box.volume / box.n_cells**2
    ratio = np.mean(found.power, axis=0) / unit
    deviation = np.sqrt(2 / (20 * found.n_modes))
    assert np.all(np.abs(ratio - 1) < 3 * deviation)


def test_transforms_are_inverse_and_their_gradients_adjoint(numbers):
    shape = (4, 6, 8)
    field = tf.constant(numbers.normal(size=shape))
    other = tf.constant(numbers.normal(size=shape))
    weights = numbers.normal(size=(4, 6, 5)) + 1j * numbers.normal(size=(4, 6, 5))
    np.testing.assert_allclose(pm.to_field(pm.to_modes(field), shape), field, atol=1e-14)

    def filtered(x):
        return tf.reduce_sum(other * pm.to_field(weights * pm.to_modes(x), shape))

    with tf.GradientTape() as tape:
        tape.watch(field)
        result = filtered(field)
    gradient = tape.gradient(result, field)
    # The map is linear, so its gradient times the field is its value.
    assert float(tf.reduce_sum(gradient * field)) == pytest.approx(float(result), rel=1e-12)
    change = tf.constant(numbers.normal(size=shape))
    assert float(tf.reduce_sum(gradient * change)) == pytest.approx(
        float(filtered(change)), rel=1e-9
    )


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, "1"])
def test_an_impossible_seed_is_refused(box, seed):
    with pytest.raises(SeedError):
        pm.white_modes(box, seed)


@pytest.mark.parametrize("power", [lambda k: -k, lambda k: k * np.nan, lambda k: k / 0.0])
def test_a_power_without_sense_is_refused(box, power):
    with pytest.raises(PowerSpectrumError, match="wavenumbers of this grid") as caught:
        pm.linear_field(box, power)
    assert caught.value.first == pytest.approx(2 * np.pi / 80.0)


@pytest.mark.parametrize("shape", [7, (8, 9, 8), 2, 0, 8.5])
def test_an_odd_or_tiny_grid_is_refused(shape):
    with pytest.raises(BoxError, match="even number of cells"):
        pm.Box(shape, 10.0)


@pytest.mark.parametrize("size", [0.0, -1.0, np.inf, (1.0, 2.0), "10"])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(BoxError):
        pm.Box(8, size)


@pytest.mark.parametrize("seeds", [[1, 2], (1, 2), range(1, 3), np.array([1, 2])], ids=repr)
def test_any_sequence_of_seeds_is_a_batch(box, cosmology, seeds):
    power = pm.EisensteinHu(cosmology)
    fields = pm.linear_field(box, power, seed=seeds)
    for field, seed in zip(fields, (1, 2), strict=True):
        np.testing.assert_array_equal(field, pm.linear_field(box, power, seed=seed))


def test_no_seed_and_a_name_are_refused(box, cosmology):
    power = pm.EisensteinHu(cosmology)
    with pytest.raises(SeedError, match="Give one or more"):
        pm.linear_field(box, power, seed=[])
    with pytest.raises(SeedError, match="Fields take one") as caught:
        pm.linear_field(box, power, seed="field")
    assert "obj_id" not in str(caught.value)


def test_modes_of_another_box_are_refused(box, cosmology):
    with pytest.raises(BoxError, match="white_modes"):
        pm.linear_modes(box, pm.EisensteinHu(cosmology), pm.white_modes(pm.Box(8, 80.0), 1))


def test_gradients_by_a_parameter_warn_of_nothing(box, cosmology, caplog):
    sigma8 = tf.constant(0.8, tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(sigma8)
        field = pm.linear_field(box, pm.EisensteinHu(cosmology.replace(sigma8=sigma8)), seed=1)
        variance = tf.reduce_sum(field**2)
    # The field is proportional to it; single precision limits the sum.
    expected = 2 * float(variance) / 0.8
    assert float(tape.gradient(variance, sigma8)) == pytest.approx(expected, rel=1e-5)
    assert "complex128" not in caplog.text
