"""map the mass in front of a catalogue of galaxies, from their shear.

  galsim-hub massmap shear.fits --output maps
  galsim-hub massmap shear.parquet --columns e1=g1 e2=g2 --prior gaussian --output maps

The folder then holds kaiser_squires.fits, wiener.fits, posterior_mean.fits, posterior_std.fits,
samples.fits, peaks.ecsv and massmap.png. e1 is positive along x, e2 along the diagonal x = y, with
x towards the west (falling right ascension) and y to the north. With x towards the east, give
--flip-e2; for angles counted from north through east, --flip-e1 --flip-e2. A run that was
interrupted goes on when it is started again.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MassMapError, TableError
from ..figures import mass_maps
from ..mass_mapping import (
    MassMaps,
    field_around,
    make_shear_map,
    map_mass,
    read_catalogue,
    read_spectrum,
)
from ..mass_mapping.catalogue import COLUMNS, read_table
from ..mass_mapping.field import PIXEL_SCALE
from ..mass_mapping.maps import FILES, check_free
from .text import positive, print_table, say

__all__ = ["add_arguments", "run"]

_CHECKPOINT = "checkpoint.npz"
_PICTURE = "massmap.png"
# [arcmin] of pixels: shear is not known more finely, and no field is seen more coarsely.
_SCALES = 1e-3, 60.0
_SHOWN = 10  # peaks on the terminal, and in the picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("catalogue", type=Path, help="FITS, ECSV or Parquet; a galaxy a row")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="for the maps")
    parser.add_argument(
        "--prior",
        default="gaussian",
        help="'gaussian', or a module of kind score_prior (gaussian)",
    )
    parser.add_argument("--samples", type=_several, default=16, help="of the posterior (16)")
    parser.add_argument("--seed", type=int, default=1, help="of the samples (1)")
    parser.add_argument(
        "--columns",
        type=_column,
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=COLUMN",
        help=f"what the file calls {', '.join(COLUMNS)}",
    )
    parser.add_argument("--unweighted", action="store_true", help="all galaxies count the same")
    parser.add_argument("--flip-e1", action="store_true", help="e1 is positive along y")
    parser.add_argument("--flip-e2", action="store_true", help="e2 is counted with x to the east")
    parser.add_argument(
        "--shape-noise",
        type=float,
        metavar="STD",
        help="scatter of a component of an ellipticity (measured)",
    )
    parser.add_argument(
        "--centre", type=float, nargs=2, metavar=("RA", "DEC"), help="[deg] (of the galaxies)"
    )
    parser.add_argument(
        "--size", type=_size, metavar="N|NxM", help="rows and columns of pixels (of the galaxies)"
    )
    parser.add_argument(
        "--pixel-scale", type=_scale, default=PIXEL_SCALE, help=f"[arcmin] ({PIXEL_SCALE})"
    )
    parser.add_argument(
        "--smoothing", type=float, default=1.0, help="of the Kaiser-Squires map [arcmin] (1)"
    )
    parser.add_argument(
        "--power",
        type=Path,
        metavar="FILE",
        help="ECSV with ell and power [sr], for the Wiener filter and the Gaussian prior",
    )
    parser.add_argument(
        "--marks",
        type=Path,
        metavar="FILE",
        help="ECSV or FITS with name, ra and dec to circle in the picture (the peaks)",
    )
    parser.add_argument(
        "--threshold", type=_finite, default=2.0, help="of peaks: posterior mean by its std (2)"
    )


def run(args: argparse.Namespace) -> int:
    """Map mass and write the maps.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    if args.output.exists() and not args.output.is_dir():
        raise MassMapError(f"{args.output} is no folder. Choose another --output.", "output")
    check_free(args.output, (*FILES, _PICTURE))
    marks = None if args.marks is None else _read_marks(args.marks)
    names: dict[str, str | None] = {name: name for name in COLUMNS}
    names.update(args.columns)
    if args.unweighted:
        names["weight"] = None
    _check_distinct(names)
    catalogue = read_catalogue(args.catalogue, names).flip(e1=args.flip_e1, e2=args.flip_e2)
    field = field_around(
        catalogue, pixel_scale=args.pixel_scale, centre=args.centre, shape=args.size
    )
    shear_map = make_shear_map(catalogue, field, shape_noise=args.shape_noise)
    say(
        f"{shear_map.n_galaxies.sum()} of {len(catalogue)} galaxies in {field.shape[0]}x"
        f"{field.shape[1]} pixels around ra {field.ra:.4f}, dec {field.dec:.4f}"
    )
    about = _describe(args)
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / _CHECKPOINT
    maps = map_mass(
        shear_map,
        read_spectrum(args.power),
        prior=args.prior,
        n_samples=args.samples,
        seed=args.seed,
        smoothing=args.smoothing,
        checkpoint=checkpoint,
        progress=_show_progress,
    )
    maps = dataclasses.replace(maps, about={**maps.about, **about})
    peaks = maps.peaks(args.threshold)[:_SHOWN]
    maps.write(args.output, args.threshold)
    if marks is None:
        marks = [(row["ra"], row["dec"], f"{row['significance']:.1f}") for row in peaks]
    _draw(maps, marks).savefig(args.output / _PICTURE, dpi=110)
    checkpoint.unlink(missing_ok=True)
    if maps.diagnostics:
        reduced = np.mean(maps.diagnostics["chi2"]) / maps.diagnostics["n_data"]
        say(f"chi2 of the samples is {reduced:.3f} of the data's count")
    print_table(
        ("ra", "dec", "convergence", "std", "significance"),
        [
            (f"{p['ra']:.4f}", f"{p['dec']:.4f}", *(f"{p[n]:.3g}" for n in p.colnames[4:7]))
            for p in peaks
        ],
    )
    say(f"maps and peaks -> {args.output}")
    return 0


