"""A halo field beside the density that it was made of and the haloes that it should be."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm

from .measure import compare

SHARE = 8  # a slab is this part of a box thick
GREATEST_K = 1.0  # [h/Mpc]


def comparison_figure(
    density: np.ndarray,
    truths: Sequence[np.ndarray],
    fields: Sequence[np.ndarray],
    box: pm.Box,
    smoothing: float,
) -> Figure:
    """Draw slabs of the first box, and the correlation and transfer function of all."""
    figure = Figure(figsize=(12, 3.2), layout="constrained")
    *maps, curve = figure.subplots(1, 4)
    haloes, learned = (
        pm.smooth(tf.constant(field), box, smoothing).numpy() for field in (truths[0], fields[0])
    )
    panels = {"Density": density, "Mass of haloes": haloes, "Learned halo field": learned}
    top = np.log10(_slab(haloes).max() + 0.1)
    for axes, (title, field) in zip(maps, panels.items(), strict=True):
        limits = {} if field is density else {"vmin": -1.0, "vmax": top}
        image = np.log10(np.maximum(_slab(field), 0.0) + 0.1)
        extent = (0, box.size[0], 0, box.size[1])
        axes.imshow(image.T, origin="lower", extent=extent, cmap="magma", **limits)
        axes.set(title=title, xlabel="x [Mpc/h]")
    found = compare(fields, truths, box)
    curve.semilogx(found.k, found.correlation, label="correlation r(k)")
    curve.semilogx(found.k, found.transfer, label="transfer function")
    curve.axhline(1.0, color="grey", lw=0.8)
    curve.set(xlabel="k [h/Mpc]", ylim=(0, 1.2), xlim=(found.k[0], GREATEST_K))
    curve.legend()
    return figure


def _slab(field: np.ndarray) -> np.ndarray:
    return field[..., : max(field.shape[-1] // SHARE, 1)].mean(axis=-1)
