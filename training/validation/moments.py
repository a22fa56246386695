"""Adaptive moments of stamps (HSM: Hirata & Seljak 2003, Mandelbaum et al. 2005)."""

import galsim
import numpy as np

FIELDS = ("flux", "sigma", "g1", "g2", "rho4")


def measure(image: np.ndarray) -> tuple[float, ...]:
    """Return flux, sigma, g1, g2 and rho4 of one stamp, NaNs if HSM fails."""
    result = galsim.hsm.FindAdaptiveMom(galsim.Image(np.asarray(image, dtype=float)), strict=False)
    if result.error_message:
        return (np.nan,) * len(FIELDS)
    shape = result.observed_shape
    return result.moments_amp, result.moments_sigma, shape.g1, shape.g2, result.moments_rho4
