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
