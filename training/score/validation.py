"""How good a score prior is: against the exact score where there is one, against held-out data."""

from typing import NamedTuple

import numpy as np

from galsim_hub import score
from galsim_hub.score import GaussianPrior, ScorePrior, loop_defect
from galsim_hub.score.fourier import multiplicity, wavenumbers

from ..config import ScoreConfig
from ..validation.latents import classifier_accuracy
from . import two_moons
from .data import GaussianField, Maps, open_source

SEED = 2022
POINTS = 4000
FIELDS = 64
DRAWN, DRAWN_AT_ONCE = 1000, 200  # samples of Gaussian fields, whose large scales are few modes
MOON_LEVELS = (0.05, 0.1, 0.2, 0.5, 1.0)
FIELD_LEVELS = (0.05, 0.1, 0.3, 1.0, 3.0)  # [standard deviations]
MAP_LEVELS = (0.1, 0.3, 1.0, 3.0, 10.0)  # the last is about that of one pixel of COSMOS
DATA_LEVEL = 0.5  # noise of the data whose posterior is sampled [standard deviations]
POSTERIOR_STEPS = 20
BAND_EDGES = (0.2, 0.4, 0.8, 1.6, 2.4, 4.5)  # [radian / pixel]; below, there are few modes
AT_ONCE = 500  # maps that are transformed together
EDGES = np.geomspace(0.15, 2.0, 9)  # [radian / pixel] of the bins of power spectra
SHARPEST = 0.8  # [the same]; a thousandth of the power of maps is beyond


class Row(NamedTuple):
    """One line of a card's table."""

    quantity: str
    value: str
    bar: str


def measure(
    config: ScoreConfig, prior: ScorePrior, count: int | None = None
) -> tuple[str, list[Row]]:
    """Return what was done, and a row for everything that was measured.

    `count` limits the pairs of galaxies and blends, which take longest.
    """
    if config.data.source == "galaxies":
        from .blends import measure_galaxies

        return measure_galaxies(config, prior, count)
    measures = {"two_moons": measure_moons, "gaussian_field": measure_field, "maps": measure_maps}
    return measures[config.data.source](config, prior)


def measure_moons(config: ScoreConfig, prior: ScorePrior) -> tuple[str, list[Row]]:
    """Compare with the exact score, and samples with points, by a classifier."""
    rng = np.random.default_rng(SEED)
    rows = []
    for sigma in MOON_LEVELS:
        noise = rng.standard_normal((POINTS, 2))
        x = two_moons.sample(POINTS, rng) + sigma * noise
        error = prior.score(x, sigma).numpy() - two_moons.exact_score(x, sigma)
        rms = sigma * np.sqrt(np.mean(np.sum(error**2, axis=1)))
        rows.append(Row(f"rms error of sigma score, sigma {sigma:g}", f"{rms:.3f}", "0.1"))
    points, drawn = two_moons.sample(POINTS, rng), prior.sample(POINTS, SEED)
    accuracy, error = classifier_accuracy(points, drawn, np.empty((POINTS, 0)))
    rows.append(Row("C2ST of samples", f"{accuracy:.3f} +- {error:.3f}", "0.55"))
    low = prior.sigma_range[0]
    x = two_moons.sample(500, rng) + low * rng.standard_normal((500, 2))
    gap = prior.log_prob(x, SEED, n_probes=16) - two_moons.exact_log_prob(x, low)
    rows.append(Row("mean error of log_prob [nat]", f"{gap.mean():+.3f}", ""))
    rows.append(Row("rms scatter of log_prob [nat]", f"{gap.std():.3f}", ""))
    rows.append(defect(prior, two_moons.sample(POINTS, rng), 0.1))
    protocol = (
        f"{POINTS:,} points never seen a level, against the exact score; the root mean square of "
        f"the vector's error. A two-layer classifier tells {POINTS:,} samples from as many points: "
        "0.5 is best. log_prob of 500 points at the lowest level."
    )
    return protocol, rows


