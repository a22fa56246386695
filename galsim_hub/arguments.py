"""What an argument may be, checked before anything is made of it."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import CatalogError, suggest

__all__ = [
    "check_choice",
    "check_index",
    "check_number",
    "check_positive",
    "check_whole",
    "is_count",
    "is_whole",
]


def is_whole(value: object, least: int = 1) -> bool:
    """Tell whether a value is an integer, and no truth value, that is large enough.

    Parameters
    ----------
    value : object
    least : int

    Returns
    -------
    bool

    Examples
    --------
    >>> is_whole(3), is_whole(3.0), is_whole(True), is_whole(0)
    (True, False, False, False)
    """
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return is_integer and value >= least  # type: ignore[operator]  # which is an integer here


def is_count(value: object) -> bool:
    """Tell whether a value counts something: a whole number above 0, of any type of number.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_count(3), is_count(3.0), is_count(2.5), is_count("3")
    (True, True, False, False)
    """
    return isinstance(value, numbers.Real) and float(value) >= 1 and float(value).is_integer()


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
    if not is_whole(index, 0) or index >= n:
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
    """Refuse a number that is not positive and finite.

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
        if value is not None and not 0 < value < math.inf:
            message = f"{name} must be positive and finite, got {value!r}."
            raise CatalogError(message, name, value)


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
        if not is_whole(value):
            message = f"{name} must be a whole number above zero, got {value!r}."
            raise CatalogError(message, name, value)
