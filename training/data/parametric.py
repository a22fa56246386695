"""Galaxies from the catalogue's own fits, with star-forming knots on the disk.

The fits (bulge+disk, or one Sersic profile) carry sizes, shapes and fluxes of the COSMOS 25.2
sample, but no structure. As image simulations for LSST do (the imSim and cosmoDC2 random-walk
knots), a share of the disk's light is moved into point-like knots scattered along the disk's own
profile. No colours are in the catalogue, so lateness is read from the profile: the disk's share of
the light, or a low Sersic index.
"""

import dataclasses

import galsim
import numpy as np

from ..config import KnotsConfig


@dataclasses.dataclass(frozen=True)
class Galaxy:
    """A smooth profile, and point-like `knots` (n, 2) [arcsec] of `knot_flux` [count] each."""

    smooth: galsim.GSObject
    knots: np.ndarray
    knot_flux: float

    def rotate(self, angle: galsim.Angle) -> "Galaxy":
        """Turn the galaxy anticlockwise."""
        cosine, sine = angle.cos(), angle.sin()
        turned = self.knots @ np.array([[cosine, sine], [-sine, cosine]])
        return dataclasses.replace(self, smooth=self.smooth.rotate(angle), knots=turned)


def lateness(record: dict) -> float:
    """Return how late the type is, 0 (spheroid) to 1 (pure disk), from the fit's parameters."""
    if record["use_bulgefit"]:
        bulge, disk = record["flux"][1], record["flux"][2]
        return float(disk / (bulge + disk))
    return float(np.clip((3.0 - record["sersicfit"][2]) / 1.5, 0.0, 1.0))


def draw_share(record: dict, config: KnotsConfig, rng: galsim.BaseDeviate) -> tuple[float, int]:
    """Draw which share of the disk's light sits in knots, and in how many.

    Later types and higher redshifts have more: the share is uniform between zero and
    ``max_fraction * lateness * (1 + z) / (1 + z + pivot)``.
    """
    uniform = galsim.UniformDeviate(rng)
    growth = (1.0 + record["zphot"]) / (1.0 + record["zphot"] + config.pivot_redshift)
    share = config.max_fraction * lateness(record) * growth * uniform()
    low, high = np.log(config.min_knots), np.log(config.max_knots)
    return float(share), int(np.exp(low + (high - low) * uniform()))


def disk_geometry(record: dict) -> tuple[galsim.GSObject, float, galsim.Angle]:
    """Return the face-on disk profile, its axis ratio and its position angle."""
    if record["use_bulgefit"]:
        fit, profile = (
            record["bulgefit"],
            galsim.Exponential(half_light_radius=float(record["hlr"][2])),
        )
        return profile * float(record["flux"][2]), float(fit[3]), float(fit[7]) * galsim.radians
    fit, flux = record["sersicfit"], float(record["flux"][0])
    profile = galsim.Sersic(
        _sersic_index(fit[2]), half_light_radius=float(record["hlr"][0]), flux=flux
    )
    return profile, float(fit[3]), float(fit[7]) * galsim.radians


def build_galaxy(
    catalogue: galsim.COSMOSCatalog, index: int, config: KnotsConfig | None, rng: galsim.BaseDeviate
) -> Galaxy:
    """Return the fitted galaxy, its disk partly in knots. The total flux is the fit's."""
    smooth = catalogue.makeGalaxy(index, gal_type="parametric")
    record = catalogue.getParametricRecord(index)
    share, number = draw_share(record, config, rng) if config else (0.0, 0)
    if share < 0.01:
        return Galaxy(smooth, np.zeros((0, 2)), 0.0)
    disk, axis_ratio, angle = disk_geometry(record)
    points = galsim.RandomKnots(number, profile=disk, rng=rng).points
    taken = disk * share
    if axis_ratio < 1.0:
        shear = galsim.Shear(q=axis_ratio, beta=angle)
        taken, points = taken.shear(shear), points @ shear.getMatrix().T
    return Galaxy(smooth - taken, points, taken.flux / number)


def _sersic_index(index: float) -> float:
    """Round as GalSim's COSMOSCatalog does, so that its cached tables serve here too."""
    return float(int(np.clip(index, 0.3, 6.0) / 0.05 + 0.5)) * 0.05
