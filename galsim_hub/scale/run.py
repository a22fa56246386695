"""The run of a whole catalogue, in this process or on a Dask cluster."""

from __future__ import annotations

import importlib.util
import math
import os
import uuid
import warnings
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import galsim
import numpy as np

from ..arguments import is_whole
from ..conditions import read_conditions
from ..errors import (
    ConditionError,
    ExtrapolationWarning,
    ImageError,
    MissingExtraError,
    TableError,
    WorkerError,
)
from ..model import GenerativeGalaxyModel
from .catalogue import Catalogue, Piece, open_catalogue, read_rows, stage_frame
from .job import Job, ShardReport, Summary, View
from .shard import disk_errors, draw_shard

__all__ = ["draw"]

_PACKAGES = ("dask", "distributed", "pandas", "pyarrow", "zarr")
_SHARDS_A_THREAD = 2  # under way, so that no worker waits for the scheduler
_POLICIES = ("skip", "raise")


def draw(
    catalogue: Any,
    module: str | os.PathLike[str] | GenerativeGalaxyModel,
    output: str | os.PathLike[str],
    *,
    client: Any = None,
    shard_size: int = 1024,
    id_column: str = "id",
    psf: galsim.GSObject | None = None,
    pixel_scale: float | None = None,
    size: int | None = None,
    on_bad_row: str = "skip",
) -> Summary:
    """Draw a catalogue of any length to a Zarr array of stamps and a Parquet truth table.

    Run the same again to go on where a run was stopped: shards that are there are left alone,
    unless their rows have changed. Galaxies are those of ``model.sample(catalogue,
    obj_ids=...)``, bit for bit, however many workers there are.

    Parameters
    ----------
    catalogue : path, dask.dataframe.DataFrame or lsdb.catalog.Catalog
        A FITS file, a Parquet file or a folder of those, which every worker can see. A
        dataframe's columns that are needed are first written beside `output`, to
        ``OUTPUT.catalogue``.
    module : str, path or GenerativeGalaxyModel
        What draws.
    output : path
        A new folder, or that of the same run; every worker has to see it too.
    client : distributed.Client, optional
        The cluster that draws; by default this process does.
    shard_size : int
        Galaxies a shard. A worker holds a few times their stamps in memory for each of its
        threads.
    id_column : str
        The ids of the objects, whole numbers or texts, which are the galaxies' seeds.
    psf : galsim.GSObject, optional
        The PSF, without the pixel. Draws images instead of the module's PSF-free stamps.
    pixel_scale : float, optional
        With `psf`: the side of a pixel [arcsec].
    size : int, optional
        With `psf`: the side of an image [pixels].
    on_bad_row : {'skip', 'raise'}
        Whether a row that makes no galaxy is left out, its pixels NaN and the reason in the
        truth table, or stops the run.

    Returns
    -------
    Summary

    Raises
    ------
    ValueError
        If `client`, `shard_size` or `on_bad_row` makes no sense.
    MissingExtraError
        If the extra ``scale`` is not installed.
    TableError
        If the catalogue cannot be read or used.
    ConditionError
        If a column of it is no number, or of the wrong unit.
    BadRowError
        If `on_bad_row` is 'raise' and a row makes no galaxy.
    OutputError
        If `output` is another run's, has a damaged ``run.json``, or cannot be written to.
    ImageError
        If `psf`, `pixel_scale` and `size` do not go together.
    WorkerError
        If workers die of a shard again and again.

    Warns
    -----
    ExtrapolationWarning
        If the model's `on_extrapolate` is 'warn' and rows are outside the trained range.
    """
    _require_extra()
    shard_size = _check_choices(shard_size, on_bad_row)
    _check_client(client)
    view = _check_view(psf, pixel_scale, size)
    model = module if isinstance(module, GenerativeGalaxyModel) else GenerativeGalaxyModel(module)
    folder = Path(output).absolute()
    with disk_errors(folder):
        staged = _stage(catalogue, model, folder, id_column, client)
        source = open_catalogue(staged, id_column, model.quantities)
        _check_catalogue(source, id_column, model)
        is_strict = on_bad_row == "raise"
        job = Job(
            model, folder, source.n_rows, shard_size, id_column, source.id_type, view, is_strict
        )
        job.prepare()
    shards = enumerate(source.pieces(shard_size))
    summary = Summary(job.stamps, job.truth)
    for report in _draw_here(job, shards) if client is None else _draw_on(client, job, shards):
        summary = summary.with_shard(report)
    for left in job.truth.glob(".*.partial*"):
        left.unlink(missing_ok=True)  # by workers that were killed
    _warn_of_extrapolation(model, summary)
    return summary


def _require_extra() -> None:
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"Drawing catalogues needs the package {package}, which is not installed. Run "
                "pip install 'galsim-hub[scale]'.",
                "scale",
                package,
            )


