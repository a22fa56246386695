"""``python -m training``: one verb, one recipe; errors are one line and no traceback."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from training.__main__ import VERBS, main
from training.recipe_file import load_config

ROOT = Path(__file__).parents[2]
REAL_RECIPE = ROOT / "training" / "configs" / "cosmos_real.yaml"


def run(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "training", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=300)


def test_missing_recipe_is_one_line_and_exit_code_two():
    result = run("train", "missing.yaml")
    assert result.returncode == 2
    assert result.stderr.startswith("ConfigError: No configuration file at missing.yaml")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_refuses_a_misspelt_key_before_it_starts(verb, tmp_path, capsys):
    recipe = ROOT / "training" / "configs" / "cosmos.yaml"
    assert main([verb, str(recipe), "--set", "fit_vae.stepz=1"]) == 2
    error = capsys.readouterr().err
    assert "stepz" in error
    assert "Traceback" not in error


@pytest.mark.parametrize("verb", ["train", "export"])
def test_verb_whose_inputs_are_missing_says_which_verb_comes_first(
    verb, make_recipe, write_recipe, tmp_path, capsys
):
    recipe = write_recipe(make_recipe())
    code = main([verb, str(recipe), "--set", f"data.directory={tmp_path}"])
    assert code == 2
    assert "python -m training" in capsys.readouterr().err


def test_validation_of_a_module_that_is_not_there_is_one_line(make_recipe, write_recipe, capsys):
    assert main(["validate", str(write_recipe(make_recipe()))]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_validation_takes_the_module_before_the_recipe_or_none(make_recipe, write_recipe, capsys):
    recipe = str(write_recipe(make_recipe()))
    assert main(["validate", "hub:nothing@1", recipe]) == 2
    assert "hub:nothing" in capsys.readouterr().err
    assert main(["validate", recipe, "--count", "3"]) == 2
    assert "tiny" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--count", "--draws", "--rings", "--processes"])
def test_numbers_of_nothing_are_refused(option, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["validate", str(REAL_RECIPE), option, "0"])
    assert stop.value.code == 2
    assert f"{option}: expected 1 or more, got 0" in capsys.readouterr().err


def test_help_lists_every_verb(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert all(verb in text for verb in VERBS)


def test_fetch_only_brings_nothing_for_a_recipe_that_pins_nothing(
    make_recipe, write_recipe, monkeypatch
):
    monkeypatch.setattr("training.data.fetch.fetch_catalogue", lambda path: pytest.fail("fetched"))
    monkeypatch.setattr("training.data.build.build", lambda *_: pytest.fail("built"))
    assert main(["data", str(write_recipe(make_recipe())), "--fetch-only"]) == 0


def test_real_stamps_run_from_the_verb_and_recipe_of_the_full_sample(shared_data, tmp_path):
    catalogue = shared_data / "real_stamps" / "real_galaxy_catalog_dev.fits"
    settings = [
        f"data.directory={tmp_path / 'set'}",
        f"data.catalogue={catalogue}",
        "data.exclusion_level=none",
        "data.columns={flux_radius: flux_radius, mag_auto: MAG, zphot: ZPHOT}",
        "data.stamp_size=64",
        "data.psf_size=33",
    ]
    options = [part for setting in settings for part in ("--set", setting)]
    result = run("data", str(REAL_RECIPE), "--processes", "1", *options)
    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    manifest = json.loads((tmp_path / "set" / "manifest.json").read_text())
    assert summary["counts"] == manifest["counts"]
    assert summary["catalogue_size"] == 60
    assert sum(summary["counts"].values()) > 50
    assert_drawn_as_here(load_config(REAL_RECIPE, settings).data)


def assert_drawn_as_here(config) -> None:
    """Compare a shard of another process with stamps drawn in this one, bit for bit."""
    import numpy as np

    from training.data.pipeline import StampSet
    from training.data.stamps import StampSource

    source = StampSource(config)
    batch = next(iter(StampSet(config.directory).ordered("train", 5)))
    for ident, image in zip(batch["ident"], batch["image"], strict=True):
        index = list(source.idents).index(int(ident))
        np.testing.assert_array_equal(source.make(index).image, image)
