"""What a user hands over to be deblended, checked, and on the pixels of a prior of stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ObservationError
from .fields import as_mask, as_numbers
from .prior import ScorePrior
from .scene import Scene

__all__ = ["ObservedScene", "observe"]

_SCALE_TOLERANCE = 1e-3
_SHARPEST = 1.05  # of the PSF's modes against the prior's smoothing
_LEAST_APART = 0.5  # of centres [pixel of the image]
_MOST_OFF = 1.0  # of a PSF's centroid [pixel], as far as the prior lets a galaxy be off
_RADII = (1.0, 2.5, 5.0)  # of the templates that guess fluxes [pixel of the field]


@dataclass(frozen=True, eq=False)
class ObservedScene:
    """Hold an image of sources at known places.

    Attributes
    ----------
    image, noise_std : ndarray, shape (y, x)
    mask : ndarray of bool, shape (y, x)
    centres : ndarray, shape (sources, 2)
        x and y [pixel].
    kernel : ndarray, shape (odd, odd)
        What the PSF adds to the prior's own smoothing, on the prior's pixels.
    factor : int
        Pixels of the prior along the side of one of the image.
    side : int
        Pixels of a stamp.
    field_scale : float
        The prior's pixels [arcsec].
    """

    image: NDArray[np.float64]
    noise_std: NDArray[np.float64]
    mask: NDArray[np.bool_]
    centres: NDArray[np.float64]
    kernel: NDArray[np.float64]
    factor: int
    side: int
    field_scale: float

    def scene(self, fluxes: ArrayLike) -> Scene:
        """Return the operator from fields of about unit flux to the image.

        Parameters
        ----------
        fluxes : array_like, shape (sources,)

        Returns
        -------
        Scene
        """
        shape = (self.image.shape[0], self.image.shape[1])
        return Scene(self.kernel, self.centres, shape, self.side, self.factor, fluxes)

    def templates(self) -> NDArray[np.float32]:
        """Return round exponential profiles of several sizes and flux one, shape (3, y, x)."""
        place = np.arange(self.side) - 0.5 * (self.side - 1)
        r = np.hypot(place[:, None], place)
        profiles = np.exp(-r / np.reshape(_RADII, (-1, 1, 1)))
        return (profiles / profiles.sum(axis=(1, 2), keepdims=True)).astype(np.float32)

    def rough_fluxes(self) -> NDArray[np.float64]:
        """Return fluxes of round templates, to know which units suit the sources.

        Returns
        -------
        ndarray, shape (sources,)
            Not below the noise of a few pixels, whatever the image says.
        """
        n = len(self.centres)
        scene = self.scene(np.ones(n))
        shapes = [
            scene.forward_each(np.repeat(t[None], n, axis=0)).numpy() for t in self.templates()
        ]
        weight = self.mask / self.noise_std
        design = np.concatenate(shapes) * weight
        columns = design.reshape(len(design), -1).astype(float)
        data = np.where(self.mask, self.image, 0.0) * weight
        found = _positive_fit(columns @ columns.T, columns @ data.ravel())
        least = 3.0 * float(np.median(self.noise_std[self.mask])) * self.factor
        return np.maximum(found.reshape(-1, n).sum(axis=0), least)


def observe(
    image: galsim.Image | ArrayLike,
    psf: galsim.GSObject | ArrayLike,
    noise_std: galsim.Image | ArrayLike,
    centres: ArrayLike,
    prior: ScorePrior,
    *,
    pixel_scale: float | None,
    mask: galsim.Image | ArrayLike | None,
) -> ObservedScene:
    """Check what `deblend` was given.

    Parameters
    ----------
    image, psf, noise_std, centres, prior, pixel_scale, mask
        As of `deblend`.

    Returns
    -------
    ObservedScene

    Raises
    ------
    ObservationError
        If it makes no observation, or not one of the prior's pixels.
    """
    side, field_scale, smoothing = _stamps_of(prior)
    pixels, own_scale = _read_image(image, pixel_scale)
    factor = _factor(field_scale if own_scale is None else own_scale, field_scale)
    places = _read_centres(centres, pixels.shape)
    is_seen = _read_mask(mask, pixels.shape)
    if np.ma.isMaskedArray(image):
        is_seen = is_seen & ~np.ma.getmaskarray(image)
    noise = _broadcast_noise(noise_std, pixels.shape)
    if not is_seen.any():
        raise ObservationError("Every pixel is masked: mask is True where there are data.", "mask")
    for name, values in (("image", pixels), ("noise_std", noise)):
        n_bad = int((~np.isfinite(values) & is_seen).sum())
        if n_bad:
            raise ObservationError(
                f"{n_bad} pixels of {name} are not finite. Set mask to False there.", name, n_bad
            )
    if (noise[is_seen] <= 0).any():
        raise ObservationError(
            "noise_std must be above zero. Set mask to False where there are no data.", "noise_std"
        )
    noise = np.where(is_seen, noise, 1.0)
    limit = factor * min(pixels.shape)
    kernel = _kernel(psf, field_scale, smoothing, limit)
    return ObservedScene(pixels, noise, is_seen, places, kernel, factor, side, field_scale)


def _stamps_of(prior: ScorePrior) -> tuple[int, float, float]:
    """Return side [pixel], pixel scale and smoothing [arcsec] of a prior of stamps."""
    shape, scale, smoothing = prior.event_shape, prior.pixel_scale, prior.smoothing
    if len(shape) != 2 or None in shape or shape[0] != shape[1] or not scale or smoothing is None:
        raise ObservationError(
            f"Module {prior.spec.label} is no prior of sources on square stamps: its card must say "
            "their size, pixel_size and smoothing. Use hub:galaxy_score.",
            "prior",
            shape,
        )
    return int(shape[0] or 0), float(scale), smoothing


def _read_mask(mask: galsim.Image | ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    is_seen = as_mask(True if mask is None else mask)
    try:
        return np.broadcast_to(is_seen, shape)
    except ValueError as error:
        raise ObservationError(
            f"mask has shape {is_seen.shape}, the image {shape}. Give one of the image's shape.",
            "mask",
            is_seen.shape,
        ) from error


def _read_image(
    image: galsim.Image | ArrayLike, pixel_scale: float | None
) -> tuple[NDArray[np.float64], float | None]:
    """Return the pixels, and their scale if it is known [arcsec]."""
    scale = pixel_scale
    if isinstance(image, galsim.Image) and scale is None and image.wcs is not None:
        if not image.wcs.isPixelScale():
            raise ObservationError(
                f"The image has a WCS that is no pixel scale, {image.wcs!r:.80}. Give "
                "pixel_scale [arcsec]; a cutout is small enough for one.",
                "pixel_scale",
            )
        scale = float(image.scale)
    pixels = as_numbers("image", image)
    if pixels.ndim != 2 or not pixels.size:
        raise ObservationError(
            f"The image must have two axes, y and x, got shape {pixels.shape}. Deblend one cutout "
            "of one band at a time.",
            "image",
            pixels.shape,
        )
    return pixels, scale


def _factor(pixel_scale: float, field_scale: float) -> int:
    factor = round(pixel_scale / field_scale) if np.isfinite(pixel_scale) else 0
    if factor < 1 or abs(pixel_scale / (factor * field_scale) - 1.0) > _SCALE_TOLERANCE:
        raise ObservationError(
            f"Pixels of {pixel_scale:g} arcsec are no whole multiple of the prior's, "
            f"{field_scale:g} arcsec. Resample the image, as with galsim.InterpolatedImage.",
            "pixel_scale",
            pixel_scale,
        )
    return factor


def _read_centres(centres: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.float64]:
    try:
        places = np.asarray(centres, dtype=float)
    except (TypeError, ValueError) as error:
        # A position counts from the origin of its image, which is not known here.
        raise ObservationError(
            f"centres must be pairs of numbers ({error}). Give a galsim.Position p as "
            "(p.x - image.xmin, p.y - image.ymin).",
            "centres",
        ) from error
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ObservationError(
            f"centres must have shape (sources, 2), x before y, got {places.shape}.",
            "centres",
            places.shape,
        )
    ny, nx = shape
    is_inside = np.all((places >= -0.5) & (places <= np.array([nx, ny]) - 0.5), axis=1)
    if not is_inside.all():  # NaN is not inside
        number = int(np.argmin(is_inside))
        raise ObservationError(
            f"Centre {number}, ({places[number, 0]:g}, {places[number, 1]:g}), lies outside of the "
            f"image of {nx} x {ny} pixels. Give x before y, counted from 0, or cut a larger image.",
            "centres",
            number,
        )
    apart = np.hypot(*(places[:, None] - places).T) + np.diag(np.full(len(places), np.inf))
    if apart.min() < _LEAST_APART:
        first, second = np.unravel_index(np.argmin(apart), apart.shape)
        raise ObservationError(
            f"Centres {first} and {second} are {apart.min():.2g} pixels apart: nothing tells which "
            "source light belongs to. List each source once.",
            "centres",
            int(second),
        )
    return places


def _broadcast_noise(
    noise_std: galsim.Image | ArrayLike, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    noise = as_numbers("noise_std", noise_std)
    try:
        return np.broadcast_to(noise, shape)
    except ValueError as error:
        raise ObservationError(
            f"noise_std has shape {noise.shape}, the image {shape}. Give one number, or a map of "
            "the image's shape.",
            "noise_std",
            noise.shape,
        ) from error


def _kernel(
    psf: galsim.GSObject | ArrayLike, scale: float, smoothing: float, limit: int
) -> NDArray[np.float64]:
    """Return the PSF without what the prior is smoothed by, at most `limit` pixels wide."""
    blur = galsim.Gaussian(fwhm=smoothing)
    if isinstance(psf, galsim.ChromaticObject):
        raise ObservationError(
            "The PSF depends on the wavelength. Give it at one, psf.evaluateAtWavelength(nm).",
            "psf",
        )
    if not isinstance(psf, galsim.GSObject):
        return _sharpened(_read_psf(psf, limit, scale), blur, scale)
    if not 0 < psf.flux < np.inf:
        raise ObservationError(
            f"The PSF has a flux of {psf.flux:g}. Give one with a flux above zero.",
            "psf",
            psf.flux,
        )
    k = np.pi / scale * np.linspace(0.1, 1.0, 10)
    # Of conjugate modes one is enough; a PSF that is sheared is sharp along one direction.
    directions = np.pi * np.arange(12) / 12
    places = [(q * np.cos(angle), q * np.sin(angle)) for q in k for angle in directions]
    _check_width(max(abs(psf.kValue(*q) / blur.kValue(*q)) for q in places) / psf.flux, blur)
    whole = galsim.Convolve(psf.withFlux(1.0), galsim.Deconvolve(blur))
    size = min(whole.getGoodImageSize(scale), limit)
    size -= 1 - size % 2
    drawn = whole.drawImage(nx=size, ny=size, scale=scale, method="no_pixel", dtype=float)
    _check_middle(drawn.array)
    return np.asarray(drawn.array)


def _sharpened(
    values: NDArray[np.float64], blur: galsim.Gaussian, scale: float
) -> NDArray[np.float64]:
    """Divide a PSF's pixels by a Gaussian in Fourier space, with room around them."""
    ny, nx = (2 * side for side in values.shape)
    ky, kx = 2 * np.pi * np.fft.fftfreq(ny), 2 * np.pi * np.fft.rfftfreq(nx)
    wide = np.exp(-0.5 * (blur.sigma / scale) ** 2 * (ky[:, None] ** 2 + kx**2))
    modes = np.fft.rfft2(values / values.sum(), (ny, nx)) / wide
    _check_width(float(np.abs(modes).max()), blur)
    return np.asarray(np.fft.irfft2(modes, (ny, nx))[: values.shape[0], : values.shape[1]])


