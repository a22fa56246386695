"""Figures of maps of mass as rows of a card's table."""

import numpy as np

from galsim_hub.score import calibration

from .mapping import BLOCK, STEP, Maps
from .validation import Row, power_ratios, power_rows

PEAKS = (2.0, 3.0)  # [standard deviations of the training set] that a local maximum exceeds
PDF_EDGES = np.arange(-2.5, 5.1, 0.5)  # [the same]
RAREST = 0.01  # share of a bin of the pdf that is compared
INTERVALS = ((0.68, "68 +- 3"), (0.95, "95 +- 1.5"))


def fidelity_rows(maps: Maps, std: float, known: np.ndarray | None = None) -> list[Row]:
    """Compare the posterior's mean with the Wiener filter, and samples with truths.

    `known` are squares of the maps that the prior was trained on: samples cannot be expected to be
    nearer to the truths than they are.
    """
    mine, rival = (np.mean((m - maps.truths) ** 2) for m in (maps.means, maps.wiener))
    endless = mine - np.mean(maps.mean_errors)
    links = [correlation(m, maps.truths) for m in (maps.means, maps.wiener)]
    gains = np.sqrt(
        np.mean((maps.means - maps.truths) ** 2, axis=(1, 2))
        / np.mean((maps.wiener - maps.truths) ** 2, axis=(1, 2))
    )
    samples = maps.samples.reshape(-1, *maps.truths.shape[1:])
    rows = [
        Row(
            "RMSE of the posterior mean by the Wiener filter's",
            f"{np.sqrt(mine / rival):.4f}",
            "0.95",
        ),
        Row("the same of endless chains, by their scatter", f"{np.sqrt(endless / rival):.4f}", ""),
        Row("maps whose RMSE is below the Wiener filter's", f"{np.mean(gains < 1):.0%}", ""),
        Row(
            "correlation with the truth, mean and Wiener filter",
            f"{links[0]:.4f}, {links[1]:.4f}",
            "1.05 times",
        ),
        *power_rows(samples, maps.truths),
        Row("pdf of samples, worst bin off by", f"{pdf_gap(samples, maps.truths, std):.3f}", "0.1"),
    ]
    if known is not None:
        ratios = " ".join(f"{r:.2f}" for r in power_ratios(known, maps.truths))
        gap = f"{pdf_gap(known, maps.truths, std):.3f}"
        rows.append(Row("power of training maps by truth in 8 bins", ratios, ""))
        rows.append(Row("pdf of training maps, worst bin off by", gap, ""))
    for height in PEAKS:
        true = count_peaks(maps.truths, height * std)
        error = true.std() / np.sqrt(len(true))
        counts = (
            f"{count_peaks(samples, height * std).mean():.2f}, {true.mean():.2f} +- {error:.2f}"
        )
        rows.append(Row(f"peaks above {height:g} std a map, samples and truth", counts, "10%"))
        if known is not None:
            own = f"{count_peaks(known, height * std).mean():.2f}"
            rows.append(Row(f"peaks above {height:g} std a map, training maps", own, ""))
    rows.append(Row("chi2 / N of samples", f"{maps.chi2.mean():.4f}", "0.97-1.03"))
    return rows


def calibration_rows(maps: Maps, seed: int) -> list[Row]:
    """Ask whether truths lie among their samples as one of them would."""
    coarse = [average(values) for values in (maps.samples, maps.truths, maps.wiener)]
    rows = []
    for name, references in (("random", None), ("Wiener-filtered", coarse[2])):
        alphas, coverage = calibration.expected_coverage(*coarse[:2], seed, references)
        gap = np.abs(coverage - alphas).max()
        # Of the largest gap of an exact posterior (Kolmogorov's law): it falls with the count.
        text = f"{gap:.3f} (chance: {1.36 / np.sqrt(len(maps.truths)):.2f} in 1 of 20)"
        rows.append(Row(f"TARP, coverage off by, {name} references", text, "0.05"))
    few = (..., slice(STEP // 2, None, STEP), slice(STEP // 2, None, STEP))
    if len(maps.truths) >= 10:
        values = calibration.rank_p_values(maps.samples[few], maps.truths[few]).ravel()
        text = f"{values.min():.3f}, {np.median(values):.2f} of {len(values)}"
        rows.append(Row("p of even ranks of pixels, smallest and median", text, "0.01 / count"))
    for level, bar in INTERVALS:
        # Line by line: a hundred thousand maps would fill the memory.
        held = [
            calibration.interval_coverage(maps.samples[..., y, :], maps.truths[..., y, :], level)
            for y in range(maps.truths.shape[-2])
        ]
        rows.append(Row(f"pixels within their {level:.0%} interval", f"{np.mean(held):.1%}", bar))
    return rows


def chain_rows(r_hat: np.ndarray, effective: np.ndarray, seconds: float) -> list[Row]:
    """Say how well chains mix."""
    return [
        Row(
            "R-hat from Kaiser-Squires and prior, means off, median and largest",
            f"{np.median(r_hat):.3f}, {r_hat.max():.3f}",
            "1.02",
        ),
        Row("effective samples a second, median", f"{np.median(effective) / seconds:.2f}", ""),
    ]


def correlation(mine: np.ndarray, true: np.ndarray) -> float:
    """Return Pearson's coefficient over all pixels."""
    return float(np.corrcoef(mine.ravel(), true.ravel())[0, 1])


def average(maps: np.ndarray) -> np.ndarray:
    """Return the means of blocks of pixels, what is left over cut off."""
    ny, nx = (side // BLOCK for side in maps.shape[-2:])
    cut = maps[..., : ny * BLOCK, : nx * BLOCK]
    return cut.reshape(*maps.shape[:-2], ny, BLOCK, nx, BLOCK).mean(axis=(-3, -1))


def pdf_gap(drawn: np.ndarray, true: np.ndarray, std: float) -> float:
    """Return by how much shares of pixels differ, in the worst bin that is not rare."""
    shares = [np.histogram(m / std, PDF_EDGES)[0] / m.size for m in (drawn, true)]
    is_compared = shares[1] > RAREST
    return float(
        np.max(np.abs(shares[0] / np.where(is_compared, shares[1], 1.0) - 1.0)[is_compared])
    )


def count_peaks(maps: np.ndarray, height: float) -> np.ndarray:
    """Return how many pixels of each map exceed `height` and their eight neighbours."""
    middle = maps[:, 1:-1, 1:-1]
    is_peak = middle > height
    ny, nx = maps.shape[1:]
    for row in range(3):
        for column in range(3):
            if (row, column) != (1, 1):
                is_peak &= middle > maps[:, row : ny - 2 + row, column : nx - 2 + column]
    return is_peak.sum(axis=(1, 2))
