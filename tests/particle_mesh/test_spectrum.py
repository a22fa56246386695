"""Spectra of fields whose spectra are known, and particles sharpened."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError


def test_a_plane_wave_has_its_power_in_one_shell():
    box = pm.Box((8, 8, 12), (10.0, 10.0, 15.0))
    wave = 0.3 * np.cos(2 * np.pi * 2 * np.arange(8) / 8)[:, None, None] * np.ones(box.shape)
    found = pm.power_spectrum(tf.constant(wave), box)
    # Two modes of amplitude 0.15 share the shell with its others.
    total = found.power * found.n_modes
    fundamental = 2 * np.pi / 10.0
    (shell,) = np.nonzero(total > 1e-9)
    assert found.k[shell].item() == pytest.approx(2 * fundamental, rel=0.3)
    assert float(total[shell[0]]) == pytest.approx(2 * 0.15**2 * box.volume)


def test_white_noise_has_the_power_of_a_cell(numbers):
    box = pm.Box(24, 48.0)
    found = pm.power_spectrum(tf.constant(numbers.normal(size=box.shape)), box)
    assert np.all(np.abs(found.power / 8.0 - 1) < 4 * np.sqrt(2 / found.n_modes))


def test_every_mode_below_the_nyquist_is_counted_once():
    box = pm.Box(16, 10.0)
    k = np.sqrt(sum(x**2 for x in np.meshgrid(*[np.fft.fftfreq(16) * 16] * 3)))
    expected, _ = np.histogram(k, np.arange(1.0, 9.0) - 1e-9)
    np.testing.assert_array_equal(pm.power_spectrum(tf.zeros([16, 16, 16]), box).n_modes, expected)


def test_shells_of_a_long_box_begin_with_its_largest_wave():
    box = pm.Box((16, 8, 8), (160.0, 80.0, 80.0))
    wave = np.cos(2 * np.pi * np.arange(16) / 16)[:, None, None] * np.ones(box.shape)
    found = pm.power_spectrum(tf.constant(wave), box)
    assert found.k[0] == pytest.approx(2 * np.pi / 160)
    assert found.power[0] > 0
    np.testing.assert_allclose(found.power[1:], 0.0, atol=1e-20)


def test_correlation_and_transfer_tell_phase_from_amplitude(linear, box, numbers):
    np.testing.assert_allclose(pm.correlation(linear, 3.0 * linear, box), 1.0)
    np.testing.assert_allclose(pm.transfer_function(3.0 * linear, linear, box), 3.0)
    noise = tf.constant(numbers.normal(size=box.shape))
    assert np.all(np.abs(pm.correlation(linear, noise, box)) < 0.6)


def test_the_window_of_painting_is_divided_out(linear, box):
    plain, corrected = (
        pm.power_spectrum(linear, box, deconvolve=flag).power for flag in (False, True)
    )
    ratio = (corrected / plain).numpy()
    assert np.all(np.diff(ratio) > 0)
    assert ratio[0] == pytest.approx(1.0, abs=0.05)


def test_a_field_of_another_grid_is_refused(linear, box):
    with pytest.raises(BoxError, match="Give the Box"):
        pm.power_spectrum(linear, box, linear[:8])


def test_sharpened_particles_are_more_clustered(linear, box, growth):
    particles = pm.start(linear, box, growth, 0.6)
    sharp = pm.sharpen(particles, box, strength=0.3, long_scale=0.1, short_scale=0.8)
    before, after = (np.std(pm.density(x.displacement, box)) for x in (particles, sharp))
    assert after > before
    np.testing.assert_array_equal(sharp.momentum, particles.momentum)


def test_an_empty_band_is_refused(linear, box, growth):
    particles = pm.start(linear, box, growth, 0.6)
    with pytest.raises(BoxError, match="long_scale < short_scale"):
        pm.sharpen(particles, box, strength=0.1, long_scale=1.0, short_scale=0.5)


@pytest.fixture(scope="module")
def quick_and_fine(growth):
    """Give a box, particles of few steps and a coarse force, and power of many and a fine one."""
    box = pm.Box(24, 36.0)
    linear = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=2)

    def simulate(n_steps, resolution):
        stages = pm.scale_factors(0.1, 1.0, n_steps)
        return pm.evolve(
            pm.start(linear, box, growth, 0.1), box, growth, stages, resolution=resolution
        )

    fine = pm.density(simulate(20, 2).displacement, box)
    return box, simulate(8, 1), pm.power_spectrum(fine, box).power.numpy()


def test_fitted_sharpening_gives_back_the_power_of_a_finer_simulation(quick_and_fine):
    box, quick, power = quick_and_fine
    fitted = pm.fit_sharpening(quick, box, power)
    off, still_off = (
        np.abs(pm.power_spectrum(pm.density(x.displacement, box), box).power / power - 1.0).max()
        for x in (quick, pm.sharpen(quick, box, **fitted))
    )
    assert off > 0.3
    assert still_off < 0.1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"power": np.ones(3)}, "same grid"),
        ({"power": np.zeros(11)}, "positive"),
        ({"largest_k": 0.1}, "larger largest_k"),
    ],
)
def test_power_that_cannot_be_fitted_is_refused(quick_and_fine, change, words):
    box, quick, power = quick_and_fine
    with pytest.raises(BoxError, match=words):
        pm.fit_sharpening(quick, box, **{"power": power, **change})


def test_fields_that_cannot_be_compared_are_refused(box, linear):
    single = tf.cast(linear, tf.float32)
    for compare in (pm.correlation, pm.transfer_function):
        with pytest.raises(BoxError, match="in one precision"):
            compare(single, linear, box)
    with pytest.raises(BoxError, match="one precision and shape"):
        pm.power_spectrum(linear, box, linear[None])
    with pytest.raises(BoxError, match="float32 or float64"):
        pm.power_spectrum(np.zeros(box.shape, int), box)
    with pytest.raises(BoxError, match="Box that the field was made with"):
        pm.smooth(linear, pm.Box(8, 80.0), 5.0)


def test_transforms_whose_gradient_would_be_wrong_are_refused():
    with pytest.raises(BoxError, match="next even number"):
        pm.to_modes(tf.zeros([8, 8, 7]))
    with pytest.raises(BoxError, match="next even number"):
        pm.to_field(tf.zeros([8, 8, 4], tf.complex64), (8, 8, 7))
    with pytest.raises(BoxError, match="shape of the field"):
        pm.to_field(tf.zeros([8, 8, 5], tf.complex64), (9, 8, 8))
