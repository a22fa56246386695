"""An ablation: switches take away what they say, done variants stay done, the page says it all."""

import dataclasses
import json
import types
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml

from training.__main__ import main
from training.ablation import measure, page
from training.ablation.run import pairs_of, run
from training.ablation.switches import SwitchedStamps, without_spread, zero_phase
from training.ablation.variants import chosen, identity_of, recipe_of, told
from training.config import AblationConfig, VariantConfig
from training.errors import ConfigError, DataError

ROOT = Path(__file__).parents[2]
BASE = VariantConfig("base", "")
HALF = VariantConfig("half 0", "one half", ("half=0",))
REPEAT = VariantConfig("seed 2", "again", ("fit_vae.seed=2", "fit_flow.seed=2"))


@pytest.fixture
def make_ablation(make_recipe, tmp_path):
    """Give a function that returns an ablation of a tiny recipe, with an empty page."""
    (tmp_path / "page.md").write_text(f"# Before\n\n{page.BEGIN}\n{page.END}\n\nAfter.\n")

    def make(*variants, **changes) -> AblationConfig:
        recipe = make_recipe()
        vae = dataclasses.replace(recipe.vae, decoder_widths=(), texture=0)
        short = dataclasses.replace(recipe.fit_vae, steps=1)
        base = dataclasses.replace(recipe, vae=vae, fit_vae=short, fit_flow=short)
        entries = {"base": base, "variants": (BASE, *variants), "page": f"{tmp_path}/page.md"}
        return AblationConfig("ablation", **entries | {"draws": 1} | changes)

    return make


def first_batch(stamps: SwitchedStamps) -> dict[str, np.ndarray]:
    return {k: v.numpy() for k, v in next(iter(stamps.ordered("validation", 8))).items()}


def test_modulus_of_the_psf_stays_and_its_phase_goes(stamp_config):
    true, found = (
        first_batch(SwitchedStamps(stamp_config.directory, None, s))["psf"]
        for s in (None, "psf_modulus")
    )
    moduli = [np.abs(np.fft.fft2(p)) for p in (true, found)]
    np.testing.assert_allclose(moduli[1], moduli[0], atol=1e-5)
    np.testing.assert_allclose(found, found[:, ::-1, ::-1], atol=1e-6)
    assert np.abs(true - true[:, ::-1, ::-1]).max() > 0.01  # a dithered PSF has a phase


def test_psf_that_is_not_known_is_one_pixel(stamp_config):
    psf = first_batch(SwitchedStamps(stamp_config.directory, None, "no_psf"))["psf"]
    expected = np.zeros_like(psf)
    expected[:, psf.shape[1] // 2, psf.shape[2] // 2] = 1.0
    np.testing.assert_allclose(psf, expected, atol=1e-6)
    assert zero_phase(tf.constant(psf)).shape == psf.shape


def test_white_noise_has_the_same_power_at_every_wave(stamp_config):
    true, white = (
        SwitchedStamps(stamp_config.directory, None, s).noise_power for s in (None, "white_noise")
    )
    assert np.ptp(true) > 1.0
    np.testing.assert_array_equal(white, np.ones_like(true))


def test_upright_stamps_are_never_turned(stamp_config):
    turns = [
        next(SwitchedStamps(stamp_config.directory, None, s).training("train", 16, 1))["turn"]
        for s in (None, "upright")
    ]
    assert np.ptp(turns[0]) > 0
    np.testing.assert_array_equal(turns[1], 0)


def test_posteriors_without_spread_have_their_mean_as_every_sample():
    table = {"mean": np.float32([[1.0]]), "log_scale": np.float32([[0.5]]), "conditions": [[2.0]]}
    narrow = without_spread({"train": table})["train"]
    assert narrow["mean"] == np.float32(1.0) + np.exp(narrow["log_scale"]) * 5.0
    assert narrow["conditions"] == [[2.0]]


def test_switched_stamps_are_another_set_to_what_is_fitted_on_them(stamp_config):
    switches = (None, "white_noise", "psf_modulus", "no_psf", "upright")
    sets = [SwitchedStamps(stamp_config.directory, None, s).identity for s in switches]
    assert len(set(sets)) == len(switches)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"set": ("vae.latent_sise=3",)}, "'odd': .*latent_sise"),
        ({"set": ("data.stamp_size=16",)}, "'odd' changes the stamp set"),
    ],
)
def test_variant_that_cannot_be_compared_is_refused_by_name(make_ablation, change, message):
    config = make_ablation(VariantConfig("odd", "", **change))
    with pytest.raises(ConfigError, match=message):
        chosen(config, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "../x"}, "small letters"),
        ({"name": "base"}, r"twice: \['base'\]"),
        ({"name": "odd", "switch": "no_galaxy"}, "white_noise"),
    ],
)
def test_variant_without_a_name_or_switch_of_its_own_is_refused(make_ablation, change, message):
    with pytest.raises(ConfigError, match=message):
        make_ablation(VariantConfig(text="", **change))


def test_ablation_that_does_not_begin_with_its_base_is_refused(make_ablation):
    with pytest.raises(ConfigError, match="change nothing"):
        make_ablation(variants=(REPEAT,))


def test_only_variants_of_the_recipe_can_be_asked_for(make_ablation):
    config = make_ablation(HALF)
    assert chosen(config, ["half 0"]) == [HALF]
    with pytest.raises(ConfigError, match="nothing"):
        chosen(config, ["nothing"])


