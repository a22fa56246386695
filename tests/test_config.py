"""GalSim's YAML draws generated galaxies, the same ones for any number of processes."""

from __future__ import annotations

import copy

import galsim
import numpy as np
import pytest
from astropy.table import Table

import galsim_hub
from galsim_hub import GenerativeGalaxy, GenerativeGalaxyModel, lookahead
from galsim_hub.errors import ConditionError, SeedError, UnknownModuleError
from galsim_hub.latents import seed_from_id

N_OBJECTS = 6


@pytest.fixture
def calls(monkeypatch):
    """Give the numbers of galaxies that are generated at a time, from nothing kept on."""
    calls = []
    generate = GenerativeGalaxyModel.generate

    def counted(self, conditions, seeds):
        calls.append(len(seeds))
        return generate(self, conditions, seeds)

    monkeypatch.setattr(lookahead, "_kept", type(lookahead._kept)())
    monkeypatch.setattr(GenerativeGalaxyModel, "generate", counted)
    return calls


def _process(base):
    """Make a copy of a configuration ready to build objects of."""
    config = copy.deepcopy(base)
    galsim.config.ImportModules(config)
    galsim.config.ProcessInput(config)
    return config


def _build(base, obj_num=0):
    """Build one galaxy as GalSim does."""
    config = _process(base)
    config.update(obj_num=obj_num, rng=galsim.BaseDeviate(5 + obj_num), index_key="obj_num")
    return galsim.config.BuildGSObject(config, "gal")[0]


def _seeds(base, n_objects):
    """Give the seeds of galaxies of one configuration, which remembers what it parsed."""
    config, seeds = _process(base), []
    for number in range(n_objects):
        config.update(obj_num=number, rng=galsim.BaseDeviate(5), index_key="obj_num")
        seeds.append(galsim.config.BuildGSObject(config, "gal")[0].seed)
    return seeds


def test_a_galaxy_is_built_from_conditions_of_any_value_type(base, model):
    galaxy = _build(base, obj_num=2)
    assert type(galaxy) is GenerativeGalaxy
    assert galaxy.model == model
    assert 4 <= galaxy.conditions["flux_radius"] <= 16
    assert galaxy.conditions["mag_auto"] == 22
    assert galaxy.conditions["zphot"] == pytest.approx(0.5)


def test_the_seed_is_one_64_bit_draw_of_the_objects_rng(base, gal):
    gal.update(flux_radius=8, mag_auto=23, zphot=1)
    twin = galsim.BaseDeviate(5)
    assert _build(base).seed == twin.raw() * 2**32 + twin.raw()


def test_conditions_may_come_from_a_catalogue(base, gal, tmp_path):
    (tmp_path / "catalog.txt").write_text("7.0 22.5 0.4 gal-a\n9.0 24.5 1.4 gal-b\n")
    base["input"]["catalog"] = {"dir": str(tmp_path), "file_name": "catalog.txt"}
    for col, name in enumerate(["flux_radius", "mag_auto", "zphot", "obj_id"]):
        gal[name] = {"type": "Catalog", "col": col}
    galaxy = _build(base, obj_num=1)
    assert galaxy.conditions == {"flux_radius": 9.0, "mag_auto": 24.5, "zphot": 1.4}
    assert galaxy.seed == seed_from_id("gal-b")


def test_galaxies_of_a_catalogue_are_made_ahead_and_are_the_same(base, gal, model, calls):
    gal.update(flux_radius={"type": "Sequence", "first": 5, "step": 1}, zphot=0.5)
    gal["seed"] = {"type": "Sequence", "first": 70}
    gal["mag_auto"]["step"] = 0.25
    stamps = [_build(base, obj_num=number).stamp for number in range(9)]
    assert calls == [lookahead.MAX_AHEAD + 1] * 2
    assert len(lookahead._kept) <= lookahead._MAX_KEPT
    for number, stamp in enumerate(stamps):
        galaxy = GenerativeGalaxy(
            model, seed=70 + number, flux_radius=5 + number, mag_auto=21 + number / 4, zphot=0.5
        )
        assert galaxy.stamp.tobytes() == stamp.tobytes()