def _check_width(ratio: float, blur: galsim.Gaussian) -> None:
    if ratio > _SHARPEST:
        raise ObservationError(
            f"The PSF is sharper than the prior, whose galaxies are smoothed by {blur.fwhm:.3g} "
            "arcsec (FWHM), or its pixels are too coarse for it. Convolve image and PSF with a "
            "Gaussian of that width; of a model of a PSF, give the GSObject.",
            "psf",
            ratio,
        )


def _check_psf_scale(psf: galsim.Image, scale: float) -> None:
    if psf.wcs is None:
        return
    if not psf.wcs.isPixelScale():
        raise ObservationError(
            f"The PSF has a WCS that is no pixel scale, {psf.wcs!r:.80}. Draw it on the prior's "
            f"pixels of {scale:g} arcsec, or give psf.array if those are its own.",
            "psf",
        )
    if abs(psf.scale / scale - 1.0) > _SCALE_TOLERANCE:
        raise ObservationError(
            f"The PSF has pixels of {psf.scale:g} arcsec, the prior of {scale:g} arcsec: they must "
            "be the same. Draw it with the prior's, or give galsim.InterpolatedImage(psf).",
            "psf",
            psf.scale,
        )


def _read_psf(psf: Any, limit: int, scale: float) -> NDArray[np.float64]:
    if isinstance(psf, galsim.Image):
        _check_psf_scale(psf, scale)
    values = as_numbers("psf", psf)
    if values.ndim != 2 or not all(side % 2 for side in values.shape):
        raise ObservationError(
            f"A PSF has two odd sides, so that it has a middle pixel, got {values.shape}. Draw it "
            "with odd nx and ny, or give a GSObject.",
            "psf",
            values.shape,
        )
    if max(values.shape) > limit:
        raise ObservationError(
            f"The PSF, {values.shape} pixels of the prior, is larger than the image, {limit}. Crop "
            "the PSF about its middle, or cut a larger image.",
            "psf",
            values.shape,
        )
    if not np.isfinite(values).all() or not values.sum() > 0:
        raise ObservationError(
            "The PSF must be finite, with a positive sum. Interpolate over its bad pixels.", "psf"
        )
    _check_middle(values)
    return values


def _check_middle(values: NDArray[np.float64]) -> None:
    middle = [np.arange(side) - side // 2 for side in values.shape]
    off_y, off_x = (
        float(np.sum(values * place) / values.sum())
        for place in np.meshgrid(*middle, indexing="ij")
    )
    if np.hypot(off_x, off_y) > _MOST_OFF:
        raise ObservationError(
            f"The PSF's centroid is ({off_x:.2f}, {off_y:.2f}) pixels from its middle one, and "
            "sources would be sought that far from their centres. Draw it in the middle; shift a "
            "GSObject by its centroid.",
            "psf",
            (off_x, off_y),
        )


def _positive_fit(matrix: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Minimise x M x / 2 - r x over x >= 0, one coordinate after the other."""
    x = np.zeros(len(right))
    curvature = np.maximum(np.diag(matrix), 1e-12 * matrix.max())
    for _ in range(200):
        for i in range(len(x)):
            x[i] = max(0.0, x[i] + (right[i] - matrix[i] @ x) / curvature[i])
    return x
