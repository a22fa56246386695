"""A flow as the prior of the latents: of a fit from the start, or that of another run."""

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from training import losses
from training.commands.train import fit
from training.config import FlowConfig
from training.errors import ConfigError
from training.loop import Fit
from training.models.flow import ConditionalFlow
from training.models.vae import VAELoss
from training.tasks import VAETask


@pytest.fixture
def follower(trained, make_recipe):
    """Give a recipe that goes on from the trained one, for two steps."""
    short = dataclasses.replace(trained.fit_vae, steps=2, validate_every=2, picture_every=2)
    return make_recipe(start_from=trained.workdir, fit_vae=short, fit_flow=short)


def assert_same_weights(one, other):
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_networks_and_prior_start_as_the_other_run_left_them(trained, follower):
    from training.export import assemble

    module, _ = assemble(trained)
    task = VAETask(follower)
    for mine, other in zip(task.vae.networks, module.vae.networks, strict=True):
        assert_same_weights(mine, other)
    assert_same_weights(task.loss.prior, module.flow)


def test_prior_is_fitted_along_and_a_new_flow_after_it(follower):
    task = VAETask(follower)
    before = [w.copy() for w in task.loss.prior.get_weights()]
    assert fit("vae", follower)["steps"] == 2
    assert fit("flow", follower)["steps"] == 2
    task.model.load_weights(f"{follower.workdir}/vae/best.weights.h5")
    after = task.loss.prior.get_weights()
    moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert any(moved)


def test_other_start_is_another_fit(follower):
    Fit(VAETask(follower), follower.fit_vae, Path(follower.workdir) / "vae").run(until=1)
    with pytest.raises(ConfigError, match="another recipe"):
        fit("vae", dataclasses.replace(follower, start_from=None))


def test_start_of_another_shape_is_refused(trained, make_recipe):
    wider = make_recipe(start_from=trained.workdir, flow=FlowConfig(2, (24, 24)))
    with pytest.raises(ConfigError, match="same vae and flow sections"):
        VAETask(wider)


def test_start_that_was_never_fitted_is_refused(make_recipe, tmp_path):
    with pytest.raises(ConfigError, match="training train"):
        VAETask(make_recipe(start_from=str(tmp_path)))


def test_prior_of_a_fit_from_the_start_is_standardised_to_the_conditions(make_recipe):
    recipe = make_recipe(learned_prior=True)
    task = VAETask(recipe)
    held_out = np.concatenate([b["conditions"] for b in task.stamps.ordered("validation", 16)])
    features = task.loss.prior.features(tf.constant(held_out)).numpy()
    np.testing.assert_allclose(features.mean(axis=0), 0.0, atol=1e-4)
    np.testing.assert_allclose(features.std(axis=0), 1.0, rtol=1e-4)
    assert task.identity != VAETask(dataclasses.replace(recipe, learned_prior=False)).identity


def test_prior_learns_with_a_decoder_that_paints_nothing(make_recipe):
    plain = make_recipe()
    vae = dataclasses.replace(plain.vae, decoder_widths=())
    recipe = dataclasses.replace(plain, vae=vae, learned_prior=True)
    keras.utils.set_random_seed(recipe.fit_vae.seed)  # as the fit begins
    task = VAETask(recipe)
    before = [w.numpy() for w in task.loss.prior.trainable_weights]
    assert fit("vae", recipe, until=4)["steps"] == 4
    task.model.load_weights(f"{recipe.workdir}/vae/best.weights.h5")
    after = [w.numpy() for w in task.loss.prior.trainable_weights]
    assert not any(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def test_divergence_from_a_standard_normal_flow_is_that_from_a_standard_normal(make_recipe):
    flow = ConditionalFlow(FlowConfig(2, (16, 16)), 4)
    for name in ("latent_mean", "condition_mean"):
        getattr(flow, name).assign(tf.zeros_like(getattr(flow, name)))
    for layer in flow.flow_layers:
        layer.output_layer.kernel.assign(tf.zeros_like(layer.output_layer.kernel))
    recipe = make_recipe()
    vae = VAETask(recipe).vae
    mean, log_scale = tf.constant([[0.5, -1.0, 0.0, 2.0]]), tf.constant([[0.1, -0.5, 0.0, -1.0]])
    draws = 40_000
    noise = tf.constant(np.random.default_rng(0).standard_normal((draws, 4)), tf.float32)
    loss = VAELoss(vae, recipe.fit_vae, np.ones((8, 32, 17), np.float32), 1, flow)
    found = loss.divergence(
        mean + tf.exp(log_scale) * noise,
        tf.repeat(mean, draws, 0),
        tf.repeat(log_scale, draws, 0),
        tf.ones((draws, 3)),
    )
    error = float(tf.math.reduce_std(found)) / np.sqrt(draws)
    expected = float(losses.kl_divergence(mean, log_scale)[0])
    assert float(tf.reduce_mean(found)) == pytest.approx(expected, abs=4 * error)
