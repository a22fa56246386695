"""How good maps of mass are under a convergence prior: held-out maps, seen through shape noise.

Each map is observed as the HST/ACS survey of COSMOS would, pixel by pixel a Poisson number of
galaxies, and its posterior is sampled. The Wiener filter has the prior's own power spectrum, so
that what is left between the two is what the network knows beyond it. Squares cut out of a map are
observed as if they repeated; a margin is left out of all that is measured, where they do not. Maps
are compared less the mean of their whole square: no shear shows it, and what a sample says of it is
the prior's alone.
"""

import dataclasses
import time
from collections.abc import Callable

import numpy as np

from galsim_hub import score
from galsim_hub.flat_sky import shear_response
from galsim_hub.mass_mapping import Field, GaussianPosterior, ShearMap

from .data import ARCMIN

DENSITY = 70.7  # [galaxies / arcmin^2] of the COSMOS catalogue
SHAPE_NOISE = 0.308  # of one component, weighted as there
N_CHAINS = 4  # of each map
BLOCK = 8  # [pixel] a side of the squares whose means TARP compares
STEP = 16  # [pixel] between those whose ranks count: further than they know of each other


@dataclasses.dataclass(frozen=True)
class Plan:
    """Say what is measured, and how well the sampler has to work."""

    n_maps: int = 500
    n_samples: int = 200  # a map
    side: int = 120  # [pixel] of the squares
    margin: int = 16  # [pixel]
    n_steps: int = 10  # evaluations of the network a sweep
    n_warmup: int = 20
    thin: int = 5
    together: int = 4  # maps sampled at once
    seed: int = 2022


@dataclasses.dataclass(frozen=True)
class Maps:
    """Hold what came out; maps without their margins, samples (n_samples, n_maps, y, x)."""

    truths: np.ndarray
    wiener: np.ndarray
    means: np.ndarray  # of the posteriors, by what each sweep expects of its draw
    mean_errors: np.ndarray  # their variances, because chains are finite
    samples: np.ndarray
    chi2: np.ndarray  # (n_samples, n_maps), by the count of the data
    seconds: float


def cut(maps: np.ndarray, plan: Plan) -> np.ndarray:
    """Return squares at random places of maps spread over a split, (n, side, side)."""
    rng = np.random.default_rng([plan.seed, 1])
    squares = []
    for row in np.linspace(0, len(maps) - 1, plan.n_maps).astype(int):
        top, left = (rng.integers(size - plan.side + 1) for size in maps.shape[1:])
        squares.append(maps[row, top : top + plan.side, left : left + plan.side])
    return np.asarray(squares, np.float64)


def observe(truth: np.ndarray, pixel_scale: float, seed: list[int]) -> ShearMap:
    """Return the noisy shear of a map, `pixel_scale` [arcmin]."""
    rng = np.random.default_rng([*seed, 2])
    counts = rng.poisson(DENSITY * pixel_scale**2, truth.shape)
    with np.errstate(divide="ignore"):
        std = SHAPE_NOISE / np.sqrt(counts)
    shear = np.fft.irfft2(shear_response(truth.shape) * np.fft.rfft2(truth), s=truth.shape)
    shear += np.where(counts > 0, std, 0.0) * rng.standard_normal(shear.shape)
    field = Field(0.0, 0.0, truth.shape, pixel_scale)
    return ShearMap(field, np.where(counts > 0, shear, 0.0), std, counts)


def likelihood_of(seen: list[ShearMap], n_chains: int) -> score.GaussianLikelihood:
    """Return the likelihood of several maps at once, each for all of its chains."""
    shear, std, mask = (
        np.repeat(np.stack(values), n_chains, axis=0)
        for values in (
            [one.shear for one in seen],
            [np.broadcast_to(one.noise_std, one.shear.shape) for one in seen],
            [np.broadcast_to(one.is_seen, one.shear.shape) for one in seen],
        )
    )
    operator = score.KaiserSquires(seen[0].field.shape)
    return score.GaussianLikelihood(operator, shear, std, mask, is_batch=True)


def training_squares(maps: np.ndarray, plan: Plan, n_maps: int = 500) -> np.ndarray:
    """Return squares of training maps as truths are compared: less their means, no margins."""
    return _compared(cut(maps, dataclasses.replace(plan, n_maps=n_maps)), plan)


