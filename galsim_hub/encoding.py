"""Between GalSim's images and the arrays of a module's encoder and decoder.

`image_stamps`, `psf_stamps`, `variances` and `pixel_masks` prepare what ``encode`` takes;
`Posterior` is what it gives; `read_latents` checks what ``decode`` takes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ImageError, LatentError
from .latents import check_rng, draw_seed, standard_normals
from .spec import ModuleSpec

__all__ = [
    "Posterior",
    "image_stamps",
    "pixel_masks",
    "psf_stamps",
    "read_latents",
    "variances",
]

# Catalogues round the pixel scale: 1e-3 of it moves a stamp's edge by 0.06 pixel.
_SCALE_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class Posterior:
    """Hold the Gaussian that a module believes an image's latent code to follow.

    Attributes
    ----------
    mean, scale : ndarray of float32, shape (latent_size,) or (n, latent_size)
        Its mean and standard deviation: one row an image, none for a single image.
    offset : ndarray of float32, shape (2,) or (n, 2)
        The galaxy's centre less the image's, (x, y) [pixel], as a refinement found it; 0 without.
        `decode` gives a centred galaxy: shift it by this, times the pixel scale.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros(2, np.float32))

    def sample(self, n: int, rng: galsim.BaseDeviate | None = None) -> NDArray[np.float32]:
        """Draw latent codes.

        Parameters
        ----------
        n : int
            Draws an image.
        rng : galsim.BaseDeviate, optional
            One 64-bit seed is drawn from it a draw and image.

        Returns
        -------
        ndarray of float32, shape (n, *mean.shape)

        Raises
        ------
        RandomDeviateError
            If `rng` is no GalSim deviate.
        """
        rng = check_rng(rng)
        rows = int(np.prod(self.mean.shape[:-1]))
        seeds = [draw_seed(rng) for _ in range(n * rows)]
        normals = standard_normals(seeds, self.mean.shape[-1])
        return self.mean + self.scale * normals.reshape(n, *self.mean.shape)


def image_stamps(images: Sequence[galsim.Image], spec: ModuleSpec) -> NDArray[np.float32]:
    """Cut or zero-pad images to a module's stamp, about their true centres.

    An image whose side differs from the stamp's by an odd number has its centre half a
    pixel below the stamp's: no pixel is interpolated.

    Parameters
    ----------
    images : sequence of galsim.Image
    spec : ModuleSpec
        The module's card.

    Returns
    -------
    ndarray of float32, shape (n, stamp_size, stamp_size)

    Raises
    ------
    ImageError
        If one is no image, is not finite, or has another pixel scale than the module.
    """
    size = spec.stamp_size or 0
    return np.array([_stamp(image, spec) for image in images], np.float32).reshape(-1, size, size)


def psf_stamps(
    psf: galsim.GSObject | Sequence[galsim.GSObject], n: int, spec: ModuleSpec
) -> NDArray[np.float32]:
    """Draw effective PSFs (with the pixel's response) at a module's pixel size.

    Parameters
    ----------
    psf : galsim.GSObject or sequence of them
        One for all images, or one each; drawn without a further pixel, and normalised to a sum
        of 1.
    n : int
        The number of images.
    spec : ModuleSpec
        The module's card.

    Returns
    -------
    ndarray of float32, shape (n, psf_size, psf_size)

    Raises
    ------
    ImageError
        If one is no GSObject, or they are neither one nor n.
    """
    psfs = [psf] * n if isinstance(psf, galsim.GSObject) else list(psf)
    if len(psfs) != n:
        raise ImageError(
            f"Got {len(psfs)} PSFs for {n} images. Give one for all, or one each.", len(psfs)
        )
    size = spec.psf_size or 0
    return np.array([_psf_stamp(each, spec) for each in psfs], np.float32).reshape(-1, size, size)


def variances(noise_variance: ArrayLike, n: int) -> NDArray[np.float32]:
    """Check noise variances, and repeat a single one.

    Parameters
    ----------
    noise_variance : float or array of shape (n,)
        Variance a pixel.
    n : int
        The number of images.

    Returns
    -------
    ndarray of float32, shape (n,)

    Raises
    ------
    ImageError
        If they are not positive, or neither one nor n.
    """
    values = np.asarray(noise_variance, dtype=np.float32)
    if values.shape not in ((), (n,)):
        raise ImageError(
            f"noise_variance must be one number or one for each of the {n} images, got shape "
            f"{values.shape}.",
            values.shape,
        )
    if not (np.isfinite(values) & (values > 0)).all():
        raise ImageError(
            f"noise_variance must be positive, got {values.min()}. Give the variance of the "
            "image's noise a pixel.",
            float(values.min()),
        )
    return np.broadcast_to(values, (n,))