def test_galaxies_of_expressions_of_a_catalogue_are_made_ahead(base, gal, model, calls):
    base["eval_variables"] = {
        "fstep": 0.05,
        "fmag": {"type": "Sequence", "first": 21, "step": 0.1},
        "fhlr": "$0.3 + step * obj_num / 2",
        "fscatter": {"type": "Random", "min": 0, "max": 1},  # named by none
    }
    gal.update(flux_radius="$hlr / 0.03", mag_auto="$mag + np.log10(1.0)", seed=3)
    config = _process(base)
    for number in range(8):  # in one configuration, which remembers what it evaluated
        config.update(obj_num=number, rng=galsim.BaseDeviate(5 + number), index_key="obj_num")
        galaxy = galsim.config.BuildGSObject(config, "gal")[0]
        assert galaxy.conditions["mag_auto"] == pytest.approx(21 + 0.1 * number)
        assert galaxy.conditions["flux_radius"] == pytest.approx((0.3 + 0.025 * number) / 0.03)
        alone = GenerativeGalaxy(model, seed=3, **galaxy.conditions)
        assert galaxy.stamp.tobytes() == alone.stamp.tobytes()
    assert calls[0] == lookahead.MAX_AHEAD + 1


def test_conditions_that_follow_an_rng_are_not_looked_ahead(base, gal, monkeypatch):
    monkeypatch.setattr(lookahead, "_kept", type(lookahead._kept)())
    gal["seed"] = 3
    _ = _build(base).stamp
    assert not lookahead._kept


def test_a_bad_row_ahead_is_reported_by_its_own_object(base, gal):
    gal.update(flux_radius=5, zphot={"type": "Sequence", "first": 1, "step": -1}, seed=3)
    assert _build(base, obj_num=0).conditions["zphot"] == 1
    with pytest.raises(ConditionError, match="'zphot' is negative"):
        _build(base, obj_num=2)


def test_the_engine_is_chosen_in_the_input(base, module_folder):
    base["input"]["generative_model"]["engine"] = "tensorflow"
    assert _build(base).model == GenerativeGalaxyModel(module_folder, engine="tensorflow")


def test_a_given_seed_is_used(base, gal):
    gal["seed"] = {"type": "Sequence", "first": 70}
    assert _build(base, obj_num=3).seed == 73


@pytest.mark.parametrize(
    ("given", "obj_ids"),
    [
        (17, [17, 17]),
        ("17", ["17", "17"]),
        ("", ["", ""]),
        ("gal-17", ["gal-17", "gal-17"]),
        (1.5, [1.5, 1.5]),
        ("$('tract', obj_num)", [("tract", 0), ("tract", 1)]),
        ("$obj_num / 2", [0, 0.5]),
        (["tract", 17], [("tract", 17), ("tract", 17)]),
        ("@gal.twin", [9, 10]),
        ({"type": "Sequence", "first": 9}, [9, 10]),
        ({"type": "Sequence", "first": 2**60 + 1}, [2**60 + 1, 2**60 + 2]),
        ({"type": "Sequence", "first": 0.5, "step": 0.5}, [0.5, 1]),
        ({"type": "Sequence", "first": "$5 / 2"}, [2.5, 3.5]),
        ({"type": "List", "items": [1.5, "2"]}, [1.5, "2"]),
        ({"type": "List", "items": [(1, 2), "$(3, 4)"]}, [(1, 2), (3, 4)]),
        ({"type": "List", "items": [{"type": "Sequence"}, [7, "a"]]}, [0, (7, "a")]),
        ({"type": "List", "items": [7, 8.5], "repeat": 2}, [7, 7]),
        ({"type": "Sum", "items": [0.25, {"type": "Sequence"}]}, [0.25, 1.25]),
        ({"type": "FormattedStr", "format": "%03d", "items": ["$obj_num"]}, ["000", "001"]),
        ({"type": "Dict", "key": "number"}, [2.5, 2.5]),
    ],
)
def test_an_id_is_hashed_to_the_seed_as_in_python(base, gal, tmp_path, given, obj_ids):
    (tmp_path / "dict.yaml").write_text("number: 2.5")
    base["input"]["dict"] = {"dir": str(tmp_path), "file_name": "dict.yaml"}
    twin = {"type": "Sequence", "first": 9}
    gal.update(obj_id=given, flux_radius=8, mag_auto=23, zphot=0.5, _twin=twin)
    if given == "@gal.twin":
        gal["obj_id"] = "@gal._twin"
    assert _seeds(base, 2) == [seed_from_id(obj_id) for obj_id in obj_ids]


