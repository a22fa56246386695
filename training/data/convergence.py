"""Convergence maps for the score prior: N-body planes, ray-traced along straight lines (Born).

A plane holds a lensing potential, half of whose Laplacian is the plane's convergence for sources
infinitely far behind it. A map is the sum over planes of a window of that convergence, seen under
one of the square's eight symmetries, times the lensing efficiency of the plane for the sources'
redshifts, n(z) ~ z^alpha exp(-(z / z0)^beta).

What the planes permit, and what they do not: all of them are epochs of one slab of one simulation,
so that the same structures come back at other scales and times. Every plane is cut into 4 x 4
cells, and a window lies within one. Training maps have eight of them; validation and test maps,
which are other draws, have the others. No pixel of a plane is in both, but a structure of one
plane's cell may be in another plane's other cell. Parts of so small a volume differ by factors in
power; the cells are shared out so that the two halves are as alike in mean, power and skewness as
can be.
No window crosses the edge of a plane, where matter is cut although the potential repeats. The
planes were smoothed by about 0.8 arcmin before they were published, and the near end of their
narrow cone is emptier than the mean universe.
"""

import dataclasses
import itertools
import json
import logging
import os
import pathlib
import typing

import numpy as np

from galsim_hub.flat_sky import multipoles, power_spectrum

from ..config import ConvergenceConfig, fingerprint
from ..errors import ConfigError, DataError
from .fetch import check_sha256, sha256_of
from .split import SPLITS

logger = logging.getLogger(__name__)

CELLS = 4  # of a plane along a side
BANDS = 8  # of multipoles, in which the halves are compared


class Planes(typing.NamedTuple):
    """Convergence of every plane [for sources at infinity], seen at the pixel scale of the maps.

    `maps` is (plane, y, x) float32; `distance` [Mpc/h] and `redshift` are those of the lenses.
    """

    maps: np.ndarray
    pixel_scale: float
    distance: np.ndarray
    redshift: np.ndarray
    omega_m: float


def build(config: ConvergenceConfig) -> dict:
    """Write the maps of all splits, then the manifest, and return it.

    Raises
    ------
    ConfigError
        If a map does not fit into a cell of a plane.
    DataError
        If the planes are missing or are not the ones that the recipe means.
    """
    planes = read_planes(config)
    weights = lensing_efficiency(planes, config)
    cells = share_cells(planes, weights)
    folder = pathlib.Path(config.directory)
    folder.mkdir(parents=True, exist_ok=True)
    spectra = {}
    for split in SPLITS:
        maps = draw(planes, weights, cells[split == "train"], config, split)
        part = folder / f"{split}.part.npy"
        np.save(part, maps)
        os.replace(part, folder / f"{split}.npy")
        ell, power = power_spectrum(maps, planes.pixel_scale)
        spectra[split] = power.tolist()
        logger.info("%s: %d maps, rms %.4f", split, len(maps), maps.std())
    manifest = {
        "config": dataclasses.asdict(config),
        "config_sha256": fingerprint(config),
        "pixel_scale_arcmin": planes.pixel_scale,
        "shape": [config.size, config.size],
        "counts": {split: config.count(split) for split in SPLITS},
        "inputs": {pathlib.Path(config.planes).name: sha256_of(config.planes)},
        "maps": {split: sha256_of(folder / f"{split}.npy") for split in SPLITS},
        "cells": {"a side": CELLS, "train": cells[True], "validation and test": cells[False]},
        "efficiency": weights.tolist(),
        "power_spectrum": {"ell": ell.tolist(), **spectra},
        "units": {"maps": "convergence", "power_spectrum": "sr"},
    }
    part = folder / "manifest.json.part"
    part.write_text(json.dumps(manifest, indent=1))
    os.replace(part, folder / "manifest.json")
    return manifest


def read_planes(config: ConvergenceConfig) -> Planes:
    """Read the potential planes and turn them into convergence at the pixel scale of the maps.

    A finer grid is reached by padding in Fourier space, which is exact: the planes repeat.
    """
    from astropy.io import fits

    path = pathlib.Path(config.planes)
    if not path.is_file():
        raise DataError(f"No potential planes at {path}: set `planes` to their file.")
    if config.planes_sha256:
        check_sha256(path, config.planes_sha256)
    with fits.open(path) as file:
        angle = 60.0 * file[0].header["ANGLE"]
        n = round(angle / config.pixel_scale)
        if config.size > n // CELLS:
            raise ConfigError(
                f"Maps of {config.size} pixels do not fit into a cell of a plane, {n // CELLS} "
                f"pixels of {config.pixel_scale} arcmin: choose a smaller size or pixel_scale."
            )
        maps = np.stack([_refine(convergence(plane.data, angle), n) for plane in file])
        header = {k: np.array([plane.header[k] for plane in file]) for k in ("CHI", "Z")}
        omega_m = float(file[0].header["OMEGA_M"])
    return Planes(maps, angle / n, header["CHI"], header["Z"], omega_m)


