"""Time learned galaxies against the other ways to draw one: `make bench`.

One run, medians, ratios. A process is measured from outside, cold. Galaxies are measured in rounds
of 64, each way in turn on new galaxies, so that what else runs slows all ways alike. A round's time
is the mean of a galaxy, for a catalogue's few large and steep ones cost most of it; the table has
the medians of rounds and of their ratios. From space, both ways draw the same rows of the COSMOS
catalogue through one HST/ACS PSF. Without these files, which `make data` fetches, Sersic profiles
and a model of the telescope stand for them, and the table says so.
"""

from __future__ import annotations

import argparse
import functools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import galsim
import numpy as np
import yaml

import galsim_hub

N_GALAXIES = 64  # a round
N_FEW = 4  # of a run that is all start
PIXEL_SIZE = 0.03  # [arcsec], of flux_radius
GROUND = galsim.Kolmogorov(fwhm=0.7), 48, 0.2  # PSF, side [pixel], pixel [arcsec]
DATA = Path(__file__).parents[2] / "data"
RNG = np.random.default_rng(5)
COLD = """
import galsim, galsim_hub, resource
model = galsim_hub.GenerativeGalaxyModel({module!r})
for seed in range({n}):
    gal = galsim_hub.GenerativeGalaxy(model, flux_radius=8, mag_auto=23, zphot=1, seed=seed)
    galsim.Convolve(gal, galsim.Kolmogorov(fwhm=0.7)).drawImage(nx=48, ny=48, scale=0.2)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""
IMPORT, COLD_START, MEMORY = (
    "import galsim_hub, over galsim's [ms]",
    "first galaxy of a cold process [ms]",
    "memory of a process that drew 200 [MB]",
)
NPROC, GAINED = "rate of nproc 2 / nproc 1", "memory gained after the first 1,000 [MB]"
MOST = {IMPORT: 300.0, COLD_START: 2000.0, MEMORY: 450.0, GAINED: 10.0}
AGAINST_2020 = "batches, of the way of 2020", "one at a time, of the way of 2020"
LEAST = {NPROC: 1.7} | dict.fromkeys(AGAINST_2020, 5.0)
LEAST_FROM_SPACE = {"learned, batches of 64": 8.0, "learned, one at a time": 3.0}
LEAST_FROM_GROUND = {"learned, batches of 64": 2.0, "learned, one at a time": 2.0}
Survey = tuple[galsim.GSObject, int, float]
Scene = tuple[dict, int, float]


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


def space_psf(path: Path) -> galsim.GSObject:
    """Return a PSF of HST as users have it, an image: the sixth of a file, or a model's."""
    if path.exists():
        image = galsim.fits.read(str(path), hdu=5)
    else:
        telescope = galsim.OpticalPSF(lam=814, diam=2.4, obscuration=0.33)
        pixel = galsim.Pixel(PIXEL_SIZE)
        image = galsim.Convolve(telescope, pixel).drawImage(
            nx=37, ny=37, scale=PIXEL_SIZE, method="no_pixel"
        )
    return galsim.InterpolatedImage(image, scale=PIXEL_SIZE, flux=1.0)


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
    cold, first = time_process(COLD.format(module=module, n=1))
    _, memory = time_process(COLD.format(module=module, n=200), repeats=1)
    return {
        IMPORT: with_us - bare,
        COLD_START: cold,
        "memory of that process [MB]": first,
        MEMORY: memory,
    }


def measure_survey(survey: Survey, ways: dict, rows: Callable[[], dict], n_rounds: int) -> dict:
    """Return for each way the times of a galaxy [ms], one a round.

    A way makes and draws the galaxies of a round's rows.
    """
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for k in range(n_rounds + 1):
        table = rows()
        for name, way in ways.items():
            start, cpu = time.perf_counter(), time.process_time()
            way(table, range(N_GALAXIES * k, N_GALAXIES * (k + 1)), survey)
            spent = time.perf_counter() - start, time.process_time() - cpu
            times[name].append(tuple(1e3 * each / N_GALAXIES for each in spent))
    return {name: np.array(each[1:]) for name, each in times.items()}  # the first warms up


def learned_ways(model) -> dict:
    """Return the ways to draw learned galaxies."""

    def one_at_a_time(table: dict, seeds: range, survey: Survey) -> None:
        for k, seed in enumerate(seeds):
            row = {name: table[name][k] for name in model.quantities}
            draw(galsim_hub.GenerativeGalaxy(model, seed=seed, **row), survey)

    def in_batches(table: dict, seeds: range, survey: Survey) -> None:
        for galaxy in model.sample({n: table[n] for n in model.quantities}, seeds=seeds):
            draw(galaxy, survey)

    return {"learned, one at a time": one_at_a_time, "learned, batches of 64": in_batches}