@pytest.mark.parametrize(
    "column",
    [
        np.array([5.0, 6.0, 7.5]),
        np.array([5.0, 6.0, 7.5], np.float32),
        np.array([2**60 + 1, -3, 0]),
        np.array(["007", "7", "gal"]),
    ],
)
def test_an_id_of_a_fits_column_is_what_the_column_holds(base, gal, model, tmp_path, column):
    table = Table({name: [5.0, 8.0, 9.0] for name in ("flux_radius", "zphot")} | {"obj_id": column})
    table["mag_auto"] = 23.0
    table["zphot"] /= 10
    table.write(tmp_path / "mine.fits")
    base["input"]["catalog"] = {"file_name": str(tmp_path / "mine.fits")}
    gal.update({name: {"type": "Catalog", "col": name} for name in table.colnames})
    galaxies = galsim_hub.GenerativeCatalog(tmp_path / "mine.fits", model=model)
    seeds = _seeds(base, 3)
    assert seeds == [seed_from_id(obj_id) for obj_id in column.tolist()]
    assert seeds == [galaxies.recipe(row).seed for row in range(3)]


@pytest.mark.parametrize(
    ("obj_id", "step", "n_at_once"),
    # The catalogue begins again after the last row, the expression does not.
    [({"type": "Catalog", "col": "f"}, 1, 6), ("$f - obj_num / 4", 0.75, 8)],
)
def test_galaxies_of_ids_that_are_no_whole_numbers_are_made_ahead_and_in_processes(
    base, gal, calls, tmp_path, obj_id, step, n_at_once
):
    Table({"f": np.arange(6) + 0.5}).write(tmp_path / "mine.fits")
    base["input"]["catalog"] = {"file_name": str(tmp_path / "mine.fits")}
    base["eval_variables"] = {"ff": {"type": "Catalog", "col": "f"}}
    gal.update(obj_id=obj_id, flux_radius=8, mag_auto=23, zphot=0.5)
    whole = galsim.config.BuildImage(copy.deepcopy(base)).array.tobytes()
    assert calls == [n_at_once]
    base["image"]["nproc"] = 2
    assert galsim.config.BuildImage(copy.deepcopy(base)).array.tobytes() == whole
    gal["obj_id"] = {"type": "List", "items": [0.5 + step * k for k in range(6)]}
    assert galsim.config.BuildImage(base).array.tobytes() == whole


def test_ids_of_an_ascii_column_are_text_in_a_truth_catalogue(base, gal, tmp_path):
    (tmp_path / "ids.txt").write_text("7\n007\n8\n9\ngal-7\n10\n")
    base["input"]["catalog"] = {"dir": str(tmp_path), "file_name": "ids.txt"}
    gal["obj_id"] = {"type": "Catalog", "col": 0}
    truth = {"hdu": 1, "columns": {"id": "gal.obj_id", "seed": "$(@gal).seed % 2**31"}}
    base["output"] = {"file_name": str(tmp_path / "image.fits"), "truth": truth}
    galsim.config.Process(base)
    table = Table.read(tmp_path / "image.fits", hdu=1)
    assert table["id"].tolist() == ["7", "007", "8", "9", "gal-7", "10"]
    assert table["seed"][0] == seed_from_id(7) % 2**31


@pytest.mark.parametrize(
    ("kind", "obj_ids"),
    [
        ("Catalog", [7, "007", "+7", -7, 0, "7.5", "gal-7"]),
        ("Catalog_str", ["7", "007", "+7", "-7", "0", "7.5", "gal-7"]),
        ("Catalog_float", [7, 7, 7, -7, 0, 7.5]),
    ],
)
def test_an_id_of_an_ascii_column_is_a_number_only_if_written_as_one(
    base, gal, tmp_path, kind, obj_ids
):
    (tmp_path / "ids.txt").write_text("7\n007\n+7\n-7\n0\n7.5\ngal-7\n")
    base["input"]["catalog"] = {"dir": str(tmp_path), "file_name": "ids.txt"}
    gal.update(obj_id={"type": kind, "col": 0}, flux_radius=8, mag_auto=23, zphot=0.5)
    assert _seeds(base, len(obj_ids)) == [seed_from_id(obj_id) for obj_id in obj_ids]


@pytest.mark.parametrize("given", ["$float('nan')", {"type": "RandomCircle"}, {"type": "Ring"}])
def test_an_id_that_makes_no_sense_is_refused(base, gal, given):
    gal["obj_id"] = given
    with pytest.raises(SeedError, match="obj_id"):
        _build(base)


