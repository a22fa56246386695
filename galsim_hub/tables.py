"""Catalogues of conditions as tables: read, or made of what a user has in hand."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

from .errors import CatalogError
from .spec import ModuleSpec

__all__ = ["as_table", "as_weights", "read_table"]


def as_table(catalog: Any) -> Any:
    """Turn whatever `GenerativeGalaxyModel.sample` takes into a table.

    Parameters
    ----------
    catalog : astropy Table, DataFrame, structured array or mapping of columns
        Scalars count for every row.

    Returns
    -------
    astropy.table.Table

    Raises
    ------
    CatalogError
        If it is none of these, or its columns differ in length.
    """
    from astropy.table import Table  # here: half a second that others need not wait

    try:
        if callable(getattr(catalog, "keys", None)) and not isinstance(catalog, Table):
            names = tuple(catalog.keys())
            catalog = _as_columns({name: catalog[name] for name in names})
        return Table(catalog, copy=False)
    except (TypeError, ValueError) as error:
        raise CatalogError(
            "catalog must be an astropy Table, a DataFrame, a structured array or a dict of "
            f"columns of one length, got {type(catalog).__name__}: {error}.",
            "catalog",
        ) from error


def _as_columns(columns: dict[Any, Any]) -> dict[str, Any]:
    """Make arrays of one length of all that knows neither units nor masks, such as a Series."""
    n_rows = next((len(column) for column in columns.values() if np.ndim(column)), 1)
    arrays = {}
    for name, column in columns.items():
        knows_more = np.ma.isMaskedArray(column) or hasattr(column, "unit")
        array = column if knows_more else np.asarray(column)
        scalar = np.ndim(array) == 0
        arrays[str(name)] = np.broadcast_to(array, n_rows, subok=True).copy() if scalar else array
    return arrays


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