def measure_field(config: ScoreConfig, prior: ScorePrior) -> tuple[str, list[Row]]:
    """Compare with the exact score and the Wiener filter, and the power of samples."""
    source = open_source(config.data)
    assert isinstance(source, GaussianField)
    shape = (config.data.crop, config.data.crop)
    exact = GaussianPrior(source.power, shape)
    fields = exact.sample(FIELDS, SEED)
    noise = np.random.default_rng([SEED, 1]).standard_normal(fields.shape).astype(np.float32)
    rows = []
    for level in FIELD_LEVELS:
        sigma = level * prior.std
        x = fields + sigma * noise
        mine, truth = prior.score(x, sigma).numpy(), exact.score(x, sigma).numpy()
        cosine = np.sum(mine * truth) / np.sqrt(np.sum(mine**2) * np.sum(truth**2))
        bar = "0.99" if level >= 0.1 else "0.97"
        rows.append(Row(f"cosine with the exact score, {level:g} std", f"{cosine:.4f}", bar))
        excess = np.mean((prior.denoise(x, sigma).numpy() - fields) ** 2)
        excess /= np.mean((exact.denoise(x, sigma).numpy() - fields) ** 2)
        rows.append(Row(f"MSE over the Wiener filter's, {level:g} std", f"{excess:.4f}", "1.02"))
    rows.append(theory_row(prior, exact))
    rows += posterior_rows(prior, exact, fields)
    rows.append(defect(prior, fields, 0.1 * prior.std))
    return f"{FIELDS} fields never seen, {shape[0]}x{shape[1]} pixels.", rows


