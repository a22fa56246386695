"""Which rows of a catalogue to draw galaxies from: read, usable, and within limits."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

from .chromatic import REDSHIFTS
from .errors import CatalogError, suggest
from .spec import InputSpec, ModuleSpec

__all__ = [
    "EXCLUSION_LEVELS",
    "LIMITS",
    "as_table",
    "as_weights",
    "check_choice",
    "check_index",
    "check_number",
    "check_positive",
    "check_whole",
    "read_table",
    "settle_limits",
    "usable_rows",
    "within_limits",
]

# As COSMOSCatalog's: here only 'none' and 'marginal' differ from each other and the rest.
EXCLUSION_LEVELS = ("none", "bad_stamp", "bad_fits", "marginal")
_FAINTEST = {"23.5": 23.5, "25.2": None}  # magnitude, of COSMOS's two samples
_NO_LIMIT_AT_ZERO = ("max_hlr", "max_flux")  # as in COSMOSCatalog
LIMITS = tuple(f"{end}_{what}" for what in ("hlr", "flux", "mag", "z") for end in ("min", "max"))


def as_table(catalog: Any) -> Any:
    """Turn a structured array or a dict of columns into a table.

    Parameters
    ----------
    catalog : astropy Table, structured array or mapping of columns

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    CatalogError
        If it is none of these.
    """
    from astropy.table import Table  # here: half a second that others need not wait

    try:
        return Table(catalog, copy=False)
    except (TypeError, ValueError) as error:
        raise CatalogError(
            "catalog must be an astropy Table, a structured array or a dict of columns, got "
            f"{type(catalog).__name__}: {error}.",
            "catalog",
        ) from error


def as_weights(column: Any) -> NDArray[np.float64]:
    """Turn a column of weights into probabilities against the largest.

    Parameters
    ----------
    column : array_like, shape (n,)

    Returns
    -------
    ndarray of float64, shape (n,)

    Raises
    ------
    CatalogError
        If one is no finite number or negative, or all are zero.
    """
    column = np.asarray(np.ma.filled(np.ma.asarray(column), 0))
    is_number = column.dtype.kind in "iufb"
    weights = column.astype(np.float64) if is_number else np.full(len(column), np.nan)
    bad = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(bad) or not weights.any():
        got = f"got {column[bad[0]]!r}" if len(bad) else "all are 0"
        raise CatalogError(
            f"Weights must be finite, not negative and not all 0: {got}. Mend the column 'weight', "
            "or rename it to choose without weights.",
            "weight",
            column[bad[0]] if len(bad) else 0.0,
        )
    chances: NDArray[np.float64] = weights / weights.max()
    return chances


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


def check_choice(option: str, value: Any, known: Sequence[Any]) -> None:
    """Refuse a value that is not among those known.

    Parameters
    ----------
    option : str
    value : object
    known : sequence

    Raises
    ------
    CatalogError
        If it is not.
    """
    if value not in known:
        names = [name for name in known if name is not None]
        raise CatalogError(
            f"{option} must be one of {', '.join(map(repr, names))}, got {value!r}."
            f"{suggest(str(value), names)}",
            option,
            value,
        )


def check_index(index: Any, n: int) -> int:
    """Return an index of one of n rows as a Python int.

    Parameters
    ----------
    index : int
    n : int

    Returns
    -------
    int

    Raises
    ------
    CatalogError
        If it is none.
    """
    is_whole = isinstance(index, int | np.integer) and not isinstance(index, bool)
    if not is_whole or not 0 <= index < n:
        raise CatalogError(
            f"An index must be an integer from 0 to {n - 1}, got {index!r}.", "index", index
        )
    return int(index)


def check_number(**options: float | None) -> None:
    """Refuse what is no number.

    Parameters
    ----------
    **options : float or None
        By name; None is left alone.

    Raises
    ------
    CatalogError
        If one is not.
    """
    for name, value in options.items():
        if value is not None and not isinstance(value, int | float | np.number):
            raise CatalogError(f"{name} must be a number, got {value!r}.", name, value)


def check_positive(**options: float | None) -> None:
    """Refuse a number that is not positive.

    Parameters
    ----------
    **options : float or None
        By name; None is left alone.

    Raises
    ------
    CatalogError
        If one is not.
    """
    check_number(**options)
    for name, value in options.items():
        if value is not None and not value > 0:
            raise CatalogError(f"{name} must be positive, got {value!r}.", name, value)


def check_whole(**options: object) -> None:
    """Refuse what is no whole number above zero.

    Parameters
    ----------
    **options : object
        By name.

    Raises
    ------
    CatalogError
        If one is not.
    """
    for name, value in options.items():
        if not isinstance(value, int | np.integer) or value < 1:
            message = f"{name} must be a whole number above zero, got {value!r}."
            raise CatalogError(message, name, value)


def read_table(file_name: str | os.PathLike[str], folder: str | None, spec: ModuleSpec) -> Any:
    """Read the FITS table that holds a module's conditions.

    Parameters
    ----------
    file_name : str or path
        Where its columns are missing, those of ``NAME_fits.fits`` beside it are taken: the
        layout of the COSMOS catalogues.
    folder : str or None
        The folder; by default the current one, then GalSim's own.
    spec : ModuleSpec

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    CatalogError
        If there is no such file or it is no FITS table.
    """
    from astropy.table import Table  # here: half a second that others need not wait

    path = Path(folder or "", file_name)
    if folder is None and not path.exists():
        path = Path(galsim.meta_data.share_dir, file_name)
    try:
        table = Table.read(path, format="fits", hdu=1)
        parametric = path.with_name(f"{path.stem}_fits.fits")
        if not set(spec.quantities) <= set(table.colnames) and parametric.exists():
            table = Table.read(parametric, format="fits", hdu=1)
    except (OSError, ValueError, IndexError) as error:
        raise CatalogError(
            f"Catalogue {os.fspath(file_name)!r} cannot be read as a FITS table: {error}. Give its "
            "path, with dir= its folder, or leave it out to draw from the module's own law.",
            "file_name",
            os.fspath(file_name),
        ) from error
    return table


def usable_rows(table: Any, spec: ModuleSpec, level: str) -> NDArray[np.bool_]:
    """Tell which rows hold numbers a module can take, unless none is to be left out.

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
    return usable


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
        ``flux``, as for COSMOSCatalog, if it has them (the first of several fits).

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    CatalogError
        If a limit is unknown or no number, or on what is none of the module's conditions.
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
            if what in ("hlr", "flux") and what in table.colnames:
                values = np.asarray(table[what], float).reshape(len(table), -1)[:, 0]
            else:
                values = _limited(name, conditions, spec)
            within &= values > limit if name.startswith("min_") else values < limit
    return within


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
