"""Figures that show how a score network does; each function returns a matplotlib Figure."""

import numpy as np
from matplotlib.figure import Figure


def denoising_figure(clean: np.ndarray, rows: list[tuple[str, np.ndarray, np.ndarray]]) -> Figure:
    """Show samples, points (n, 2) or images (n, y, x), and for each row its noisy and denoised."""
    panels = [("data", clean)]
    for name, noisy, denoised in rows:
        panels += [(f"noise {name}", noisy), ("denoised", denoised)]
    n_columns = 1 if clean.ndim == 2 else len(clean)
    figure = Figure(figsize=(2.2 * n_columns, 2.2 * len(panels)), layout="constrained")
    axes = figure.subplots(len(panels), n_columns, squeeze=False)
    for line, (name, values) in zip(axes, panels, strict=True):
        line[0].set_ylabel(name)
        if clean.ndim == 2:
            line[0].plot(*values.T, ",")
            continue
        for axis, image in zip(line, values, strict=True):
            axis.imshow(image, origin="lower", vmin=clean.min(), vmax=clean.max())
            axis.set(xticks=[], yticks=[])
    return figure
