"""From a user's catalogue to the checked array of conditions that a module takes.

A catalogue is an astropy Table, a structured array, or a mapping from names to columns
(scalars count for every row). Columns with a unit are converted; an angular size becomes
pixels of the module's own pixel size.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .errors import ConditionError, ExtrapolationWarning, suggest
from .spec import InputSpec, ModuleSpec

__all__ = [
    "FAR",
    "ExtrapolationPolicy",
    "check_policy",
    "is_outside",
    "limit_to_range",
    "read_conditions",
    "refuse_far",
]

ExtrapolationPolicy = Literal["warn", "error", "clip", "ignore"]

_NUMBER_KINDS = "iuf"
FAR = 0.25  # of the width of a trained range, beyond which a network's answer means nothing

_MENDED = "Remove or mend those rows; catalogues often mark missing values so."
_NEARER = f"{_MENDED} Or give the model on_extrapolate='clip', or 'ignore' to draw them even so."


def check_policy(policy: str) -> ExtrapolationPolicy:
    """Return what to do about conditions outside the trained range.

    Parameters
    ----------
    policy : {'warn', 'error', 'clip', 'ignore'}

    Returns
    -------
    str

    Raises
    ------
    ConditionError
        If it is none of these.
    """
    for known in get_args(ExtrapolationPolicy):
        if policy == known:
            return known
    raise ConditionError(
        f"on_extrapolate must be one of {', '.join(map(repr, get_args(ExtrapolationPolicy)))}, "
        f"got {policy!r}.{suggest(str(policy), get_args(ExtrapolationPolicy))}",
        None,
        policy,
    )


def read_conditions(catalog: Any, spec: ModuleSpec) -> NDArray[np.float64]:
    """Read a module's conditions from a catalogue.

    Parameters
    ----------
    catalog : astropy Table, structured array or mapping
        Columns are found by name; those the module does not know are left alone.
    spec : ModuleSpec
        The module's card.

    Returns
    -------
    ndarray of float64, shape (n, number of inputs)
        In the order of ``spec.inputs``, in their units; n is 0 for an empty catalogue.

    Raises
    ------
    ConditionError
        If a column is missing, not a number, not finite, negative, or of wrong length.
    """
    names = _column_names(catalog)
    if not names:
        return np.empty((0, len(spec.inputs)))
    columns = [_read_column(catalog, names, condition, spec) for condition in spec.inputs]
    n_rows = _count_rows(columns, spec)
    conditions = np.empty((n_rows, len(columns)))
    for index, column in enumerate(columns):
        conditions[:, index] = column
    _check_values(conditions, spec)
    return conditions


def limit_to_range(
    conditions: NDArray[np.float64], spec: ModuleSpec, policy: ExtrapolationPolicy
) -> NDArray[np.float64]:
    """Treat conditions outside the trained range as the policy says.

    Parameters
    ----------
    conditions : ndarray, shape (n, number of inputs)
    spec : ModuleSpec
        The module's card, which holds the ranges.
    policy : {'warn', 'error', 'clip', 'ignore'}

    Returns
    -------
    ndarray, shape (n, number of inputs)
        The conditions to use: the same, but for 'clip'.

    Raises
    ------
    ConditionError
        If the policy is 'error' and a condition is outside, or 'warn' and one is outside by more
        than a quarter of the range's width, as 99 is that stands for a missing magnitude.

    Warns
    -----
    ExtrapolationWarning
        If the policy is 'warn'; once a condition, naming value, range and unit.
    """
    if policy == "clip":
        lower = [condition.minimum for condition in spec.inputs]
        return np.clip(conditions, lower, [condition.maximum for condition in spec.inputs])
    outside = is_outside(conditions, spec)
    if policy != "ignore" and outside.any():
        if policy == "warn":
            refuse_far(conditions, spec)
        for index in np.flatnonzero(outside.any(axis=0)):
            _report_outside(conditions[:, index], outside[:, index], spec, int(index), policy)
    return conditions


def refuse_far(conditions: NDArray[np.float64], spec: ModuleSpec) -> None:
    """Refuse conditions so far outside the trained range that a galaxy of them means nothing.

    Parameters
    ----------
    conditions : ndarray, shape (n, number of inputs)
    spec : ModuleSpec
        The module's card, which holds the ranges.

    Raises
    ------
    ConditionError
        If one is outside by more than a quarter of its range's width.
    """
    for condition, values, far in zip(
        spec.inputs, conditions.T, is_outside(conditions, spec, FAR).T, strict=True
    ):
        _reject(far, values, condition, "far outside of what the module was trained on", _NEARER)


def is_outside(
    conditions: NDArray[np.float64], spec: ModuleSpec, margin: float = 0.0
) -> NDArray[np.bool_]:
    """Tell which conditions are outside the trained range.

    Parameters
    ----------
    conditions : ndarray, shape (n, number of inputs)
    spec : ModuleSpec
    margin : float
        By how much at least, in widths of the range; `refuse_far` refuses those beyond `FAR`.

    Returns
    -------
    ndarray of bool, shape (n, number of inputs)
    """
    lower = np.array([condition.minimum for condition in spec.inputs])
    upper = np.array([condition.maximum for condition in spec.inputs])
    width = upper - lower
    reach = np.where(np.isfinite(width), margin * np.nan_to_num(width), 0.0)
    outside: NDArray[np.bool_] = (conditions < lower - reach) | (conditions > upper + reach)
    return outside


def _report_outside(
    values: NDArray[np.float64],
    outside: NDArray[np.bool_],
    spec: ModuleSpec,
    index: int,
    policy: ExtrapolationPolicy,
) -> None:
    condition = spec.inputs[index]
    row = int(np.flatnonzero(outside)[0])
    value = float(values[row])
    got = f"{condition.name} = {value:g} {condition.unit}".rstrip()
    message = (
        f"{got} (row {row}; {np.count_nonzero(outside)} of {len(values)} rows) is outside the "
        f"range that module {spec.label} was trained on, {condition.range_text}. Choose values "
        "inside it, or give the model on_extrapolate='clip', 'ignore', 'warn' or 'error'."
    )
    if policy == "error":
        raise ConditionError(message, condition.name, value, row)
    warnings.warn(ExtrapolationWarning(message), stacklevel=5)


def _column_names(catalog: Any) -> tuple[str, ...]:
    dtype = getattr(catalog, "dtype", None)
    if dtype is not None and dtype.names:
        return tuple(dtype.names)
    if callable(getattr(catalog, "keys", None)):
        return tuple(catalog.keys())
    if isinstance(catalog, Sequence) and not isinstance(catalog, str) and not catalog:
        return ()
    raise ConditionError(
        "A catalogue must be an astropy Table, a structured array or a dict of columns, got "
        f"{type(catalog).__name__}.",
        None,
        catalog,
    )


def _read_column(
    catalog: Any, names: Sequence[str], condition: InputSpec, spec: ModuleSpec
) -> NDArray[Any]:
    if condition.name not in names:
        raise ConditionError(
            f"Condition {condition.name!r} is missing: module {spec.label} needs "
            f"{', '.join(spec.quantities)}, got {', '.join(map(str, names))}."
            f"{suggest(condition.name, names)} Add it (trained range {condition.range_text}).",
            condition.name,
        )
    column = catalog[condition.name]
    if getattr(column, "unit", None) is not None:
        column = _convert_unit(column, condition, spec)
    values = np.ma.asarray(column) if np.ma.isMaskedArray(column) else np.asarray(column)
    if values.dtype.kind not in _NUMBER_KINDS:
        raise ConditionError(
            f"Condition {condition.name!r} must be a number, got {_first(values)!r} of dtype "
            f"{values.dtype}. Convert the column to float{_in_unit(condition)}.",
            condition.name,
            _first(values),
        )
    return _missing_as_nan(values)


def _missing_as_nan(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.ma.filled(values.astype(np.float64), np.nan)


def _convert_unit(column: Any, condition: InputSpec, spec: ModuleSpec) -> Any:
    from astropy import units  # here: few have units in hand

    # A Quantity knows no mask, and would take what stands under it for a value.
    is_missing = getattr(column, "mask", False)
    plain = getattr(column, "unmasked", column)  # of astropy's Masked quantities
    values = np.ma.array(np.ma.getdata(getattr(plain, "value", plain)), mask=is_missing)
    quantity = units.Quantity(_missing_as_nan(values), _plain_unit(column.unit))
    equivalencies = units.dimensionless_angles()
    if spec.pixel_size is not None:
        equivalencies = units.pixel_scale(spec.pixel_size * units.arcsec / units.pixel)
    try:
        return quantity.to_value(units.Unit(condition.unit), equivalencies)
    except units.UnitConversionError as error:
        raise ConditionError(
            f"Condition {condition.name!r} cannot be converted from {column.unit} to "
            f"{condition.unit or 'a dimensionless number'}: {error}. Give it{_in_unit(condition)}.",
            condition.name,
            str(column.unit),
        ) from error


def _plain_unit(unit: Any) -> Any:
    # mag(AB) is a function unit of a flux; the conditions want the plain magnitude.
    return getattr(unit, "function_unit", unit)


def _in_unit(condition: InputSpec) -> str:
    return f" in {condition.unit}" if condition.unit else " as a plain number"


def _first(values: NDArray[Any]) -> Any:
    return values.ravel()[0] if values.size else None


def _count_rows(columns: Sequence[NDArray[Any]], spec: ModuleSpec) -> int:
    n_rows: int | None = None
    for condition, column in zip(spec.inputs, columns, strict=True):
        if column.ndim == 0:
            continue
        if column.ndim > 1 or n_rows not in (None, len(column)):
            expected = "a scalar or one value a row" if n_rows is None else f"{n_rows} values"
            raise ConditionError(
                f"Condition {condition.name!r} has the wrong length: got shape {column.shape}, "
                f"expected {expected}. Give every condition one value a galaxy.",
                condition.name,
                column.shape,
            )
        n_rows = len(column)
    return 1 if n_rows is None else n_rows


def _check_values(conditions: NDArray[np.float64], spec: ModuleSpec) -> None:
    for condition, values in zip(spec.inputs, conditions.T, strict=True):
        _reject(~np.isfinite(values), values, condition, "not a finite number")
        if condition.minimum >= 0:
            _reject(values < 0, values, condition, "negative")
        if condition.minimum > 0:
            _reject(values == 0, values, condition, "zero")


def _reject(
    bad: NDArray[np.bool_],
    values: NDArray[np.float64],
    condition: InputSpec,
    what: str,
    remedy: str = _MENDED,
) -> None:
    if not bad.any():
        return
    row = int(np.flatnonzero(bad)[0])
    raise ConditionError(
        f"Condition {condition.name!r} is {what} in {np.count_nonzero(bad)} of {len(values)} rows: "
        f"got {values[row]} in row {row}, expected {condition.range_text}. {remedy}",
        condition.name,
        float(values[row]),
        row,
    )