def way_of_2020(module: str):
    """Return the way of 2020: one TensorFlow call a galaxy, GalSim's defaults."""
    model = galsim_hub.GenerativeGalaxyModel(module, engine="tensorflow")

    def as_in_2020(table: dict, seeds: range, survey: Survey) -> None:
        for k, seed in enumerate(seeds):
            row = {name: table[name][k : k + 1] for name in model.quantities}
            stamp = model.sample_images(row, seeds=[seed])[0]
            image = galsim.Image(stamp.astype(float), scale=PIXEL_SIZE)
            draw(galsim.InterpolatedImage(image), survey)

    return as_in_2020


def sersic() -> galsim.GSObject:
    """Return a Sersic of a new index."""
    index, radius = RNG.uniform(0.8, 4.0), RNG.uniform(4.0, 16.0)
    return galsim.Sersic(index, half_light_radius=PIXEL_SIZE * radius).shear(g1=0.2)


def draw_sersics(table: dict, seeds: range, survey: Survey) -> None:
    """Draw Sersic profiles of a new index each, so that GalSim cannot reuse tables."""
    for _ in seeds:
        draw(sersic(), survey)


def cosmos_rows(model, catalog: galsim.COSMOSCatalog) -> Callable[[], dict]:
    """Return a function that gives the next rows of the catalogue inside the trained range."""
    fits = catalog.param_cat
    inside = [
        (fits[each.name] >= each.minimum) & (fits[each.name] <= each.maximum)
        for each in model.spec.inputs
    ]
    usable = iter(RNG.permutation(np.flatnonzero(np.all(inside, axis=0))))

    def rows() -> dict:
        index = [int(next(usable)) for _ in range(N_GALAXIES)]
        # The catalogue's own index counts those that its exclusion level left.
        return {"index": index} | {n: np.asarray(fits[n][index], float) for n in model.quantities}

    return rows


def space_ways(model, path: Path) -> tuple[str, Callable, Callable[[], dict]]:
    """Return the name of the parametric way, the way, and what gives rows."""
    if not path.exists():
        return "Sersic (no catalogue)", draw_sersics, lambda: catalogue(N_GALAXIES)
    catalog = galsim.COSMOSCatalog(str(path), use_real=False, exclusion_level="none")

    def draw_fits(table: dict, seeds: range, survey: Survey) -> None:
        for index in table["index"]:
            draw(catalog.makeGalaxy(index, gal_type="parametric"), survey)

    return "COSMOSCatalog, parametric", draw_fits, cosmos_rows(model, catalog)


# Of YAML runs. GalSim makes an image of a PSF anew for every object, which is no cost of galaxies.
SCENES: dict[str, Scene] = {
    "space": ({"type": "Airy", "lam": 814, "diam": 2.4, "obscuration": 0.33}, 128, PIXEL_SIZE),
    "ground": ({"type": "Kolmogorov", "fwhm": 0.7}, *GROUND[1:]),
}


def time_yaml(module: str, scene: Scene, nproc: int, n_objects: int) -> float:
    """Return the time of a YAML run [s] by the galsim executable."""
    psf, stamp_size, pixel_scale = scene
    side = round(n_objects**0.5)
    conditions = {"flux_radius": 8.0, "mag_auto": 23.0, "zphot": 0.7}
    config = {
        "modules": ["galsim_hub"],
        "input": {"generative_model": {"file_name": module}},
        "gal": {"type": "GenerativeModelGalaxy", "seed": {"type": "Sequence"}, **conditions},
        "psf": psf,
        "image": {"type": "Tiled", "nx_tiles": side, "ny_tiles": side, "stamp_size": stamp_size},
        "output": {"file_name": "image.fits"},
    }
    config["image"] |= {"pixel_scale": pixel_scale, "random_seed": 1, "nproc": nproc}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.yaml"
        path.write_text(yaml.safe_dump(config))
        start = time.perf_counter()
        galsim_executable = Path(sys.executable).with_name("galsim")
        subprocess.run([galsim_executable, "-v", "0", path], check=True, cwd=folder)
        return time.perf_counter() - start


def measure_yaml(module: str, name: str, scene: Scene, n_objects: int) -> dict[str, float]:
    """Return times of YAML runs by one and two processes, in turn [s], and ratios of their rates.

    What no second process can halve, the start of Python, GalSim and the network, is most of the
    time of a run of few galaxies: it is measured by itself. So is what the machine gives to two
    processes that have nothing to do with each other, whose cores may not be two whole ones.
    """

    def side_by_side() -> float:
        with ThreadPoolExecutor(2) as pool:
            runs = [(module, scene, 1, n_objects)] * 2
            return sum(pool.map(lambda run: time_yaml(*run), runs)) / 2

    runs = (1, n_objects), (2, n_objects), (1, N_FEW)
    times = [[*(time_yaml(module, scene, *run) for run in runs), side_by_side()] for _ in range(3)]
    one, two, start, both = np.array(times).T
    return {
        f"{n_objects:,} galaxies by YAML, {name}, nproc 1 [s]": float(np.median(one)),
        "nproc 2 [s]": float(np.median(two)),
        f"{N_FEW} galaxies, nproc 1: the start [s]": float(np.median(start)),
        NPROC: float(np.median(one / two)),
        "the same without the start": float(np.median((one - start) / (two - start))),
        "the former, if the rest were halved": float(np.median(2 * one / (one + start))),
        "rate of two runs of nproc 1 side by side / one": float(np.median(2 * one / both)),
    }


