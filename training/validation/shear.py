"""Ring test: an applied shear must come back, from generated galaxies as from Sersic ones.

The estimator is exact for any noiseless galaxy, so what it shows is how the galaxy was sheared and
drawn and not how well a shape measurement suits its morphology: the observed stamp's transform is
divided by the PSF's and multiplied by a round Gaussian's, and the unweighted second moments of what
that gives are averaged over the ring. A shear g turns the mean moments of a ring, which are round,
into ones of distortion (xx - yy) / (xx + yy) = 2 g / (1 + g^2).
"""

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

from .part import Part, Quantity
from .scenes import SEED

SHEAR = 0.02
RING = 2  # rotations over half a turn
SEEING = 0.7  # [arcsec] FWHM of the PSF's core
WING = 0.1  # of the PSF's light, in a second Gaussian of twice the width
PIXEL = 0.2  # [arcsec] of the LSST camera
SIDE = 75  # [pixel], odd, so that the middle is a pixel
WEIGHT = 0.5  # [arcsec] sigma of the round Gaussian
# Second moments weigh what is far out: light that wraps or rings at 1e-6 would show.
FINE = galsim.GSParams(folding_threshold=1e-5, maxk_threshold=1e-8, kvalue_accuracy=1e-8)
SERSIC = galsim.GSParams(folding_threshold=1e-4, maxk_threshold=1e-5, kvalue_accuracy=1e-6)
INDICES = (0.5, 1.0, 1.5, 2.5, 4.0)  # of the rivals, few, because each new index takes a table


def shear_part(model: GenerativeGalaxyModel, conditions: np.ndarray) -> Part:
    """Compare the recovery of both shear components for galaxies at conditions (n, d)."""
    from tqdm import tqdm

    camera = Camera()
    rows: list[tuple[float, ...]] = []
    table = dict(zip(model.quantities, conditions.T, strict=True))
    galaxies = model.sample(table, seeds=range(SEED, SEED + len(conditions)))
    radii, side = table["flux_radius"] * model.pixel_size, model.stamp_size * model.pixel_size
    for number, galaxy in enumerate(tqdm(galaxies, unit="galaxy", disable=None)):
        rival = sersic_like(number, radii[number], side)
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
        f"{len(rows)} galaxies and as many Sersic profiles (indices 0.5 to 4, cut off at half the "
        f"module's stamp), each in a ring of {RING}; g = {SHEAR} applied to either component; "
        f"PSF of two Gaussians (FWHM {SEEING} arcsec), pixels of {PIXEL} arcsec, no noise; "
        "PSF-corrected unweighted moments, which are exact for any galaxy."
    )
    return Part("shear", protocol, quantities)


class Camera:
    """An LSST-like PSF, drawn once, and the moments of what is seen through it."""

    def __init__(self) -> None:
        # Gaussians end: a Kolmogorov PSF's wings leave the stamp, and second moments with them.
        core, wing = (galsim.Gaussian(fwhm=f * SEEING, gsparams=FINE) for f in (1.0, 2.0))
        self.psf = (1.0 - WING) * core + WING * wing
        stamp = self.psf.drawImage(nx=SIDE, ny=SIDE, scale=PIXEL, dtype=float).array
        waves = 2.0 * np.pi * np.fft.fftfreq(SIDE, d=PIXEL)
        square = waves[:, None] ** 2 + waves[None, :] ** 2
        gaussian = np.exp(-0.5 * square * WEIGHT**2)
        # Beyond the PSF's band there is nothing to divide, and the Gaussian has left nothing.
        transform = np.fft.fft2(np.fft.ifftshift(stamp))
        self.kernel = np.where(gaussian > 1e-9, gaussian, 0.0) / transform
        self.axis = (np.arange(SIDE) - (SIDE - 1) / 2.0) * PIXEL

    def moments(self, galaxy: galsim.GSObject) -> np.ndarray:
        """Return the PSF-corrected moments xx, yy and xy [arcsec^2] of a galaxy of unit flux."""
        seen = galsim.Convolve(galaxy, self.psf, gsparams=FINE, propagate_gsparams=False)
        stamp = seen.drawImage(nx=SIDE, ny=SIDE, scale=PIXEL, dtype=float).array
        image = np.fft.ifft2(np.fft.fft2(stamp) * self.kernel).real
        image /= image.sum()
        x, y = self.axis - image.sum(axis=0) @ self.axis, self.axis - image.sum(axis=1) @ self.axis
        xx, yy = image.sum(axis=0) @ x**2, image.sum(axis=1) @ y**2
        return np.array([xx - WEIGHT**2, yy - WEIGHT**2, y @ image @ x])


def bias(galaxy: galsim.GSObject, component: int, camera: Camera) -> float:
    """Return the multiplicative bias of one component of the shear for one galaxy's ring."""
    shear = galsim.Shear(g1=SHEAR) if component == 0 else galsim.Shear(g2=SHEAR)
    angles = [k * 180.0 / RING * galsim.degrees for k in range(RING)]
    xx, yy, xy = np.mean([camera.moments(galaxy.rotate(a).shear(shear)) for a in angles], axis=0)
    distortion = ((xx - yy), 2.0 * xy)[component] / (xx + yy)
    return float(distortion / (1.0 + np.sqrt(1.0 - distortion**2)) / SHEAR - 1.0)


def sersic_like(number: int, radius: float, stamp_side: float) -> galsim.GSObject:
    """Return the rival of a galaxy: a Sersic profile of its size [arcsec] within its stamp."""
    golden = (np.sqrt(5.0) - 1.0) / 2.0  # its multiples fill an interval evenly
    cut = 0.5 * stamp_side
    profile = galsim.Sersic(
        n=INDICES[number % len(INDICES)],
        half_light_radius=min(radius, 0.5 * cut),
        trunc=cut,
        gsparams=SERSIC,
    )
    axis_ratio = 0.3 + 0.7 * (number * golden**2 % 1.0)
    return profile.shear(q=axis_ratio, beta=number * golden**3 % 1.0 * 180.0 * galsim.degrees)


def _median_error(values: np.ndarray) -> float:
    low, high = np.percentile(values, [15.87, 84.13])
    return float(1.2533 * 0.5 * (high - low) / np.sqrt(len(values)))