def _check_distinct(names: dict[str, str | None]) -> None:
    for column in names.values():
        users = [name for name in names if names[name] == column]
        if column is not None and len(users) > 1:
            raise MassMapError(
                f"Column {column!r} would be {' and '.join(users)}. Name another one for each: "
                f"--columns {' '.join(f'{name}=COLUMN' for name in users)}.",
                "columns",
                column,
            )


def _describe(args: argparse.Namespace) -> dict[str, Any]:
    """Return what of a command its maps are to say: what else changes their signs and sizes."""
    measured = args.shape_noise is None
    return {
        "CATALOG": args.catalogue.name,
        "COLUMNS": " ".join(f"{name}={column}" for name, column in args.columns),
        "WEIGHTED": not args.unweighted,
        "FLIP_E1": (args.flip_e1, "e1 was positive along y"),
        "FLIP_E2": (args.flip_e2, "e2 was counted with x to the east"),
        "SHAPESTD": "measured" if measured else args.shape_noise,
        "POWER": "default" if args.power is None else args.power.name,
        "CREATOR": f"galsim_hub {version('galsim-hub')}",
    }


def _read_marks(path: Path) -> list[tuple[float, float, str]]:
    try:
        table = read_table(path, ["ra", "dec", "name"])
        rows = zip(table["ra"], table["dec"], table["name"], strict=True)
        return [(float(ra), float(dec), str(name)) for ra, dec, name in rows]
    except (TableError, TypeError, ValueError) as error:
        raise MassMapError(
            f"No marks can be read from {path}. Give an ECSV, FITS or Parquet table with "
            "name, ra and dec [deg].",
            "marks",
            str(path),
        ) from error


def _draw(maps: MassMaps, marks: list[tuple[float, float, str]]) -> Any:
    panels = {"Kaiser-Squires, smoothed": maps.direct.convergence}
    if maps.mean is maps.wiener:
        panels |= {"Wiener filter, the posterior mean": maps.wiener}
        panels |= {"A sample of the posterior": maps.samples[0]}
    else:
        panels |= {"Wiener filter": maps.wiener, "Posterior mean": maps.mean}
    panels |= {"Posterior standard deviation": maps.std}
    return mass_maps(panels, maps.field.wcs(), marks)


def _size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r"\d+(x\d+)?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected N or NxM such as 360 or 240x360, got {text!r}")
    rows, _, columns = text.partition("x")
    return positive(rows), positive(columns or rows)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"expected a finite number, got {text!r}")
    return number


def _scale(text: str) -> float:
    low, high = _SCALES
    if not low <= (scale := float(text)) <= high:
        raise argparse.ArgumentTypeError(f"expected {low:g} to {high:g} [arcmin], got {text!r}")
    return scale


def _column(text: str) -> tuple[str, str]:
    name, equals, column = text.partition("=")
    if not equals or not column or name not in COLUMNS:
        raise argparse.ArgumentTypeError(
            f"expected NAME=COLUMN with a name out of {', '.join(COLUMNS)}, got {text!r}"
        )
    return name, column


def _several(text: str) -> int:
    if not text.isdecimal() or int(text) < 2:
        raise argparse.ArgumentTypeError(f"a scatter needs 2 samples or more, got {text!r}")
    return int(text)


def _show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        end = "\n" if done == total else ""
        print(f"\rsampling: {done} of {total}", end=end, file=sys.stderr, flush=True)
    elif done % math.ceil(total / 10) == 0:
        say(f"sampling: {done} of {total}")
