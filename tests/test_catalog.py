"""A catalogue of generated galaxies answers as a COSMOSCatalog does."""

from __future__ import annotations

import inspect
import pickle

import galsim
import numpy as np
import pandas as pd
import pytest
from astropy import units
from astropy.table import Table

import galsim_hub
from galsim_hub import GenerativeCatalog, GenerativeGalaxy
from galsim_hub.errors import (
    CatalogError,
    ConditionError,
    PinError,
    RandomDeviateError,
    SeedError,
    UnsupportedModuleError,
)
from galsim_hub.latents import seed_from_id

DRAW = {"nx": 32, "ny": 32, "scale": 0.06}


@pytest.fixture
def galaxies(model, catalog):
    """Give a catalogue of 7 galaxies."""
    return GenerativeCatalog(model=model, catalog=catalog)


@pytest.fixture(scope="module")
def lawful():
    """Give the published model, which carries the law of its conditions."""
    return galsim_hub.GenerativeGalaxyModel("hub:cosmos")


def test_it_has_every_public_name_of_a_cosmos_catalogue(galaxies):
    theirs = {name for name in dir(galsim.COSMOSCatalog) if not name.startswith("_")}
    of_instances = {"param_cat", "orig_index", "nobjects", "use_real", "exptime", "area"}
    images_alone = {"getRealParams", "getBandpass", "getSED"}
    assert (theirs | of_instances) - images_alone <= set(dir(galaxies))
    assert galaxies.param_cat["zphot"][galaxies.orig_index[3]] == galaxies.getValue("zphot", 3)
    assert galaxies.getOrigIndex(np.array([1, 2])).tolist() == [1, 2]


def test_arguments_stand_in_the_order_of_a_cosmos_catalogue(galaxies):
    theirs = list(inspect.signature(galsim.COSMOSCatalog.makeGalaxy).parameters)
    assert list(inspect.signature(GenerativeCatalog.makeGalaxy).parameters)[: len(theirs)] == theirs
    assert galaxies.makeGalaxy(*(0, "parametric", False)) == galaxies.makeGalaxy(0)


def test_flux_and_size_can_be_pinned(galaxies):
    one, two = galaxies.makeGalaxy([1, 2], mag=22.0, zeropoint=27.0, half_light_radius=0.4)
    assert one.flux == two.flux == pytest.approx(100.0)
    assert one.calculateHLR() == pytest.approx(0.4, rel=0.02)
    assert one.stamp.tobytes() == galaxies.makeGalaxy(1).stamp.tobytes()
    with pytest.raises(PinError, match="zeropoint is missing"):
        galaxies.makeGalaxy(0, mag=22.0)
    with pytest.raises(PinError, match="'hlr' is no option.*half_light_radius, mag, zeropoint"):
        galaxies.makeGalaxy(0, hlr=3)


@pytest.mark.parametrize(
    "weight", [np.zeros(7), np.full(7, np.nan), np.arange(7) - 1.0, np.array(list("abcdefg"))]
)
def test_weights_that_choose_nothing_are_refused(model, catalog, weight):
    galaxies = GenerativeCatalog(model=model, catalog={**catalog, "weight": weight})
    with pytest.raises(CatalogError, match="Weights must be finite"):
        galaxies.makeGalaxy(rng=galsim.BaseDeviate(1))


def test_it_takes_every_option_that_a_cosmos_catalogue_takes_in_yaml():
    assert set(galsim.COSMOSCatalog._opt_params) <= set(GenerativeCatalog._opt_params)
    assert set(galsim.GalaxySample._opt_params) <= set(GenerativeCatalog._opt_params)


def test_a_row_is_one_galaxy_with_its_conditions(galaxies, catalog):
    galaxy = galaxies.makeGalaxy(3)
    assert type(galaxy) is GenerativeGalaxy
    assert galaxy.conditions == {name: column[3] for name, column in catalog.items()}
    assert galaxy.index == 3
    assert galaxy == galaxies.makeGalaxy(3, rng=galsim.BaseDeviate(8))
    assert galaxy.seed != galaxies.makeGalaxy(4).seed


def test_an_array_of_indices_gives_the_galaxies_of_each(galaxies):
    several = galaxies.makeGalaxy(np.array([2, 5, 2]))
    assert [galaxy.index for galaxy in several] == [2, 5, 2]
    for galaxy in several:
        alone = galaxies.makeGalaxy(galaxy.index)
        assert galaxy == alone
        assert galaxy.stamp.tobytes() == alone.stamp.tobytes()
    assert isinstance(galaxies.makeGalaxy([2]), list)


