"""Measure catalogue drawing with 1 and more workers, and plan a larger one from it.

One cluster a number of workers, the first shards of each not counted: processes start and load the
network in them. With ``--size`` images through a Kolmogorov PSF are drawn, else the module's own
stamps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import galsim
import numpy as np
import pyarrow as pa
from distributed import Client, LocalCluster
from pyarrow import parquet

import galsim_hub
from galsim_hub import scale

LEAST_GAIN = 1.7  # of two workers over one


def write_catalogue(path: Path, n: int, model: galsim_hub.GenerativeGalaxyModel) -> None:
    """Write n rows, their conditions as the galaxies of the sky have them."""
    conditions = model.sample_conditions(n, galsim.BaseDeviate(n))
    parquet.write_table(pa.table({"id": np.arange(n), **conditions}), path)


def measure(
    n_workers: int, folder: Path, n: int, model: galsim_hub.GenerativeGalaxyModel, options: dict
) -> tuple[float, float]:
    """Return the rate of a cluster [1/s] and the bytes that it wrote a galaxy."""
    cluster = LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=None)
    with cluster, Client(cluster) as client:
        options = options | {"client": client}
        scale.draw(folder / "warm.parquet", model, folder / f"warm{n_workers}", **options)
        start = time.perf_counter()
        output = folder / f"out{n_workers}"
        scale.draw(folder / "catalogue.parquet", model, output, **options)
        rate = n / (time.perf_counter() - start)
    written = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    return rate, written / n


def print_plan(rate: float, n_workers: int, size: float, n: float) -> None:
    """Print what n galaxies take."""
    hours = n / (rate / n_workers) / 3600
    print(f"{n:.0e} galaxies: {hours:.3g} worker hours, {hours / 1000:.3g} hours of 1000 workers,")
    print(f"{n * size / 1e12:.3g} TB")


def main() -> None:
    """Print the table and the plan."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", nargs="?", default="hub:cosmos")
    parser.add_argument("--galaxies", type=int, default=24_576)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shard-size", type=int, default=256)
    parser.add_argument("--size", type=int, help="side of an image through a PSF [pixel]")
    parser.add_argument("--pixel-scale", type=float, default=0.2, help="[arcsec]")
    parser.add_argument("--plan", type=float, default=1e9, help="galaxies to plan for")
    arguments = parser.parse_args()
    model = galsim_hub.GenerativeGalaxyModel(arguments.module)
    options = {"shard_size": arguments.shard_size}
    if arguments.size:
        psf = galsim.Kolmogorov(fwhm=0.7)
        options |= {"psf": psf, "size": arguments.size, "pixel_scale": arguments.pixel_scale}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        n_warm = 2 * max(arguments.workers) * arguments.shard_size
        write_catalogue(folder / "warm.parquet", n_warm, model)
        write_catalogue(folder / "catalogue.parquet", arguments.galaxies, model)
        print(f"{'workers':>8}{'galaxies / s':>16}{'of one worker':>16}{'bytes a galaxy':>16}")
        first = None
        for n_workers in arguments.workers:
            rate, size = measure(n_workers, folder, arguments.galaxies, model, options)
            first = first or rate
            line = f"{n_workers:8}{rate:16.1f}{rate / first:16.2f}{size:16.0f}"
            if n_workers == 2 and arguments.workers[0] == 1:
                held = "held" if rate / first >= LEAST_GAIN else "MISSED"
                line += f"  at least {LEAST_GAIN:g}: {held}"
            print(line)
    print_plan(rate, n_workers, size, arguments.plan)


if __name__ == "__main__":
    main()
