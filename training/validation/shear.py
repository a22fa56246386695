"""Ring test: an applied shear must come back, from generated galaxies as from Sersic ones.

The estimator is exact for any noiseless galaxy, so what it shows is how the galaxy was sheared and
drawn and not how well a shape measurement suits its morphology. A shear A turns a transform T(k)
into T(A k), and the mean of |T| over a ring of four rotations has no quadrupole. So the shear is
the one for which the PSF-corrected transform of the observed stamps, read along circles sheared
back, has none.
"""

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

from .part import Part, Quantity
from .scenes import SEED

SHEAR = 0.02
RING = 4  # rotations over half a turn
SEEING = 0.7  # [arcsec] FWHM of the Kolmogorov PSF
PIXEL = 0.2  # [arcsec] of the LSST camera
SIDE = 160  # [pixel], so large that the wings which leave the stamp cost 3e-4 of the shear
CIRCLES = (1.5, 2.5, 3.5)  # [radian / arcsec] where the transform is read
ANGLES = 2.0 * np.pi * np.arange(16) / 16
SECANTS = 4  # steps of the search: each gains two digits
INDICES = (0.5, 1.0, 1.5, 2.5, 4.0)  # of the rivals, few, because each new index takes a table
FINE = galsim.GSParams(folding_threshold=1e-3, maxk_threshold=1e-4, maximum_fft_size=16384)


def shear_part(model: GenerativeGalaxyModel, conditions: np.ndarray) -> Part:
    """Compare the recovery of both shear components for galaxies at conditions (n, d)."""
    from tqdm import tqdm

    camera = Camera()
    rows: list[tuple[float, ...]] = []
    table = dict(zip(model.quantities, conditions.T, strict=True))
    galaxies = model.sample(table, seeds=range(SEED, SEED + len(conditions)))
    radii = table["flux_radius"] * model.pixel_size
    for number, galaxy in enumerate(tqdm(galaxies, unit="galaxy", disable=None)):
        rival = sersic_like(number, radii[number])
        rows.append(
            tuple(bias(kind, component, camera) for component in (0, 1) for kind in (galaxy, rival))
        )
    columns = np.array(rows).T
    quantities = []
    for component in (1, 2):
        mine, rival = columns[2 * component - 2 : 2 * component]
        quantities.append(
            Quantity(
                f"shear_m{component}",
                f"m{component}, median over galaxies, less that of Sersic ones",
                float(np.median(mine) - np.median(rival)),
                float(np.hypot(_median_error(mine), _median_error(rival))),
                style="+.1e",
            )
        )
        quantities.append(
            Quantity(
                f"shear_m{component}_own",
                f"m{component}, median over galaxies",
                float(np.median(mine)),
                _median_error(mine),
                float(np.median(rival)),
                "+.1e",
            )
        )
    protocol = (
        f"{len(rows)} galaxies and as many Sersic profiles of their sizes (indices 0.5 to 4), each "
        f"in a ring of {RING}; g = {SHEAR} applied to either component; Kolmogorov PSF of {SEEING} "
        f"arcsec, pixels of {PIXEL} arcsec, no noise; the shear that makes the PSF-corrected "
        "transform of the ring round, which is exact for any galaxy."
    )
    return Part("shear", protocol, quantities)


class Camera:
    """An LSST-like PSF, and the transforms of what is seen through it."""

    def __init__(self) -> None:
        self.psf = galsim.Kolmogorov(fwhm=SEEING)
        self.effective = galsim.Convolve(self.psf, galsim.Pixel(PIXEL))
        self.axis = (np.arange(SIDE) - (SIDE - 1) / 2.0) * PIXEL

    def draw(self, galaxy: galsim.GSObject) -> np.ndarray:
        """Return the stamp of a galaxy."""
        seen = galsim.Convolve(galaxy, self.psf, gsparams=FINE)
        return seen.drawImage(nx=SIDE, ny=SIDE, scale=PIXEL, dtype=float).array

    def amplitude(self, stamps: list[np.ndarray], waves: np.ndarray) -> np.ndarray:
        """Return the mean |transform| of stamps at waves (n, 2) [radian / arcsec], without PSF."""
        x, y = (np.exp(-1.0j * np.outer(k, self.axis)) for k in waves.T)
        seen = [np.abs(np.einsum("ky,yx,kx->k", y, s, x, optimize=True)) for s in stamps]
        psf = np.array([abs(self.effective.kValue(kx, ky)) for kx, ky in waves])
        return np.mean(seen, axis=0) / psf


def bias(galaxy: galsim.GSObject, component: int, camera: Camera) -> float:
    """Return the multiplicative bias of one component of the shear for one galaxy's ring."""
    applied = galsim.Shear(g1=SHEAR) if component == 0 else galsim.Shear(g2=SHEAR)
    turns = [k * 180.0 / RING * galsim.degrees for k in range(RING)]
    stamps = [camera.draw(galaxy.rotate(turn).shear(applied)) for turn in turns]
    one, other = 0.0, SHEAR
    before, now = (quadrupole(stamps, g, component, camera) for g in (one, other))
    for _ in range(SECANTS):
        if now == before:
            break
        one, other = other, other - now * (other - one) / (now - before)
        before, now = now, quadrupole(stamps, other, component, camera)
    return float(other / SHEAR - 1.0)


def quadrupole(stamps: list[np.ndarray], g: float, component: int, camera: Camera) -> float:
    """Return the quadrupole of the ring's mean transform along circles sheared back by g."""
    circle = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
    shape = np.array([[g, 0.0], [0.0, -g]]) if component == 0 else np.array([[0.0, g], [g, 0.0]])
    back = (np.eye(2) - shape) / np.sqrt(1.0 - g**2)
    waves = np.concatenate([k * circle @ back for k in CIRCLES])
    wanted = np.tile((np.cos(2.0 * ANGLES), np.sin(2.0 * ANGLES))[component], len(CIRCLES))
    amplitude = camera.amplitude(stamps, waves)
    return float(amplitude @ wanted / amplitude.sum())


def sersic_like(number: int, radius: float) -> galsim.GSObject:
    """Return the rival of a galaxy: a Sersic profile of its size [arcsec]."""
    golden = (np.sqrt(5.0) - 1.0) / 2.0  # its multiples fill an interval evenly
    profile = galsim.Sersic(n=INDICES[number % len(INDICES)], half_light_radius=radius)
    axis_ratio = 0.3 + 0.7 * (number * golden % 1.0)
    return profile.shear(q=axis_ratio, beta=number * golden**3 % 1.0 * 180.0 * galsim.degrees)


def _median_error(values: np.ndarray) -> float:
    low, high = np.percentile(values, [15.87, 84.13])
    return float(1.2533 * 0.5 * (high - low) / np.sqrt(len(values)))
