"""One shard: its rows read and checked, its galaxies drawn, its files written.

The truth table's file is written last. It is the mark that the shard is done, and carries the hash
of the rows that it was drawn from: rows that have changed since are drawn again.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..backend.chunks import limit_threads
from ..conditions import is_outside, limit_to_range, read_conditions, refuse_far
from ..errors import BadRowError, ConditionError, EngineError, OutputError, SeedError
from ..latents import seed_from_id
from ..profile import GenerativeGalaxy
from ..recipe import Recipe
from ..writing import flush_to_disk, write_whole
from .catalogue import Piece, Rows, read_rows
from .heap import keep_freed_memory
from .job import MOST_BAD_ROWS, BadRow, Job, ShardReport

__all__ = ["disk_errors", "draw_shard"]

_BATCH = 64  # galaxies in memory beside the shard's stamps
_MARK = b"galsim_hub.rows"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class _Table:
    """Hold the checked rows of a shard; a reason means that the row is bad."""

    conditions: NDArray[np.float64]
    seeds: list[int]
    reasons: list[str | None]
    is_extrapolated: NDArray[np.bool_]

    @property
    def good(self) -> NDArray[np.intp]:
        return np.flatnonzero([reason is None for reason in self.reasons])


def draw_shard(
    job: Job, index: int, pieces: Sequence[Piece], n_threads: int | None = None
) -> ShardReport:
    """Draw one shard, unless it is there already.

    Parameters
    ----------
    job : Job
    index : int
        The shard's number, counted from 0.
    pieces : sequence of Piece
        Where its rows are.
    n_threads : int, optional
        That the network may use; by default one a core.

    Returns
    -------
    ShardReport

    Raises
    ------
    BadRowError
        If a row makes no galaxy and the job is strict.
    TableError
        If the rows cannot be read.
    OutputError
        If the disk is full.
    """
    rows = read_rows(pieces, job.id_column, job.model.quantities)
    fingerprint = rows.fingerprint()
    report = _read_report(job, index, fingerprint)
    if report is None:
        table = _check_rows(job, rows)
        _stop_if_strict(job, index, rows.ids, table)
        with limit_threads(n_threads), keep_freed_memory():
            stamps = _draw(job, table)
        _stop_if_strict(job, index, rows.ids, table)
        with disk_errors(job.output):
            # Without its mark first, so that no mark ever vouches for another row's pixels.
            _truth_path(job, index).unlink(missing_ok=True)
            _write_stamps(job, index, stamps)
            _write_truth(job, index, rows, table, stamps, fingerprint)
        report = _report(job, index, rows.ids, table.reasons, table.is_extrapolated, is_new=True)
    elif job.is_strict and report.bad_rows:
        raise _bad_row_error(report.bad_rows[0])
    return report


@contextmanager
def disk_errors(output: Path) -> Iterator[None]:
    """Turn what the operating system says of a disk into what to do about it.

    Parameters
    ----------
    output : pathlib.Path
        The folder that is written to.

    Raises
    ------
    OutputError
        If it cannot be written to.
    """
    try:
        yield
    except OutputError:
        raise
    except OSError as error:
        what = "The disk is full" if error.errno in _FULL else "The output cannot be written"
        raise OutputError(
            f"{what}: {error} in {output}. Shards that were finished are kept. Make room or mend "
            "it, then run the same again to go on.",
            str(output),
        ) from error


def _check_rows(job: Job, rows: Rows) -> _Table:
    n_rows, spec = len(rows.ids), job.model.spec
    conditions = np.full((n_rows, len(spec.inputs)), np.nan)
    reasons: list[str | None] = [None] * n_rows
    try:
        conditions[:] = _conditions(job, rows.columns)
    except ConditionError as error:
        if error.row is None:
            raise  # not of one row, so that no other could do better
        for i in range(n_rows):
            try:
                conditions[i] = _conditions(job, {k: v[i : i + 1] for k, v in rows.columns.items()})
            except ConditionError as row_error:
                reasons[i] = f"{row_error.quantity} is {row_error.value}"
    seeds = [0] * n_rows
    for i, obj_id in enumerate(rows.ids):
        try:
            seeds[i] = seed_from_id(obj_id)
        except SeedError:
            reasons[i] = f"{job.id_column} is {obj_id}"
    is_extrapolated = is_outside(conditions, spec).any(axis=1)
    return _Table(conditions, seeds, reasons, np.asarray(is_extrapolated))


def _conditions(job: Job, columns: Any) -> NDArray[np.float64]:
    policy = job.model.on_extrapolate
    # A warning would end in a worker's log: the run warns once, of all shards.
    quiet = "ignore" if policy == "warn" else policy
    spec = job.model.spec
    conditions = read_conditions(columns, spec)
    if policy == "warn":
        refuse_far(conditions, spec)
    return limit_to_range(conditions, spec, quiet)


def _stop_if_strict(job: Job, index: int, ids: list[Any], table: _Table) -> None:
    bad_rows = _bad_rows(job, index, ids, table.reasons)
    if job.is_strict and bad_rows:
        raise _bad_row_error(bad_rows[0])


def _bad_row_error(bad: BadRow) -> BadRowError:
    return BadRowError(
        f"Row {bad.row} (id {bad.obj_id!r}) makes no galaxy: {bad.reason}. Mend or remove it, or "
        "give on_bad_row='skip' to leave such rows out.",
        bad.row,
        bad.obj_id,
    )


def _bad_rows(
    job: Job, index: int, ids: list[Any], reasons: Sequence[str | None]
) -> tuple[BadRow, ...]:
    first = index * job.shard_size
    found = (
        BadRow(first + i, obj_id, reason)
        for i, (obj_id, reason) in enumerate(zip(ids, reasons, strict=True))
        if reason is not None
    )
    return tuple(bad for bad, _ in zip(found, range(MOST_BAD_ROWS), strict=False))


def _report(
    job: Job,
    index: int,
    ids: list[Any],
    reasons: Sequence[str | None],
    is_extrapolated: NDArray[np.bool_],
    *,
    is_new: bool,
) -> ShardReport:
    n_bad = len(ids) - reasons.count(None)
    bad_rows = _bad_rows(job, index, ids, reasons)
    return ShardReport(len(ids), n_bad, int(is_extrapolated.sum()), is_new, bad_rows)


def _draw(job: Job, table: _Table) -> NDArray[np.float32]:
    """Draw the good rows; the others stay NaN, as do those that turn out to be bad."""
    stamps = np.full((len(table.seeds), job.side, job.side), np.nan, dtype=np.float32)
    good = table.good
    for start in range(0, len(good), _BATCH):
        batch, pixels = _generate(job, table, good[start : start + _BATCH])
        if job.view is None:
            stamps[batch] = pixels
            continue
        for i, stamp in zip(batch, pixels, strict=True):
            recipe = Recipe(tuple(table.conditions[i].tolist()), table.seeds[i])
            stamps[i] = job.view.draw(GenerativeGalaxy.from_stamp(job.model, recipe, stamp))
    return stamps


def _generate(
    job: Job, table: _Table, batch: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Generate the rows of a batch; give a reason to those of which the network makes nonsense."""
    while True:
        try:
            seeds = [table.seeds[i] for i in batch]
            return batch, job.model.generate(table.conditions[batch], seeds)
        except EngineError as error:
            if error.row is None:
                raise  # not of one row, so that no other could do better
            table.reasons[batch[error.row]] = "its pixels are not finite"
            batch = np.delete(batch, error.row)


