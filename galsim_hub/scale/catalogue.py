"""Catalogues of any length, read a few rows at a time in the process that draws them."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import OutputError, TableError, suggest

__all__ = ["Catalogue", "Piece", "Rows", "open_catalogue", "read_rows", "stage_frame"]

_FITS = (".fits", ".fit", ".fits.gz", ".fits.fz")
_PARQUET = (".parquet", ".parq", ".pq")
_STAGED = "galsim_hub.staged"  # a file that tells a folder of rows written here from others


@dataclass(frozen=True)
class Piece:
    """Name consecutive rows of one file.

    Attributes
    ----------
    path : str
    start, stop : int
        Rows of the file, the last one not included.
    """

    path: str
    start: int
    stop: int


@dataclass(frozen=True)
class Rows:
    """Hold some rows of a catalogue.

    Attributes
    ----------
    ids : list of int, str or None
        None where the catalogue has no value.
    columns : mapping of str to array or astropy Column
        The conditions, with their units where the file gives them.
    """

    ids: list[Any]
    columns: Mapping[str, Any]

    def fingerprint(self) -> str:
        """Hash all that the rows hold."""
        digest = hashlib.blake2b(repr(self.ids).encode(), digest_size=16)
        for name, column in self.columns.items():
            digest.update(f"{name} {getattr(column, 'unit', None)} ".encode())
            digest.update(np.ascontiguousarray(column, dtype=np.float64).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Catalogue:
    """Know where the rows of a catalogue are, without holding any.

    Attributes
    ----------
    files : tuple of (str, int)
        Paths, and the rows of each.
    id_type : {'int64', 'uint64', 'string'}
        Of the id column.
    """

    files: tuple[tuple[str, int], ...]
    id_type: str

    @property
    def n_rows(self) -> int:
        """The number of rows of all files."""
        return sum(n_rows for _, n_rows in self.files)

    def pieces(self, shard_size: int) -> Iterable[tuple[Piece, ...]]:
        """Cut the catalogue into shards of `shard_size` rows; the last one may have fewer."""
        pieces: list[Piece] = []
        room = shard_size
        for path, n_rows in self.files:
            start = 0
            while start < n_rows:
                stop = min(n_rows, start + room)
                pieces.append(Piece(path, start, stop))
                room -= stop - start
                start = stop
                if not room:
                    yield tuple(pieces)
                    pieces, room = [], shard_size
        if pieces:
            yield tuple(pieces)


def open_catalogue(
    path: str | os.PathLike[str], id_column: str, quantities: Sequence[str]
) -> Catalogue:
    """Find the rows and check the columns of a catalogue on disk.

    Parameters
    ----------
    path : str or path
        A FITS file, whose first table counts, a Parquet file, or a folder of those.
    id_column : str
        The column of the objects' ids.
    quantities : sequence of str
        The columns of the conditions.

    Returns
    -------
    Catalogue

    Raises
    ------
    TableError
        If it cannot be read, or lacks a column, or its ids are no whole numbers or texts.
    """
    place = Path(path).absolute()
    if not place.exists():
        raise TableError(f"There is no catalogue {place}. Check the path.", str(place))
    files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    if not files:
        raise TableError(
            f"Folder {place} has no *.parquet file. Give a FITS file, a Parquet file or a folder "
            "of those.",
            str(place),
        )
    layouts = [_reading(_layout, file) for file in files]
    for names, _, _ in layouts:
        _check_columns(names, id_column, quantities, str(place))
    types = {ids.get(id_column, "") for _, ids, _ in layouts}
    if len(types) > 1 or types == {""}:
        raise TableError(
            f"Ids must be whole numbers or texts, the same in every file: column {id_column!r} of "
            f"{place} is not. Convert it; a number that was rounded identifies nothing.",
            str(place),
        )
    sizes = tuple((str(file), n_rows) for file, (_, _, n_rows) in zip(files, layouts, strict=True))
    return Catalogue(sizes, types.pop())


def _check_columns(
    names: Iterable[str], id_column: str, quantities: Sequence[str], catalogue: str
) -> None:
    """Check that a catalogue has the columns of the ids and the conditions."""
    names = list(map(str, names))
    for wanted in (id_column, *quantities):
        if wanted not in names:
            remedy = "Name it with id_column=." if wanted == id_column else "Add it."
            raise TableError(
                f"Catalogue {catalogue} has no column {wanted!r}; it has {', '.join(names)}."
                f"{suggest(wanted, names)} {remedy}",
                catalogue,
            )


def read_rows(pieces: Sequence[Piece], id_column: str, quantities: Sequence[str]) -> Rows:
    """Read the rows of one shard.

    Parameters
    ----------
    pieces : sequence of Piece
    id_column : str
    quantities : sequence of str

    Returns
    -------
    Rows

    Raises
    ------
    TableError
        If a file is not there any more, or cannot be read by this machine.
    """
    parts = [_reading(_read_piece, piece.path, piece, id_column, quantities) for piece in pieces]
    if len(parts) == 1:
        return parts[0]
    columns = {name: np.concatenate([part.columns[name] for part in parts]) for name in quantities}
    return Rows([obj_id for part in parts for obj_id in part.ids], columns)


def stage_frame(
    frame: Any, folder: Path, id_column: str, quantities: Sequence[str], client: Any
) -> Path:
    """Write the columns of a Dask dataframe that are needed to Parquet, a file a partition.

    A shard's rows are then at hand, however the frame came about: no partition is computed
    again for every shard that begins or ends in it.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    folder : pathlib.Path
        Replaced when all is written.
    id_column : str
    quantities : sequence of str
    client : distributed.Client or None
        Where to compute; None is this process.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    OutputError
        If the folder is there and is not one that was written so.
    """
    import dask  # here, and all that follow: they come with the extra

    _check_columns(frame.columns, id_column, quantities, "given")
    if folder.exists() and not (folder / _STAGED).is_file():
        raise OutputError(
            f"{folder} is in the way: the frame's rows were to be kept there, and it holds "
            "something else. Move it, or choose another output.",
            str(folder),
        )
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    wanted = list(dict.fromkeys([id_column, *quantities]))
    here = dask.config.set(scheduler="synchronous") if client is None else nullcontext()
    with here, client.as_current() if client is not None else nullcontext():
        frame[wanted].to_parquet(
            str(partial), write_index=False, name_function=lambda i: f"part-{i:08d}.parquet"
        )
    (partial / _STAGED).touch()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def _reading(read: Callable[..., Any], path: str | Path, *arguments: Any) -> Any:
    # pyarrow's errors are ValueErrors or OSErrors; astropy's are both, and KeyErrors.
    try:
        return read(*(arguments or (path,)))
    except (OSError, ValueError, KeyError) as error:
        if isinstance(error, TableError):
            raise
        raise TableError(
            f"Catalogue {path} cannot be read: {error}. Give a FITS table or a Parquet file that "
            "every worker can see.",
            str(path),
        ) from error


def _is_fits(path: str) -> bool:
    if path.endswith(_FITS):
        return True
    if path.endswith(_PARQUET):
        return False
    raise TableError(
        f"Catalogue {path} is of no known format. Give a name that ends with "
        f"{', '.join((*_FITS, *_PARQUET))}.",
        path,
    )


def _layout(path: Path) -> tuple[list[str], dict[str, str], int]:
    """Tell the columns of a file, the types of those that may be ids, and its rows."""
    return _fits_layout(path) if _is_fits(str(path)) else _parquet_layout(path)


def _fits_layout(path: Path) -> tuple[list[str], dict[str, str], int]:
    from astropy.io import fits

    with fits.open(path, memmap=True) as hdus:
        table = _first_table(hdus, str(path))
        row = table.data[:0]
        kinds = {name: np.asarray(row[name]).dtype.kind for name in row.names}
        types = {"i": "int64", "u": "uint64", "S": "string", "U": "string"}
        ids = {name: types[kind] for name, kind in kinds.items() if kind in types}
        return list(row.names), ids, len(table.data)


def _first_table(hdus: Any, path: str) -> Any:
    for hdu in hdus:
        if getattr(hdu, "columns", None) is not None:
            return hdu
    raise TableError(f"FITS file {path} has no table. Give one that has.", path)


def _parquet_layout(path: Path) -> tuple[list[str], dict[str, str], int]:
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        schema = file.schema_arrow
        ids = {}
        for field in schema:
            is_encoded = pa.types.is_dictionary(field.type)  # as pandas writes its categories
            kind = field.type.value_type if is_encoded else field.type
            if pa.types.is_unsigned_integer(kind):
                ids[field.name] = "uint64"
            elif pa.types.is_integer(kind):
                ids[field.name] = "int64"
            elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
                ids[field.name] = "string"
        return schema.names, ids, file.metadata.num_rows


def _read_piece(piece: Piece, id_column: str, quantities: Sequence[str]) -> Rows:
    read = _read_fits if _is_fits(piece.path) else _read_parquet
    return read(piece, id_column, quantities)


def _read_fits(piece: Piece, id_column: str, quantities: Sequence[str]) -> Rows:
    from astropy.io import fits

    with fits.open(piece.path, memmap=True) as hdus:
        table = _first_table(hdus, piece.path)
        rows = table.data[piece.start : piece.stop]
        columns = {name: _fits_column(rows, name) for name in quantities}
        return Rows(_fits_column(rows, id_column).tolist(), columns)


def _fits_column(rows: Any, name: str) -> Any:
    """Return a column with its unit, masked where the file says that there is no value (TNULL)."""
    from astropy.table import MaskedColumn

    values, about = np.array(rows[name]), rows.columns[name]
    is_missing = False if about.null is None else values == about.null
    return MaskedColumn(values, mask=is_missing, unit=about.unit)


def _read_parquet(piece: Piece, id_column: str, quantities: Sequence[str]) -> Rows:
    from pyarrow import parquet

    wanted = list(dict.fromkeys([id_column, *quantities]))
    with parquet.ParquetFile(piece.path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        ends = np.cumsum([0, *sizes])
        groups = [
            i for i in range(len(sizes)) if ends[i] < piece.stop and ends[i + 1] > piece.start
        ]
        # One row group of a whole file is common; slicing it keeps no more than the shard.
        table = file.read_row_groups(groups, columns=wanted, use_threads=False)
    start = piece.start - int(ends[groups[0]])
    rows = table.slice(start, piece.stop - piece.start)
    columns = {name: rows[name].to_numpy().copy() for name in quantities}
    return Rows(rows[id_column].to_pylist(), columns)
