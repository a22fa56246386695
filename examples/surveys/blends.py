"""Draw a crowded field of LSST, and each galaxy alone: python examples/surveys/blends.py.

What a deblender is trained on: the scene in g, r and i after ten years, with noise, what each
galaxy adds to it, and how much of what falls on a galaxy is another's.
"""

from pathlib import Path

import galsim
import numpy as np
from astropy.io import fits
from astropy.table import Table

import galsim_hub

PIXEL, SIDE, BORDER = 0.2, 150, 15  # [arcsec], [pixel], [pixel]
N_GALAXIES = 40  # in 0.25 arcmin^2, three times the density of the sky at i < 25.2
# Zero point of one electron in 30 s [AB], sky [AB mag / arcsec^2] and FWHM [arcsec] of Rubin's
# technote SMTN-002; visits in ten years of Ivezic et al. 2019, ApJ 873, 111, table 1.
BANDS = {
    "g": (28.51 + 2.5 * np.log10(30), 22.25, 0.77, 80),
    "r": (28.36 + 2.5 * np.log10(30), 21.20, 0.73, 184),
    "i": (28.17 + 2.5 * np.log10(30), 20.46, 0.71, 184),
}
READ_NOISE = 9  # [electron] a visit
F814W = galsim.Bandpass("ACS_wfc_F814W.dat", wave_type="nm").withZeropoint("AB")
SPECTRA = [  # chosen at random: the module does not know the types of its galaxies
    galsim.SED(f"CWW_{kind}_ext_more.sed", wave_type="Ang", flux_type="flambda")
    for kind in ("E", "Sbc", "Scd", "Im")
]


def draw_alone(galaxy: galsim.GSObject, spectrum: galsim.SED, x: float, y: float) -> np.ndarray:
    """Return what a galaxy adds to the mean visit of each band [electron], shape (3, y, x)."""
    flux = 10 ** (0.4 * (F814W.zeropoint - 25.94)) * galaxy.flux  # from the module's counts
    coloured = galsim_hub.apply_sed(galaxy, spectrum, F814W, flux=flux)
    images = []
    for band, (zeropoint, _, seeing, _) in BANDS.items():
        bandpass = galsim.Bandpass(f"LSST_{band}.dat", wave_type="nm").withZeropoint("AB")
        electrons = 10 ** (0.4 * (zeropoint - coloured.calculateMagnitude(bandpass)))
        seen = galsim.Convolve(galaxy.withFlux(electrons), galsim.Kolmogorov(fwhm=seeing))
        image = galsim.Image(SIDE, SIDE, scale=PIXEL)
        images.append(seen.drawImage(image, center=galsim.PositionD(x, y)).array)
    return np.array(images)


def add_noise(light: np.ndarray, rng: galsim.BaseDeviate) -> np.ndarray:
    """Return the mean of all visits, its sky subtracted, shape (3, y, x)."""
    noisy = []
    for image, (zeropoint, sky, _, visits) in zip(light, BANDS.values(), strict=True):
        level = 10 ** (0.4 * (zeropoint - sky)) * PIXEL**2
        variance = (np.maximum(image, 0) + level + READ_NOISE**2) / visits
        noisy.append(rng.np.normal(image, np.sqrt(variance)))
    return np.array(noisy, dtype=np.float32)


def main(n: int = N_GALAXIES) -> tuple[np.ndarray, np.ndarray, Table]:
    """Write the scene (3, y, x), galaxies alone (n, 3, y, x) and their table; return them."""
    rng = galsim.BaseDeviate(1415)
    uniform = galsim.UniformDeviate(rng)
    model = galsim_hub.GenerativeGalaxyModel("hub:cosmos@2")
    table = Table(model.sample_conditions(n, rng))
    for axis in ("x", "y"):
        table[axis] = [BORDER + (SIDE - 2 * BORDER) * uniform() for _ in range(n)]
    rows = zip(model.sample(table, rng=rng), table["x"], table["y"], strict=True)
    alone = np.array([draw_alone(g, SPECTRA[i % 4], x, y) for i, (g, x, y) in enumerate(rows)])
    light = alone.sum(axis=0)
    # Bosch et al. 2018, PASJ 70, S5, section 4.9.11: 0 for a galaxy that is by itself.
    own, all_of_it = ((alone[:, 2] * i).sum(axis=(1, 2)) for i in (alone[:, 2], light[2]))
    table["blendedness"] = 1 - own / all_of_it
    scene = add_noise(light, rng)
    Path("output").mkdir(exist_ok=True)
    hdus = [fits.PrimaryHDU(scene), fits.ImageHDU(alone), fits.BinTableHDU(table)]
    fits.HDUList(hdus).writeto("output/blends.fits", overwrite=True)
    return scene, alone, table


if __name__ == "__main__":
    main()