def infer(
    prior: score.ScorePrior,
    maps: np.ndarray,
    plan: Plan,
    progress: Callable[[int, int], None] | None = None,
) -> Maps:
    """Observe maps and sample their posteriors, some maps at a time."""
    truths = cut(maps, plan)
    found, start = [], time.perf_counter()
    for first in range(0, len(truths), plan.together):
        some = truths[first : first + plan.together]
        wiener, means, errors, samples, chi2 = _infer(prior, some, plan, first)
        inner = [_compared(values, plan) for values in (wiener, means, samples)]
        found.append((*inner, errors[_inside(plan)], chi2))
        if progress is not None:
            progress(first + len(some), len(truths))
    seconds = time.perf_counter() - start
    wiener, means, samples, errors, chi2 = zip(*found, strict=True)
    return Maps(
        _compared(truths, plan),
        np.concatenate(wiener),
        np.concatenate(means),
        np.concatenate(errors),
        np.concatenate(samples, axis=1),
        np.concatenate(chi2, axis=1),
        seconds,
    )


def _compared(maps: np.ndarray, plan: Plan) -> np.ndarray:
    # A copy: a part of an array would keep the whole of it in memory.
    return _without_mean(maps)[_inside(plan)].copy()


def _inside(plan: Plan) -> tuple:
    return (..., *[slice(plan.margin, plan.side - plan.margin)] * 2)


def _without_mean(maps: np.ndarray) -> np.ndarray:
    return maps - maps.mean(axis=(-2, -1), keepdims=True)


def _infer(
    prior: score.ScorePrior, truths: np.ndarray, plan: Plan, first: int
) -> tuple[np.ndarray, ...]:
    """Return Wiener filters, means, their variances, samples and chi2 of some maps."""
    shape, scale = truths.shape[1:], prior.pixel_scale / ARCMIN
    power = prior.gaussian(shape).power
    seen = [observe(t, scale, [plan.seed, first + i]) for i, t in enumerate(truths)]
    gaussian = [GaussianPosterior(one, power) for one in seen]
    starts = [
        g.sample(plan.seed, (first + row) * N_CHAINS + chain)
        for row, g in enumerate(gaussian)
        for chain in range(N_CHAINS)
    ]
    likelihood = likelihood_of(seen, N_CHAINS)
    found = score.noise_splitting(
        prior,
        likelihood,
        np.stack(starts),
        seed=plan.seed + first,
        n_steps=plan.n_steps,
        n_warmup=plan.n_warmup,
        n_draws=-(-plan.n_samples // N_CHAINS),
        thin=plan.thin,
    )
    # Chains of one map follow each other: (draws, maps * chains) to (draws * chains, maps).
    split = (len(found.chains), len(truths), N_CHAINS)
    samples = np.moveaxis(found.chains.reshape(*split, *shape), 2, 1)
    chi2 = np.moveaxis(found.diagnostics["chi2"].reshape(split), 2, 1)
    n_data = 2 * np.array([one.is_seen.sum() for one in seen])
    assert found.expected is not None  # noise_splitting always says it
    expected = found.expected.reshape(len(truths), N_CHAINS, *shape)
    return (
        np.stack([g.mean() for g in gaussian]),
        expected.mean(axis=1),
        _without_mean(expected).var(axis=1, ddof=1) / N_CHAINS,
        samples.reshape(-1, len(truths), *shape),
        chi2.reshape(-1, len(truths)) / n_data,
    )


def agree(
    prior: score.ScorePrior, truth: np.ndarray, plan: Plan, n_draws: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return R-hat, effective sample size and seconds of chains of one map, less their means.

    Half of the chains start from the inversion of Kaiser and Squires, with all its noise, half from
    samples of the prior.
    """
    shape = truth.shape
    likelihood = likelihood_of([observe(truth, prior.pixel_scale / ARCMIN, [plan.seed, 0])], 1)
    direct = likelihood.operator.adjoint(likelihood.data).numpy()
    halves = [np.repeat(direct, N_CHAINS, axis=0), prior.sample(N_CHAINS, plan.seed, shape)]
    start = time.perf_counter()
    found = score.noise_splitting(
        prior,
        likelihood,
        np.concatenate(halves),
        seed=plan.seed,
        n_steps=plan.n_steps,
        n_warmup=plan.n_warmup,
        n_draws=n_draws,
        thin=1,
    )
    seconds = time.perf_counter() - start
    # The mean of a map causes no shear, is the prior's alone, and mixes slowest.
    chains = _without_mean(found.chains)[..., STEP::STEP, STEP::STEP]
    return score.r_hat(chains), score.effective_sample_size(chains), seconds