def measure_length(model, many: int) -> dict[str, float]:
    """Return rates at the start and the end of a long run [1/s], and how memory grows [MB]."""
    rates, memory = [], []
    for chunk in range(max(many // 1000, 10)):
        start = time.perf_counter()
        for first in range(0, 1000, 50):
            first += 1000 * chunk
            model.sample_images(catalogue(50), seeds=range(first, first + 50))
        rates.append(1000 / (time.perf_counter() - start))
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return {
        "rate of the first 5 times 1,000 [1/s]": float(np.median(rates[:5])),
        f"rate of all {1000 * len(rates):,} [1/s]": float(1 / np.mean(1 / np.array(rates))),
        "median rate of the last half [1/s]": float(np.median(rates[len(rates) // 2 :])),
        GAINED: memory[-1] - memory[0],
    }


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", nargs="?", default="hub:cosmos")
    parser.add_argument("--catalog", type=Path, default=DATA / "src_cosmos.fits")
    parser.add_argument("--psfs", type=Path, default=DATA / "cosmos_acs_f814w_psfs.fits")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--many", type=int, default=20_000, help="length of the long run")
    parser.add_argument("--long", action="store_const", dest="many", const=100_000)
    parser.add_argument("--quick", action="store_true", help="leave out the long runs")
    arguments = parser.parse_args()
    model = galsim_hub.GenerativeGalaxyModel(arguments.module)
    print_rows(measure_start(model.file_name))
    name, way, rows = space_ways(model, arguments.catalog)
    space = space_psf(arguments.psfs), 128, 0.03
    from_space = "space, HST PSF" if arguments.psfs.exists() else "space, PSF of a model"
    ways = {name: way, **learned_ways(model)}
    times = measure_survey(space, ways, rows, arguments.rounds)
    print_ways(from_space, times, LEAST_FROM_SPACE)
    ways = {"a fresh Sersic each": draw_sersics, **learned_ways(model)}
    ways["as in 2020"] = way_of_2020(model.file_name)
    rows = functools.partial(catalogue, N_GALAXIES)
    times = measure_survey(GROUND, ways, rows, arguments.rounds)
    print_ways("ground, 0.2 arcsec", times, LEAST_FROM_GROUND)
    gains = [times["as in 2020"] / times[way] for way in LEAST_FROM_GROUND]
    medians = [float(np.median(gain, axis=0)[0]) for gain in gains]
    print_rows(dict(zip(AGAINST_2020, medians, strict=True)))
    if not arguments.quick:
        for name, scene in SCENES.items():
            print()
            print_rows(measure_yaml(model.file_name, name, scene, 2025))
        print()
        print_rows(measure_length(model, arguments.many))


def print_ways(title: str, times: dict[str, np.ndarray], least: dict[str, float]) -> None:
    """Print one way a line: medians of the rounds' times, and of their ratios to the first way."""
    first = next(iter(times.values()))
    print(f"\n{title:32}{'ms':>10}{'ms of CPU':>12}{'rate / first':>14}{'of CPU':>10}  bar")
    for way, spent in times.items():
        milliseconds, ratios = np.median(spent, axis=0), np.median(first / spent, axis=0)
        print(
            f"{way:32}{milliseconds[0]:10.2f}{milliseconds[1]:12.2f}"
            f"{ratios[0]:14.2f}{ratios[1]:10.2f}{verdict(ratios[0], least.get(way), 1)}"
        )


def print_rows(rows: dict[str, float]) -> None:
    """Print one number a line."""
    for name, number in rows.items():
        bar, sign = (MOST[name], -1) if name in MOST else (LEAST.get(name), 1)
        print(f"{name:44}{number:10.2f}{verdict(number, bar, sign)}")


def verdict(number: float, bar: float | None, sign: int) -> str:
    """Say whether a number holds its bar: at least if the sign is 1, at most if it is -1."""
    if bar is None:
        return ""
    held = "held" if sign * number >= sign * bar else "MISSED"
    return f"  {'at least' if sign > 0 else 'at most'} {bar:g}: {held}"


if __name__ == "__main__":
    main()
