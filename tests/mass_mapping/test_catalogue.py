"""Shear catalogues of any format read the same, and bad rows are named."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.io import fits
from astropy.table import MaskedColumn, Table

from galsim_hub.errors import MassMapError, TableError
from galsim_hub.mass_mapping import (
    Field,
    ShearCatalogue,
    ShearMap,
    make_shear_map,
    read_catalogue,
    read_spectrum,
)

ROWS = {
    "ra": [359.9, 0.1, 0.2],
    "dec": [-1.0, -1.1, -0.9],
    "e1": [0.1, -0.2, 0.3],
    "e2": [0.0, 0.4, -0.1],
    "weight": [1.0, 0.5, 2.0],
}


def catalogue_of(**changes) -> ShearCatalogue:
    return ShearCatalogue(**{**ROWS, **changes})


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz", "a.ecsv", "a.parquet"])
def test_every_format_reads_the_same(name, tmp_path):
    Table(ROWS).write(tmp_path / name)
    catalogue = read_catalogue(tmp_path / name)
    for column, values in ROWS.items():
        np.testing.assert_array_equal(getattr(catalogue, column), values)


def test_columns_of_other_names_and_units_are_read(tmp_path):
    table = Table({"RA": np.radians(ROWS["ra"]), "dec": ROWS["dec"], "g1": ROWS["e1"]})
    table["RA"].unit, table["e2"] = units.rad, ROWS["e2"]
    table.write(tmp_path / "a.fits")
    names = {"ra": "RA", "e1": "g1", "weight": None}
    catalogue = read_catalogue(tmp_path / "a.fits", names)
    np.testing.assert_allclose(catalogue.ra, ROWS["ra"])
    np.testing.assert_array_equal(catalogue.weight, 1.0)


def test_missing_column_is_named_with_the_nearest_one(tmp_path):
    table = Table(ROWS)
    table.rename_column("weight", "weigth")
    table.write(tmp_path / "a.ecsv")
    with pytest.raises(TableError, match="no column 'weight'.*weigth.*--columns"):
        read_catalogue(tmp_path / "a.ecsv")


def test_column_in_capitals_is_meant_and_weights_can_be_done_without(tmp_path):
    table = Table(ROWS)
    table.rename_column("ra", "RA")
    table.write(tmp_path / "a.fits")
    with pytest.raises(TableError, match="no column 'ra'.*Did you mean 'RA'.*--columns"):
        read_catalogue(tmp_path / "a.fits")
    del table["weight"]
    table.rename_column("RA", "ra")
    table.write(tmp_path / "b.fits")
    with pytest.raises(TableError, match="no column 'weight'.*--unweighted"):
        read_catalogue(tmp_path / "b.fits")


def test_files_that_are_no_catalogue_are_refused(tmp_path):
    with pytest.raises(TableError, match="No catalogue at"):
        read_catalogue(tmp_path / "none.fits")
    for name in ("a.fits", "a.parquet", "a.ecsv"):
        (tmp_path / name).write_text("nonsense")
        with pytest.raises(TableError, match="cannot be read"):
            read_catalogue(tmp_path / name)
    Table(ROWS)[:0].write(tmp_path / "empty.ecsv")
    with pytest.raises(TableError, match="no rows"):
        read_catalogue(tmp_path / "empty.ecsv")


def test_galaxies_of_weight_zero_are_left_out_whatever_they_hold():
    catalogue = catalogue_of(weight=[1.0, 0.0, 1.0], e1=[0.1, np.nan, 0.2])
    np.testing.assert_array_equal(catalogue.e1, [0.1, 0.2])


@pytest.mark.parametrize("column", ["ra", "dec", "e1", "e2"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_value_that_is_no_number_is_refused_with_its_row(column, value):
    values = list(ROWS[column])
    values[1] = value
    with pytest.raises(
        MassMapError, match=f"{column} is not a number in 1 of 3 rows, first in row 1"
    ):
        catalogue_of(**{column: values})


def test_masked_value_is_no_number():
    with pytest.raises(MassMapError, match="e2 is not a number in 1 of 3 rows, first in row 2"):
        catalogue_of(e2=MaskedColumn([0.1, 0.2, 0.3], mask=[False, False, True]))


@pytest.mark.parametrize("name", ["a.fits", "a.ecsv"])
@pytest.mark.parametrize("unit", [None, "deg", "rad"])
@pytest.mark.parametrize("column", ["ra", "dec"])
def test_masked_place_is_no_number_whatever_its_unit(name, unit, column, tmp_path):
    table = Table(ROWS)
    table[column] = MaskedColumn(ROWS[column], mask=[False, True, False], unit=unit)
    table.write(tmp_path / name)
    with pytest.raises(MassMapError, match=f"{column} is not a number in 1 of 3 rows.*in row 1"):
        read_catalogue(tmp_path / name)


@pytest.mark.parametrize(
    ("unit", "scale"), [("degrees", 1.0), ("Degree", 1.0), ("arcminutes", 60.0), ("DEG", 1.0)]
)
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_unit_spelt_in_another_way_is_known(unit, scale, tmp_path):
    write_unit(tmp_path / "a.fits", unit, scale * np.array(ROWS["ra"]))
    np.testing.assert_allclose(read_catalogue(tmp_path / "a.fits").ra, ROWS["ra"])


@pytest.mark.parametrize("unit", ["hours", "furlongs", "m"])
@pytest.mark.filterwarnings("ignore::astropy.units.UnitsWarning")
def test_unit_that_is_no_angle_is_refused(unit, tmp_path):
    write_unit(tmp_path / "a.fits", unit, ROWS["ra"])
    with pytest.raises(TableError, match="no angle. Write its unit as deg"):
        read_catalogue(tmp_path / "a.fits")


def write_unit(path, unit, values) -> None:
    """Write a unit as it is spelt, which astropy would not."""
    columns = [fits.Column(name, "D", array=ROWS[name]) for name in ROWS if name != "ra"]
    columns.append(fits.Column("ra", "D", unit=unit, array=values))
    fits.BinTableHDU.from_columns(columns).writeto(path)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf])
def test_impossible_weight_is_refused_with_its_row(weight):
    with pytest.raises(MassMapError, match="The weight of row 1 is"):
        catalogue_of(weight=[1.0, weight, 1.0])


def test_all_weights_zero_are_refused():
    with pytest.raises(MassMapError, match="All 3 weights are zero"):
        catalogue_of(weight=[0.0, 0.0, 0.0])


def test_declination_beyond_the_pole_is_refused():
    with pytest.raises(MassMapError, match="declination of 91"):
        catalogue_of(dec=[0.0, 91.0, 0.0])


def test_what_is_no_number_is_refused():
    with pytest.raises(MassMapError, match="e1 holds what is no number"):
        catalogue_of(e1=["a", "b", "c"])


def test_marks_of_what_was_not_measured_are_refused_unless_their_weight_is_zero():
    with pytest.raises(MassMapError, match="e1 is -99 in row 1 .* weight 0"):
        catalogue_of(e1=[0.1, -99.0, 0.3])
    assert len(catalogue_of(e1=[0.1, -99.0, 0.3], weight=[1.0, 0.0, 1.0])) == 2


@pytest.mark.parametrize("name", ["a.dat", "."])
def test_what_is_no_table_of_a_spectrum_is_refused(tmp_path, name):
    (tmp_path / "a.dat").write_text("what?")
    with pytest.raises(MassMapError, match="is no power spectrum"):
        read_spectrum(tmp_path / name)


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(MassMapError, match="other lengths"):
        catalogue_of(e1=[0.1])


def test_field_without_galaxies_is_refused():
    with pytest.raises(MassMapError, match="masked everywhere"):
        make_shear_map(catalogue_of(), Field(90.0, 0.0, (10, 10)))


@pytest.mark.parametrize("power", [-2.0, 0.0, 1.0])
def test_noise_is_that_of_the_galaxies_whatever_their_weights_are(power):
    rng = np.random.default_rng(5)
    n = 20_000
    scatter = np.where(rng.random(n) < 0.5, 0.2, 0.8)
    ra, dec = rng.uniform(-0.5, 0.5, (2, n))
    e1, e2 = scatter * rng.standard_normal((2, n))
    catalogue = ShearCatalogue(ra, dec, e1, e2, scatter**power)
    found = make_shear_map(catalogue, Field(0.0, 0.0, (80, 80), 1.0))
    square = np.mean((found.shear / found.noise_std)[:, found.is_seen] ** 2)
    assert square == pytest.approx(1.0, abs=0.05)
    if power == -2.0:  # inverse variances: nothing is lost
        single = found.noise_std[found.n_galaxies == 1]
        assert sorted({*single.round(1)}) == [0.2, 0.8]


def test_galaxies_without_scatter_need_a_shape_noise():
    catalogue = catalogue_of(e1=[0.0] * 3, e2=[0.0] * 3)
    field = Field(0.0, -1.0, (40, 40), 1.0)
    with pytest.raises(MassMapError, match="--shape-noise"):
        make_shear_map(catalogue, field)
    assert make_shear_map(catalogue, field, shape_noise=0.3).noise_std.min() == pytest.approx(0.3)
    with pytest.raises(MassMapError, match="scatter by -0.3"):
        make_shear_map(catalogue, field, shape_noise=-0.3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shear": np.zeros((2, 3, 4))}, r"got \(2, 3, 4\), \(3, 3\) and \(3, 3\)"),
        ({"shear": np.full((2, 3, 3), np.nan)}, "9 pixels with galaxies"),
        ({"noise_std": np.zeros((3, 3))}, "noise that is not positive"),
        ({"n_galaxies": np.zeros((3, 3), int)}, "masked everywhere"),
    ],
)
def test_impossible_map_of_shear_is_refused(changes, message):
    parts = {"shear": np.zeros((2, 3, 3)), "noise_std": np.ones((3, 3))}
    parts |= {"n_galaxies": np.ones((3, 3), int)}
    with pytest.raises(MassMapError, match=message):
        ShearMap(Field(0.0, 0.0, (3, 3), 1.0), **{**parts, **changes})


def test_pixel_holds_the_weighted_mean_and_its_noise():
    catalogue = ShearCatalogue([0, 0, 0], [0, 0, 0], [0.1, 0.4, 0.1], [0.2, -0.2, 0], [1, 3, 0])
    shear_map = make_shear_map(catalogue, Field(0.0, 0.0, (3, 3), 1.0), shape_noise=0.3)
    assert shear_map.n_galaxies.sum() == shear_map.n_galaxies[1, 1] == 2
    np.testing.assert_allclose(shear_map.shear[:, 1, 1], [0.325, -0.1])
    assert shear_map.noise_std[1, 1] == pytest.approx(0.3 * np.sqrt(10) / 4)
    assert np.isinf(shear_map.noise_std[0, 0])
    assert shear_map.precision[0, 0] == 0.0
