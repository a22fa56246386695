"""Which rows of a catalogue to draw galaxies from: usable, and within limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arguments import check_choice, check_number
from .chromatic import REDSHIFTS
from .conditions import FAR, is_outside, read_conditions
from .errors import CatalogError, SeedError, suggest
from .latents import seed_from_id
from .spec import InputSpec, ModuleSpec

__all__ = [
    "EXCLUSION_LEVELS",
    "LIMITS",
    "select_rows",
    "settle_limits",
    "usable_rows",
    "within_limits",
]

# As COSMOSCatalog's: here only 'none' and 'marginal' differ from each other and the rest.
EXCLUSION_LEVELS = ("none", "bad_stamp", "bad_fits", "marginal")
_FAINTEST = {"23.5": 23.5, "25.2": None}  # magnitude, of COSMOS's two samples
_OF_FITS = ("hlr", "flux")  # columns of a catalogue that limits are on
_NO_LIMIT_AT_ZERO = ("max_hlr", "max_flux")  # as in COSMOSCatalog
LIMITS = tuple(f"{end}_{what}" for what in ("hlr", "flux", "mag", "z") for end in ("min", "max"))


def settle_limits(
    sample: str | None, limits: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Merge a sample of COSMOS into limits.

    Parameters
    ----------
    sample : {'25.2', '23.5'} or None
    limits : mapping of str to float or None

    Returns
    -------
    dict of str to float or None

    Raises
    ------
    CatalogError
        If there is no such sample.
    """
    merged = {
        name: None if name in _NO_LIMIT_AT_ZERO and limit == 0 else limit
        for name, limit in limits.items()
    }
    if sample is not None:
        check_choice("sample", sample, tuple(_FAINTEST))
        merged.setdefault("max_mag", _FAINTEST[sample])
    return merged


def select_rows(
    table: Any,
    spec: ModuleSpec,
    level: str,
    limits: Mapping[str, float | None],
    *,
    is_far_refused: bool,
) -> NDArray[np.intp]:
    """Choose the rows that a catalogue's galaxies are made of.

    Parameters
    ----------
    table : astropy.table.Table
    spec : ModuleSpec
    level : str
        One of `EXCLUSION_LEVELS`.
    limits : mapping of str to float or None
        Some of `LIMITS`.
    is_far_refused : bool
        Whether the model refuses conditions far outside its trained range.

    Returns
    -------
    ndarray of int, shape (n,)

    Raises
    ------
    CatalogError
        If a limit cannot be applied, or no row is left.
    ConditionError
        If a condition is missing or unusable.
    SeedError
        If the column ``obj_id`` names no galaxy in a row that is left.
    """
    rows = np.flatnonzero(usable_rows(table, spec, level))
    conditions = read_conditions(table[rows], spec)
    kept = within_limits(conditions, spec, limits, table[rows])
    if level == "marginal":
        kept &= ~is_outside(conditions, spec).any(axis=1)
    elif level != "none" and is_far_refused:
        kept &= ~is_outside(conditions, spec, FAR).any(axis=1)
    rows = rows[kept]
    if not len(rows):
        raise CatalogError(
            f"None of {len(table)} rows is left after limits and exclusion_level={level!r}. Widen "
            "the limits, or give another catalogue.",
            "exclusion_level",
            level,
        )
    if "obj_id" in table.colnames:
        _check_ids(table["obj_id"], rows)
    return rows


def usable_rows(table: Any, spec: ModuleSpec, level: str) -> NDArray[np.bool_]:
    """Tell which rows hold numbers a module can take, and an id, unless none is to be left out.

    Parameters
    ----------
    table : astropy.table.Table
    spec : ModuleSpec
    level : str
        One of `EXCLUSION_LEVELS`.

    Returns
    -------
    ndarray of bool
    """
    usable = np.ones(len(table), dtype=bool)
    if level == "none":
        return usable
    for condition in spec.inputs:
        # A column that is missing, no number or no vector is for read_conditions to report.
        column = table[condition.name] if condition.name in table.colnames else np.zeros(())
        if np.ndim(column) == 1 and np.asarray(column).dtype.kind in "iuf":
            values = np.ma.filled(np.ma.asarray(column).astype(float), np.nan)
            usable &= np.isfinite(values) & ((values >= 0) | (condition.minimum < 0))
            usable &= (values != 0) | (condition.minimum <= 0)
    if "obj_id" in table.colnames:
        has_id = _is_id(table["obj_id"])
        usable &= has_id | ~has_id.any()  # a column of none is for select_rows to report
    return usable


def _is_id(column: Any) -> NDArray[np.bool_]:
    """Tell which values name a galaxy."""
    ids = np.ma.asarray(column)
    usable = np.full(len(ids), ids.ndim == 1)
    if ids.dtype.kind == "f":
        usable &= np.isfinite(np.ma.filled(ids, np.nan)).reshape(len(ids), -1).all(axis=1)
    elif ids.dtype.kind not in "iubSU":
        usable &= [_has_seed(each) for each in ids.tolist()]
    return usable & ~np.ma.getmaskarray(ids).reshape(len(ids), -1).any(axis=1)


