"""Time learned galaxies against parametric ones: `make bench`, or with the module to be timed.

Each row is the median over the galaxies of a catalogue, after one call that warms up. The Sersic
profiles have a new index each, as those of a COSMOSCatalog do, so that GalSim cannot reuse tables.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable

import galsim
import numpy as np

import galsim_hub

N_GALAXIES = 64
PIXEL_SIZE = 0.03  # [arcsec], of flux_radius
PSF = galsim.Kolmogorov(fwhm=0.7)  # [arcsec]
RNG = np.random.default_rng(5)
CATALOG = {
    "flux_radius": RNG.uniform(4.0, 16.0, N_GALAXIES),
    "mag_auto": RNG.uniform(21.0, 25.0, N_GALAXIES),
    "zphot": RNG.uniform(0.1, 1.5, N_GALAXIES),
}


def draw(galaxy: galsim.GSObject) -> None:
    """Draw a galaxy as a survey from the ground sees it."""
    galsim.Convolve(galaxy, PSF).drawImage(nx=48, ny=48, scale=0.2)


def draw_sersic(index: float, flux_radius: float) -> None:
    """Draw a parametric galaxy of the same size."""
    draw(galsim.Sersic(index, half_light_radius=PIXEL_SIZE * flux_radius).shear(g1=0.2))


def median_time(function: Callable[..., None], arguments: Iterable[tuple]) -> float:
    """Return the median time of a call [ms]; the first one does not count."""
    times = []
    for values in arguments:
        start = time.perf_counter()
        function(*values)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times[1:]))


def measure(model: galsim_hub.GenerativeGalaxyModel) -> dict[str, float]:
    """Return the time of one galaxy [ms] by each way."""
    indices = RNG.uniform(0.8, 4.0, N_GALAXIES)
    batches = [(CATALOG, galsim.BaseDeviate(seed)) for seed in range(1, 6)]
    single = [
        ({name: column[i : i + 1] for name, column in CATALOG.items()}, galsim.BaseDeviate(i + 1))
        for i in range(N_GALAXIES)
    ]
    galaxies = [(galaxy,) for galaxy in model.sample(*batches[0])]
    return {
        "draw a Sersic": median_time(
            draw_sersic, zip(indices, CATALOG["flux_radius"], strict=True)
        ),
        "draw a learned galaxy": median_time(draw, galaxies),
        "sample one": median_time(model.sample, single),
        f"sample {N_GALAXIES}, each": median_time(model.sample, batches) / N_GALAXIES,
    }


def main(file_name: str = "hub:cosmos") -> None:
    """Print the table."""
    times = measure(galsim_hub.GenerativeGalaxyModel(file_name))
    reference = times["draw a Sersic"]
    print(f"{'':24}{'median [ms]':>12}{'ratio':>8}")
    for name, milliseconds in times.items():
        print(f"{name:24}{milliseconds:12.2f}{milliseconds / reference:8.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:2])