def theory_row(prior: ScorePrior, exact: GaussianPrior) -> Row:
    """Say how far the power of samples, which are periodic, is from the law's."""
    shape = exact.event_shape
    drawn = np.concatenate(
        [prior.sample(DRAWN_AT_ONCE, SEED + i, shape) for i in range(DRAWN // DRAWN_AT_ONCE)]
    )
    ratios = np.mean(np.abs(np.fft.rfft2(drawn, norm="ortho")) ** 2, axis=0) / exact.power
    which = np.digitize(wavenumbers(shape).ravel(), EDGES)
    counts = np.broadcast_to(multiplicity(shape[1]), ratios.shape).ravel()
    modes, sums = (np.bincount(which, w)[1 : len(EDGES)] for w in (counts, counts * ratios.ravel()))
    gaps = np.abs(sums / modes - 1.0)
    worst = int(np.argmax(gaps))
    error = np.sqrt(2.0 / (len(drawn) * modes[worst]))  # a mode and its conjugate are one
    name = f"power of {len(drawn)} samples, worst of {len(gaps)} bins off by"
    return Row(name, f"{gaps[worst]:.3f} +- {error:.3f}", "0.03")


def posterior_rows(prior: ScorePrior, exact: GaussianPrior, fields: np.ndarray) -> list[Row]:
    """Sample the posterior of each field behind white noise, once."""
    level = DATA_LEVEL * prior.std
    noise = np.random.default_rng(SEED + 2).standard_normal(fields.shape)
    data = fields + level * noise
    likelihood = score.GaussianLikelihood(score.Identity(), data, level, is_batch=True)
    # All of the noise is the field's, so that one sweep forgets where it started.
    found = score.noise_splitting(
        prior, likelihood, data, seed=SEED, n_steps=POSTERIOR_STEPS, n_warmup=0
    )
    assert found.expected is not None
    wiener = exact.denoise(data, level).numpy()
    gap = np.linalg.norm(found.expected - wiener) / np.linalg.norm(wiener)
    # Samples less the exact mean have the exact posterior's variance, mode by mode.
    variance = exact.power * level**2 / (exact.power + level**2)
    squares = np.abs(np.fft.rfft2(found.samples - wiener, norm="ortho")) ** 2
    ratios = np.mean(squares, axis=0) / variance
    which = np.digitize(wavenumbers(fields.shape[1:]), BAND_EDGES)
    bands = [ratios[which == band].mean() for band in range(1, len(BAND_EDGES))]
    return [
        Row("posterior mean off the Wiener filter, rel. L2", f"{gap:.4f}", "0.05"),
        Row(
            f"posterior variance by theory in {len(bands)} bands",
            f"{min(bands):.3f}-{max(bands):.3f}",
            "0.95-1.05",
        ),
        power_row(found.samples, fields, "0.05", "posterior samples"),
    ]


def measure_maps(config: ScoreConfig, prior: ScorePrior) -> tuple[str, list[Row]]:
    """Compare the denoiser with the Wiener filter, and the power of samples with held-out maps."""
    source = open_source(config.data)
    assert isinstance(source, Maps)
    fields = source.batch("test", FIELDS, SEED, 0)
    wiener = prior.gaussian(fields.shape[1:])
    assert wiener is not None
    noise = np.random.default_rng(SEED).standard_normal(fields.shape).astype(np.float32)
    inside = slice(config.data.margin, config.data.crop - config.data.margin)
    rows = []
    for level in MAP_LEVELS:
        sigma = level * prior.std
        x = fields + sigma * noise
        mine, rival = (
            np.mean((p.denoise(x, sigma).numpy() - fields)[:, inside, inside] ** 2)
            for p in (prior, wiener)
        )
        text = f"{mine / rival:.4f}"
        rows.append(Row(f"MSE over the Wiener filter's, noise {level:g} std", text, "1"))
    drawn = prior.sample(FIELDS, SEED, fields.shape[1:])
    whole = np.asarray(source.maps("test")[:, : config.data.crop, : config.data.crop])
    rows += power_rows(drawn, whole, "samples of the prior")
    rows.append(defect(prior, fields, 0.1 * prior.std))
    protocol = (
        f"{FIELDS} squares of the test split, without the margin; the power of {FIELDS} samples of "
        "the prior beside that of the whole split."
    )
    return protocol, rows


def power_row(drawn: np.ndarray, fields: np.ndarray, bar: str, what: str = "samples") -> Row:
    """Say how far power spectra are apart in the worst bin."""
    worst = float(np.max(np.abs(power_ratios(drawn, fields) - 1.0)))
    return Row(f"power of {what}, worst of 8 bins off by", f"{worst:.3f}", bar)


def power_rows(drawn: np.ndarray, true: np.ndarray, what: str = "samples") -> list[Row]:
    """Compare power spectra of maps, where the planes behind them are resolved and beyond."""
    ratios = power_ratios(drawn, true)
    resolved = np.abs(ratios[EDGES[1:] <= SHARPEST] - 1.0).max()
    name = f"power of {what} by truth in 8 bins"
    return [
        Row(name, " ".join(f"{r:.2f}" for r in ratios), ""),
        Row(f"{name}, worst below {SHARPEST:g} rad / pixel off by", f"{resolved:.3f}", "0.05"),
    ]


def power_ratios(drawn: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Return ratios of power in 8 bins, under the same window, because maps are no torus."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in fields.shape[1:]))
    squares = [_mean_squares(maps, window) for maps in (drawn, fields)]
    which = np.digitize(wavenumbers(fields.shape[1:]).ravel(), EDGES)
    sums = [np.bincount(which, values, minlength=10)[1:9] for values in squares]
    return sums[0] / sums[1]


def _mean_squares(maps: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Return the mean square of every mode, a part of the maps at a time."""
    parts = [
        np.sum(np.abs(np.fft.rfft2(some * window, norm="ortho")) ** 2, axis=0)
        for some in np.array_split(maps, -(-len(maps) // AT_ONCE))
    ]
    return np.sum(parts, axis=0).ravel() / len(maps)


def defect(prior: ScorePrior, clean: np.ndarray, sigma: float) -> Row:
    """Measure the loop defect on noisy data."""
    noise = np.random.default_rng(SEED + 1).standard_normal(clean.shape)
    value = loop_defect(prior.score, (clean + sigma * noise).astype(np.float32), sigma, SEED)
    return Row(f"loop defect, sigma {sigma:.3g}", f"{value:.4f}", "")