def test_an_id_that_is_missing_is_not_replaced_by_a_random_one(base, gal):
    gal["obj_id"] = None
    with pytest.raises(SeedError, match="obj_id must be"):
        _build(base)


@pytest.mark.parametrize("given", [7, 7.0, "7", "$14 / 2", {"type": "List", "items": [7, 8]}])
def test_a_seed_may_be_any_whole_number(base, gal, given):
    gal["seed"] = given
    assert _build(base).seed == 7


@pytest.mark.parametrize("given", [1.5, "$3.7", -1, "gal-7", None, "$obj_num + .5"])
def test_a_seed_that_is_no_whole_number_is_refused_not_rounded(base, gal, given):
    gal["seed"] = given
    with pytest.raises(SeedError, match="A seed must be an integer"):
        _build(base)


def test_flux_and_gsparams_and_interpolants_are_honoured(base, gal):
    gal.update(flux=123.0, gsparams={"folding_threshold": 1e-3}, x_interpolant="lanczos5")
    galaxy = _build(base)
    assert type(galaxy) is GenerativeGalaxy
    assert galaxy.flux == 123.0
    assert galaxy.gsparams.folding_threshold == 1e-3
    assert "Lanczos(5" in repr(galaxy)


def test_size_and_magnitude_are_pinned(base, gal):
    gal.update(half_light_radius=0.3, mag={"type": "Sequence", "first": 21}, zeropoint=27.0)
    galaxy = _build(base, obj_num=1)
    assert galaxy.flux == pytest.approx(10 ** (-0.4 * (22 - 27)), rel=1e-12)
    assert galaxy.calculateHLR(size=256, scale=0.005) == pytest.approx(0.3, rel=2e-3)


def test_every_usual_transformation_applies(base, gal):
    plain = _build(base)
    gal.update(
        dilate=1.1,
        ellip={"type": "G1G2", "g1": 0.1, "g2": 0},
        rotate="30 deg",
        scale_flux=2,
        magnify=1.2,
        shear={"type": "G1G2", "g1": 0, "g2": 0.05},
        lens={"shear": {"type": "G1G2", "g1": 0.01, "g2": 0}, "mu": 1.1},
        shift={"type": "XY", "x": 0.1, "y": 0.2},
    )
    changed = _build(base)
    assert isinstance(changed, galsim.Transformation)
    assert changed.original == plain


def test_num_picks_one_of_several_models(base, gal, module_folder):
    base["input"]["generative_model"] = [
        {"file_name": str(module_folder)},
        {"file_name": str(module_folder), "on_extrapolate": "clip"},
    ]
    gal.update(num=1, flux_radius=99)
    assert _build(base).conditions["flux_radius"] == 35
    assert _build(base).model == GenerativeGalaxyModel(module_folder, "clip")


def test_a_missing_condition_names_the_field(base, gal):
    gal["magauto"] = gal.pop("mag_auto")
    with pytest.raises(ConditionError, match="'mag_auto' is missing.*Did you mean 'magauto'"):
        _build(base)


def test_an_unusable_condition_names_the_field(base, gal):
    gal["zphot"] = -1
    with pytest.raises(ConditionError, match="'zphot' is negative"):
        _build(base)


def test_a_string_condition_names_the_field(base, gal):
    gal["zphot"] = "high"
    with pytest.raises(ConditionError, match="Field 'zphot'.*gives no number"):
        _build(base)


def test_an_unknown_field_is_refused(base, gal):
    gal["sersic_index"] = 1
    with pytest.raises(galsim.GalSimConfigError, match="sersic_index"):
        _build(base)


def test_an_unknown_module_is_reported_when_the_input_is_read(base):
    base["input"]["generative_model"]["file_name"] = "hub:no_such_module"
    with pytest.raises(UnknownModuleError, match="hub:no_such_module"):
        _build(base)


def test_an_object_without_an_input_says_what_is_missing(base):
    del base["input"]["generative_model"]
    with pytest.raises(galsim.GalSimConfigError, match="No input generative_model"):
        _build(base)


def test_a_galaxy_does_not_depend_on_its_neighbours(base):
    whole = galsim.config.BuildImage(copy.deepcopy(base))
    base["gal"]["skip"] = "$obj_num != 4"
    alone = galsim.config.BuildImage(base)
    stamp = galsim.BoundsI(25, 48, 25, 48)  # the fifth tile
    assert alone[stamp] == whole[stamp]
    assert alone.array.sum() > 0
