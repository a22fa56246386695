"""Catalogues behind a halo whose place is known, made on the sphere, far from the code's plane."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub.mass_mapping import ShearCatalogue

EINSTEIN_RADIUS = (
    0.5  # [arcmin] of the singular isothermal sphere: a monster, so that noise is small
)


@pytest.fixture
def make_catalogue():
    """Give a function that scatters galaxies around a place, behind a halo near it."""

    def make(centre, halo, *, width=40.0, n=40_000, noise=0.02, seed=5) -> ShearCatalogue:
        """Take `width` in arcmin and places as (ra, dec) in degrees."""
        rng = np.random.default_rng(seed)
        east, north = rng.uniform(-0.5, 0.5, (2, n)) * width / 60
        dec = centre[1] + north
        ra = (centre[0] + east / np.cos(np.radians(dec))) % 360
        distance, bearing = seen_from(ra, dec, *halo)
        tangential = EINSTEIN_RADIUS / (2 * np.maximum(distance, 0.5))
        # The bearing runs from north through east, and x points to the west.
        angle = np.arctan2(np.cos(bearing), -np.sin(bearing))
        e1, e2 = noise * rng.standard_normal((2, n))
        e1, e2 = e1 - tangential * np.cos(2 * angle), e2 - tangential * np.sin(2 * angle)
        return ShearCatalogue(ra, dec, e1, e2, np.ones(n))

    return make


def seen_from(ra, dec, halo_ra, halo_dec):
    """Return distance [arcmin] and bearing [rad] of a place, as seen from others on the sphere."""
    ra, dec, halo_ra, halo_dec = np.radians(
        [ra, dec, *np.broadcast_arrays(halo_ra, halo_dec, ra)[:2]]
    )
    across = halo_ra - ra
    east = np.cos(halo_dec) * np.sin(across)
    north = np.cos(dec) * np.sin(halo_dec) - np.sin(dec) * np.cos(halo_dec) * np.cos(across)
    depth = np.sin(dec) * np.sin(halo_dec) + np.cos(dec) * np.cos(halo_dec) * np.cos(across)
    distance = np.degrees(np.arctan2(np.hypot(east, north), depth)) * 60
    return distance, np.arctan2(east, north)
