"""Encoder and decoder: shapes, bounds, and light that is positive, counted and inside the stamp."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training.config import VAEConfig, load_config
from training.models.blocks import SoftBound
from training.models.decoder import build_decoder
from training.models.encoder import build_encoder
from training.models.vae import VAE

TINY = VAEConfig(4, 4, (8, 8), (8, 8), 16, 1, 16, 2)
PAPER = Path(__file__).parents[2] / "training" / "configs" / "paper.yaml"


@pytest.fixture(scope="module")
def vae(make_data_config):
    keras.utils.set_random_seed(4)
    return VAE(TINY, make_data_config())


@pytest.fixture(scope="module")
def stamps():
    rng = np.random.default_rng(5)
    return {
        "image": rng.normal(size=(3, 32, 32)).astype(np.float32),
        "psf": rng.random((3, 17, 17), dtype=np.float32) / 145,
        "noise_variance": np.array([4e-6, 8e-6, 1e-5], np.float32),
    }


def disturb(model: keras.Model, scale: float) -> None:
    """Move every weight, so that nothing is tested at its gentle start only."""
    rng = np.random.default_rng(6)
    for weight in model.weights:
        weight.assign_add(scale * rng.normal(size=weight.shape).astype(np.float32))


@pytest.mark.parametrize("disturbance", [0.0, 0.3])
def test_decoded_light_is_positive_finite_and_inside_the_stamp(make_data_config, disturbance):
    decoder = build_decoder(TINY, make_data_config())
    disturb(decoder, disturbance)
    latents = np.random.default_rng(7).normal(size=(20, 4)).astype(np.float32) * 2
    images = decoder(latents)[0].numpy().astype(float)
    assert np.all(np.isfinite(images))
    assert images.min() >= 0.0
    border = 1 - images[:, 2:-2, 2:-2].sum(axis=(1, 2)) / images.sum(axis=(1, 2))
    assert border.max() < 1e-3  # the bar of the validation report


def test_decoded_light_sums_to_the_flux_of_its_head(make_data_config):
    decoder = build_decoder(TINY, make_data_config())
    head = keras.Model(decoder.input, decoder.get_layer("image").input[2])
    latents = np.random.default_rng(8).normal(size=(6, 4)).astype(np.float32)
    flux = np.exp(head(latents).numpy()[:, 0])
    np.testing.assert_allclose(decoder(latents)[0].numpy().sum(axis=(1, 2)), flux, rtol=1e-4)


def test_residual_starts_near_nothing_so_that_the_base_leads(vae):
    _, residual = vae.decoder(np.ones((2, 4), np.float32))
    assert residual.shape == (2, TINY.decoder_top, TINY.decoder_top)
    assert np.abs(residual).max() < 0.1


def test_residual_has_no_mean_that_could_drift_unseen(make_data_config):
    decoder = build_decoder(TINY, make_data_config())
    disturb(decoder, 0.01)
    _, residual = decoder(np.ones((2, 4), np.float32))
    # The soft bound of 6 bends a residual r by r^3 / 108, which is why it is kept small here.
    assert 0.0 < np.abs(residual).max() < 0.5
    np.testing.assert_allclose(tf.reduce_mean(residual, axis=(1, 2)), 0.0, atol=1e-3)


def test_encoder_gives_mean_and_bounded_log_scale(vae, stamps):
    mean, log_scale = vae.encoder([stamps["image"], stamps["psf"], stamps["noise_variance"]])
    assert mean.shape == log_scale.shape == (3, 4)
    assert np.abs(mean).max() <= 8.0
    assert log_scale.numpy().min() >= -8.0
    assert log_scale.numpy().max() <= 1.5


@pytest.mark.parametrize("name", ["image", "psf", "noise_variance"])
def test_encoder_sees_each_of_its_inputs(vae, stamps, name):
    other = stamps | {name: stamps[name] * 1.5}
    before, after = (vae.encoder([s[k] for k in stamps])[0] for s in (stamps, other))
    assert np.abs(before - after).max() > 1e-6


def test_posterior_samples_have_the_posteriors_mean_and_scale(vae, stamps):
    many = {k: np.repeat(v[:1], 4000, axis=0) for k, v in stamps.items()}
    small = {k: tf.constant(v) for k, v in many.items()}
    latents, mean, log_scale = vae.sample_posterior(small, tf.constant([1, 2]))
    scaled = (latents - mean) / tf.exp(log_scale)
    # 4000 samples: the mean is known to 0.016 and the spread to 0.011; 5 sigma.
    np.testing.assert_allclose(np.mean(scaled, axis=0), 0.0, atol=0.08)
    np.testing.assert_allclose(np.std(scaled, axis=0), 1.0, atol=0.056)


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
    for network in (build_encoder(narrow, data), build_decoder(narrow, data)):
        sums = [layer for layer in network.layers if isinstance(layer, keras.layers.Add)]
        sides = [layer.output.shape[1] for layer in sums]
        assert sorted(sides) == sorted(2 * [128, 64, 32, 16, 8, 4, 2])
