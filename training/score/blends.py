"""How good a prior of galaxies is: its denoising, and whether it tells a blend from a galaxy."""

import numpy as np

from galsim_hub.score import ScorePrior

from ..config import ScoreConfig
from .data import open_source
from .validation import SEED, Row, defect, power_row

PAIRS = 1000
DENOISED = 256  # stamps
LEVELS = (1.0, 3.0, 10.0, 30.0)  # [standard deviations], where stamps are denoised
APART = (6.0, 12.0)  # [pixel] from the galaxy in the middle to the other of a blend
CHUNK, STEPS, PROBES = 100, 20, 2  # of log_prob
DENSITIES = (0.1, 0.3, 0.6, 1.0)  # [standard deviations], tried on so many validation pairs:
CHOSEN_ON = 200


def measure_galaxies(
    config: ScoreConfig, prior: ScorePrior, count: int | None = None
) -> tuple[str, list[Row]]:
    """Compare the denoiser with a Wiener filter, samples with stamps, blends with galaxies."""
    source = open_source(config.data)
    rng = np.random.default_rng(SEED)
    stamps = source.batch("test", DENOISED, SEED, 0)
    wiener = prior.gaussian(stamps.shape[1:])
    assert wiener is not None
    rows = []
    for level in LEVELS:
        noisy = stamps + level * prior.std * rng.standard_normal(stamps.shape).astype(np.float32)
        mine, rival = (
            np.mean((p.denoise(noisy, level * prior.std).numpy() - stamps) ** 2)
            for p in (prior, wiener)
        )
        name = f"MSE over the Wiener filter's, noise {level * prior.std:.3g}"
        rows.append(Row(name, f"{mine / rival:.4f}", "1"))
    rows.append(power_row(prior.sample(DENOISED, SEED), stamps, ""))
    rows.append(defect(prior, stamps[:64], prior.std))
    n = min(count or PAIRS, PAIRS)
    pairs = pairs_of(source.maps("validation")[: min(n, CHOSEN_ON)], rng)
    areas = [
        auc(*(log_densities(prior, x, level * prior.std) for x in pairs))[0] for level in DENSITIES
    ]
    name = f"AUC on {len(pairs[0])} validation pairs, noise of {DENSITIES} std"
    rows.append(Row(name, " ".join(f"{area:.3f}" for area in areas), ""))
    alone, blended = (log_densities(prior, x) for x in pairs_of(source.maps("test")[:n], rng))
    area, error = auc(alone, blended)
    rows.append(
        Row(
            f"AUC of log_prob, galaxy against blend, {n} pairs",
            f"{area:.3f} +- {error:.3f}",
            "0.95",
        )
    )
    rows.append(
        Row(
            "log_prob of a galaxy, of a blend, median [nat]",
            f"{np.median(alone):.1f}, {np.median(blended):.1f}",
            "",
        )
    )
    in_order = f"{np.mean(alone > blended):.3f}"
    rows.append(Row(f"log_prob of the galaxy above its own blend's, {n} pairs", in_order, ""))
    scale = prior.pixel_scale or 1.0
    protocol = (
        f"{DENOISED} stamps of the test split. A blend is one of its galaxies with another one, of "
        f"half to twice its flux and {APART[0] * scale:.1f} to {APART[1] * scale:.1f} arcsec away; "
        f"galaxies and blends are scaled to flux one and have no noise. log_prob behind noise of "
        f"{prior.density_sigma / prior.std:.2g} std, {STEPS} steps and {PROBES} probes."
    )
    return protocol, rows


def blend(galaxies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return every galaxy with the next one beside it, of the same total flux as alone."""
    total = galaxies.sum(axis=(1, 2), keepdims=True)
    others = np.roll(galaxies / total, 1, axis=0) * total * 2.0 ** rng.uniform(-1, 1, total.shape)
    blends = np.empty_like(galaxies)
    for both, galaxy, other in zip(blends, galaxies, others, strict=True):
        angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(*APART)
        both[:] = galaxy + moved(
            other, *np.rint(distance * np.array([np.sin(angle), np.cos(angle)]))
        )
    return blends * (total / blends.sum(axis=(1, 2), keepdims=True))


def moved(image: np.ndarray, dy: float, dx: float) -> np.ndarray:
    """Return an image moved by whole pixels, zeros coming in."""
    out = np.roll(image, (int(dy), int(dx)), (0, 1))
    y, x = (np.arange(side) - move for side, move in zip(image.shape, (dy, dx), strict=True))
    is_own = [
        (place >= 0) & (place < side) for place, side in zip((y, x), image.shape, strict=True)
    ]
    return out * np.outer(*is_own)


def pairs_of(stamps: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return galaxies of flux one, as images should be given, and as many blends."""
    galaxies = stamps / stamps.sum(axis=(1, 2), keepdims=True)
    return galaxies, blend(galaxies, rng)


def log_densities(prior: ScorePrior, stamps: np.ndarray, sigma: float | None = None) -> np.ndarray:
    """Return the log density of stamps."""
    parts = [
        prior.log_prob(stamps[i : i + CHUNK], SEED, sigma=sigma, n_probes=PROBES, n_steps=STEPS)
        for i in range(0, len(stamps), CHUNK)
    ]
    return np.concatenate(parts)


def auc(high: np.ndarray, low: np.ndarray) -> tuple[float, float]:
    """Return how often a value of the first set is above one of the second, and its error.

    Source: DeLong et al. 1988, Biometrics 44, 837, equation 2 and following.
    """
    wins = (high[:, None] > low) + 0.5 * (high[:, None] == low)
    error = np.sqrt(wins.mean(1).var() / len(high) + wins.mean(0).var() / len(low))
    return float(wins.mean()), float(error)
