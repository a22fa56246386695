"""Recipes: every number is checked when it is read, not a night later."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from training import config, galaxies_config, mesh_config
from training.config import (
    Config,
    DataConfig,
    FitConfig,
    KnotsConfig,
    fingerprint,
)
from training.errors import ConfigError
from training.limits import LIMITS
from training.recipe_file import load_config
from training.simulator.export import write_card

CONFIGS = sorted((Path(__file__).parents[2] / "training" / "configs").glob("*.yaml"))
MINIMAL = {
    "workdir": "runs/x",
    "data": {"directory": "data/x"},
    "vae": {},
    "flow": {},
    "fit_vae": {"steps": 10},
    "fit_flow": {"steps": 10},
    "export": {"name": "x", "version": 1, "summary": "x"},
}


@pytest.fixture
def write(tmp_path):
    def write(tree) -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
        return path

    return write


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_recipe_of_the_repository_loads(path):
    config = load_config(path)
    if isinstance(config, Config):
        assert config.fit_vae.steps > 0
        assert list(config.data.columns) == ["flux_radius", "mag_auto", "zphot"]


def test_every_recipe_of_a_module_writes_one_of_its_own():
    recipes = [load_config(path) for path in CONFIGS]
    exports = [recipe.export for recipe in recipes if hasattr(recipe, "export")]
    assert len({(e.name, e.version) for e in exports}) == len(exports) > 1


def test_missing_file_error_lists_the_recipes_of_that_folder(write):
    known = write(MINIMAL)
    with pytest.raises(ConfigError, match=re.escape(str(known))):
        load_config(known.with_name("missing.yaml"))


def test_invalid_yaml_is_a_config_error(write):
    with pytest.raises(ConfigError, match="not valid YAML"):
        load_config(write("workdir: [unclosed"))


@pytest.mark.parametrize("section", ["data", "vae", "flow", "fit_vae", "fit_flow", "export"])
def test_unknown_key_is_named_with_those_that_exist(write, section):
    tree = MINIMAL | {section: MINIMAL[section] | {"learning_rat": 1}}
    with pytest.raises(ConfigError, match=r"unknown keys \['learning_rat'\].*has \["):
        load_config(write(tree))


def test_unknown_section_is_an_error(write):
    with pytest.raises(ConfigError, match="fit_vea"):
        load_config(write(MINIMAL | {"fit_vea": {"steps": 1}}))


def test_missing_entry_is_named(write):
    with pytest.raises(ConfigError, match="steps"):
        load_config(write(MINIMAL | {"fit_vae": {}}))


@pytest.mark.parametrize(
    "override",
    [
        "fit_vae.steps=many",
        "fit_vae.steps=1.5",
        "fit_vae.steps=true",
        "fit_vae.learning_rate=fast",
        "fit_vae.learning_rate=null",
        "data.rotate=1",
        "data.columns=zphot",
        "data.noise_variance=4.0e-6",
        "vae.widths=8",
        "vae=deep",
        "workdir=7",
    ],
)
def test_value_of_the_wrong_type_is_an_error_that_names_its_key(write, override):
    key = override.partition("=")[0].rpartition(".")[2]
    with pytest.raises(ConfigError, match=key):
        load_config(write(MINIMAL), [override])


def test_override_changes_one_number(write):
    path = write(MINIMAL)
    changed = load_config(path, ["fit_vae.steps=77", "vae.widths=[4, 4]"])
    assert changed.fit_vae.steps == 77
    assert changed.vae.widths == (4, 4)
    assert changed.fit_flow == load_config(path).fit_flow


def test_override_reaches_a_nested_section(write):
    assert load_config(write(MINIMAL), ["data.knots.max_knots=9"]).data.knots == KnotsConfig(
        max_knots=9
    )


def test_override_can_switch_a_section_off(write):
    assert load_config(write(MINIMAL), ["data.knots=null"]).data.knots is None


def test_numbers_without_a_point_are_floats_where_floats_belong(write):
    rate = load_config(write(MINIMAL), ["fit_vae.learning_rate=1e-3"]).fit_vae.learning_rate
    assert rate == 0.001  # YAML 1.1 reads 1e-3 as text


def test_override_without_equals_sign_is_an_error(write):
    with pytest.raises(ConfigError, match="section.key=value"):
        load_config(write(MINIMAL), ["fit_vae.steps"])


def test_override_below_a_value_is_an_error(write):
    with pytest.raises(ConfigError):
        load_config(write(MINIMAL), ["workdir.folder=x"])


def test_override_below_a_section_that_is_off_is_an_error(write):
    tree = MINIMAL | {"data": {"directory": "d", "knots": None}}
    with pytest.raises(ConfigError):
        load_config(write(tree), ["data.knots.max_knots=9"])


def test_override_that_is_not_yaml_is_an_error(write):
    with pytest.raises(ConfigError):
        load_config(write(MINIMAL), ["vae.widths=[4"])


def test_empty_file_with_an_override_is_an_error(write):
    with pytest.raises(ConfigError):
        load_config(write(""), ["workdir=x"])


def test_elements_of_a_list_are_checked(write):
    with pytest.raises(ConfigError):
        load_config(write(MINIMAL), ["vae.widths=[wide, 8]"])


def test_fingerprint_changes_with_any_number_and_with_nothing_else():
    fit = FitConfig(steps=10)
    assert fingerprint(fit) == fingerprint(FitConfig(steps=10))
    assert fingerprint(fit) != fingerprint(dataclasses.replace(fit, learning_rate=2.0e-3))
    data = DataConfig(directory="d")
    deeper = dataclasses.replace(data, knots=KnotsConfig(max_knots=151))
    assert fingerprint(data) != fingerprint(deeper)


@pytest.mark.parametrize(
    ("recipe", "override", "words"),
    [
        ("particle_mesh", "steps=0", "steps must be 1 or more"),
        ("particle_mesh", "steps=-3", "steps must be 1 or more"),
        ("particle_mesh", "cells=15", "even number"),
        ("particle_mesh", "first_scale_factor=1.0", "to below 1"),
        ("particle_mesh", "first_scale_factor=0.0", "to below 1"),
        ("cosmic_rim", "noise=0.0", "noise must be above 0"),
        ("cosmic_rim", "iterations=0", "iterations must be 1 or more"),
        ("halo_field", "data.quick_steps=0", "quick_steps must be 1 or more"),
        ("halo_field", "data.cell=-1.0", "cell must be above 0"),
    ],
)
def test_a_recipe_whose_simulations_make_no_sense_is_refused(recipe, override, words):
    (path,) = [path for path in CONFIGS if path.stem == recipe]
    with pytest.raises(ConfigError, match=words):
        load_config(path, [override])


def test_the_card_of_a_simulator_names_its_own_grid(tmp_path):
    (path,) = [path for path in CONFIGS if path.stem == "particle_mesh"]
    (tmp_path / "variables").mkdir()
    for name in ("saved_model.pb", "golden.npz"):
        (tmp_path / name).touch()
    write_card(load_config(path, ["cells=16"]), tmp_path)
    text = (tmp_path / "card.md").read_text()
    assert text.count("box of 16^3 cells") == 2  # in its front matter and its prose
    assert "32" not in text.partition("files:")[0]


def test_conditions_have_one_order_whatever_the_recipe_s(write):
    columns = {"zphot": "ZPHOT", "mag_auto": "MAG", "flux_radius": "flux_radius"}
    tree = MINIMAL | {"data": {"directory": "d", "columns": columns}}
    config = load_config(write(tree)).data
    assert list(config.columns) == ["flux_radius", "mag_auto", "zphot"]
    assert config.columns == columns


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"flux_radius": "r", "mag_auto": "m"},
        {"flux_radius": "r", "mag_auto": "m", "zphot": "z", "colour": "g-r"},
    ],
)
def test_conditions_are_these_three_and_no_others(write, columns):
    tree = MINIMAL | {"data": {"directory": "d", "columns": columns}}
    with pytest.raises(ConfigError, match="flux_radius, mag_auto, zphot"):
        load_config(write(tree))


OUT_OF_RANGE = [
    *(f"fit_vae.{name}=0" for name in ("steps", "batch", "learning_rate", "clip_norm")),
    *(f"fit_vae.{name}=0" for name in ("flux_cap", "misfit_scale", "patience", "ema")),
    *(f"fit_flow.{name}=0" for name in ("validate_every", "picture_every")),
    "fit_vae.learning_rate=.nan",
    "fit_vae.learning_rate=-1e-3",
    "fit_vae.ema=1.0",
    "fit_vae.ema=.nan",
    "fit_vae.kl_warmup=-1",
    "fit_vae.checkpoint_minutes=.nan",
    "fit_vae.seed=-1",
    "fit_vae.seed=99999999999",
    *(f"vae.{name}=0" for name in ("latent_size", "stem", "hidden", "components")),
    "vae.widths=[]",
    "vae.widths=[8, 0]",
    "vae.decoder_widths=[-8]",
    "vae.texture=-1",
    "flow.layers=0",
    "flow.hidden=[]",
    "flow.hidden=[0]",
    "flow.temperature=0",
    *(f"data.{name}=0" for name in ("limit", "realisations", "shard_size", "stamp_size")),
    "data.directory=''",
    "data.source=reel",
    "data.exclusion_level=good",
    "data.pixel_scale=.nan",
    "data.pixel_scale=-0.03",
    "data.psf_size=40",
    "data.noise_variance=[1.0e-6]",
    "data.noise_variance=[2.0e-6, 1.0e-6]",
    "data.seed=-1",
    "export.version=0",
    "export.version=-1",
    "export.name=''",
    "export.name=../evil",
    "export.name=gälaxy",
    "export.summary=' '",
]


@pytest.mark.parametrize("override", OUT_OF_RANGE)
def test_entry_out_of_its_range_is_named_with_the_range(write, override):
    section, _, entry = override.partition(".")
    key = entry.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"{section}: {key} must be .*, got "):
        load_config(write(MINIMAL), [override])


def test_limits_are_of_entries_that_there_are():
    sections = vars(config) | vars(galaxies_config) | vars(mesh_config)
    for section, limits in LIMITS.items():
        assert set(limits) <= {field.name for field in dataclasses.fields(sections[section])}


@pytest.mark.parametrize("widths", ["[]", "[16]"])
def test_texture_without_stages_to_paint_it_on_is_refused(write, widths):
    with pytest.raises(ConfigError, match="texture needs a decoder that paints"):
        load_config(write(MINIMAL), ["vae.texture=2", f"vae.decoder_widths={widths}"])