def _check_choices(shard_size: int, on_bad_row: str) -> int:
    if on_bad_row not in _POLICIES:
        raise ValueError(f"on_bad_row must be 'skip' or 'raise', got {on_bad_row!r}. Choose one.")
    if not is_whole(shard_size):
        raise ValueError(
            f"shard_size must be a whole number, 1 or more, got {shard_size!r}. Try 1024."
        )
    return int(shard_size)


def _check_client(client: Any) -> None:
    if client is None:
        return
    from distributed import Client  # here: it comes with the extra

    if not isinstance(client, Client):
        address = repr(client) if isinstance(client, str) else "cluster"
        raise ValueError(
            f"client must be a distributed.Client, got {client!r}. Give client=Client({address}), "
            "or none to draw in this process."
        )


def _check_view(psf: Any, pixel_scale: Any, size: Any) -> View | None:
    if psf is None and pixel_scale is None and size is None:
        return None
    is_scale = isinstance(pixel_scale, int | float | np.number) and 0 < pixel_scale < math.inf
    if not isinstance(psf, galsim.GSObject) or not is_scale or not is_whole(size):
        raise ImageError(
            f"Images need a PSF, a pixel scale and a size, got psf={psf!r}, "
            f"pixel_scale={pixel_scale!r}, size={size!r}. Give all three, the scale above zero and "
            "the size a whole number above zero, or none for the module's own stamps.",
            psf,
        )
    return View(psf, float(pixel_scale), int(size))


def _stage(
    catalogue: Any, model: GenerativeGalaxyModel, folder: Path, id_column: str, client: Any
) -> str | os.PathLike[str]:
    if isinstance(catalogue, (str, os.PathLike)):
        return catalogue
    if hasattr(catalogue, "to_dask_dataframe"):  # LSDB's catalogues
        catalogue = catalogue.to_dask_dataframe()
    if not hasattr(catalogue, "to_parquet") or not hasattr(catalogue, "npartitions"):
        kind = type(catalogue).__name__
        raise TableError(
            f"A catalogue must be a path, a Dask dataframe or LSDB's, got {kind}. Write it to a "
            "file.",
            kind,
        )
    # Beside the output, which may prove to be another run's.
    staged = folder.with_name(f"{folder.name}.catalogue")
    return stage_frame(catalogue, staged, id_column, model.quantities, client)


def _check_catalogue(source: Catalogue, id_column: str, model: GenerativeGalaxyModel) -> None:
    """Find what is wrong with all rows at once before the first one is drawn."""
    first = next(iter(source.pieces(1)), None)
    if first is None:
        path = source.files[0][0]
        raise TableError(f"Catalogue {path} has no rows. Give one that has.", path)
    rows = read_rows(first, id_column, model.quantities)
    try:
        read_conditions(rows.columns, model.spec)
    except ConditionError as error:
        if error.row is None:
            raise  # not of this row alone


def _draw_here(job: Job, shards: Iterable[tuple[int, tuple[Piece, ...]]]) -> Iterator[ShardReport]:
    for index, pieces in shards:
        yield draw_shard(job, index, pieces)


def _draw_on(
    client: Any, job: Job, shards: Iterable[tuple[int, tuple[Piece, ...]]]
) -> Iterator[ShardReport]:
    """Keep a few shards a thread under way, so that the scheduler holds few at any time."""
    from distributed import as_completed

    run = uuid.uuid4().hex
    numbers: dict[Any, int] = {}

    def submit(n: int) -> list[Any]:
        futures = []
        for index, pieces in islice(shards, n):
            key = f"galsim_hub-{run}-{index}"
            # A worker has as many threads as it shall use, each of which draws a shard.
            task = (draw_shard, job, index, pieces, 1)
            futures.append(client.submit(*task, key=key, pure=False))
            numbers[key] = index
        return futures

    shards = iter(shards)
    n_threads = max(1, sum(client.nthreads().values()))
    pending = set(submit(_SHARDS_A_THREAD * n_threads))
    finished: Any = as_completed(pending)  # type: ignore[no-untyped-call]
    try:
        for future in finished:
            pending.discard(future)
            yield _result(future, numbers.pop(future.key))
            for follower in submit(1):
                pending.add(follower)
                finished.add(follower)
    finally:
        client.cancel(list(pending))


def _result(future: Any, index: int) -> ShardReport:
    from concurrent.futures import CancelledError

    from distributed import KilledWorker

    try:
        return future.result()
    except (KilledWorker, CancelledError) as error:
        raise WorkerError(
            f"Shard {index} was not drawn: {error}. Workers that are killed often lack memory: "
            "give a smaller shard_size or more memory, in a new folder.",
            index,
        ) from error


def _warn_of_extrapolation(model: GenerativeGalaxyModel, summary: Summary) -> None:
    if summary.n_extrapolated and model.on_extrapolate == "warn":
        warnings.warn(
            ExtrapolationWarning(
                f"{summary.n_extrapolated} of {summary.n_rows} rows are outside the range that "
                f"module {model.spec.label} was trained on; is_extrapolated marks them in "
                f"{summary.truth}. Choose values inside it, or give the model "
                "on_extrapolate='clip', 'ignore' or 'error'."
            ),
            stacklevel=3,
        )