def test_random_galaxies_follow_the_rng(galaxies):
    first, second = (galaxies.makeGalaxy(n_random=5, rng=galsim.BaseDeviate(3)) for _ in range(2))
    assert first == second
    assert len({galaxy.index for galaxy in first}) > 1
    indices = galaxies.selectRandomIndex(5, rng=galsim.BaseDeviate(3))
    assert [galaxy.index for galaxy in first] == indices.tolist()
    assert isinstance(galaxies.selectRandomIndex(rng=galsim.BaseDeviate(3)), int)
    assert isinstance(galaxies.makeGalaxy(), GenerativeGalaxy)


def test_catalogues_of_other_weights_are_others(model, catalog):
    weights = np.arange(7.0), np.arange(7.0), np.ones(7), None
    one, same, other, none = (
        GenerativeCatalog(
            model=model, catalog=catalog if weight is None else {**catalog, "weight": weight}
        )
        for weight in weights
    )
    assert one == same
    assert one != other
    assert one != none


def test_a_column_of_weights_decides_how_often_a_row_is_chosen(model, catalog):
    catalog["weight"] = [0, 0, 6, 0, 2, 0, 0]
    galaxies = GenerativeCatalog(model=model, catalog=catalog)
    chosen = galaxies.selectRandomIndex(4000, galsim.BaseDeviate(5))
    assert set(chosen) == {2, 4}
    assert np.mean(chosen == 2) == pytest.approx(0.75, abs=0.03)  # 4 sigma


def test_a_column_of_ids_names_the_galaxies(model, catalog):
    catalog["obj_id"] = [f"gal-{number}" for number in range(7)]
    galaxies = GenerativeCatalog(model=model, catalog=catalog, min_z=0.5)
    assert galaxies.makeGalaxy(0).seed == seed_from_id(f"gal-{galaxies.getOrigIndex(0)}")


@pytest.mark.parametrize(
    ("ids", "left"),
    [
        (np.array([0.5, np.nan, 2, 3, np.inf, 5, 6]), [0, 2, 3, 5, 6]),
        (np.ma.masked_array(np.arange(7), [0, 0, 0, 1, 0, 0, 0]), [0, 1, 2, 4, 5, 6]),
        (np.array(["a", None, 3, 4.5, ("b", 1), np.nan, [1]], object), [0, 2, 3, 4]),
    ],
)
def test_rows_without_an_id_are_left_out_unless_asked_for(model, catalog, ids, left):
    catalog["obj_id"] = ids
    galaxies = GenerativeCatalog(model=model, catalog=catalog)
    assert galaxies.orig_index.tolist() == left
    seeds = [galaxies.recipe(index).seed for index in range(len(left))]
    assert seeds == [seed_from_id(ids.tolist()[row]) for row in left]
    bad = min(set(range(7)) - set(left))
    with pytest.raises(SeedError, match=f"obj_id of row {bad}, .*{7 - len(left)} of 7 rows"):
        GenerativeCatalog(model=model, catalog=catalog, exclusion_level="none")


@pytest.mark.parametrize("ids", [np.full(7, np.nan), np.ones((7, 2))])
def test_a_column_that_holds_no_ids_is_refused(model, catalog, ids):
    with pytest.raises(SeedError, match="obj_id of row 0, .* names no galaxy.*7 of 7 rows"):
        GenerativeCatalog(model=model, catalog={**catalog, "obj_id": ids})


def test_another_seed_gives_other_galaxies_of_the_same_conditions(model, catalog, galaxies):
    others = GenerativeCatalog(model=model, catalog=catalog, seed=1)
    assert others != galaxies
    assert others.makeGalaxy(0).seed != galaxies.makeGalaxy(0).seed
    assert others.makeGalaxy(0).conditions == galaxies.makeGalaxy(0).conditions


def test_rows_that_a_model_was_not_trained_on_are_left_out_unless_asked_for(model, catalog):
    catalog["zphot"] = np.array([0.5, np.nan, -99.0, 5.0, 99.0, 1.0, 1.0])

    def rows(level):
        left = GenerativeCatalog(model=model, catalog=catalog, exclusion_level=level)
        return [left.getOrigIndex(index) for index in range(len(left))]

    assert rows("marginal") == [0, 5, 6]
    with pytest.warns(galsim_hub.errors.ExtrapolationWarning, match=r"zphot = 5 \(row 3;"):
        assert rows("bad_fits") == [0, 3, 5, 6]
    with pytest.raises(ConditionError, match="'zphot' is not a finite number"):
        rows("none")


