"""Effective PSFs of HST/ACS F814W: a library of real ones, or an optical stand-in.

An effective PSF includes the pixel response, so images are drawn with ``method='no_pixel'``.
"""

import pathlib

import galsim
import numpy as np
from astropy.io import fits

from ..errors import DataError


def load_psfs(path: str | None, size: int, pixel_scale: float) -> np.ndarray:
    """Return the PSF stamps, float32 (n, size, size), each of sum 1.

    Each is centred on its central pixel: the COSMOS ones of GalSim's examples sit 0.6 pixel up and
    right of it.

    Parameters
    ----------
    path
        FITS file with one PSF an extension, sampled at `pixel_scale` [arcsec] (such as
        ``cosmos_acs_f814w_psfs.fits`` of GalSim's examples), or None for the stand-in.
    """
    if path is None:
        return pad_psf(optical_psf_stamp(size, pixel_scale), size)[np.newaxis]
    if not pathlib.Path(path).is_file():
        raise DataError(
            f"No PSF file at {path}. The COSMOS PSFs are examples/data/cosmos_acs_f814w_psfs.fits "
            "of the GalSim repository; give its path as data.psfs, or null for an optical stand-in."
        )
    with fits.open(path) as hdus:
        stamps = [pad_psf(hdu.data, size) for hdu in hdus if hdu.data is not None]
    return np.stack([centre_psf(stamp) for stamp in stamps])


def centre_psf(stamp: np.ndarray) -> np.ndarray:
    """Move a PSF so that its HSM centroid is the centre of its central pixel."""
    for _ in range(2):  # the centroid of a shifted stamp differs by what its pixels leave out
        offset = centroid(stamp)
        if offset is None:
            raise DataError("A PSF stamp has no HSM centroid: is it a PSF?")
        stamp = shift_psf(stamp, -offset[0], -offset[1])
    return stamp


def register_psf(psf: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Move a PSF so that its centroid is where the galaxy's is, both from the stamp's centre.

    Where a galaxy falls in its stamp is an accident of the cut-out: told by the PSF, it need not be
    learnt. A galaxy without HSM centroid counts as centred.
    """
    return shift_psf(centre_psf(psf), *(centroid(image) or (0.0, 0.0)))


def centroid(stamp: np.ndarray) -> tuple[float, float] | None:
    """Return the HSM centroid (x, y) from the stamp's true centre [pixel], None if HSM fails."""
    image = galsim.Image(stamp.astype(float))
    found = galsim.hsm.FindAdaptiveMom(image, strict=False)
    if found.error_message:
        return None
    offset = found.moments_centroid - image.true_center
    return offset.x, offset.y


def shift_psf(stamp: np.ndarray, dx: float, dy: float) -> np.ndarray:
    """Move a PSF stamp of odd side by (dx, dy) [pixel], exactly for a band-limited one."""
    waves = 2.0j * np.pi * np.fft.fftfreq(len(stamp))
    phase = np.exp(-waves * dy)[:, None] * np.exp(-waves * dx)[None, :]
    return np.fft.ifft2(np.fft.fft2(stamp) * phase).real.astype(np.float32)


def pad_psf(stamp: np.ndarray, size: int) -> np.ndarray:
    """Return a PSF stamp cut or padded to (size, size) about its centre, float32, of sum 1.

    Both numbers must be odd: an even stamp has no central pixel to keep.
    """
    if size % 2 == 0 or stamp.shape[0] % 2 == 0 or stamp.shape[1] % 2 == 0:
        raise DataError(f"PSF stamps must have odd sides, got {stamp.shape} for psf_size {size}.")
    out = np.zeros((size, size))
    into, of = zip(*(_overlap(size, n) for n in stamp.shape), strict=True)
    out[into] = np.asarray(stamp, dtype=float)[of]
    if not out.sum() > 0:
        raise DataError(f"A PSF of total {out.sum()} cannot be normalised: is the stamp a PSF?")
    return (out / out.sum()).astype(np.float32)


def optical_psf(pixel_scale: float) -> galsim.GSObject:
    """Return the stand-in: an obscured 2.4 m telescope at 814 nm, with struts, jitter and pixel."""
    optics = galsim.OpticalPSF(lam=814.0, diam=2.4, obscuration=0.33, nstruts=4, strut_thick=0.022)
    jitter = galsim.Gaussian(sigma=0.012)
    return galsim.Convolve(optics, jitter, galsim.Pixel(pixel_scale))


def optical_psf_stamp(size: int, pixel_scale: float) -> np.ndarray:
    """Draw the stand-in on (size, size) pixels."""
    image = optical_psf(pixel_scale).drawImage(
        nx=size, ny=size, scale=pixel_scale, method="no_pixel"
    )
    return image.array


def psf_profile(stamp: np.ndarray, pixel_scale: float) -> galsim.GSObject:
    """Return the GalSim profile of a PSF stamp, flux 1."""
    return galsim.InterpolatedImage(galsim.Image(stamp.astype(float), scale=pixel_scale), flux=1.0)


def _overlap(size: int, other: int) -> tuple[slice, slice]:
    half = min(size, other) // 2
    return slice(size // 2 - half, size // 2 + half + 1), slice(
        other // 2 - half, other // 2 + half + 1
    )
