"""Turn a FITS file of galaxies with a truth table into one picture.

Use: python examples/contact_sheet.py output/demo.fits output/demo.png
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from astropy.io import fits

from galsim_hub.figures import contact_sheet

CAPTION = "{flux_radius:.1f} px, {mag_auto:.1f} mag\nz = {zphot:.2f}"


def read_galaxies(path: Path) -> tuple[list[np.ndarray], np.ndarray]:
    """Return every image of the file, and the rows of the table behind them."""
    with fits.open(path) as extensions:
        images = [hdu.data for hdu in extensions if hdu.is_image and hdu.data is not None]
        return images, extensions[-1].data


def main(fits_path: Path, png_path: Path) -> None:
    """Draw the galaxies of `fits_path` with their conditions into `png_path`."""
    images, truth = read_galaxies(fits_path)
    captions = [CAPTION.format(**dict(zip(truth.names, row, strict=True))) for row in truth]
    png_path.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(images, captions).savefig(png_path, dpi=150)
    print(f"{len(images)} galaxies -> {png_path}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
