"""Figures that show how a score network does; each function returns a matplotlib Figure."""

import numpy as np
from matplotlib.figure import Figure


def denoising_figure(clean: np.ndarray, rows: list[tuple[str, np.ndarray, np.ndarray]]) -> Figure:
    """Show samples, points (n, 2) or images (n, y, x), and for each row its noisy and denoised."""
    panels = [("data", clean)]
    for name, noisy, denoised in rows:
        panels += [(f"noise {name}", noisy), ("denoised", denoised)]
    if clean.ndim == 2:
        return _point_figure(panels)
    figure = Figure(figsize=(2.2 * len(clean), 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), len(clean), squeeze=False)
    for line, (name, values) in zip(axes, panels, strict=True):
        line[0].set_ylabel(name)
        for axis, image in zip(line, values, strict=True):
            axis.imshow(image, origin="lower", vmin=clean.min(), vmax=clean.max())
            axis.set(xticks=[], yticks=[])
    return figure


def _point_figure(panels: list[tuple[str, np.ndarray]]) -> Figure:
    figure = Figure(figsize=(2.4 * len(panels), 2.6), layout="constrained")
    for axis, (name, points) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        axis.plot(*points.T, ",")
        axis.set(title=name, aspect="equal", xlim=(-2, 2), ylim=(-2, 2))
    return figure
