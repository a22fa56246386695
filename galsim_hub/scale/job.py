"""What is drawn, where to, and what came of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

from ..errors import OutputError
from ..model import GenerativeGalaxyModel
from ..profile import GenerativeGalaxy
from ..writing import write_whole

__all__ = [
    "MOST_BAD_ROWS",
    "BadRow",
    "Job",
    "ShardReport",
    "Summary",
    "View",
]

MOST_BAD_ROWS = 100  # that a report names; the truth table has all
_STAMPS_A_CHUNK = 16  # of Zarr: what a reader of one stamp has to decode


@dataclass(frozen=True)
class BadRow:
    """Name a row that made no galaxy.

    Attributes
    ----------
    row : int
        Counted from 0 over the whole catalogue.
    obj_id : int, str or None
    reason : str
    """

    row: int
    obj_id: Any
    reason: str


@dataclass(frozen=True)
class ShardReport:
    """Tell what came of one shard.

    Attributes
    ----------
    n_rows, n_bad, n_extrapolated : int
        Rows, those without a galaxy, and those outside the trained range.
    is_new : bool
        False if an earlier run had drawn it.
    bad_rows : tuple of BadRow
        The first ones.
    """

    n_rows: int
    n_bad: int
    n_extrapolated: int
    is_new: bool
    bad_rows: tuple[BadRow, ...] = ()


@dataclass(frozen=True)
class Summary:
    """Tell what came of a catalogue.

    Attributes
    ----------
    stamps, truth : pathlib.Path
        The Zarr array and the folder of Parquet files.
    n_rows, n_bad, n_extrapolated : int
        Rows, those without a galaxy, and those outside the trained range.
    n_shards, n_new_shards : int
        Shards, and those that this run had to draw.
    bad_rows : tuple of BadRow
        The first hundred; the truth table has all.
    """

    stamps: Path
    truth: Path
    n_rows: int = 0
    n_bad: int = 0
    n_extrapolated: int = 0
    n_shards: int = 0
    n_new_shards: int = 0
    bad_rows: tuple[BadRow, ...] = ()

    def with_shard(self, report: ShardReport) -> Summary:
        """Count one more shard."""
        bad_rows = sorted((*self.bad_rows, *report.bad_rows), key=lambda bad: bad.row)
        return Summary(
            self.stamps,
            self.truth,
            self.n_rows + report.n_rows,
            self.n_bad + report.n_bad,
            self.n_extrapolated + report.n_extrapolated,
            self.n_shards + 1,
            self.n_new_shards + report.is_new,
            tuple(bad_rows[:MOST_BAD_ROWS]),
        )


@dataclass(frozen=True)
class View:
    """Say how a survey sees a galaxy.

    Attributes
    ----------
    psf : galsim.GSObject
    pixel_scale : float
        The side of a pixel [arcsec].
    size : int
        The side of an image [pixels].
    """

    psf: galsim.GSObject
    pixel_scale: float
    size: int

    def draw(self, galaxy: GenerativeGalaxy) -> NDArray[np.float32]:
        """Draw a galaxy without noise, flux a pixel."""
        image = galsim.ImageF(self.size, self.size, scale=self.pixel_scale)
        galsim.Convolve(galaxy, self.psf).drawImage(image=image)
        return image.array


@dataclass(frozen=True)
class Job:
    """Hold what a worker has to know of a run; small, since every task carries it.

    Attributes
    ----------
    model : GenerativeGalaxyModel
    output : pathlib.Path
    n_rows, shard_size : int
        Rows of the catalogue and of a shard.
    id_column : str
    id_type : {'int64', 'uint64', 'string'}
    view : View or None
        None for the module's own stamps.
    is_strict : bool
        Whether a bad row stops the run.
    """

    model: GenerativeGalaxyModel
    output: Path
    n_rows: int
    shard_size: int
    id_column: str
    id_type: str
    view: View | None = None
    is_strict: bool = False

    @property
    def stamps(self) -> Path:
        """The Zarr array of all stamps."""
        return self.output / "stamps.zarr"

    @property
    def truth(self) -> Path:
        """The folder of the truth table, a Parquet file a shard."""
        return self.output / "truth.parquet"

    @property
    def side(self) -> int:
        """The side of what is drawn [pixels]."""
        return self.model.stamp_size if self.view is None else self.view.size

    def prepare(self) -> None:
        """Make the output folder, or check that it is this run's own.

        Raises
        ------
        OutputError
            If it holds anything else, or cannot be written to.
        """
        manifest = self.output / "run.json"
        if manifest.exists():
            self._check_same(_read_manifest(manifest))
        elif self.output.exists() and any(self.output.iterdir()):
            raise OutputError(
                f"Folder {self.output} is not empty and holds no run. Give a new folder.",
                str(self.output),
            )
        else:
            text = json.dumps(self._describe(), indent=2) + "\n"
            self.output.mkdir(parents=True, exist_ok=True)
            write_whole(manifest, lambda path: path.write_text(text))
        self.truth.mkdir(exist_ok=True)
        if not self.stamps.exists():
            self._make_array()

    def _describe(self) -> dict[str, Any]:
        view = self.view
        return {
            "format": 1,
            "module": self.model.file_name,
            "sha256": self.model.sha256,
            "fixed_conditions": self.model.fixed_conditions,
            "band": self.model.band,
            "engine": self.model.engine,
            "on_extrapolate": self.model.on_extrapolate,
            "n_rows": self.n_rows,
            "shard_size": self.shard_size,
            "id_column": self.id_column,
            "psf": None if view is None else repr(view.psf),
            "pixel_scale": self.model.pixel_size if view is None else view.pixel_scale,
            "size": self.side,
        }

    def _check_same(self, theirs: dict[str, Any]) -> None:
        for name, ours in self._describe().items():
            # The same module may be at another place on another machine.
            if name != "module" and theirs.get(name) != ours:
                raise OutputError(
                    f"Folder {self.output} holds a run with {name} = {theirs.get(name)!r}, this "
                    f"one has {ours!r}. Give a new folder, or the same arguments to go on.",
                    str(self.output),
                )

    def _make_array(self) -> None:
        import zarr  # here: it comes with the extra

        def create(path: Path) -> None:
            zarr.create_array(
                path,
                shape=(self.n_rows, self.side, self.side),
                shards=(self.shard_size, self.side, self.side),
                chunks=(math.gcd(self.shard_size, _STAMPS_A_CHUNK), self.side, self.side),
                dtype="float32",
                fill_value=float("nan"),
                attributes={"sha256": self.model.sha256},
            )

        write_whole(self.stamps, create)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except ValueError:  # no JSON, or no text
        manifest = None
    if not isinstance(manifest, dict):
        raise OutputError(
            f"{path} is damaged, so nothing tells what the folder holds. Restore it from a copy, "
            "or give a new folder.",
            str(path),
        )
    return manifest