def pixel_masks(mask: ArrayLike | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Check which pixels count, and repeat a single mask.

    Parameters
    ----------
    mask : array_like of bool, shape (n, y, x) or (y, x), or None
        All pixels count without one.
    shape : tuple of int
        Of the stamps, (n, y, x).

    Returns
    -------
    ndarray of bool, shape (n, y, x)

    Raises
    ------
    ImageError
        If the mask is of another shape, or leaves a stamp without a pixel.
    """
    used = np.ones(shape, dtype=bool) if mask is None else np.asarray(mask, dtype=bool)
    if used.shape not in (shape, shape[1:]):
        raise ImageError(
            f"mask must be of the stamps' shape, {shape[1:]} or {shape}, got {used.shape}. Cut it "
            "as the stamps are cut, about the galaxy's centre.",
            used.shape,
        )
    used = np.broadcast_to(used, shape)
    if not used.any(axis=(1, 2)).all():
        raise ImageError(
            "The mask leaves an image without a pixel. Set True where a pixel counts.", "all masked"
        )
    return used


def read_latents(latents: ArrayLike, spec: ModuleSpec) -> NDArray[np.float32]:
    """Check latent codes.

    Parameters
    ----------
    latents : array_like of float, shape (latent_size,) or (n, latent_size)
    spec : ModuleSpec
        The module's card.

    Returns
    -------
    ndarray of float32, shape (n, latent_size)

    Raises
    ------
    LatentError
        If the shape is wrong or a value is not finite.
    """
    given = np.asarray(latents, dtype=np.float32)
    size = spec.latent_size
    if given.ndim not in (1, 2) or given.shape[-1] != size or not np.isfinite(given).all():
        raise LatentError(
            f"latents must be finite, of shape ({size},) or (n, {size}), got shape "
            f"{given.shape}. Use codes of the same module, as from encode.",
            given.shape,
        )
    return np.atleast_2d(given)


def _stamp(image: Any, spec: ModuleSpec) -> NDArray[np.float32]:
    if not isinstance(image, galsim.Image):
        raise ImageError(
            f"encode wants a galsim.Image or a list of them, got {type(image).__name__}. Use "
            f"galsim.Image(array, scale={spec.pixel_size}).",
            type(image).__name__,
        )
    _check_scale(image, spec)
    if not np.isfinite(image.array).all():
        raise ImageError("The image holds NaN or infinite pixels. Set them to 0.", "not finite")
    size = spec.stamp_size or 0
    stamp = np.zeros((size, size), dtype=np.float32)
    target_y, source_y = _overlap(size, image.array.shape[0])
    target_x, source_x = _overlap(size, image.array.shape[1])
    stamp[target_y, target_x] = image.array[source_y, source_x]
    return stamp


def _check_scale(image: galsim.Image, spec: ModuleSpec) -> None:
    if image.wcs is None:
        raise ImageError(
            f"The image has no pixel scale; module {spec.label} works at {spec.pixel_size} arcsec. "
            f"Set image.scale = {spec.pixel_size} if that is what it is.",
            None,
        )
    local = image.wcs.local(image_pos=image.true_center)
    for scale in (local.minLinearScale(), local.maxLinearScale()):
        if abs(scale / spec.pixel_size - 1) > _SCALE_TOLERANCE:
            raise ImageError(
                f"The image's pixel scale is {scale:.6g} arcsec; module {spec.label} works at "
                f"{spec.pixel_size} arcsec. Resample the image: "
                f"galsim.InterpolatedImage(image).drawImage(scale={spec.pixel_size}, "
                "method='no_pixel').",
                scale,
            )


def _overlap(target: int, source: int) -> tuple[slice, slice]:
    n = min(target, source)
    start_target, start_source = (target - n) // 2, (source - n) // 2
    return slice(start_target, start_target + n), slice(start_source, start_source + n)


def _psf_stamp(psf: Any, spec: ModuleSpec) -> NDArray[np.float32]:
    if not isinstance(psf, galsim.GSObject):
        raise ImageError(
            f"psf must be a galsim.GSObject, the effective PSF with the pixel's response, got "
            f"{type(psf).__name__}. Use galsim.InterpolatedImage(image, scale=...).",
            type(psf).__name__,
        )
    side = spec.psf_size
    drawn = psf.drawImage(nx=side, ny=side, scale=spec.pixel_size, method="no_pixel", dtype=float)
    stamp: NDArray[np.float32] = (drawn.array / drawn.array.sum()).astype(np.float32)
    return stamp
