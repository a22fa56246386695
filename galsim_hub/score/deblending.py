"""Deblending: which light of an image belongs to which of its overlapping galaxies.

Reach for `deblend` when galaxies overlap, their centres are known, and what is wanted is each of
them alone: its image, its flux, and how sure that is. The physics is explicit, a sum of sources
behind a PSF with Gaussian noise; the score prior says what one galaxy looks like.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fields import check_count
from .observed_scene import ObservedScene, observe
from .prior import ScorePrior
from .sampling import Posterior, annealed_hmc, maximum_a_posteriori
from .sampling.run import Progress
from .scene import Scene, SceneLikelihood, ScenePrior

__all__ = ["Deblended", "deblend"]

_FIRST = 0.1  # [flux of a source]: noise a pixel in which all but the most compact are lost
_LAST = 0.25  # [noise of the image]: the noise of the prior at the end adds a twentieth to it
_RATE = 0.4  # of the mode's steps; prior and likelihood are each at most as sharp as the noise


@dataclass(frozen=True, eq=False)
class Deblended:
    """Hold the galaxies of a blend, each on a stamp of the prior's pixels.

    A stamp shows a galaxy behind the prior's own smoothing alone, in the flux of the image.

    Attributes
    ----------
    most_probable : ndarray of float32, shape (sources, y, x)
    samples : ndarray of float32, shape (n_samples, sources, y, x)
        Draws from the posterior; none if none were asked for.
    offsets : ndarray, shape (sources, 2)
        x and y of the given centres from the middle of each stamp [pixel of a stamp].
    pixel_scale : float
        Of the stamps [arcsec].
    diagnostics : dict
        What the samplers say: of the mode by ``mode_...``, and of the samples.
    """

    most_probable: NDArray[np.float32]
    samples: NDArray[np.float32]
    offsets: NDArray[np.float64]
    pixel_scale: float
    diagnostics: dict[str, Any]
    _scene: Scene

    @property
    def sources(self) -> NDArray[np.float32]:
        """The best guess: the mean of the samples, or the mode without any; (sources, y, x)."""
        return self.samples.mean(axis=0) if len(self.samples) else self.most_probable

    @property
    def fluxes(self) -> NDArray[np.float32]:
        """The flux of each source, shape (sources,)."""
        return np.asarray(self.sources.sum(axis=(1, 2)))

    @property
    def flux_errors(self) -> NDArray[np.float32]:
        """The standard deviation of each flux over the samples, NaN for fewer than two."""
        if len(self.samples) < 2:
            return np.full(len(self.most_probable), np.nan, np.float32)
        return np.asarray(self.samples.sum(axis=(2, 3)).std(axis=0, ddof=1))

    def images(self, sources: ArrayLike | None = None) -> NDArray[np.float32]:
        """Return what the image shows of each source, without noise.

        Parameters
        ----------
        sources : array_like, shape (sources, y, x), optional
            Other stamps than `sources`, such as one of `samples`.

        Returns
        -------
        ndarray of float32, shape (sources, image y, image x)
        """
        stamps = self.sources if sources is None else np.asarray(sources, np.float32)
        return np.asarray(
            self._scene.forward_each(stamps / self._scene.scales[:, None, None]).numpy()
        )


def deblend(
    image: galsim.Image | ArrayLike,
    psf: galsim.GSObject | ArrayLike,
    noise_std: galsim.Image | ArrayLike,
    centres: ArrayLike,
    *,
    seed: int,
    prior: ScorePrior | str = "hub:galaxy_score",
    pixel_scale: float | None = None,
    mask: galsim.Image | ArrayLike | None = None,
    n_samples: int = 8,
    n_levels: int = 40,
    n_leapfrog: int = 6,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Deblended:
    """Separate overlapping galaxies, given where they are.

    Parameters
    ----------
    image : galsim.Image or array_like, shape (y, x)
        Background subtracted.
    psf : galsim.GSObject or array_like
        Without the pixel, as ``galsim.Convolve`` takes it; or its values on the prior's pixels
        (``psf.drawImage(scale=prior.pixel_scale, method="no_pixel")``), with two odd sides.
    noise_std : float, array_like or galsim.Image
        Standard deviation of a pixel's noise.
    centres : array_like, shape (sources, 2)
        x and y [pixel], the centre of the array's first pixel being (0, 0). The prior allows a
        galaxy to be up to a pixel of its own from there.
    seed : int
        Of the samplers.
    prior : ScorePrior or str
        A module of galaxies on stamps, or its address or folder.
    pixel_scale : float, optional
        Of the image [arcsec]: a whole multiple of the prior's. By default that of a galsim.Image,
        or the prior's own.
    mask : array_like of bool or galsim.Image, optional
        True where the image can be used; elsewhere it may be NaN.
    n_samples : int
        Draws from the posterior, each the end of a chain of its own; 0 for the mode alone, which
        takes a tenth of the time; its fluxes are too high.
    n_levels : int
        Noise levels through which the chains cool. More bring the mode closer to the true one.
    n_leapfrog : int
        Steps of a trajectory, of which there is one at each level and as many at the last.
    checkpoint, progress
        As of `annealed_hmc`.

    Returns
    -------
    Deblended

    Raises
    ------
    ObservationError
        If a centre lies outside of the image, pixels do not fit the prior's, the PSF is larger
        than the image or sharper than the prior's smoothing, or observed values are not finite.
    SamplingError
        If a number of samples or steps makes no sense, or chains diverge.
    """
    check_count("n_samples", n_samples, 0)
    module = ScorePrior(prior) if isinstance(prior, str) else prior
    seen = observe(image, psf, noise_std, centres, module, pixel_scale=pixel_scale, mask=mask)
    fluxes = seen.rough_fluxes()
    scene = seen.scene(fluxes)
    likelihood = SceneLikelihood(scene, seen.image, seen.noise_std, seen.mask)
    whole, levels = ScenePrior(module), chain_levels(module, seen, fluxes)
    start = np.repeat(seen.templates()[None, 1:2], len(fluxes), axis=1)
    mode = maximum_a_posteriori(
        whole, likelihood, start, seed=seed, sigma=levels, n_levels=n_levels, rate=_RATE
    )
    report = {f"mode_{name}": value for name, value in mode.diagnostics.items()}
    samples = np.zeros((0, *mode.mean.shape), np.float32)
    if n_samples:
        found: Posterior = annealed_hmc(
            whole,
            likelihood,
            np.repeat(start, n_samples, axis=0),
            seed=seed,
            sigma=levels,
            n_levels=n_levels,
            n_warmup=n_levels,
            thin=1,
            n_leapfrog=n_leapfrog,
            checkpoint=checkpoint,
            progress=progress,
        )
        samples, report = found.samples, report | found.diagnostics
    scales = scene.scales[:, None, None].astype(np.float32)
    return Deblended(
        mode.mean * scales, samples * scales, scene.offsets, seen.field_scale, report, scene
    )


def chain_levels(
    prior: ScorePrior, seen: ObservedScene, fluxes: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the first and the last noise level of the chains.

    Parameters
    ----------
    prior : ScorePrior
    seen : ObservedScene
    fluxes : ndarray, shape (sources,)
        The units of the scene.

    Returns
    -------
    tuple of 2 float
        In units of the sources' fluxes.
    """
    low, high = prior.sigma_range
    noise = float(np.median(seen.noise_std[seen.mask])) / seen.factor
    last = float(np.clip(_LAST * noise / fluxes.max(), low, high))
    return max(min(_FIRST, high), last), last
