"""A learned search is trained by the one loop, exported and loaded as any module."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import galsim_hub
from galsim_hub import particle_mesh as pm
from galsim_hub.errors import ExtrapolationWarning, ReconstructionError
from galsim_hub.golden import replay
from galsim_hub.spec import read_spec
from training.__main__ import main
from training.commands.train import fit
from training.errors import ConfigError
from training.recipe_file import load_config
from training.rim.export import export
from training.rim.task import RimTask

RECIPE = pathlib.Path(__file__).parents[2] / "training" / "configs" / "cosmic_rim.yaml"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Give the published recipe made small."""
    folder = tmp_path_factory.mktemp("rim")
    whole = load_config(
        RECIPE,
        [
            "cells=8",
            "cell=12.5",
            "steps=2",
            "iterations=2",
            "widths=[4,4,4]",
            "hidden=2",
            "validation_fields=1",
            "fit_rim.steps=2",
            "fit_rim.validate_every=2",
            "fit_rim.picture_every=2",
        ],
    )
    return dataclasses.replace(
        whole,
        workdir=str(folder / "run"),
        export=dataclasses.replace(whole.export, directory=str(folder / "modules")),
    )


@pytest.fixture(scope="module")
def module(config):
    """Give the folder of a module trained for two steps."""
    with pytest.raises(ConfigError, match="has not ended"):
        export(config)
    assert fit("rim", config)["steps"] == 2
    return export(config)


def test_an_untrained_network_takes_parts_of_newtons_steps(config):
    task = RimTask(config)
    posterior = task.survey.posterior.observing(task.held_out["observed"])
    zeros = tf.zeros([1, 8, 8, 8])
    newton = posterior.newton_step(tf.cast(posterior.gradients(zeros)[0], tf.float32))
    expected = -0.25 * 2.0 * tf.tanh(0.5 * newton)  # the prior has no gradient at zero
    first = task.estimates(task.held_out["observed"])[0]
    np.testing.assert_allclose(first, posterior.linear(expected), atol=1e-5)


def test_a_loaded_search_does_what_the_trained_one_does(config, module):
    spec = read_spec(module)
    assert replay(module, spec)["step"] < 1
    search = galsim_hub.load(module)
    task = RimTask(config)
    task.model.load_weights(pathlib.Path(config.workdir) / "rim" / "best.weights.h5")
    posterior = task.survey.posterior.observing(task.held_out["observed"])
    linear = posterior.linear(search.reconstruct(posterior, orientations=1))
    np.testing.assert_allclose(linear, task.estimates(task.held_out["observed"])[-1], atol=1e-4)


def test_a_grid_that_does_not_suit_is_refused(module):
    box, power = pm.Box([6, 8, 8], 50.0), pm.EisensteinHu(pm.Planck15())
    posterior = pm.Posterior(np.zeros(box.shape), 1.0, box, power, forward=lambda linear: linear)
    with pytest.raises(ReconstructionError, match="multiple of 4"):
        galsim_hub.load(module).reconstruct(posterior)


def test_mirror_images_of_an_observation_have_mirrored_results(module, config):
    search, task = galsim_hub.load(module), RimTask(config)
    box, posterior = task.survey.box, task.survey.posterior
    observed = task.held_out["observed"][0].numpy()
    noise = np.linspace(0.9, 1.1, 8)[:, None, None] * np.ones(box.shape)

    def search_in(axes, orientations):
        seen = pm.Posterior(
            np.flip(observed, axes),
            np.flip(noise, axes),
            box,
            task.survey.power,
            posterior.forward,
        )
        return np.flip(search.reconstruct(seen, orientations=orientations), axes)

    both = posterior.observing(np.stack([observed, np.flip(observed, (0, 2))]))
    one, other = search.reconstruct(both, orientations=8)
    np.testing.assert_allclose(np.flip(other, (0, 2)), one, atol=1e-4)
    # To the rounding of single precision through two steps.
    np.testing.assert_allclose(search_in((0, 2), 8), search_in((), 8), atol=1e-4)
    assert np.abs(search_in((0, 2), 1) - search_in((), 1)).max() > 1e-3


def test_a_model_that_tells_mirror_images_apart_has_one_orientation(module, config):
    box, power = pm.Box(8, 100.0), pm.EisensteinHu(pm.Planck15())
    slope = tf.reshape(tf.linspace(0.5, 1.5, 8), [8, 1, 1])
    posterior = pm.Posterior(np.ones(box.shape), 1.0, box, power, lambda linear: slope * linear)
    search = galsim_hub.load(module)
    with pytest.raises(ReconstructionError, match="mirror images apart.*orientations=1"):
        search.reconstruct(posterior)
    assert search.reconstruct(posterior, orientations=1).shape == box.shape
    with pytest.raises(ReconstructionError, match="give 1 to 8"):
        search.reconstruct(posterior, orientations=9)
    for n_steps in (2.5, 0, "all"):
        with pytest.raises(ReconstructionError, match="whole number above 0"):
            search.reconstruct(posterior, n_steps, orientations=1)


@pytest.mark.parametrize(("size", "noise"), [(100.0, 0.1), (200.0, 1.0)])
def test_other_cells_or_noise_than_in_training_are_warned_of(module, size, noise):
    box, power = pm.Box(8, size), pm.EisensteinHu(pm.Planck15())
    posterior = pm.Posterior(np.zeros(box.shape), noise, box, power, forward=lambda linear: linear)
    with pytest.warns(ExtrapolationWarning, match="trained on cells of 12.5 Mpc/h"):
        galsim_hub.load(module).reconstruct(posterior)


def test_a_recipe_says_which_verbs_it_has(capsys):
    assert main(["data", str(RECIPE)]) == 2
    assert "has no verb 'data', but train, export" in capsys.readouterr().err