def convergence(potential: np.ndarray, angle: float) -> np.ndarray:
    """Return half the Laplacian of a potential plane [rad^2] whose side is `angle` [arcmin]."""
    n = potential.shape[0]
    squares = sum(ell**2 for ell in multipoles((n, n), angle / n))
    modes = np.fft.fft2(np.asarray(potential, dtype=np.float64))
    return np.fft.ifft2(-0.5 * squares * modes).real


def lensing_efficiency(planes: Planes, config: ConvergenceConfig) -> np.ndarray:
    """Return the mean over the sources of 1 - chi / chi_source, zero in front of the plane.

    Source: Bartelmann and Schneider 2001, Phys. Rep. 340, 291, equation 6.18.
    """
    z = np.linspace(0.0, 10.0, 4001)[1:]
    z0 = config.median_redshift / _median_of_smail(config.alpha, config.beta)
    density = z**config.alpha * np.exp(-((z / z0) ** config.beta))
    slope = 2997.92458 / np.sqrt(planes.omega_m * (1 + z) ** 3 + 1 - planes.omega_m)
    steps = np.diff(z, prepend=0.0)
    behind = np.cumsum(steps * slope)  # [Mpc/h]; the step is fine enough for 0.1%
    lever = np.maximum(1.0 - planes.distance[:, None] / behind, 0.0)
    return lever @ density / density.sum()


def share_cells(planes: Planes, weights: np.ndarray) -> list[list[int]]:
    """Return which cells are held out and which are trained on, counted along rows.

    Of all ways to halve them it is the one whose halves differ least, at worst, in the logarithms
    of the power of maps, in bands of multipoles, and of their third moment, and in the mean of maps
    [standard deviations], with which the number of clusters goes.
    """
    side = planes.maps.shape[-1] // CELLS
    taper = np.hanning(side)[:, None] * np.hanning(side)
    moments, means, variances = [], [], []
    for row, column in np.ndindex(CELLS, CELLS):
        y, x = row * side, column * side
        cell = planes.maps[:, y : y + side, x : x + side]
        mean = cell.mean(axis=(1, 2), keepdims=True)
        cell = weights[:, None, None] * (cell - mean)
        means.append(float(weights @ mean[:, 0, 0]))
        variances.append(float(cell.var(axis=(1, 2)).sum()))
        power = power_spectrum(cell * taper, planes.pixel_scale)[1]
        bands = [band.mean() for band in np.array_split(power, min(BANDS, len(power)))]
        moments.append([*bands, np.mean(cell**3, axis=(1, 2)).sum()])

    std = np.sqrt(np.mean(variances))

    def gap(half: tuple[int, ...]) -> float:
        sums = np.array([moments[k] for k in half]).sum(axis=0)
        others = np.sum(moments, axis=0) - sums
        apart = 2.0 * np.mean([means[k] for k in half]) - 2.0 * np.mean(means)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = np.log(sums / others)
        return float(np.nan_to_num(np.abs([*ratios, apart / std]), nan=np.inf).max())

    count = CELLS**2
    train = min((h for h in itertools.combinations(range(count), count // 2) if 0 in h), key=gap)
    return [[k for k in range(count) if k not in train], list(train)]


def draw(
    planes: Planes,
    weights: np.ndarray,
    cells: list[int],
    config: ConvergenceConfig,
    split: str,
) -> np.ndarray:
    """Ray-trace the maps of one split, from windows in some cells: float32 (n, size, size)."""
    number = SPLITS.index(split)
    side, size = planes.maps.shape[-1] // CELLS, config.size
    maps = np.zeros((config.count(split), size, size), dtype=np.float32)
    for i, total in enumerate(maps):
        rng = np.random.default_rng([config.seed, number, i])
        for plane, weight in zip(planes.maps, weights, strict=True):
            row, column = divmod(cells[rng.integers(len(cells))], CELLS)
            room = rng.integers(side - size + 1, size=2)
            y, x = row * side + room[0], column * side + room[1]
            window = np.rot90(plane[y : y + size, x : x + size], rng.integers(4))
            total += np.float32(weight) * (window.T if rng.integers(2) else window)
    return maps


def _refine(image: np.ndarray, n: int) -> np.ndarray:
    """Resample a periodic plane to n pixels a side; pixel 0 starts at the same edge."""
    m = image.shape[0]
    kept = min(m, n)
    modes = np.fft.fftshift(np.fft.fft2(image))
    wave = np.fft.fftshift(np.fft.fftfreq(m))
    # Centres of the first pixels differ by half the difference of their sides.
    modes = modes * np.exp(1j * np.pi * (m / n - 1.0) * (wave[:, None] + wave))
    low = (m - kept) // 2
    inner = modes[low : low + kept, low : low + kept]
    padded = np.zeros((n, n), dtype=complex)
    first = n // 2 - kept // 2
    padded[first : first + kept, first : first + kept] = inner
    fine = np.fft.ifft2(np.fft.ifftshift(padded)).real * (n / m) ** 2
    return fine.astype(np.float32)


def _median_of_smail(alpha: float, beta: float) -> float:
    """Return the median of z^alpha exp(-z^beta)."""
    z = np.linspace(0.0, 20.0, 200001)
    below = np.cumsum(z**alpha * np.exp(-(z**beta)))
    return float(z[np.searchsorted(below, 0.5 * below[-1])])