def _has_seed(obj_id: Any) -> bool:
    try:
        seed_from_id(obj_id)
    except SeedError:
        return False
    return True


def _check_ids(column: Any, rows: NDArray[np.intp]) -> None:
    bad = rows[~_is_id(column[rows])]
    if len(bad):
        obj_id = column[int(bad[0])]
        raise SeedError(
            f"The obj_id of row {bad[0]}, {obj_id!r}, names no galaxy, as do those of {len(bad)} "
            f"of {len(rows)} rows. Give each a finite number or a text, remove the row, or leave "
            "such rows out by exclusion_level='bad_stamp'.",
            obj_id,
        )


def within_limits(
    conditions: NDArray[np.float64],
    spec: ModuleSpec,
    limits: Mapping[str, float | None],
    table: Any,
) -> NDArray[np.bool_]:
    """Tell which rows lie within limits of size, flux, magnitude and redshift.

    Parameters
    ----------
    conditions : ndarray, shape (n, number of inputs)
    spec : ModuleSpec
    limits : mapping of str to float or None
        Some of `LIMITS`, exclusive; None is no limit.
    table : astropy.table.Table
        The rows of the conditions. Size and flux are those of its columns ``hlr`` [arcsec] and
        ``flux`` [the card's unit], as for COSMOSCatalog, if it has them (the first of several
        fits). Their units are converted; a row without a value is within no limit.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    CatalogError
        If a limit is unknown or no number, on what is none of the module's conditions, or on a
        column that holds no numbers or those of another unit.
    """
    within = np.ones(len(conditions), dtype=bool)
    for name, limit in limits.items():
        if name not in LIMITS:
            raise CatalogError(
                f"{name!r} is no limit: known are {', '.join(LIMITS)}.{suggest(name, LIMITS)}",
                name,
                limit,
            )
        if limit is not None:
            check_number(**{name: limit})
            what = name[len("min_") :]
            if what in _OF_FITS and what in table.colnames:
                values = _first_fit(name, table[what], spec)
            else:
                values = _limited(name, conditions, spec)
            within &= values > limit if name.startswith("min_") else values < limit
    return within


def _first_fit(limit: str, column: Any, spec: ModuleSpec) -> NDArray[np.float64]:
    """Give what the first of several fits says [arcsec, or the card's unit of flux]."""
    values = np.ma.asarray(column)
    if values.dtype.kind not in "iuf":
        raise CatalogError(
            f"{limit} cannot be applied: column {column.name!r} holds {values.dtype}, no numbers. "
            "Convert it to float, or rename it to limit the conditions.",
            limit,
        )
    first: Any = (slice(None), *[0] * (values.ndim - 1))
    numbers = np.ma.filled(values.astype(np.float64), np.nan)[first]
    return numbers if column.unit is None else _convert_unit(limit, numbers, column, spec)


def _convert_unit(
    limit: str, values: NDArray[np.float64], column: Any, spec: ModuleSpec
) -> NDArray[np.float64]:
    from astropy import units  # here: few have units in hand

    unit = "arcsec" if column.name == "hlr" else spec.flux.get("unit", "count")
    pixel = units.pixel_scale((spec.pixel_size or 1.0) * units.arcsec / units.pixel)
    try:
        converted: NDArray[np.float64] = column.unit.to(units.Unit(unit), values, pixel)
    except (ValueError, TypeError) as error:
        raise CatalogError(
            f"{limit} cannot be applied: column {column.name!r} cannot be converted from "
            f"{column.unit} to {unit}: {error}. Give it in {unit}.",
            limit,
            str(column.unit),
        ) from error
    return converted


def _limited(name: str, conditions: NDArray[np.float64], spec: ModuleSpec) -> NDArray[np.float64]:
    """Give the values that a limit is on, in its units."""
    what = name.removeprefix("min_").removeprefix("max_")
    zeropoint = spec.flux.get("zeropoint")
    about = [_is_about("mag" if what == "flux" else what, each) for each in spec.inputs]
    if not any(about) or (what == "flux" and zeropoint is None):
        raise CatalogError(
            f"{name} cannot be applied: module {spec.label} has the conditions "
            f"{', '.join(spec.quantities)}, and {what} does not follow from them and its card. "
            "Select from your catalogue before you give it.",
            name,
        )
    index = about.index(True)
    values: NDArray[np.float64] = conditions[:, index]
    if what == "hlr" and spec.inputs[index].unit == "pixel":
        values = values * (spec.pixel_size or 1.0)
    if what == "flux":
        values = 10.0 ** (-0.4 * (values - float(zeropoint or 0.0)))
    return values


def _is_about(what: str, condition: InputSpec) -> bool:
    if what == "hlr":
        return condition.unit in ("pixel", "arcsec")
    if what == "mag":
        return condition.unit == "mag" and "mag" in condition.name
    return condition.name in REDSHIFTS
