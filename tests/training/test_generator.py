"""The exported generator of a recipe with texture: what its random numbers and latents are."""

import keras
import numpy as np
import pytest

from training.config import FlowConfig, VAEConfig
from training.models.flow import ConditionalFlow
from training.models.generator import GalaxyModule
from training.models.vae import VAE

TEXTURED = VAEConfig(
    latent_size=4,
    widths=(8, 8),
    decoder_widths=(8, 8),
    decoder_top=16,
    blocks=1,
    hidden=16,
    texture=2,
)
CONDITIONS = [np.full(3, value, np.float32) for value in (8.0, 23.0, 0.7)]


@pytest.fixture(scope="module")
def module(make_data_config):
    keras.utils.set_random_seed(4)
    flow = ConditionalFlow(FlowConfig(layers=2, hidden=(8,)), TEXTURED.latent_size)
    return GalaxyModule(VAE(TEXTURED, make_data_config()), flow, 17)


@pytest.fixture
def normals(module):
    return np.random.default_rng(3).normal(size=(3, module.random_size)).astype(np.float32)


def test_random_numbers_are_the_flows_the_textures_and_the_turns(module):
    assert module.random_size == 4 + 8 * 8 * 2 + 1


def test_texture_is_drawn_as_it_comes(module, normals):
    latents = module.draw_latents(*CONDITIONS, normals)["latents"].numpy()
    np.testing.assert_array_equal(latents[:, 4:], normals[:, 4:-1])
    assert np.abs(latents[:, :4] - normals[:, :4]).max() > 1e-3


def test_another_texture_is_another_galaxy_of_the_same_flux(module, normals):
    other = normals.copy()
    other[:, 4:-1] *= -1
    first, second = (module.generate(*CONDITIONS, n)["image"].numpy() for n in (normals, other))
    assert np.abs(first - second).max() > 1e-6 * first.max()
    np.testing.assert_allclose(first.sum(axis=(1, 2)), second.sum(axis=(1, 2)), rtol=1e-4)


def test_decoded_latents_of_an_unturned_galaxy_are_the_galaxy(module, normals):
    normals[:, -1] = -9.0
    drawn = module.draw_latents(*CONDITIONS, normals)
    assert drawn["turn"].numpy().tolist() == [0, 0, 0]
    generated = module.generate(*CONDITIONS, normals)["image"].numpy()
    np.testing.assert_array_equal(module.decode(drawn["latents"])["image"], generated)


def test_density_of_a_code_is_the_flows_times_the_textures(module, normals):
    latents = normals[:, :-1]
    density = module.latent_log_prob(latents, *CONDITIONS)["log_prob"].numpy()
    flow = module.flow.log_prob(latents[:, :4], np.stack(CONDITIONS, axis=1)).numpy()
    texture = -0.5 * np.sum(latents[:, 4:].astype(float) ** 2 + np.log(2 * np.pi), axis=1)
    np.testing.assert_allclose(density, flow + texture, rtol=1e-5)


def test_encode_gives_the_posterior_of_the_whole_code(module):
    rng = np.random.default_rng(5)
    image = rng.normal(size=(3, 32, 32)).astype(np.float32) * 3e-3
    psf = rng.random((3, 17, 17), dtype=np.float32) / 145
    posterior = module.encode(image, psf, np.full(3, 7e-6, np.float32))
    assert posterior["mean"].shape == posterior["scale"].shape == (3, 132)
    assert np.all(posterior["scale"].numpy() > 0)