def _truth_path(job: Job, index: int) -> Path:
    return job.truth / f"part-{index:08d}.parquet"


def _stamps_path(job: Job, index: int) -> Path:
    return job.stamps / "c" / str(index) / "0" / "0"


def _write_stamps(job: Job, index: int, stamps: NDArray[np.float32]) -> None:
    import zarr

    for left in _stamps_path(job, index).parent.glob("*.partial"):
        left.unlink(missing_ok=True)  # by a worker that was killed
    start = index * job.shard_size
    # LocalStore writes to a temporary name and renames, as write_whole does.
    array = zarr.open_array(job.stamps, mode="r+")
    array[start : start + len(stamps)] = stamps
    if not np.isnan(stamps).all():  # Zarr keeps no file where all is NaN
        flush_to_disk(_stamps_path(job, index))


def _write_truth(
    job: Job,
    index: int,
    rows: Rows,
    table: _Table,
    stamps: NDArray[np.float32],
    fingerprint: str,
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    is_bad = np.array([reason is not None for reason in table.reasons])
    first = index * job.shard_size
    columns = {
        "row": pa.array(np.arange(first, first + len(rows.ids))),
        job.id_column: pa.array(rows.ids, pa.type_for_alias(job.id_type)),
        **{
            name: pa.array(column, mask=np.isnan(column))
            for name, column in zip(job.model.quantities, table.conditions.T, strict=True)
        },
        "seed": pa.array(np.array(table.seeds, dtype=np.uint64), mask=is_bad),
        "stamp_flux": pa.array(stamps.sum(axis=(1, 2), dtype=np.float64), mask=is_bad),
        "is_extrapolated": pa.array(table.is_extrapolated),
        "error": pa.array(table.reasons, pa.string()),
    }
    mark = {_MARK: fingerprint.encode(), b"galsim_hub.sha256": job.model.sha256.encode()}
    truth = pa.table(columns).replace_schema_metadata(mark)
    write_whole(_truth_path(job, index), lambda path: parquet.write_table(truth, path))


def _read_report(job: Job, index: int, fingerprint: str) -> ShardReport | None:
    """Tell what an earlier run wrote of the same rows, if it finished the shard."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(_truth_path(job, index)) as file:
            if (file.schema_arrow.metadata or {}).get(_MARK) != fingerprint.encode():
                return None
            truth = file.read([job.id_column, "is_extrapolated", "error"], use_threads=False)
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    ids, reasons = truth[job.id_column].to_pylist(), truth["error"].to_pylist()
    if None in reasons and not _stamps_path(job, index).is_file():
        return None
    is_extrapolated = truth["is_extrapolated"].to_numpy()
    return _report(job, index, ids, reasons, is_extrapolated, is_new=False)
