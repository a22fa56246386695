"""Catalogues of every sort become the same array; bad ones say where and why."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Column, MaskedColumn, QTable, Table

from galsim_hub.conditions import check_policy, limit_to_range, read_conditions
from galsim_hub.errors import ConditionError, ExtrapolationWarning


@pytest.fixture
def spec(model):
    """Give the card of the analytic module."""
    return model.spec


@pytest.fixture
def expected(catalog):
    """Give the catalogue as an array."""
    return np.stack(list(catalog.values()), axis=1)


@pytest.mark.parametrize(
    "convert",
    [dict, Table, QTable, lambda columns: Table(columns).as_array()],
    ids=["dict", "Table", "QTable", "structured array"],
)
def test_every_sort_of_catalogue_gives_the_same_conditions(spec, catalog, expected, convert):
    np.testing.assert_array_equal(read_conditions(convert(catalog), spec), expected)


def test_other_columns_and_their_order_do_not_matter(spec, catalog, expected):
    shuffled = {"ra": np.zeros(7), **dict(reversed(catalog.items()))}
    np.testing.assert_array_equal(read_conditions(shuffled, spec), expected)


def test_a_scalar_counts_for_every_row(spec, catalog):
    conditions = read_conditions({**catalog, "zphot": 1}, spec)
    assert (conditions[:, 2] == 1).all()


def test_scalars_alone_are_one_row(spec, conditions):
    np.testing.assert_array_equal(read_conditions(conditions, spec), [[8.0, 23.5, 0.7]])


@pytest.mark.parametrize(
    "empty", [{}, [], Table(), Table(names=["flux_radius", "mag_auto", "zphot"])]
)
def test_an_empty_catalogue_has_no_rows(spec, empty):
    assert read_conditions(empty, spec).shape == (0, 3)


@pytest.mark.parametrize(
    ("name", "value", "expected_value"),
    [
        ("flux_radius", 0.24 * u.arcsec, 8.0),
        ("flux_radius", 8.0 * u.pixel, 8.0),
        ("flux_radius", Column([0.24], unit="arcsec"), 8.0),
        ("mag_auto", 23.5 * u.mag, 23.5),
        ("mag_auto", 23.5 * u.ABmag, 23.5),
        ("zphot", 70 * u.percent, 0.7),
    ],
)
def test_units_are_converted(spec, conditions, name, value, expected_value):
    row = read_conditions({**conditions, name: value}, spec)[0]
    np.testing.assert_allclose(row[spec.quantities.index(name)], expected_value, rtol=1e-12)


@pytest.mark.parametrize(("name", "unit"), [("flux_radius", u.s), ("mag_auto", u.m)])
def test_a_unit_that_cannot_be_converted_is_refused(spec, conditions, name, unit):
    with pytest.raises(ConditionError, match="cannot be converted") as caught:
        read_conditions({**conditions, name: 8.0 * unit}, spec)
    assert caught.value.quantity == name


def test_a_missing_condition_is_named_with_its_range(spec, catalog):
    catalog["magauto"] = catalog.pop("mag_auto")
    with pytest.raises(ConditionError, match="Did you mean 'magauto'.*18 to 25.2 mag") as caught:
        read_conditions(catalog, spec)
    assert caught.value.quantity == "mag_auto"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_condition_that_is_not_finite_is_refused_with_its_row(spec, catalog, bad):
    catalog["zphot"][4] = bad
    with pytest.raises(ConditionError, match="not a finite number in 1 of 7 rows") as caught:
        read_conditions(catalog, spec)
    assert (caught.value.quantity, caught.value.row) == ("zphot", 4)


@pytest.mark.parametrize(
    ("name", "unit"), [("zphot", None), ("mag_auto", "mag"), ("flux_radius", "arcsec")]
)
@pytest.mark.parametrize("kind", [Table, QTable])
def test_a_masked_condition_is_refused(spec, catalog, name, unit, kind):
    table = kind(catalog)
    table[name] = MaskedColumn(catalog[name], mask=np.arange(7) == 2, unit=unit)
    with pytest.raises(ConditionError, match="Remove or mend") as caught:
        read_conditions(kind(table), spec)
    assert (caught.value.quantity, caught.value.row) == (name, 2)


@pytest.mark.parametrize("name", ["flux_radius", "mag_auto", "zphot"])
def test_a_negative_condition_is_refused(spec, catalog, name):
    catalog[name][3] = -99.0
    with pytest.raises(ConditionError, match="is negative.*got -99.0 in row 3") as caught:
        read_conditions(catalog, spec)
    assert (caught.value.quantity, caught.value.value, caught.value.row) == (name, -99.0, 3)


@pytest.mark.parametrize("bad", ["8.0", True, None, 8 + 0j, ["8", "9"]])
def test_a_condition_that_is_no_number_is_refused(spec, conditions, bad):
    with pytest.raises(ConditionError, match="must be a number.*Convert the column"):
        read_conditions({**conditions, "flux_radius": bad}, spec)


@pytest.mark.parametrize("bad", [np.ones(6), np.ones(0), np.ones((7, 1))])
def test_a_column_of_wrong_length_is_refused(spec, catalog, bad):
    with pytest.raises(ConditionError, match="wrong length: got shape.*expected 7 values"):
        read_conditions({**catalog, "zphot": bad}, spec)


@pytest.mark.parametrize("bad", ["cosmos.fits", 3, [8.0, 23.5, 0.7], np.ones((7, 3))])
def test_what_is_no_catalogue_is_refused(spec, bad):
    with pytest.raises(ConditionError, match="astropy Table, a structured array or a dict"):
        read_conditions(bad, spec)


def test_conditions_inside_the_range_pass_silently(spec, expected):
    for policy in ("warn", "error", "clip", "ignore"):
        np.testing.assert_array_equal(limit_to_range(expected, spec, policy), expected)


def test_extrapolation_warns_with_value_range_and_unit(spec):
    outside = np.array([[8.0, 23.5, 0.7], [40.0, 23.5, 0.7]])
    with pytest.warns(ExtrapolationWarning, match=r"= 40 pixel \(row 1.*2.9 to 35 pixel"):
        assert limit_to_range(outside, spec, "warn") is outside


@pytest.mark.parametrize("row", [[44.0, 23.5, 0.7], [8.0, 99.0, 0.7], [8.0, -99.0, 0.7]])
def test_conditions_far_outside_are_refused_but_not_if_they_are_ignored(spec, row):
    conditions = np.array([[8.0, 23.5, 0.7], row])
    with pytest.raises(ConditionError, match=r"far outside .* in row 1, .*on_extrapolate='clip'"):
        limit_to_range(conditions, spec, "warn")
    assert limit_to_range(conditions, spec, "ignore") is conditions


def test_zero_is_refused_where_the_range_is_above_it(spec):
    with pytest.raises(ConditionError, match="'flux_radius' is zero in 1 of 2 rows"):
        read_conditions({"flux_radius": [8.0, 0.0], "mag_auto": 23.5, "zphot": 0.7}, spec)


def test_extrapolation_can_be_an_error(spec):
    with pytest.raises(ConditionError, match="on_extrapolate='clip'") as caught:
        limit_to_range(np.array([[8.0, 29.0, 0.7]]), spec, "error")
    assert (caught.value.quantity, caught.value.value) == ("mag_auto", 29.0)


def test_extrapolation_can_be_clipped(spec):
    clipped = limit_to_range(np.array([[1.0, 29.0, 9.0]]), spec, "clip")
    np.testing.assert_array_equal(clipped, [[2.9, 25.2, 4.5]])


def test_extrapolation_can_be_ignored(spec):
    outside = np.array([[1.0, 29.0, 9.0]])
    assert limit_to_range(outside, spec, "ignore") is outside


def test_an_unknown_policy_lists_the_known_ones():
    with pytest.raises(ConditionError, match="Did you mean 'warn'"):
        check_policy("warning")
