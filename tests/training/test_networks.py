"""Encoder and decoder: shapes, bounds, and light that is positive, counted and inside the stamp."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.config import VAEConfig
from training.data.pipeline import dihedral
from training.errors import ConfigError
from training.models.blocks import SoftBound
from training.models.decoder import build_painter, build_trunk
from training.models.encoder import build_encoder
from training.models.vae import VAE
from training.recipe_file import load_config

TINY = VAEConfig(
    latent_size=4, widths=(8, 8), decoder_widths=(8, 8), decoder_top=16, blocks=1, hidden=16
)
# Two maps of 8x8, on which a patch of the stem is a pixel.
TEXTURED = dataclasses.replace(TINY, texture=2)
ANALYTIC = dataclasses.replace(TINY, decoder_widths=())
PAPER = Path(__file__).parents[2] / "training" / "configs" / "paper.yaml"


@pytest.fixture(
    scope="module", params=[TINY, TEXTURED, ANALYTIC], ids=["plain", "textured", "analytic"]
)
def vae(request, make_data_config):
    keras.utils.set_random_seed(4)
    return VAE(request.param, make_data_config())


@pytest.fixture(params=[TINY, TEXTURED], ids=["plain", "textured"])
def painting(request, make_data_config):
    """Give a VAE whose decoder paints, with its gentle start."""
    keras.utils.set_random_seed(4)
    return VAE(request.param, make_data_config())


@pytest.fixture
def disturbed(vae):
    """Give a VAE each of whose weights was moved, so that no test sees its gentle start only."""
    start = [network.get_weights() for network in vae.networks]
    rng = np.random.default_rng(6)
    for network in vae.networks:
        for weight in network.weights:
            weight.assign_add(0.3 * rng.normal(size=weight.shape).astype(np.float32))
    yield vae
    for network, weights in zip(vae.networks, start, strict=True):
        network.set_weights(weights)


def draw_codes(vae, count: int) -> np.ndarray:
    return 2 * np.random.default_rng(7).normal(size=(count, vae.code_size)).astype(np.float32)


@pytest.fixture(scope="module")
def stamps():
    rng = np.random.default_rng(5)
    return {
        "image": rng.normal(size=(3, 32, 32)).astype(np.float32),
        "psf": rng.random((3, 17, 17), dtype=np.float32) / 145,
        "noise_variance": np.array([4e-6, 8e-6, 1e-5], np.float32),
    }


def assert_light_is_sound(vae) -> None:
    images = vae.decode(draw_codes(vae, 20))[0].numpy().astype(float)
    assert np.all(np.isfinite(images))
    assert images.min() >= 0.0
    border = 1 - images[:, 2:-2, 2:-2].sum(axis=(1, 2)) / images.sum(axis=(1, 2))
    assert border.max() < 1e-3  # the bar of the validation report


def test_turned_galaxies_are_the_decoded_ones_turned(disturbed):
    codes = np.repeat(draw_codes(disturbed, 1), 8, axis=0)
    turned = disturbed.decode_turned(codes, tf.range(8)).numpy()
    expected = dihedral(disturbed.decode(codes)[0], tf.range(8)).numpy()
    assert len({image.tobytes() for image in turned}) == 8
    np.testing.assert_allclose(turned, expected, atol=1e-6 * expected.max())  # rounding of sums


def test_decoded_light_is_positive_finite_and_inside_the_stamp(vae):
    assert_light_is_sound(vae)


def test_decoded_light_of_any_weights_is_positive_finite_and_inside_the_stamp(disturbed):
    assert_light_is_sound(disturbed)


def test_decoded_light_sums_to_the_flux_of_its_head(disturbed):
    codes = draw_codes(disturbed, 6)
    flux = np.exp(disturbed.trunk(codes[:, :4])[1].numpy()[:, 0])
    images = disturbed.decode(codes)[0].numpy()
    np.testing.assert_allclose(images.sum(axis=(1, 2)), flux, rtol=1e-4)


def test_residual_starts_near_nothing_so_that_the_base_leads(painting):
    _, residual = painting.decode(np.ones((2, painting.code_size), np.float32))
    assert residual.shape == (2, TINY.decoder_top, TINY.decoder_top)
    assert np.abs(residual).max() < 0.1


def test_decoder_that_paints_nothing_has_no_residual(make_data_config):
    assert len(VAE(ANALYTIC, make_data_config()).decode(np.ones((2, 4), np.float32))) == 1


def test_residual_has_no_mean_that_could_drift_unseen(painting):
    codes = np.random.default_rng(9).normal(size=(2, painting.code_size)).astype(np.float32)
    _, residual = painting.decode(codes)
    # The soft bound of 6 bends a residual r by r^3 / 108, which is why it is kept small here.
    assert 0.0 < np.abs(residual).max() < 0.5
    np.testing.assert_allclose(tf.reduce_mean(residual, axis=(1, 2)), 0.0, atol=1e-3)


def test_code_is_a_vector_and_the_maps_of_the_texture(make_data_config):
    assert VAE(TINY, make_data_config()).code_size == 4
    assert VAE(TEXTURED, make_data_config()).code_size == 4 + 8 * 8 * 2


def test_texture_changes_the_light_near_its_place_only(make_data_config):
    keras.utils.set_random_seed(4)
    vae = VAE(TEXTURED, make_data_config())
    codes = np.zeros((2, vae.code_size), np.float32)
    codes[1, 4:].reshape(8, 8, 2)[4, 1] = 2.0  # a map pixel 14 stamp pixels from the right half
    _, (without, given) = vae.decode(codes)
    change = np.abs(given - without)
    change -= change.min()  # the mean that is taken off is everybody's
    assert change[:, :8].max() > 10 * change[:, 12:].max()


def test_posterior_of_the_texture_follows_the_sample_of_the_vector(make_data_config, stamps):
    vae = VAE(TEXTURED, make_data_config())
    at_mean, at_sample = (vae.posterior(stamps, n)[0] for n in (None, np.ones((3, 4), np.float32)))
    np.testing.assert_array_equal(at_mean[:, :4], at_sample[:, :4])
    assert np.abs(at_mean - at_sample)[:, 4:].max() > 1e-6


def test_texture_on_a_grid_that_the_decoder_lacks_names_the_remedy(make_data_config):
    coarse = dataclasses.replace(TEXTURED, stem=8)
    with pytest.raises(ConfigError, match=r"4 pixels.*\[8, 16\].*vae.stem"):
        VAE(coarse, make_data_config())


def test_encoder_gives_mean_and_bounded_log_scale(vae, stamps):
    mean, log_scale = vae.posterior(stamps)
    assert mean.shape == log_scale.shape == (3, vae.code_size)
    assert np.abs(mean).max() <= 8.0
    assert log_scale.numpy().min() >= -8.0
    assert log_scale.numpy().max() <= 1.5


@pytest.mark.parametrize("name", ["image", "psf", "noise_variance"])
def test_encoder_sees_each_of_its_inputs(vae, stamps, name):
    other = stamps | {name: stamps[name] * 1.5}
    before, after = (vae.posterior(s)[0] for s in (stamps, other))
    assert np.abs(before - after)[:, :4].max() > 1e-6


def test_loss_is_least_for_the_galaxy_itself(vae, stamp_config, make_recipe):
    from training.data.pipeline import StampSet
    from training.models.vae import VAELoss

    stamps = StampSet(stamp_config.directory)
    loss = VAELoss(vae, make_recipe().fit_vae, stamps.noise_power, 1)
    batch = next(iter(stamps.ordered("validation", 8)))
    empty = tf.zeros_like(batch["image"])
    noise_only = loss.excess_chi_square(empty, batch | {"image": empty})
    np.testing.assert_allclose(noise_only, -(32.0**2), rtol=1e-6)  # a residual of nothing
    assert np.all(loss.excess_chi_square(empty, batch) > 0)


def test_weight_of_the_divergence_rises_to_its_recipe(vae, make_recipe):
    from training.models.vae import VAELoss

    fit = dataclasses.replace(make_recipe().fit_vae, kl_warmup=10, kl_weight=3.0)
    loss = VAELoss(vae, fit, np.ones((8, 32, 17), np.float32), 1)
    weights = [float(loss.kl_weight(tf.constant(step))) for step in (0, 4, 9, 100)]
    np.testing.assert_allclose(weights, [0.3, 1.5, 3.0, 3.0], rtol=1e-6)


@pytest.mark.parametrize("value", [-100.0, -1e-3, 0.0, 1e-3, 100.0])
def test_soft_bound_is_the_identity_near_zero_and_never_leaves_its_bounds(value):
    bounded = float(SoftBound(-8.0, 1.5)(tf.constant(value)))
    assert -8.0 <= bounded <= 1.5
    if abs(value) < 0.01:
        assert bounded == pytest.approx(value, rel=1e-5)


def test_architecture_of_the_paper_has_seven_stages_of_two_residual_blocks(make_data_config):
    config = load_config(PAPER)
    narrow = dataclasses.replace(config.vae, widths=(2,) * 7, decoder_widths=(2,) * 7, hidden=4)
    data = make_data_config(stamp_size=128, psf_size=65)
    assert len(config.vae.widths) == len(config.vae.decoder_widths) == 7
    decoder = [build_trunk(narrow, data), build_painter(narrow, data)]
    for networks in ([build_encoder(narrow, data)], decoder):
        layers = [layer for network in networks for layer in network.layers]
        sums = [layer for layer in layers if isinstance(layer, keras.layers.Add)]
        sides = [layer.output.shape[1] for layer in sums]
        assert sorted(sides) == sorted(2 * [128, 64, 32, 16, 8, 4, 2])
