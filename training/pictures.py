"""Figures that show how a fit does; each function returns a matplotlib Figure."""

import numpy as np
from matplotlib.figure import Figure


def reconstruction_figure(
    data: np.ndarray, seen: np.ndarray, galaxies: np.ndarray, noise_variance: np.ndarray
) -> Figure:
    """Show data, reconstruction behind its PSF, residual and PSF-free galaxy, (n, y, x) each."""
    noise = np.sqrt(noise_variance)[:, None, None]
    rows = {
        "data": np.arcsinh(data / (3 * noise)),
        "model * PSF": np.arcsinh(seen / (3 * noise)),
        "residual / noise": np.clip((data - seen) / noise, -5, 5),
        "galaxy": np.arcsinh(galaxies / (3 * noise)),
    }
    figure = Figure(figsize=(1.6 * len(data), 1.7 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(data), squeeze=False)
    for line, (name, images) in zip(axes, rows.items(), strict=True):
        for axis, image in zip(line, images, strict=True):
            axis.imshow(image, cmap="gray", origin="lower")
            axis.set(xticks=[], yticks=[])
        line[0].set_ylabel(name)
    return figure


def latent_figure(truth: np.ndarray, drawn: np.ndarray) -> Figure:
    """Compare histograms of each latent: posterior samples (filled) and flow samples (line)."""
    columns = 4
    rows = -(-truth.shape[1] // columns)
    figure = Figure(figsize=(3 * columns, 1.8 * rows), layout="constrained")
    for i, axis in enumerate(figure.subplots(rows, columns).flat[: truth.shape[1]]):
        bins = np.linspace(*np.percentile(truth[:, i], [0.1, 99.9]), 40)
        axis.hist(truth[:, i], bins, density=True, alpha=0.5)
        axis.hist(drawn[:, i], bins, density=True, histtype="step", color="k")
        axis.set_title(f"latent {i}", fontsize=8)
    return figure


def clump_figure(table: dict[str, np.ndarray], model: np.ndarray) -> Figure:
    """Compare the signal of clumps with the model (n,), in bins of magnitude and redshift."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    columns = {"mag_auto": -2, "log zphot": -1}
    for axis, (name, column) in zip(figure.subplots(1, 2), columns.items(), strict=True):
        place = table["features"][:, column]
        edges = np.quantile(place, np.linspace(0, 1, 9))
        chosen = np.clip(np.searchsorted(edges, place, side="right") - 1, 0, 7)
        rows = [_weighted(table, model, chosen == k) for k in range(8)]
        mean, error, expected = np.transpose(rows)
        middle = 0.5 * (edges[1:] + edges[:-1])
        axis.errorbar(middle, mean, error, fmt="o", label="signal")
        axis.plot(middle, expected, "k-", label="model")
        axis.set(xlabel=name, ylabel="square of largest share")
    axis.legend()
    return figure


def _weighted(table: dict[str, np.ndarray], model: np.ndarray, chosen: np.ndarray) -> list[float]:
    """Return the mean signal above that of smooth galaxies, its error, and the model's mean.

    All are NaN, which no picture shows, where no galaxy of weight is chosen.
    """
    weight, smooth = table["weight"][chosen], table["smooth_weight"][chosen]
    if not (weight.sum() > 0 and smooth.sum() > 0):
        return [np.nan] * 3
    real = table["signal"][chosen]
    mean = np.average(real, weights=weight)
    mean -= np.average(table["smooth_signal"][chosen], weights=smooth)
    error = np.sqrt(np.sum((weight * (real - np.average(real, weights=weight))) ** 2))
    return [mean, error / weight.sum(), np.average(model[chosen], weights=weight)]
