"""Adaptive moments of stamps (HSM: Hirata & Seljak 2003, Mandelbaum et al. 2005), in parallel."""

import concurrent.futures
import dataclasses
import multiprocessing
import os

import galsim
import numpy as np

FIELDS = ("flux", "sigma", "g1", "g2", "rho4")


@dataclasses.dataclass(frozen=True)
class Moments:
    """HSM measurements of n stamps, each (n,), NaN where HSM failed.

    flux [count], sigma [pixel], g1 and g2, rho4.
    """

    flux: np.ndarray
    sigma: np.ndarray
    g1: np.ndarray
    g2: np.ndarray
    rho4: np.ndarray

    @property
    def failures(self) -> int:
        """How many stamps HSM could not measure."""
        return int(np.isnan(self.flux).sum())


def measure(image: np.ndarray) -> tuple[float, ...]:
    """Return flux, sigma, g1, g2 and rho4 of one stamp, NaNs if HSM fails."""
    result = galsim.hsm.FindAdaptiveMom(galsim.Image(np.asarray(image, dtype=float)), strict=False)
    if result.error_message:
        return (np.nan,) * len(FIELDS)
    shape = result.observed_shape
    return result.moments_amp, result.moments_sigma, shape.g1, shape.g2, result.moments_rho4


def measure_all(images: np.ndarray, processes: int | None = None) -> Moments:
    """Measure stamps (n, y, x) over processes."""
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(
        processes or os.cpu_count(), mp_context=context
    ) as pool:
        rows = list(pool.map(measure, images, chunksize=64))
    return Moments(*np.array(rows, dtype=float).reshape(-1, len(FIELDS)).T)
