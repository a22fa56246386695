"""Draw five learned galaxies through a telescope: python examples/01_python.py."""

from pathlib import Path

import galsim
import numpy as np

import galsim_hub

model = galsim_hub.GenerativeGalaxyModel("hub:cosmos")
catalog = {
    "flux_radius": np.array([5.0, 8.0, 12.0, 16.0, 20.0]),  # [pixel of 0.03 arcsec]
    "mag_auto": np.array([23.5, 22.5, 21.5, 21.0, 20.5]),  # F814W, AB
    "zphot": np.array([0.9, 0.7, 0.5, 0.4, 0.3]),
}
psf = galsim.Moffat(beta=3.5, fwhm=0.7)  # [arcsec], seen from the ground

images = [
    galsim.Convolve(galaxy.shear(g1=0.02), psf).drawImage(nx=64, ny=64, scale=0.2)
    for galaxy in model.sample(catalog, rng=galsim.BaseDeviate(42))
]
Path("output").mkdir(exist_ok=True)
galsim.fits.writeMulti(images, "output/python.fits")
