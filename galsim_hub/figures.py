"""Figures that show what a module draws.

Reach for `contact_sheet` when you want to judge many galaxies at a glance: it is what ``make demo``
leaves in ``output/`` and what a module's cover is made with. Every function returns a Figure and
leaves saving or showing it to the caller. matplotlib is loaded by the call, never by the import.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike, NDArray

PANEL_WIDTH = 1.25  # [inch]
CAPTION_LINE_HEIGHT = 0.13  # [inch]
CAPTION_POINTS = 6.5


def arcsinh_stretch(
    image: ArrayLike, softening: float = 0.05, black: float = 0.0
) -> NDArray[np.float64]:
    """Compress an image so that a bright core and faint arms are visible together.

    The scale is linear below `softening` and logarithmic above it.

    Parameters
    ----------
    image : array_like
        Pixel values, any shape and unit.
    softening : float
        Where the scale turns from linear to logarithmic, as a fraction of the peak.
    black : float
        Lowest value that is told apart, as a fraction of the peak; may be negative to show noise.

    Returns
    -------
    ndarray of float64
        Same shape; `black` maps to 0 and the peak to 1. An image without a positive value is 0.

    Source: Lupton et al. 2004, PASP 116, 133, section 3.

    Examples
    --------
    >>> arcsinh_stretch([0.0, 1.0, 2.0]).round(2).tolist()
    [0.0, 0.81, 1.0]
    """
    pixels = np.asarray(image, dtype=np.float64)
    peak = pixels.max(initial=0.0)
    if peak <= 0.0:
        return np.zeros_like(pixels)
    scaled = np.arcsinh(np.maximum(pixels / peak, black) / softening)
    low, high = np.arcsinh(np.array([black, 1.0]) / softening)
    return (scaled - low) / (high - low)


def contact_sheet(
    images: Sequence[ArrayLike],
    captions: Sequence[str],
    *,
    columns: int = 10,
    softening: float = 0.05,
    black: float = -0.02,
    title: str | None = None,
) -> Figure:
    r"""Lay out images in a grid, each stretched to its own peak, with its caption underneath.

    Parameters
    ----------
    images : sequence of array_like
        One (y, x) image a panel; sizes may differ.
    captions : sequence of str
        One an image; ``\n`` starts a new line.
    columns : int
        Panels in a row.
    softening, black : float
        Passed to `arcsinh_stretch`.
    title : str, optional
        Written above the grid.

    Returns
    -------
    matplotlib.figure.Figure
        Not registered with pyplot, so nothing has to be closed.

    Raises
    ------
    ValueError
        If there are no images, or not one caption for each.

    Examples
    --------
    >>> figure = contact_sheet(np.eye(8).reshape(1, 8, 8), ["mag 22.1"])
    >>> len(figure.axes)
    1
    """
    if len(images) == 0:
        raise ValueError("contact_sheet got no images; give it at least one")
    figure = _empty_sheet(len(images), min(columns, len(images)), _line_count(captions), title)
    for axes, image, caption in zip(figure.axes, images, captions, strict=True):
        _draw_panel(axes, arcsinh_stretch(image, softening, black), caption)
    return figure


def mass_maps(
    panels: Mapping[str, ArrayLike],
    wcs: Any,
    marks: Sequence[tuple[float, float, str]] = (),
) -> Figure:
    """Show maps of one patch of sky beside each other, north up and east to the left.

    Parameters
    ----------
    panels : mapping of str to array_like
        Maps (y, x) by their titles; each has a colour bar of its own.
    wcs : astropy.wcs.WCS
        Of all maps.
    marks : sequence of (float, float, str)
        Right ascension and declination [deg] of circles, and what is written beside them.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If there are no maps.
    """
    if not panels:
        raise ValueError("mass_maps got no maps; give it at least one")
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    n_rows = -(-len(panels) // columns)
    figure = Figure(figsize=(5.4 * columns, 4.6 * n_rows), layout="constrained")
    for number, (title, image) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(n_rows, columns, number, projection=wcs)
        pixels = np.asarray(image, dtype=np.float64)
        low, high = np.nanpercentile(pixels, (1, 99.8))
        drawn = axes.imshow(pixels, origin="lower", cmap="magma", vmin=low, vmax=high)
        figure.colorbar(drawn, ax=axes, shrink=0.85)
        axes.set_title(title, fontsize=10)
        for name, coordinate in zip(("right ascension", "declination"), axes.coords, strict=True):
            coordinate.set_major_formatter("d.d")  # degrees, as catalogues have them
            coordinate.set_axislabel(name, fontsize=8)
            coordinate.set_ticklabel(size=7)
        _mark(axes, [(*wcs.wcs_world2pix(ra, dec, 0), text) for ra, dec, text in marks])
    return figure


def _mark(axes: Axes, marks: Sequence[tuple[float, float, str]]) -> None:
    """Circle places (x, y) [pixels], each with its text on the side away from its neighbour."""
    places = np.array([mark[:2] for mark in marks], dtype=np.float64)
    for place, (*_, text) in zip(places, marks, strict=True):
        axes.plot(*place, "o", mfc="none", mec="white", ms=9, mew=0.8)
        offsets = place - places
        distances = np.hypot(*offsets.T)
        distances[distances == 0.0] = np.inf  # itself
        from_neighbour = offsets[np.argmin(distances)]
        right, above = from_neighbour >= 0.0
        axes.annotate(
            text,
            place,
            (6 if right else -6, 4 if above else -4),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom" if above else "top",
            color="white",
            fontsize=7,
        )


def _line_count(captions: Sequence[str]) -> int:
    return max((caption.count("\n") + 1 for caption in captions), default=0)


def _empty_sheet(n_panels: int, columns: int, n_lines: int, title: str | None) -> Figure:
    """Place `n_panels` square axes with room for `n_lines` of caption under each."""
    from matplotlib.figure import Figure

    n_rows = -(-n_panels // columns)
    row_height = PANEL_WIDTH + n_lines * CAPTION_LINE_HEIGHT
    header = 0.35 if title else 0.0
    width, height = columns * PANEL_WIDTH, n_rows * row_height + header
    figure = Figure(figsize=(width, height), facecolor="white")
    gap = 0.04 * PANEL_WIDTH
    for index in range(n_panels):
        row, column = divmod(index, columns)
        left = column * PANEL_WIDTH + gap
        bottom = height - header - row * row_height - PANEL_WIDTH
        side = PANEL_WIDTH - 2 * gap
        figure.add_axes((left / width, bottom / height, side / width, side / height))
    if title:
        figure.suptitle(title, y=1 - 0.17 / height, va="center", fontsize=10)
    return figure


def _draw_panel(axes: Axes, pixels: NDArray[np.float64], caption: str) -> None:
    # The whole range is fixed, so that a panel does not depend on what its neighbours hold.
    axes.imshow(pixels, origin="lower", cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_xlabel(caption, fontsize=CAPTION_POINTS, labelpad=2, linespacing=1.1)
