"""Draw a field in three bands of the Roman Space Telescope: python examples/surveys/roman.py.

The module knows F814W, so each galaxy gets a spectrum that has its F814W magnitude: what it looks
like stays, how bright it is follows the band. Pixel, PSF, sky and detectors are galsim.roman's own
(Roman's Cycle 9; no download is needed).
"""

from pathlib import Path

import galsim
import numpy as np
from galsim import roman

import galsim_hub

SIDE = 400  # [pixel] of 0.11 arcsec
# LSST Science Book (arXiv:0912.0201), section 3.7: 46 x 10**(0.31 (i - 25)) galaxies, to i = 25.2.
DENSITY = 53  # [arcmin^-2]
BANDS = ("Y106", "J129", "H158")
DETECTOR = 7
POINTING = galsim.CelestialCoord(53 * galsim.degrees, -29 * galsim.degrees)  # of the zodiacal light
F814W = galsim.Bandpass("ACS_wfc_F814W.dat", wave_type="nm").withZeropoint("AB")
SPECTRA = [  # chosen at random: the module does not know the types of its galaxies
    galsim.SED(f"CWW_{kind}_ext_more.sed", wave_type="Ang", flux_type="flambda")
    for kind in ("E", "Sbc", "Scd", "Im")
]


def make_galaxies(n: int, rng: galsim.BaseDeviate) -> list[galsim.ChromaticObject]:
    """Return galaxies in photons / cm^2 / s, of the law that the module carries."""
    model = galsim_hub.GenerativeGalaxyModel("hub:cosmos@2")
    uniform, galaxies = galsim.UniformDeviate(rng), []
    for galaxy in model.sample(model.sample_conditions(n, rng), rng=rng):
        magnitude = 25.94 - 2.5 * np.log10(galaxy.flux)  # AB, from the module's counts
        flux = 10 ** (0.4 * (F814W.zeropoint - magnitude))
        spectrum = SPECTRA[int(uniform() * len(SPECTRA))]
        galaxies.append(galsim_hub.apply_sed(galaxy, spectrum, F814W, flux=flux))
    return galaxies


def draw_light(galaxies: list, positions: list, band: galsim.Bandpass, side: int) -> galsim.Image:
    """Draw galaxies without noise through one band, in electrons."""
    # One PSF for all wavelengths of the band. pupil_bin=4 costs more and has finer spikes.
    psf = roman.getPSF(DETECTOR, band.name, pupil_bin=8, wavelength=band)
    image = galsim.Image(side, side, scale=roman.pixel_scale)
    for galaxy, position in zip(galaxies, positions, strict=True):
        seen = galsim.Convolve(galaxy * (roman.collecting_area * roman.exptime), psf)
        stamp = seen.drawImage(band, center=position, scale=roman.pixel_scale)
        overlap = stamp.bounds & image.bounds
        if overlap.isDefined():
            image[overlap] += stamp[overlap]
    return image


def expose(light: galsim.Image, band: galsim.Bandpass, rng: galsim.BaseDeviate) -> galsim.Image:
    """Add sky and detectors, and subtract what of them is known."""
    sky = roman.getSkyLevel(band, world_pos=POINTING) * roman.pixel_scale**2
    sky *= 1 + roman.stray_light_fraction
    sky += roman.thermal_backgrounds[band.name] * roman.exptime
    exposed = light + sky
    roman.allDetectorEffects(exposed, rng=rng)
    return exposed - (sky + roman.dark_current * roman.exptime) / roman.gain


def main(side: int = SIDE) -> list[galsim.Image]:
    """Write one image a band, in counts, and return them."""
    rng = galsim.BaseDeviate(1213)
    uniform = galsim.UniformDeviate(rng)
    galaxies = make_galaxies(round(DENSITY * (side * roman.pixel_scale / 60) ** 2), rng)
    positions = [galsim.PositionD(side * uniform(), side * uniform()) for _ in galaxies]
    bands = [roman.getBandpasses()[name] for name in BANDS]
    images = [expose(draw_light(galaxies, positions, b, side), b, rng) for b in bands]
    Path("output").mkdir(exist_ok=True)
    galsim.fits.writeMulti(images, "output/roman.fits")
    return images


if __name__ == "__main__":
    main()
