"""Shear catalogues: a row is a galaxy with a place, an ellipticity and a weight."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import MassMapError, MissingExtraError, TableError, suggest

__all__ = ["COLUMNS", "ShearCatalogue", "read_catalogue"]

COLUMNS = ("ra", "dec", "e1", "e2", "weight")
LARGEST_ELLIPTICITY = 5.0  # estimates of the shear pass 1; marks of what is missing pass this
_PARQUET = (".parquet", ".parq", ".pq")


@dataclass(frozen=True, eq=False)
class ShearCatalogue:
    """Hold galaxies that a map of mass is made from; those of weight zero are left out.

    Attributes
    ----------
    ra, dec : array_like
        [deg]; any turn of the right ascension.
    e1, e2 : array_like
        Ellipticities, unbiased estimates of the shear one by one. In the plane of the sky with x
        towards the west (falling right ascension) and y towards the north, e1 is positive along x
        and e2 along the diagonal x = y.
    weight : array_like
        Not negative.

    Raises
    ------
    MassMapError
        If lengths differ, a value is no number, not finite or no ellipticity where the weight is
        not zero, a declination or a weight is impossible, or no galaxy has weight.
    """

    ra: NDArray[np.float64]
    dec: NDArray[np.float64]
    e1: NDArray[np.float64]
    e2: NDArray[np.float64]
    weight: NDArray[np.float64]

    def __post_init__(self) -> None:
        columns = {name: _as_numbers(name, getattr(self, name)) for name in COLUMNS}
        if len({len(values) for values in columns.values()}) > 1:
            lengths = {name: len(values) for name, values in columns.items()}
            raise MassMapError(f"Columns have other lengths: {lengths}.", "ra", lengths)
        _check_weights(columns["weight"])
        kept = columns["weight"] > 0
        for name, values in columns.items():
            _check_finite(name, values, kept)
            object.__setattr__(self, name, values[kept])
        for name in ("e1", "e2"):
            _check_ellipticity(name, getattr(self, name))
        if (worst := np.abs(self.dec).max()) > 90:
            raise MassMapError(
                f"A declination of {worst:g} degrees: give dec in degrees.", "dec", float(worst)
            )

    def __len__(self) -> int:
        return len(self.ra)

    def __getitem__(self, rows: Any) -> ShearCatalogue:
        return ShearCatalogue(*(getattr(self, name)[rows] for name in COLUMNS))

    def flip(self, *, e1: bool = False, e2: bool = False) -> ShearCatalogue:
        """Return the catalogue with components of the other sign.

        Both change for angles counted from north through east, as position angles are.

        Parameters
        ----------
        e1 : bool
            Whether e1 is positive along y so far.
        e2 : bool
            Whether e2 was counted with x towards the east.

        Returns
        -------
        ShearCatalogue
        """
        return replace(self, e1=-self.e1 if e1 else self.e1, e2=-self.e2 if e2 else self.e2)


def read_catalogue(
    path: str | os.PathLike[str], names: Mapping[str, str | None] | None = None
) -> ShearCatalogue:
    """Read a shear catalogue: FITS, Parquet, ECSV, or what else astropy's Table.read knows.

    Parameters
    ----------
    path : str or path
    names : mapping of str to str, optional
        What the file calls ra, dec, e1, e2 or weight, where it is another name; None for ``weight``
        gives every galaxy the same one.

    Returns
    -------
    ShearCatalogue

    Raises
    ------
    TableError
        If the file cannot be read, has no rows or lacks a column.
    MassMapError
        If its values make no map.
    """
    path = Path(path)
    wanted = {name: name for name in COLUMNS} | dict(names or {})
    table = read_table(path, [column for column in wanted.values() if column])
    columns = {name: table[column] for name, column in wanted.items() if column}
    if not len(columns["ra"]):
        raise TableError(f"Catalogue {path} has no rows.", str(path))
    for name in ("ra", "dec"):
        columns[name] = _to_degrees(name, columns[name], path)
    if wanted["weight"] is None:
        columns["weight"] = np.ones(len(columns["ra"]))
    return ShearCatalogue(**columns)


def read_table(path: Path, columns: list[str]) -> Mapping[str, Any]:
    """Read columns of a table in any format.

    Parameters
    ----------
    path : pathlib.Path
    columns : list of str

    Returns
    -------
    mapping of str to array or astropy Column

    Raises
    ------
    TableError
        If the file cannot be read or lacks a column.
    """
    if not path.is_file():
        raise TableError(f"No catalogue at {path}.", str(path))
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    try:
        table: Any = _open_parquet(path) if path.suffix in _PARQUET else Table.read(path)
    except (ValueError, OSError, IORegistryError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise TableError(
            f"Catalogue {path} cannot be read: {reason} Give a FITS, ECSV or Parquet file.",
            str(path),
        ) from error
    known = list(getattr(table, "colnames", None) or table.schema.names)
    for column in columns:
        if column not in known:
            alike = [name for name in known if name.lower() == column.lower()]
            hint = f" Did you mean {alike[0]!r}?" if alike else suggest(column, known)
            without = " or do without weights by --unweighted," if column == "weight" else ""
            raise TableError(
                f"Catalogue {path} has no column {column!r}; it has {', '.join(known)}.{hint} Say "
                f"which it is with --columns,{without} as in --columns ra=RAJ2000 e1=g1.",
                str(path),
            )
    if path.suffix in _PARQUET:
        return {name: table.read([name]).column(0).to_numpy() for name in columns}
    return {name: table[name] for name in columns}


def _open_parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError(
            "Parquet catalogues need pyarrow: pip install 'galsim-hub[scale]'.", "scale", "pyarrow"
        ) from error
    return pyarrow.parquet.ParquetFile(path)


def _to_degrees(name: str, column: Any, path: Path) -> Any:
    unit = getattr(column, "unit", None)
    if unit is None:
        return column
    from astropy.units import Unit, UnrecognizedUnit

    try:
        if isinstance(unit, UnrecognizedUnit):
            # FITS knows "deg" alone, files have "degrees", too.
            unit = Unit(str(unit).lower().removesuffix("s"))
        factor = unit.to("deg")
    except ValueError as error:
        raise TableError(
            f"Column {column.name} of {path} is in {unit}, which is no angle. Write its unit as "
            "deg or rad, or name another column.",
            str(path),
        ) from error
    return _as_numbers(name, column) * factor


def _as_numbers(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        # A masked value is a missing one: FITS and Parquet write them in different ways.
        filled = np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise MassMapError(
            f"{name} holds what is no number ({error}). Name a column of numbers.", name
        ) from error
    if filled.ndim != 1:
        raise MassMapError(f"{name} must be a column, got shape {filled.shape}.", name, values)
    return filled


def _check_ellipticity(name: str, values: NDArray[np.float64]) -> None:
    row = int(np.abs(values).argmax())
    if abs(values[row]) > LARGEST_ELLIPTICITY:
        raise MassMapError(
            f"{name} is {values[row]:g} in row {row} of those with a weight, as catalogues mark "
            "what was not measured. Give such galaxies the weight 0, or leave them out.",
            name,
            float(values[row]),
        )


def _check_weights(weight: NDArray[np.float64]) -> None:
    if not np.isfinite(weight).all() or (weight < 0).any():
        row = int(np.flatnonzero(~(weight >= 0) | np.isinf(weight))[0])
        raise MassMapError(
            f"The weight of row {row} is {weight[row]}. A weight is finite and not negative; give "
            "galaxies to leave out the weight 0.",
            "weight",
            float(weight[row]),
        )
    if not weight.any():
        raise MassMapError(
            f"All {len(weight)} weights are zero, so that no galaxy is left. Name another column "
            "of weights, or none.",
            "weight",
            0.0,
        )


def _check_finite(name: str, values: NDArray[np.float64], kept: NDArray[np.bool_]) -> None:
    bad = np.flatnonzero(kept & ~np.isfinite(values))
    if len(bad):
        raise MassMapError(
            f"{name} is not a number in {len(bad)} of {len(values)} rows, first in row {bad[0]}. "
            "Take those rows out, or give them the weight 0.",
            name,
            int(bad[0]),
        )
