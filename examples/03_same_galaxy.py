"""See one galaxy in two surveys: python examples/03_same_galaxy.py.

An `obj_id` names the galaxy: the same in every band, visit, process and machine.
"""

from pathlib import Path

import galsim

import galsim_hub
from galsim_hub.figures import contact_sheet

SIDE = 6.0  # [arcsec]
SURVEYS = {
    "space": (galsim.Airy(lam=814, diam=2.4, obscuration=0.33), 0.05),  # PSF, pixel [arcsec]
    "ground": (galsim.Moffat(beta=3.5, fwhm=0.7), 0.2),
}

model = galsim_hub.GenerativeGalaxyModel("hub:cosmos")
images, captions = [], []
for obj_id in ("field-7/12", "field-7/13", "field-9/4"):
    for survey, (psf, pixel) in SURVEYS.items():
        galaxy = galsim_hub.GenerativeGalaxy(
            model, flux_radius=14.0, mag_auto=21.0, zphot=0.4, obj_id=obj_id
        )
        side = round(SIDE / pixel)
        image = galsim.Convolve(galaxy, psf).drawImage(nx=side, ny=side, scale=pixel)
        images.append(image.array)
        captions.append(f"{obj_id}\n{survey}")

Path("output").mkdir(exist_ok=True)
contact_sheet(images, captions, columns=2).savefig("output/same_galaxy.png", dpi=150)
