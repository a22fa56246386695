"""Time learned galaxies against the other ways to draw one: `make bench`.

One run, medians, ratios. A process is measured from outside, cold; a galaxy from inside, after one
call that warms up. The Sersic profiles have a new index each, as those of a COSMOSCatalog do, so
that GalSim cannot reuse tables. With ``--catalog`` the parametric galaxies are those of a
COSMOSCatalog file, else a Sersic stands for them. ``--many`` is the length of the long run.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import galsim
import numpy as np
import yaml

import galsim_hub

N_GALAXIES = 64
PIXEL_SIZE = 0.03  # [arcsec], of flux_radius
GROUND = galsim.Kolmogorov(fwhm=0.7), 48, 0.2  # PSF, side [pixel], pixel [arcsec]
SPACE = galsim.OpticalPSF(lam=814, diam=2.4, obscuration=0.33), 128, 0.03
RNG = np.random.default_rng(5)
COLD = (
    "import galsim, galsim_hub, resource;"
    "model = galsim_hub.GenerativeGalaxyModel({module!r});"
    "gal = galsim_hub.GenerativeGalaxy(model, flux_radius=8, mag_auto=23, zphot=1, seed=1);"
    "galsim.Convolve(gal, galsim.Kolmogorov(fwhm=0.7)).drawImage(nx=48, ny=48, scale=0.2);"
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
)
Survey = tuple[galsim.GSObject, int, float]


def catalogue(n: int) -> dict[str, np.ndarray]:
    """Return the conditions of n galaxies, the same ones for the same n."""
    rng = np.random.default_rng(n)
    return {
        "flux_radius": rng.uniform(4.0, 16.0, n),
        "mag_auto": rng.uniform(21.0, 25.0, n),
        "zphot": rng.uniform(0.1, 1.5, n),
    }


def draw(galaxy: galsim.GSObject, survey: Survey) -> None:
    """Draw a galaxy as a survey sees it."""
    psf, side, scale = survey
    galsim.Convolve(galaxy, psf).drawImage(nx=side, ny=side, scale=scale)


def median_time(function: Callable[..., None], arguments: Iterable[tuple]) -> float:
    """Return the median time of a call [ms]; the first one does not count."""
    times = []
    for values in arguments:
        start = time.perf_counter()
        function(*values)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[1:]))


def time_process(code: str, repeats: int = 5) -> tuple[float, float]:
    """Return the median time of a cold process [ms] and the number that it prints last."""
    times, printed = [], 0.0
    for _ in range(repeats):
        start = time.perf_counter()
        run = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        times.append(1e3 * (time.perf_counter() - start))
        printed = float(run.stdout.split()[-1])
    return float(np.median(times)), printed


def measure_start(module: str) -> dict[str, float]:
    """Return what a process pays before and for its first galaxy [ms, MB]."""
    bare, _ = time_process("import galsim; print(0)")
    with_us, _ = time_process("import galsim, galsim_hub; print(0)")
    cold, memory = time_process(COLD.format(module=module))
    return {
        "import galsim_hub, over galsim's [ms]": with_us - bare,
        "first galaxy of a cold process [ms]": cold,
        "memory of that process [MB]": memory,
    }


def measure_survey(model, survey: Survey, parametric: Callable[[], galsim.GSObject]) -> dict:
    """Return the time of a galaxy [ms], made and drawn, by each way."""

    def one_at_a_time(k: int) -> None:
        row = {name: column[k] for name, column in table.items()}
        draw(galsim_hub.GenerativeGalaxy(model, seed=k, **row), survey)

    def in_batches(start: int) -> None:
        for galaxy in model.sample(table, seeds=range(start, start + N_GALAXIES)):
            draw(galaxy, survey)

    table = catalogue(N_GALAXIES)
    singles = [(k,) for k in range(N_GALAXIES)]
    batches = [(N_GALAXIES * k,) for k in range(4)]
    galaxies = model.sample(table, seeds=range(N_GALAXIES))
    return {
        "parametric": median_time(lambda _: draw(parametric(), survey), singles),
        "learned, one at a time": median_time(one_at_a_time, singles),
        "learned, batches of 64": median_time(in_batches, batches) / N_GALAXIES,
        "of that: drawing": median_time(lambda gal: draw(gal, survey), [(g,) for g in galaxies]),
    }


def measure_2020(module: str, survey: Survey) -> float:
    """Return the time of a galaxy [ms] as in 2020: one TensorFlow call, GalSim's defaults."""
    model = galsim_hub.GenerativeGalaxyModel(module, engine="tensorflow")

    def as_in_2020(k: int) -> None:
        row = {name: column[k : k + 1] for name, column in table.items()}
        stamp = model.sample_images(row, seeds=[k])[0]
        image = galsim.Image(stamp.astype(float), scale=PIXEL_SIZE)
        draw(galsim.InterpolatedImage(image), survey)

    table = catalogue(N_GALAXIES)
    return median_time(as_in_2020, [(k,) for k in range(N_GALAXIES)])