def test_exposure_time_and_area_scale_the_flux(model, catalog, galaxies):
    plain = galaxies.makeGalaxy(1)
    area = galsim.COSMOSCatalog.hst_eff_area
    scaled = GenerativeCatalog(model=model, catalog=catalog, exptime=30, area=2 * area)
    galaxy = scaled.makeGalaxy(1)
    assert galaxy.flux == pytest.approx(60 * plain.flux, rel=1e-12)
    assert galaxy.index == 1
    assert galaxy.original == plain
    assert galaxy.original.index == galaxy.shear(g1=0.1).original.index == 1
    own = GenerativeCatalog(model=model, catalog=catalog, exptime=30, orig_exptime=60)
    assert own.makeGalaxy(1).flux == pytest.approx(0.5 * plain.flux, rel=1e-12)


@pytest.mark.parametrize("gal_type", [None, "real", "parametric"])
def test_the_types_of_a_cosmos_galaxy_are_one(galaxies, gal_type):
    assert galaxies.makeGalaxy(1, gal_type) == galaxies.makeGalaxy(1)


def test_gsparams_reach_the_galaxy(galaxies):
    finer = galsim.GSParams(folding_threshold=1e-3)
    assert galaxies.makeGalaxy(1, gsparams=finer).gsparams == finer
    assert galaxies.makeGalaxy([1, 2], gsparams=finer)[1].gsparams == finer


def test_deep_warns_that_it_has_no_effect(galaxies):
    with pytest.warns(galsim.GalSimWarning, match="deep has no effect"):
        assert galaxies.makeGalaxy(1, deep=True) == galaxies.makeGalaxy(1)


def test_the_catalogue_may_be_a_table_an_array_or_a_file(model, catalog, galaxies, tmp_path):
    table = Table(catalog)
    table.write(tmp_path / "mine.fits")
    for given in (
        {"catalog": table},
        {"catalog": table.as_array()},
        {"file_name": tmp_path / "mine.fits"},
        {"file_name": "mine.fits", "dir": str(tmp_path)},
    ):
        assert GenerativeCatalog(model=model, **given) == galaxies


def test_the_catalogue_may_be_all_that_a_model_takes(model, catalog, galaxies):
    frame = pd.DataFrame(catalog, index=np.arange(7) + 40)
    assert GenerativeCatalog(model=model, catalog=frame) == galaxies
    ids = pd.Series(["a", None, "c", "d", "e", "f", "g"])
    named = GenerativeCatalog(model=model, catalog=pd.DataFrame({**catalog, "obj_id": ids}))
    assert named.orig_index.tolist() == [0, 2, 3, 4, 5, 6]
    for scalar in (0.7, np.float32(0.75), 0.7 * units.dimensionless_unscaled):
        same = GenerativeCatalog(model=model, catalog={**catalog, "zphot": scalar})
        expected = model.sample({**catalog, "zphot": scalar}, obj_ids=range(7))
        for one, other in zip(same.makeGalaxy(range(7)), expected, strict=True):
            assert one.conditions == other.conditions
    one = {"flux_radius": 0.3 * units.arcsec, "mag_auto": 22, "zphot": 0.7}
    assert GenerativeCatalog(model=model, catalog=one).orig_index.tolist() == [0]


def test_units_are_converted(model, catalog, galaxies):
    table = Table(catalog)
    table["flux_radius"] = table["flux_radius"] * 0.03
    table["flux_radius"].unit = "arcsec"
    again = GenerativeCatalog(model=model, catalog=table)
    assert again.makeGalaxy(3).conditions["flux_radius"] == pytest.approx(10.0, rel=1e-12)


def test_the_layout_of_cosmos_is_known(model, catalog, galaxies, tmp_path):
    Table({"IDENT": np.arange(7)}).write(tmp_path / "real_galaxy_catalog.fits")
    Table(catalog).write(tmp_path / "real_galaxy_catalog_fits.fits")
    again = GenerativeCatalog("real_galaxy_catalog.fits", dir=str(tmp_path), model=model)
    assert again == galaxies


def test_conditions_are_drawn_from_the_modules_law_by_default(lawful):
    few, many = (GenerativeCatalog(model=lawful, n_objects=n) for n in (5, 8))
    assert few.nobjects == 5
    assert few.makeGalaxy(4) == many.makeGalaxy(4)
    assert few != GenerativeCatalog(model=lawful, n_objects=5, seed=2)
    bright = GenerativeCatalog(n_objects=200, max_mag=23.0)
    assert bright.model == lawful
    magnitudes = [bright.getValue("mag_auto", index) for index in range(bright.nobjects)]
    assert 0 < len(magnitudes) < 200
    assert max(magnitudes) < 23


