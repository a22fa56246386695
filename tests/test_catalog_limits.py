"""Limits of a catalogue are on conditions, or on the fits of a table that has them."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units

import galsim_hub
from galsim_hub import GenerativeCatalog
from galsim_hub.errors import CatalogError


@pytest.fixture
def counted(copy_module, module_folder):
    """Give a model whose card says what its fluxes are."""
    flux = {"unit": "count", "band": "F814W", "zeropoint": 25.94, "exptime": 1.0}
    return galsim_hub.GenerativeGalaxyModel(copy_module(module_folder, flux=flux))


@pytest.mark.parametrize(
    ("limits", "left"),
    [
        ({"min_hlr": 0.2, "max_hlr": 0.4}, [2, 3, 4]),  # 0.12, 0.18, 0.24 ... 0.48 arcsec
        ({"max_hlr": 0, "max_flux": 0}, [0, 1, 2, 3, 4, 5, 6]),
        ({"min_mag": 22.0, "max_mag": 24.0}, [2, 3, 4]),  # 21, 21.67 ... 25
        ({"min_flux": 10 ** (-0.4 * (22.0 - 25.94))}, [0, 1]),
        ({"max_flux": 10 ** (-0.4 * (24.0 - 25.94))}, [5, 6]),
        ({"sample": "23.5"}, [0, 1, 2, 3]),
        ({"sample": "25.2"}, [0, 1, 2, 3, 4, 5, 6]),
        ({"min_z": 0.4, "max_z": 1.5, "max_hlr": 0.35}, [1, 2, 3]),  # 0.1, 0.42 ... 2
    ],
)
def test_limits_leave_rows_out(counted, catalog, limits, left):
    galaxies = GenerativeCatalog(model=counted, catalog=catalog, **limits)
    assert [galaxies.getOrigIndex(index) for index in range(len(galaxies))] == left
    assert galaxies.nobjects == galaxies.getNObjects() == len(left)
    assert galaxies.getNTot() == 7
    assert galaxies.makeGalaxy(0).index == left[0]


def test_limits_are_on_the_fits_of_a_table_that_has_them(model, catalog):
    hlr = np.stack([np.linspace(0.1, 0.7, 7), np.zeros(7)], axis=1)
    galaxies = GenerativeCatalog(model=model, catalog={**catalog, "hlr": hlr}, min_hlr=0.35)
    assert galaxies.orig_index.tolist() == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("column", "limits", "left"),
    [
        (np.linspace(100, 700, 7) * units.mas, {"min_hlr": 0.35}, [3, 4, 5, 6]),
        (np.linspace(4, 28, 7) * units.pixel, {"max_hlr": 0.35}, [0, 1]),
        (np.linspace(0.1, 0.7, 7) * units.arcsec, {"max_hlr": 0.35}, [0, 1, 2]),
        (
            np.ma.masked_array(np.linspace(0.1, 0.7, 7), [0, 0, 0, 1, 0, 0, 0]),
            {"min_hlr": 0.35},
            [4, 5, 6],
        ),
        (
            np.ma.masked_array(np.linspace(0.1, 0.7, 7), [0, 1, 0, 0, 0, 0, 0]),
            {"max_hlr": 0.35},
            [0, 2],
        ),
    ],
)
def test_a_column_of_sizes_has_a_unit_and_may_miss_values(model, catalog, column, limits, left):
    galaxies = GenerativeCatalog(model=model, catalog={**catalog, "hlr": column}, **limits)
    assert galaxies.orig_index.tolist() == left


def test_a_column_of_fluxes_is_in_the_cards_unit(counted, catalog):
    for unit, least in ((units.count, 3.5), (units.kilocount, 3500)):
        table = {**catalog, "flux": np.arange(7.0) * unit}
        galaxies = GenerativeCatalog(model=counted, catalog=table, min_flux=least)
        assert galaxies.orig_index.tolist() == [4, 5, 6]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (
            np.array(list("abcdefg")),
            "min_hlr cannot be applied: column 'hlr' holds <U1, no numbers",
        ),
        (np.ones(7) * units.s, "'hlr' cannot be converted from s to arcsec.*Give it in arcsec"),
    ],
)
def test_a_column_that_no_limit_can_be_on_is_refused(model, catalog, column, said):
    catalog["hlr"] = column
    assert len(GenerativeCatalog(model=model, catalog=catalog)) == 7
    with pytest.raises(CatalogError, match=said):
        GenerativeCatalog(model=model, catalog=catalog, min_hlr=0.1)