def sersic() -> galsim.GSObject:
    """Return a Sersic of a new index."""
    index, radius = RNG.uniform(0.8, 4.0), RNG.uniform(4.0, 16.0)
    return galsim.Sersic(index, half_light_radius=PIXEL_SIZE * radius).shear(g1=0.2)


def parametric_maker(path: str | None) -> Callable[[], galsim.GSObject]:
    """Return a function that makes the next parametric galaxy."""
    if path is None:
        return sersic
    catalog = galsim.COSMOSCatalog(path, use_real=False, exclusion_level="bad_fits")
    return lambda: catalog.makeGalaxy(int(RNG.integers(catalog.nobjects)), gal_type="parametric")


def time_yaml(module: str, nproc: int, n_objects: int) -> float:
    """Return the time of a YAML run [s] by the galsim executable."""
    side = round(n_objects**0.5)
    conditions = {"flux_radius": 8.0, "mag_auto": 23.0, "zphot": 0.7}
    config = {
        "modules": ["galsim_hub"],
        "input": {"generative_model": {"file_name": module}},
        "gal": {"type": "GenerativeModelGalaxy", "seed": {"type": "Sequence"}, **conditions},
        "psf": {"type": "Kolmogorov", "fwhm": 0.7},
        "image": {"type": "Tiled", "nx_tiles": side, "ny_tiles": side, "stamp_size": 48},
        "output": {"file_name": "image.fits"},
    }
    config["image"] |= {"pixel_scale": 0.2, "random_seed": 1, "nproc": nproc}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(yaml.safe_dump(config))
        start = time.perf_counter()
        galsim_executable = Path(sys.executable).with_name("galsim")
        subprocess.run([galsim_executable, "-v", "0", path], check=True, cwd=folder)
        return time.perf_counter() - start


def measure_length(model, many: int) -> dict[str, float]:
    """Return rates of a short and a long run [1/s] and how memory grows between them [MB]."""
    rates, memory = [], []
    for n in (1000, many):
        start = time.perf_counter()
        for first in range(0, n, N_GALAXIES):
            model.sample_images(catalogue(N_GALAXIES), seeds=range(first, first + N_GALAXIES))
        rates.append(n / (time.perf_counter() - start))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "rate at 1,000 [1/s]": rates[0],
        f"rate at {many:,} [1/s]": rates[1],
        "memory gained [MB]": memory[1] - memory[0],
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", nargs="?", default="hub:cosmos")
    parser.add_argument("--catalog", help="file of a galsim.COSMOSCatalog")
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="leave out the long runs")
    arguments = parser.parse_args()
    model = galsim_hub.GenerativeGalaxyModel(arguments.module)
    print_rows(measure_start(model.file_name))
    for name, survey, parametric in (
        ("space, 128x128 at 0.03 arcsec", SPACE, parametric_maker(arguments.catalog)),
        ("ground, 48x48 at 0.2 arcsec", GROUND, sersic),
    ):
        times = measure_survey(model, survey, parametric)
        if survey is GROUND:
            times["as in 2020"] = measure_2020(model.file_name, survey)
        print(f"\n{name:40}{'ms':>10}{'rate / parametric':>20}")
        for way, milliseconds in times.items():
            print(f"{way:40}{milliseconds:10.2f}{times['parametric'] / milliseconds:20.2f}")
    if not arguments.quick:
        one, two = (time_yaml(model.file_name, nproc, 2025) for nproc in (1, 2))
        print_rows({"2,025 galaxies by YAML, nproc 1 [s]": one, "nproc 2 [s]": two})
        print_rows({"nproc 2 / nproc 1": one / two} | measure_length(model, arguments.many))


def print_rows(rows: dict[str, float]) -> None:
    """Print one number a line."""
    for name, number in rows.items():
        print(f"{name:40}{number:10.2f}")


if __name__ == "__main__":
    main()
