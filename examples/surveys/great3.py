"""Calibrate a shear estimator, in the manner of GREAT3: python examples/surveys/great3.py 200.

A ring test: every galaxy is seen at four angles over half a turn, which cancels its own shape,
under a known shear of either sign in either component. galsim.hsm (re-Gaussianization) measures,
and what it gets wrong is m and c: measured = (1 + m) true + c. Sersic profiles of the same fluxes,
sizes and ellipticities stand beside the learned galaxies. No image is sheared a second time.
"""

import sys

import galsim
import numpy as np

import galsim_hub

# Mandelbaum et al. 2014, ApJS 212, 5 (the GREAT3 handbook) and its public code: the ground branch.
PIXEL, STAMP = 0.2, 48  # [arcsec], [pixel]
SNR, SHEAR = 50.0, 0.02  # GREAT3 goes down to a signal-to-noise ratio of 20
PSF = galsim.Kolmogorov(fwhm=0.7).shear(g1=0.02, g2=-0.02)  # [arcsec]; sheared to show in c
TRUE = [(SHEAR, 0.0), (-SHEAR, 0.0), (0.0, SHEAR), (0.0, -SHEAR)]
ANGLES = [k * 45 * galsim.degrees for k in range(4)]
INDICES = (0.5, 1.0, 1.5, 2.5, 4.0)  # of the Sersic profiles, in turn


def sersic_like(galaxy: galsim.GSObject, index: float) -> galsim.GSObject:
    """Return a Sersic profile of a galaxy's flux, half-light radius and ellipticity."""
    fine = {"nx": 384, "ny": 384, "scale": 0.01, "method": "sb"}  # without transforms
    image, total = galaxy.drawImage(**fine), galaxy.flux / 0.01**2
    shape = image.FindAdaptiveMom(strict=False).observed_shape
    rival = galsim.Sersic(index, half_light_radius=0.5, flux=galaxy.flux).shear(shape)
    other = rival.drawImage(**fine).calculateHLR(flux=total)
    return rival.dilate(image.calculateHLR(flux=total) / other)


def measure(galaxy: galsim.GSObject, number: int, psf: galsim.Image) -> np.ndarray:
    """Return the distortions that a galaxy's stamps have, shape (shears, angles, 2)."""
    distortions = np.empty((len(TRUE), len(ANGLES), 2))
    for i, (g1, g2) in enumerate(TRUE):
        for j, angle in enumerate(ANGLES):
            seen = galsim.Convolve(galaxy.rotate(angle).shear(g1=g1, g2=g2), PSF)
            stamp = seen.drawImage(nx=STAMP, ny=STAMP, scale=PIXEL)
            # The same noise under each shear cancels in m (Pujol et al. 2019, A&A 621, A2).
            stamp.addNoiseSNR(galsim.GaussianNoise(galsim.BaseDeviate(1 + 4 * number + j)), SNR)
            shape = galsim.hsm.EstimateShear(stamp, psf, strict=False)
            good = not shape.error_message
            distortions[i, j] = (shape.corrected_e1, shape.corrected_e2) if good else np.nan
    return distortions


def calibrate(galaxies: list[galsim.GSObject]) -> dict[str, tuple[float, float]]:
    """Return m1, m2, c1 and c2, each with its error."""
    psf = PSF.drawImage(nx=STAMP, ny=STAMP, scale=PIXEL)
    measured = np.array([measure(galaxy, i, psf) for i, galaxy in enumerate(galaxies)])
    measured = measured[np.isfinite(measured).all(axis=(1, 2, 3))]
    # A shear g leaves a distortion of 2 g (1 - e^2 / 2) in a ring of galaxies of distortion e.
    responses = 2 - np.mean(np.sum(measured**2, axis=-1), axis=(1, 2))
    shears = measured.mean(axis=2) / responses[:, None, None]
    biases = {}
    for i in (0, 1):
        plus, minus = shears[:, 2 * i, i], shears[:, 2 * i + 1, i]
        biases |= {f"m{i + 1}": (plus - minus) / (2 * SHEAR) - 1, f"c{i + 1}": (plus + minus) / 2}
    return {name: (b.mean(), b.std(ddof=1) / np.sqrt(len(b))) for name, b in sorted(biases.items())}


def main(n: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Print and return the biases of n galaxies of either kind, or of all that there are."""
    catalog = galsim_hub.GenerativeCatalog(model="hub:cosmos@2", sample="23.5", min_hlr=0.3)
    learned = catalog.makeGalaxy(range(n := min(n, catalog.nobjects)))
    sersic = [sersic_like(galaxy, INDICES[i % len(INDICES)]) for i, galaxy in enumerate(learned)]
    results = {"learned": calibrate(learned), "Sersic": calibrate(sersic)}
    for kind, biases in results.items():
        print(f"{n} {kind:8s}", *(f"{k} = {b:+.4f} +- {e:.4f}" for k, (b, e) in biases.items()))
    return results


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].isdecimal() or int(sys.argv[1]) < 2:
        sys.exit("Give the number of galaxies, 2 or more, such as 200")
    main(int(sys.argv[1]))
