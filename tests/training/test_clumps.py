"""Clumps: they move light without changing its mean, and their share is found again in stamps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import galsim_hub
from training import clumpiness, losses
from training.commands.train import fit
from training.errors import ConfigError
from training.export import assemble, export
from training.light import check_light
from training.models import base, clumps
from training.pictures import clump_figure

SIZE = 64


def heads(index=(0.0, 0.0), e1=0.3) -> tf.Tensor:
    """Return head outputs (1, 14) of two components, by default flat enough to host clumps."""
    x = y = [0.0, 0.0]
    return tf.constant([[*x, *y, -0.5, 0.0, e1, -0.2, 0.1, 0.0, *index, 0.5, 0.0]], tf.float32)


def normals(count: int, seed: int = 1) -> tf.Tensor:
    return tf.random.stateless_normal([count, clumps.noise_size(2)], [seed, 7])


def drawn(raw: tf.Tensor, largest: float, noise: tf.Tensor) -> np.ndarray:
    count = noise.shape[0]
    share = tf.fill([count], tf.constant(largest))
    return base.base_light(tf.repeat(raw, count, 0), SIZE, 2, (share, noise)).numpy()


def test_the_mean_over_many_draws_is_the_smooth_galaxy():
    raw = heads()
    smooth = base.base_light(raw, SIZE, 2)[0].numpy()
    mean = np.mean([drawn(raw, 1.0, normals(200, seed)).mean(axis=0) for seed in range(10)], axis=0)
    # Behind a PSF of 2 pixels, so that the width of a clump and single clumps hardly count.
    axis = np.arange(-8, 9)
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 8.0).astype(np.float32)
    both = losses.convolve(tf.constant(np.stack([smooth, mean])), np.repeat(psf[None], 2, 0))
    smooth, mean = both.numpy() / psf.sum()
    assert np.abs(mean - smooth).max() < 0.03 * smooth.max()
    assert mean.sum() == pytest.approx(smooth.sum(), abs=0.01)


def test_no_share_gives_the_smooth_galaxy():
    raw = heads()
    light = drawn(raw, 0.0, normals(2))
    np.testing.assert_allclose(light[0], base.base_light(raw, SIZE, 2)[0], rtol=1e-5, atol=1e-9)


def test_no_noise_makes_finite_light():
    light = drawn(heads(), 0.5, tf.zeros([1, clumps.noise_size(2)]))
    assert np.all(np.isfinite(light))


def test_steep_profiles_host_no_clumps():
    raw = heads(index=(3.0, 3.0))
    light = drawn(raw, 1.0, normals(2))
    np.testing.assert_allclose(light[0], base.base_light(raw, SIZE, 2)[0], rtol=1e-5, atol=1e-9)


def test_shares_are_even_up_to_the_largest():
    shares = clumps.draw_share(tf.fill([4000], 0.3), normals(4000))[:, 0].numpy()
    assert shares.min() >= 0.0
    assert shares.max() <= 0.3
    # Four standard errors of a mean over 4,000.
    assert shares.mean() == pytest.approx(0.15, abs=4 * 0.3 / np.sqrt(12 * 4000))
    assert np.mean(shares**2) == pytest.approx(0.03, rel=0.06)


@pytest.mark.parametrize("largest", [0.0, 0.5])
def test_the_score_test_finds_the_clumps_of_stamps(largest):
    count, flux, deviation = 400, 30.0, 3e-3
    raw = heads()
    params = base.base_parameters(tf.repeat(raw, count, 0), 2)
    profiles = base.softened_sersic(params, SIZE)
    profiles /= tf.reduce_sum(profiles, axis=[2, 3], keepdims=True)
    smooth = base.base_light(raw, SIZE, 2).numpy()
    axis = np.arange(-8, 9)
    psf = np.exp(-(axis[:, None] ** 2 + axis**2) / 8.0).astype(np.float32)
    psf = np.repeat((psf / psf.sum())[None], count, 0)
    left_over = flux * (drawn(raw, largest, normals(count)) - smooth)
    noise = deviation * np.random.default_rng(5).standard_normal((count, SIZE, SIZE))
    residual = losses.convolve(tf.constant(left_over), psf) + noise.astype(np.float32)
    estimate, information = clumpiness.score_test(
        residual,
        tf.constant(psf),
        tf.ones([SIZE, SIZE // 2 + 1]),
        tf.fill([count], deviation**2),
        profiles,
        flux * params["share"] * clumps.hosting(params),
    )
    found = estimate.numpy() / clumpiness.UNIT
    error = found.std() / np.sqrt(count)
    # The mean over share and number: a third of the largest squared, in units of a third.
    assert found.mean() == pytest.approx(largest**2, abs=4 * error)
    if largest:
        assert error < 0.1 * largest**2  # so that the line above says something
    else:
        # What the estimate says of its own scatter without clumps is right, to 400 draws' error.
        assert found.std() * clumpiness.UNIT * np.sqrt(information[0]) == pytest.approx(
            1.0, abs=0.2
        )


@pytest.fixture(scope="module")
def clumpy(make_recipe, trained):
    """Give a recipe with clumps, fitted for two steps each."""
    short = dataclasses.replace(trained.fit_vae, steps=2, validate_every=2, picture_every=2)
    vae = dataclasses.replace(trained.vae, decoder_widths=())
    recipe = make_recipe(vae=vae, fit_vae=short, fit_flow=short, fit_clumps=short)
    for name in recipe.fits:
        assert fit(name, recipe)["steps"] == 2
    return recipe


@pytest.fixture(scope="module")
def module(clumpy):
    return assemble(clumpy)[0]


CONDITIONS = [np.full(4, value, np.float32) for value in (8.0, 23.0, 0.7)]


def random_normal(module) -> np.ndarray:
    normal = np.random.default_rng(2).normal(size=(4, module.random_size)).astype(np.float32)
    normal[:, -1] = -9.0  # upright
    return normal


def test_random_numbers_are_the_flows_the_clumps_and_the_turns(module):
    assert module.random_size == 4 + clumps.noise_size(2) + 1


def test_other_clumps_are_another_galaxy_of_the_same_code_and_flux(module):
    normal = random_normal(module)
    other = normal.copy()
    other[:, 4:-1] *= -1
    module.clumpiness.squared.bias.assign([0.0])  # a share that shows
    first, second = (module.generate(*CONDITIONS, n)["image"].numpy() for n in (normal, other))
    assert np.abs(first - second).max() > 1e-3 * first.max()
    np.testing.assert_allclose(first.sum(axis=(1, 2)), second.sum(axis=(1, 2)), rtol=1e-4)


def test_decode_gives_the_smooth_galaxy(module):
    normal = random_normal(module)
    drawn = module.draw_latents(*CONDITIONS, normal)
    none = drawn | {"clump_share": tf.zeros([4])}
    smooth = module.decode_turned(**none)["image"].numpy()
    decoded = module.decode(drawn["latents"])["image"].numpy()
    np.testing.assert_allclose(decoded, smooth, rtol=1e-4, atol=1e-6 * smooth.max())


def test_light_files_and_runtime_draw_the_clumps(clumpy):
    folder = export(clumpy)
    check_light(folder, folder / "golden.npz")
    model = galsim_hub.GenerativeGalaxyModel(folder)
    conditions = {"flux_radius": [8.0], "mag_auto": [23.0], "zphot": [0.7]}
    one, other = (model.sample_images(conditions, seeds=[seed]) for seed in (1, 2))
    assert np.all(np.isfinite(one))
    assert np.any(one != other)


def test_clumps_of_a_decoder_that_paints_are_refused(trained):
    with pytest.raises(ConfigError, match="decoder_widths"):
        dataclasses.replace(trained, fit_clumps=trained.fit_vae)


def test_signal_is_measured_once_an_auto_encoder(clumpy, monkeypatch):
    monkeypatch.setattr(clumpiness.Clumps, "table", lambda *_: 1 / 0)
    assert fit("clumps", clumpy)["steps"] == 2


def test_how_features_are_standardised_is_not_trained():
    model = clumps.Clumpiness(3)
    assert not {id(model.mean), id(model.scale)} & {id(v) for v in model.trainable_variables}


def test_picture_of_few_galaxies_leaves_bins_out():
    rng = np.random.default_rng(1)
    table = {"features": rng.normal(size=(5, 7))}
    names = ("signal", "smooth_signal", "weight", "smooth_weight")
    table |= {name: rng.uniform(0.5, 1.0, 5) for name in names}
    figure = clump_figure(table, rng.uniform(size=5))
    assert len(figure.axes) == 2
    for axis in figure.axes:
        shown = np.isfinite(axis.lines[-1].get_ydata())
        assert 0 < shown.sum() < 8
