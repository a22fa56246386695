"""Samples of the posterior of convergence, resumable, under a Gaussian or a learned prior."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..errors import MassMapError
from ..writing import write_whole
from .shear_map import ShearMap
from .wiener import GaussianPosterior

if TYPE_CHECKING:
    from ..score import Posterior

__all__ = ["Progress", "sample_gaussian", "sample_learned"]

Progress = Callable[[int, int], None]

PATCH = 384  # [pixel] a side that a network sees at once: 16 maps of it take 2 GB
OVERLAP = 64  # [pixel] of patches; more than a network of four resolutions sees beyond its edge


def sample_gaussian(
    posterior: GaussianPosterior,
    n_samples: int,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Draw exact, independent samples under a Gaussian prior.

    Parameters
    ----------
    posterior : GaussianPosterior
    n_samples : int
    seed : int
    checkpoint : path, optional
        File in which finished samples wait for a run that goes on.
    progress : callable, optional
        Is told the number of samples done, and of all.

    Returns
    -------
    ndarray of float32, shape (n, y, x)

    Raises
    ------
    MassMapError
        If the checkpoint is of other data, another prior or another seed, or is none.
    """
    mark = hashlib.sha256(posterior.fingerprint() + str(seed).encode()).hexdigest()
    samples = np.zeros((n_samples, *posterior.shape), np.float32)
    done = _load(checkpoint, mark)[:n_samples]
    samples[: len(done)] = done
    for number in range(len(done), n_samples):
        samples[number] = posterior.sample(seed, number)
        if checkpoint is not None:
            _save(checkpoint, mark, samples[: number + 1])
        if progress is not None:
            progress(number + 1, n_samples)
    return samples


def sample_learned(
    address: str,
    shear_map: ShearMap,
    n_samples: int,
    *,
    seed: int,
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Draw samples under a prior that a network learned.

    Each sample is the end of a chain of its own, which starts from a sample under the Gaussian
    prior of the module's power spectrum. The network sees a field wider than `PATCH` pixels in
    overlapping patches; the likelihood always sees it whole.

    Parameters
    ----------
    address : str
        Of a module of kind ``score_prior``: ``hub:NAME`` or a folder.
    shear_map : ShearMap
    n_samples : int
    seed : int
    checkpoint : path, optional
        File to go on from, if the run was interrupted.
    progress : callable, optional
        Is told the number of sweeps done, and of all.

    Returns
    -------
    galsim_hub.score.Posterior

    Raises
    ------
    MassMapError
        If the module has other pixels or takes other sides.
    """
    from ..score import (
        GaussianLikelihood,
        KaiserSquires,
        PatchedPrior,
        Prior,
        ScorePrior,
        noise_splitting,
    )

    prior = ScorePrior(address)
    shape = shear_map.field.shape
    prior.check_pixel_scale(60 * shear_map.field.pixel_scale)
    if any(side <= PATCH and side % prior.multiple_of for side in shape):
        raise MassMapError(
            f"Module {prior.spec.label} takes maps whose sides are multiples of "
            f"{prior.multiple_of} pixels, this one has {shape[0]}x{shape[1]}. Choose the shape "
            "(--size).",
            "shape",
            shape,
        )
    gaussian = prior.gaussian(shape)
    if gaussian is None:
        raise MassMapError(
            f"Module {prior.spec.label} has no power spectrum, as priors of maps have. Choose a "
            "prior of convergence maps.",
            "prior",
            address,
        )
    start = GaussianPosterior(shear_map, gaussian.power)
    likelihood = GaussianLikelihood(
        KaiserSquires(shape), shear_map.shear, shear_map.noise_std, shear_map.is_seen
    )
    local: Prior = PatchedPrior(prior, PATCH, OVERLAP) if max(shape) > PATCH else prior
    return noise_splitting(
        local,
        likelihood,
        np.stack([start.sample(seed, number) for number in range(n_samples)]),
        seed=seed,
        checkpoint=checkpoint,
        progress=progress,
    )


def _load(path: Path | None, mark: str) -> NDArray[np.float32]:
    if path is None or not path.exists():
        return np.zeros((0, 1, 1), np.float32)
    try:
        with path.open("rb") as stream, np.load(stream) as stored:
            if str(stored["mark"]) == mark:
                samples: NDArray[np.float32] = stored["samples"]
                return samples
    except Exception as error:  # zip, zlib, pickle and numpy each have their own
        raise MassMapError(
            f"{path} is no checkpoint that can be read ({type(error).__name__}). Delete it, or "
            "choose another file.",
            "checkpoint",
            str(path),
        ) from error
    raise MassMapError(
        f"{path} is of a run with another catalogue, prior or seed. Delete it, or choose "
        "another folder.",
        "checkpoint",
        str(path),
    )


def _save(path: Path, mark: str, samples: NDArray[np.float32]) -> None:
    def write(partial: Path) -> None:
        with partial.open("wb") as stream:  # which keeps numpy from adding a suffix
            np.savez(stream, mark=mark, samples=samples)

    write_whole(path, write)