def test_a_module_without_a_law_wants_a_catalogue(model):
    with pytest.raises(UnsupportedModuleError, match="law of its conditions"):
        GenerativeCatalog(model=model)


def test_values_of_a_row_are_given(model, catalog):
    catalog["name"] = list("abcdefg")
    galaxies = GenerativeCatalog(model=model, catalog=catalog, min_z=1.0)
    row = galaxies.getOrigIndex(0)
    assert galaxies.getValue("zphot", 0) == catalog["zphot"][row]
    assert galaxies.getValue("name", 0) == "abcdefg"[row]
    assert galaxies.getParametricRecord(0)["mag_auto"] == catalog["mag_auto"][row]
    with pytest.raises(CatalogError, match="key must be one of.*Did you mean 'zphot'"):
        galaxies.getValue("zfot", 0)


def test_a_catalogue_survives_a_pickle(galaxies):
    again = pickle.loads(pickle.dumps(galaxies))
    assert again == galaxies
    assert again.makeGalaxy(2) == galaxies.makeGalaxy(2)
    assert "7 galaxies" in repr(again)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"index": 7}, "integer from 0 to 6, got 7"),
        ({"index": -1}, "integer from 0 to 6, got -1"),
        ({"index": True}, "integer from 0 to 6, got True"),
        ({"index": [1, 1.5]}, "integer from 0 to 6, got 1.0"),
        ({"index": 1, "n_random": 2}, "index or n_random"),
        ({"n_random": 2.0}, "n_random must be a whole number above zero, got 2.0"),
        ({"n_random": 0}, "n_random must be a whole number above zero, got 0"),
        ({"gal_type": "sersic"}, "gal_type must be one of 'real', 'parametric'"),
        ({"index": 1, "area": 0.0}, "area must be positive"),
        ({"index": 1, "exptime": np.inf}, "exptime must be positive and finite"),
        ({"index": 1, "chromatic": True}, "F814W only"),
    ],
)
def test_a_galaxy_that_makes_no_sense_is_refused(galaxies, arguments, said):
    with pytest.raises(CatalogError, match=said):
        galaxies.makeGalaxy(**arguments)


def test_an_rng_that_is_not_galsims_is_refused(galaxies):
    with pytest.raises(RandomDeviateError):
        galaxies.makeGalaxy(rng=np.random.default_rng(1))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"catalog": None, "file_name": "no_such.fits"}, "'no_such.fits' cannot be read"),
        ({"file_name": "a.fits"}, "file_name or catalog, not both"),
        ({"catalog": 3}, "must be an astropy Table"),
        (
            {"catalog": None, "file_name": "a.fits", "sample": "25.2"},
            "file_name or sample, not both",
        ),
        ({"dir": "data"}, "dir is the folder of file_name, which is missing"),
        ({"catalog": None, "dir": "data", "sample": "25.2"}, "dir is the folder of file_name"),
        ({"exclusion_level": "some"}, "exclusion_level must be one of"),
        ({"exptime": 0}, "exptime must be positive and finite, got 0"),
        ({"orig_area": -1.0}, "orig_area must be positive"),
        ({"exptime": np.inf}, "exptime must be positive and finite, got inf"),
        ({"area": np.nan}, "area must be positive and finite, got nan"),
        ({"sample": "24"}, "sample must be one of"),
        ({"exptime": "a"}, "exptime must be a number, got 'a'"),
        ({"n_objects": -1}, "n_objects must be a whole number above zero, got -1"),
        ({"n_objects": 2.5}, "n_objects must be a whole number above zero, got 2.5"),
        ({"min_hlr": "big"}, "min_hlr must be a number, got 'big'"),
        ({"min_size": 1}, "'min_size' is no limit"),
        ({"min_flux": 1}, "flux does not follow"),
        ({"catalog": {"flux_radius": [8.0, 9.0], "zphot": [0.5]}}, "columns of one length"),
        ({"max_z": 0.01}, "None of 7 rows is left"),
    ],
)
def test_a_catalogue_that_makes_no_sense_is_refused(model, catalog, options, said):
    with pytest.raises(CatalogError, match=said):
        GenerativeCatalog(model=model, **{"catalog": catalog, **options})


def test_a_column_of_vectors_is_no_condition(model, catalog):
    catalog["zphot"] = np.ones((7, 2))
    with pytest.raises(ConditionError, match="'zphot' has the wrong length"):
        GenerativeCatalog(model=model, catalog=catalog)


def test_a_catalogue_without_a_condition_says_which(model, catalog):
    del catalog["zphot"]
    with pytest.raises(ConditionError, match="'zphot' is missing"):
        GenerativeCatalog(model=model, catalog=catalog)
