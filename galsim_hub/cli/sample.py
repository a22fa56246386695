"""draw galaxies into a FITS file or a picture.

  galsim-hub sample hub:cosmos flux_radius=12 mag_auto=21:24 zphot=0.7 -n 16 -o galaxies.png
  galsim-hub sample hub:cosmos --catalogue galaxies.csv --id object_id -o galaxies.fits

A condition is a number, or FROM:TO for a run of values over the galaxies. The FITS file holds the
stamps (n, y, x), without PSF and noise, and a table of conditions and seeds.
"""

from __future__ import annotations

import argparse
import functools
import importlib
from pathlib import Path
from typing import Any, NamedTuple, get_args

import galsim
import numpy as np
from numpy.typing import NDArray

from ..conditions import ExtrapolationPolicy
from ..errors import ConditionError, OutputError, suggest
from ..figures import contact_sheet
from ..model import GenerativeGalaxyModel
from ..recipe import choose_seeds
from ..writing import write_whole
from .text import positive, say, track

__all__ = ["add_arguments", "run"]

_PART = 100  # galaxies between two signs of progress


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("module", help="hub:NAME, hub:NAME@VERSION, or a folder")
    parser.add_argument("conditions", nargs="*", metavar="NAME=VALUE", help="conditions of all")
    rows = parser.add_mutually_exclusive_group()
    rows.add_argument("-n", dest="count", type=positive, default=1, help="how many (1)")
    rows.add_argument(
        "--catalogue", type=Path, metavar="FILE", help="a galaxy a row: FITS, CSV, ECSV ..."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--seed", type=_seed, help="of galsim.BaseDeviate (a fresh one)")
    which.add_argument("--id", metavar="COLUMN", help="one id is one galaxy, in every catalogue")
    parser.add_argument("--band", help="which band, for a module of several")
    parser.add_argument(
        "--on-extrapolate",
        choices=get_args(ExtrapolationPolicy),
        default="warn",
        help="what to do about conditions outside the trained range (warn)",
    )
    parser.add_argument(
        "-o",
        dest="outputs",
        action="append",
        required=True,
        type=_output,
        metavar="FILE",
        help="a .fits or .png file; may be given twice",
    )


def run(args: argparse.Namespace) -> int:
    """Draw galaxies and write them.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    _check_outputs(args.outputs, args.catalogue)
    model = GenerativeGalaxyModel(args.module, args.on_extrapolate, band=args.band)
    columns, n_rows = _read_columns(args, model)
    conditions = model.read_conditions(columns)
    obj_ids = None if args.id is None else _read_ids(columns, args.id)
    rng = None if args.seed is None else galsim.BaseDeviate(args.seed)
    seeds = choose_seeds(n_rows, rng, None, obj_ids)
    parts = [
        model.generate(conditions[part], seeds[part]) for part in track(n_rows, _PART, "galaxies")
    ]
    galaxies = _Galaxies(model, np.concatenate(parts), conditions, seeds)
    for path in args.outputs:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, functools.partial(_WRITERS[path.suffix], galaxies))
        say(f"{n_rows} galaxies of {model.spec.label} -> {path}")
    return 0


class _Galaxies(NamedTuple):
    model: GenerativeGalaxyModel
    images: NDArray[np.float32]
    conditions: NDArray[np.float64]
    seeds: list[int]


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix not in _WRITERS:
        raise argparse.ArgumentTypeError(f"expected .fits or .png at the end, got {text!r}")
    return path


def _seed(text: str) -> int:
    seed = int(text)
    if not -(1 << 63) <= seed < 1 << 63:
        raise argparse.ArgumentTypeError(f"expected a whole number of 64 bits, got {text}")
    return seed


def _check_outputs(outputs: list[Path], catalogue: Path | None) -> None:
    """Find out before anything is drawn what would keep it from being written."""
    if any(path.suffix == ".png" for path in outputs):
        importlib.import_module("matplotlib")  # here: it comes with an extra
    for path in outputs:
        if catalogue is not None and path.exists() and path.samefile(catalogue):
            raise OutputError(
                f"{path} is the catalogue itself, which the galaxies would replace. Choose another "
                "name for -o.",
                str(path),
            )


def _read_columns(
    args: argparse.Namespace, model: GenerativeGalaxyModel
) -> tuple[dict[str, Any], int]:
    columns: dict[str, Any] = {}
    n_rows: int = args.count
    if args.catalogue is not None:
        table = _read_table(args.catalogue)
        columns, n_rows = {name: table[name] for name in table.colnames}, len(table)
    # So that a command without any condition still has rows that miss them.
    columns.setdefault("row", np.arange(n_rows))
    seen: set[str] = set()
    for text in args.conditions:
        name, values = _read_condition(text, n_rows)
        if name in seen:
            raise ConditionError(f"Condition {name} is given twice. Give it once.", name)
        seen.add(name)
        if name not in model.quantities:
            raise ConditionError(
                f"{name!r} is no condition of module {model.spec.label}, which takes "
                f"{', '.join(model.quantities)}.{suggest(name, model.quantities)}",
                name,
            )
        columns[name] = values
    return columns, n_rows


def _read_condition(text: str, n_rows: int) -> tuple[str, NDArray[np.float64]]:
    name, _, value = text.partition("=")
    first, _, last = value.partition(":")
    try:
        values = np.linspace(float(first), float(last or first), n_rows)
    except ValueError:
        raise ConditionError(
            f"Condition {text!r} cannot be read. Write NAME=VALUE or NAME=FROM:TO, with numbers, "
            "such as mag_auto=22.5 or mag_auto=21:24.",
            name,
            value,
        ) from None
    return name, values


def _read_table(path: Path) -> Any:
    from astropy.io.registry import IORegistryError
    from astropy.table import Table

    try:
        table = Table.read(path)
    except (ValueError, IORegistryError) as error:
        reason = str(error).splitlines()[0]
        raise ConditionError(
            f"Catalogue {path} cannot be read: {reason} Give a file that astropy's Table.read "
            "knows by its name: .fits, .csv, .ecsv, .hdf5, .votable ...",
            None,
            str(path),
        ) from error
    if not len(table):
        raise ConditionError(f"Catalogue {path} has no rows, so no galaxies. Give one a row.", None)
    return table


def _read_ids(columns: dict[str, Any], name: str) -> list[Any]:
    if name not in columns:
        raise ConditionError(
            f"There is no column {name!r} of ids; the catalogue has {', '.join(columns)}."
            f"{suggest(name, columns)}",
            name,
        )
    ids: list[Any] = np.ma.asarray(columns[name]).tolist()
    if None in ids:  # a blank in a CSV file
        raise ConditionError(
            f"Column {name!r} has no id in row {ids.index(None)}, as in {ids.count(None)} of "
            f"{len(ids)} rows. Remove those rows, or give them ids.",
            name,
            None,
            ids.index(None),
        )
    return ids


def _write_fits(galaxies: _Galaxies, path: Path) -> None:
    from astropy.io import fits

    model = galaxies.model
    stamps = fits.PrimaryHDU(galaxies.images)
    stamps.header["MODULE"] = (model.spec.label, "galsim_hub module")
    stamps.header["IDENTITY"] = model.sha256
    stamps.header["PIXSCALE"] = (model.pixel_size, "[arcsec]")
    for name, value in (("BAND", model.band), ("ZEROPT", model.spec.flux.get("zeropoint"))):
        if isinstance(value, str | float | int):
            stamps.header[name] = value
    columns = [
        fits.Column(condition.name, "D", condition.unit, array=values)
        for condition, values in zip(model.spec.inputs, galaxies.conditions.T, strict=True)
    ]
    seeds = np.array(galaxies.seeds, dtype=np.uint64)
    columns.append(fits.Column("seed", "K", bzero=2**63, array=seeds))
    table = fits.BinTableHDU.from_columns(columns, name="CONDITIONS")
    fits.HDUList([stamps, table]).writeto(path)


def _write_picture(galaxies: _Galaxies, path: Path) -> None:
    inputs = galaxies.model.spec.inputs
    captions = [
        "\n".join(f"{c.name} {value:.4g}" for c, value in zip(inputs, row, strict=True))
        for row in galaxies.conditions
    ]
    contact_sheet(list(galaxies.images), captions).savefig(path, dpi=150)


_WRITERS = {".fits": _write_fits, ".png": _write_picture}
