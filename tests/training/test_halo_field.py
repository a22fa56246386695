"""A halo field is trained on haloes of its own simulations, exported and loaded as any module."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np
import pytest
import tensorflow as tf

import galsim_hub
from galsim_hub import particle_mesh as pm
from galsim_hub.errors import BoxError, ExtrapolationWarning, UnsupportedModuleError
from galsim_hub.golden import replay
from galsim_hub.spec import read_spec
from training.commands.train import fit
from training.errors import ConfigError, DataError
from training.halo import data
from training.halo.catalogue import LEAST_FRIENDS, find_haloes
from training.halo.export import export
from training.halo.measure import compare
from training.halo.task import HaloTask
from training.recipe_file import load_config

RECIPE = pathlib.Path(__file__).parents[2] / "training" / "configs" / "halo_field.yaml"


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Give the published recipe made small."""
    folder = tmp_path_factory.mktemp("halo")
    whole = load_config(
        RECIPE,
        [
            f"workdir={folder / 'run'}",
            f"data.directory={folder / 'data'}",
            f"export.directory={folder / 'modules'}",
            "data.cells=16",
            "data.steps=3",
            "data.quick_steps=2",
            "least_mass=5.0e12",
            "widths=[4]",
            "train=2",
            "validation=1",
            "test=1",
            "fit_halo.steps=2",
            "fit_halo.validate_every=2",
            "fit_halo.picture_every=2",
        ],
    )
    data.build(whole)
    return whole


@pytest.fixture(scope="module")
def module(config):
    """Give the folder of a module trained for two steps."""
    with pytest.raises(ConfigError, match="has not ended"):
        export(config)
    assert fit("halo", config)["steps"] == 2
    return export(config)


@pytest.fixture
def halo_field(module):
    """Give that module, loaded."""
    return galsim_hub.load(module)


def clump(rng, centre, n):
    return np.asarray(centre) + 0.1 * rng.uniform(-1, 1, (n, 3))


def test_friends_of_friends_are_one_halo_across_the_edge_of_the_box():
    rng = np.random.default_rng(1)
    near, far = clump(rng, [9.98, 5.0, 0.02], 60), clump(rng, [5.0, 5.0, 5.0], 100)
    few = clump(rng, [2.0, 2.0, 2.0], LEAST_FRIENDS - 1)
    haloes = find_haloes(np.concatenate([near, few, far]) % 10.0, 10.0, 0.2)
    assert haloes.counts.tolist() == [100, 60]
    np.testing.assert_allclose(haloes.centres[0], far.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(haloes.centres[1], near.mean(axis=0) % 10.0, atol=1e-9)


def test_a_chain_of_friends_is_one_halo_and_strangers_are_none():
    chain = np.zeros((30, 3))
    chain[:, 0] = 0.19 * np.arange(30)
    assert find_haloes(chain, 100.0, 0.2).counts.tolist() == [30]
    assert len(find_haloes(chain, 100.0, 0.18).counts) == 0


def test_haloes_keep_their_mass_in_the_field(config):
    sample = data.load(config, "train")[0]
    box = data.box_of(config.data)
    assert sample.masses.min() >= LEAST_FRIENDS * data.particle_mass(config.data) * 0.999
    least = float(np.median(sample.masses))
    field = data.mass_field(sample, box, least)
    assert field.sum() == pytest.approx(sample.masses[sample.masses >= least].sum(), rel=1e-5)
    heaviest = np.unravel_index(np.argmax(field), field.shape)
    offset = np.array(heaviest) * box.cell[0] - sample.centres
    wrapped = (offset + box.size[0] / 2) % box.size[0] - box.size[0] / 2
    assert np.abs(wrapped).max(axis=1).min() <= box.cell[0]


def test_boxes_that_are_there_are_not_simulated_again(config, monkeypatch):
    monkeypatch.setattr(data, "simulate", None)
    assert data.build(config) == {"train": 2, "validation": 1, "test": 1}


def test_boxes_of_other_numbers_are_not_taken(config):
    other = dataclasses.replace(config, data=dataclasses.replace(config.data, steps=4))
    with pytest.raises(DataError, match="training data"):
        data.load(other, "train")


def test_a_mass_that_no_halo_has_is_refused(config):
    with pytest.raises(ConfigError, match="least_mass 1e\\+18"):
        HaloTask(dataclasses.replace(config, least_mass=1e18))


def test_an_untrained_network_gives_the_mean_everywhere(config):
    task = HaloTask(config)
    np.testing.assert_array_equal(task.predict(task.held_out[0]), 1.0)


def test_a_field_compared_with_its_double_has_their_phases_and_twice_the_power():
    box = pm.Box(8, 8.0)
    fields = np.random.default_rng(2).standard_normal((2, *box.shape)).astype(np.float32)
    found = compare(2 * fields, fields, box)
    np.testing.assert_allclose(found.correlation, 1.0, rtol=1e-5)
    np.testing.assert_allclose(found.transfer, 2.0, rtol=1e-5)
    assert found.n_modes[0] == 2 * 26


def test_a_loaded_field_is_that_of_the_trained_network(config, module, halo_field):
    assert replay(module, read_spec(module))["halo_field"] < 1
    task = HaloTask(config)
    task.model.load_weights(pathlib.Path(config.workdir) / "halo" / "best.weights.h5")
    held_out = task.held_out[0]
    field = halo_field(held_out["density"], data.box_of(config.data))
    np.testing.assert_allclose(field, task.predict(held_out), rtol=1e-4)
    assert halo_field.mean_mass_density == pytest.approx(task.mean_mass / 1.5**3)


def test_gradients_flow_through_the_loaded_field(halo_field):
    box = pm.Box(8, 12.0)
    rng = np.random.default_rng(3)
    density = tf.constant(1.0 + 0.5 * rng.uniform(-1, 1, box.shape), tf.float32)

    def total(density):
        return tf.reduce_sum(tf.cast(halo_field(density, box), tf.float64) ** 2)

    with tf.GradientTape() as tape:
        tape.watch(density)
        value = total(density)
    gradient = tape.gradient(value, density)
    direction = 0.1 * gradient / tf.reduce_max(tf.abs(gradient))  # uphill: rounding matters least
    rise = float(total(density + direction) - total(density - direction)) / 2
    assert rise == pytest.approx(float(tf.reduce_sum(gradient * direction)), rel=2e-2)


def test_a_batch_gives_each_box_its_field(halo_field):
    box = pm.Box(8, 12.0)
    densities = np.random.default_rng(4).uniform(0.5, 1.5, (2, *box.shape)).astype(np.float32)
    fields = halo_field(densities, box)
    assert fields.shape == densities.shape
    np.testing.assert_allclose(fields[1], halo_field(densities[1], box), rtol=1e-5)


def test_other_cells_than_those_of_training_warn(halo_field):
    with pytest.warns(ExtrapolationWarning, match="1.5 Mpc/h"):
        halo_field(tf.ones([8, 8, 8]), pm.Box(8, 50.0))


def test_a_density_of_another_box_is_refused(halo_field):
    with pytest.raises(BoxError, match="8, 8, 8"):
        halo_field(tf.ones([4, 4, 4]), pm.Box(8, 12.0))


def test_a_module_of_another_kind_is_refused():
    with pytest.raises(UnsupportedModuleError, match="galsim_hub.load"):
        pm.HaloField("hub:particle_mesh")
