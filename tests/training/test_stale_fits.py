"""A module is made of fits of its own recipe, each on the fits before it as they are now."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from training.__main__ import main
from training.commands.train import fit
from training.errors import ConfigError, DamagedRunError
from training.export import assemble, export, resampling_claim
from training.models.resampling import Resampling
from training.run_folder import write_done


@pytest.fixture
def copy(trained, tmp_path):
    """Give the trained recipe in a folder of its own, which a test may spoil."""
    shutil.copytree(trained.workdir, tmp_path / "work")
    hub = dataclasses.replace(trained.export, directory=str(tmp_path / "hub"))
    return dataclasses.replace(trained, workdir=str(tmp_path / "work"), export=hub)


def change(recipe, section, **entries):
    return dataclasses.replace(
        recipe, **{section: dataclasses.replace(getattr(recipe, section), **entries)}
    )


@pytest.mark.parametrize(
    ("section", "entries"),
    [
        ("fit_vae", {"learning_rate": 99.0}),
        ("fit_flow", {"steps": 24}),
        ("flow", {"temperature": 0.5}),
        ("flow", {"layers": 3}),
        ("vae", {"hidden": 24}),
        ("data", {"pixel_scale": 0.2}),
    ],
)
def test_fits_of_another_recipe_are_not_exported(copy, section, entries):
    with pytest.raises(ConfigError, match=r"another recipe|made with"):
        export(change(copy, section, **entries))
    assert not Path(copy.export.directory).exists()


def test_what_the_card_says_of_the_module_may_change_after_training(copy):
    assert assemble(change(copy, "export", name="other", summary="Another"))


def test_stamps_may_lie_elsewhere_than_where_they_were_made(copy, tmp_path):
    shutil.copytree(copy.data.directory, tmp_path / "moved")
    assert assemble(change(copy, "data", directory=str(tmp_path / "moved")))


def test_flow_of_an_auto_encoder_that_was_fitted_again_is_not_exported(copy):
    shutil.rmtree(Path(copy.workdir) / "vae")
    again = change(copy, "fit_vae", seed=7)
    fit("vae", again)
    with pytest.raises(ConfigError, match=r"flow holds a run of another"):
        export(again)


def test_flow_is_not_fitted_on_an_auto_encoder_of_another_recipe(copy):
    with pytest.raises(ConfigError, match=r"vae holds a run of another"):
        fit("flow", change(copy, "fit_vae", seed=7))


@pytest.mark.parametrize("is_own", [True, False])
def test_resampling_belongs_to_the_networks_it_was_fitted_with(copy, is_own):
    module, _ = assemble(copy)
    recipe = dataclasses.replace(copy, candidates=3)
    networks = [*module.vae.networks, module.flow]
    if not is_own:
        weight = module.flow.weights[-1]
        weight.assign(weight + 1.0)
    folder = Path(copy.workdir) / "resampling"
    folder.mkdir()
    Resampling(3, copy.vae.components).save_weights(folder / "best.weights.h5")
    from training.data.pipeline import StampSet

    claim = resampling_claim(recipe, StampSet(copy.data.directory), networks)
    write_done(folder, {"rounds": 3}, claim)
    if is_own:
        assert assemble(recipe)[0].candidates == 3
    else:
        with pytest.raises(ConfigError, match="resampling holds a run of another"):
            assemble(recipe)


def test_weights_that_cannot_be_read_are_named(copy):
    path = Path(copy.workdir) / "flow" / "best.weights.h5"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DamagedRunError, match=r"best\.weights\.h5"):
        assemble(copy)


@pytest.mark.parametrize("keep", [0, 200])
def test_damaged_latents_are_made_again(copy, keep):
    path = Path(copy.workdir) / "latents.npz"
    with np.load(path) as file:
        before = file["train/mean"]
    path.write_bytes(path.read_bytes()[:keep])
    assemble(copy)
    with np.load(path) as file:
        np.testing.assert_allclose(file["train/mean"], before, rtol=1e-4, atol=1e-4)


def test_next_model_waits_for_one_that_was_stopped(make_recipe, write_recipe, capsys):
    recipe = make_recipe()
    config = str(write_recipe(recipe))
    assert main(["train", config, "--until", "5"]) == 0
    assert [list(json.loads(line)) for line in capsys.readouterr().out.splitlines()] == [["vae"]]
    assert not (Path(recipe.workdir) / "flow").exists()
    assert main(["train", config]) == 0
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()][1]["flow"]