def test_figures_belong_to_a_recipe_and_not_to_its_folders(make_ablation):
    config, elsewhere = make_ablation(HALF), make_ablation(HALF)
    assert recipe_of(config, BASE).workdir != recipe_of(elsewhere, BASE).workdir
    assert identity_of(config, BASE) == identity_of(elsewhere, BASE)
    assert identity_of(config, BASE) != identity_of(config, HALF)
    assert identity_of(config, BASE) != identity_of(make_ablation(draws=2), BASE)


def test_option_that_joins_the_recipes_later_leaves_figures_theirs(make_ablation):
    config = make_ablation()
    before = told(config.base.fit_flow)

    @dataclasses.dataclass(frozen=True)
    class Later(type(config.base.fit_flow)):
        added: bool = False

    assert told(Later(**dataclasses.asdict(config.base.fit_flow))) == before
    assert told(Later(**dataclasses.asdict(config.base.fit_flow), added=True)) != before


def test_base_is_compared_with_its_repeats_and_half_with_half(make_ablation):
    other = dataclasses.replace(HALF, name="half 1", set=("half=1",))
    pairs = pairs_of(make_ablation(HALF, REPEAT, other))
    assert [(a.name, b.name) for a, b in pairs] == [("base", "seed 2"), ("half 0", "half 1")]


def test_generator_that_learnt_its_half_by_heart_is_found(monkeypatch):
    rng = np.random.default_rng(3)
    own, other, held_out, fresh = rng.standard_normal((4, 800, 3))
    stamps = types.SimpleNamespace(half=0, directory="", switch=None)
    latents = {"train": {"mean": own}, "validation": {"mean": held_out}}
    fitted = types.SimpleNamespace(latents=latents, stamps=stamps, vae=None)
    monkeypatch.setattr(measure, "SwitchedStamps", lambda *_: None)
    monkeypatch.setattr(measure, "encode_split", lambda *_: {"mean": other})
    honest = measure.memorisation_values(fitted, fresh)
    for value, error in honest.values():
        assert abs(value) < 4 * error < 0.4
    learnt = measure.memorisation_values(fitted, own[:200] + 1e-3 * fresh[:200])
    assert learnt["memorisation"][0] < -0.9
    assert learnt["own_half"][0] < -0.9
    assert learnt["own_half_held_out"] == honest["own_half_held_out"]


def test_variants_are_trained_once_and_reported_with_their_counts(make_ablation, monkeypatch):
    config = make_ablation(HALF, REPEAT)
    figures = run(config, ["half 0", "base"])
    text = Path(config.page).read_text()
    assert text.startswith("# Before")
    assert text.endswith("After.\n")
    assert "| seed 2 | again | not measured yet |" in text
    half, base = (figures["variants"][name] for name in ("half 0", "base"))
    assert 0 < half["train"] < base["train"]
    assert f"on {base['train']} galaxies of 32 x 32 pixels" in text
    assert f"{figures['validation']} validation galaxies" in text
    assert set(half["values"]) - set(base["values"]) == {"own_half", "own_half_held_out"}
    assert np.isfinite([*base["values"].values(), *half["values"].values()]).all()
    page.check_page(config)
    monkeypatch.setattr("training.ablation.run.fit_variant", lambda *_: pytest.fail("trained"))
    assert run(config, ["half 0", "base"]) == figures


def made_up(config: AblationConfig) -> dict:
    values = dict.fromkeys(page.COLUMNS, (0.5, 0.25))
    rows = {
        v.name: {"identity": identity_of(config, v), "values": values, "train": 9, "failures": 0}
        for v in config.variants
    }
    return {"validation": 12, "variants": rows, "pairs": {}}


def test_page_is_stale_once_it_the_figures_or_the_recipe_change(make_ablation):
    config = make_ablation(REPEAT)
    with pytest.raises(ConfigError, match="No figures"):
        page.check_page(config)
    page.write_page(config, made_up(config))
    page.check_page(config)
    with pytest.raises(ConfigError, match=r"of \['base', 'seed 2'\] are of another recipe"):
        page.check_page(dataclasses.replace(config, draws=3))
    text = Path(config.page).read_text()
    Path(config.page).write_text(text.replace("0.500 ± 0.250", "0.400 ± 0.250", 1))
    with pytest.raises(ConfigError, match="does not say"):
        page.check_page(config)


def test_page_without_a_place_for_figures_is_refused_before_anything_is_trained(
    make_ablation, tmp_path
):
    config = make_ablation(page=str(tmp_path / "other.md"))
    with pytest.raises(ConfigError, match="other.md must be a page"):
        run(config)
    assert not (tmp_path / "other.json").exists()
    assert not Path(recipe_of(config, BASE).workdir).exists()


def test_empty_validation_split_is_refused(make_ablation, monkeypatch):
    monkeypatch.setattr("training.data.pipeline.StampSet.count", lambda *_: 0)
    with pytest.raises(DataError, match="raise base.data.limit"):
        run(make_ablation())


def test_recipe_of_a_module_is_no_ablation(make_recipe, write_recipe, capsys):
    assert main(["ablate", str(write_recipe(make_recipe()))]) == 2
    assert "has no verb 'ablate'" in capsys.readouterr().err


def test_verb_checks_the_page(make_ablation, tmp_path, capsys):
    config = make_ablation(REPEAT)
    recipe = tmp_path / "ablation.yaml"
    recipe.write_text(yaml.safe_dump(json.loads(json.dumps(dataclasses.asdict(config)))))
    assert main(["ablate", str(recipe), "--check"]) == 2
    assert "training ablate" in capsys.readouterr().err
    page.write_page(config, made_up(config))
    assert main(["ablate", str(recipe), "--check"]) == 0


def test_page_of_the_repository_is_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert main(["ablate", "training/configs/ablation.yaml", "--check"]) == 0
