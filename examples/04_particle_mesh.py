"""Grow structure in a box and look at it: python examples/04_particle_mesh.py.

The last panel is a gradient: which parts of the early universe would have to be denser for the
densest cell of today to be denser still.
"""

from pathlib import Path

import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm

N_CELLS = 64
BOX = pm.Box(N_CELLS, 200.0)  # [Mpc/h]
COSMOLOGY = pm.Planck18()
GROWTH = pm.Growth(COSMOLOGY)
STAGES = pm.scale_factors(0.1, 1.0, 10)
SLAB = 4  # cells that are averaged along the line of sight


def simulate(linear: tf.Tensor) -> tf.Tensor:
    """Return the density today, 1 on average."""
    particles = pm.start(linear, BOX, GROWTH, STAGES[0])
    return pm.density(pm.evolve(particles, BOX, GROWTH, STAGES).displacement, BOX)


def slab(field: np.ndarray, middle: int) -> np.ndarray:
    """Average a few cells along the third axis, around one of them."""
    return np.take(field, range(middle, middle + SLAB), axis=2, mode="wrap").mean(axis=2).T


linear = pm.linear_field(BOX, pm.EisensteinHu(COSMOLOGY), seed=2)
with tf.GradientTape() as tape:
    tape.watch(linear)
    density = simulate(linear)
    peak = tf.reduce_max(density)
gradient = tape.gradient(peak, linear).numpy()
middle = int(np.unravel_index(np.argmax(density), BOX.shape)[2]) - SLAB // 2

figure = Figure(figsize=(12, 4.2), layout="constrained")
steepest = np.abs(slab(gradient, middle)).max()
panels = [
    (
        "Linear density today",
        slab(linear.numpy(), middle),
        {"cmap": "RdBu_r", "vmin": -4, "vmax": 4},
    ),
    (
        "log10 of simulated density",
        np.log10(slab(density.numpy(), middle) + 0.05),
        {"cmap": "magma"},
    ),
    (
        "Gradient of the highest peak",
        slab(gradient, middle),
        {"cmap": "RdBu_r", "vmin": -steepest, "vmax": steepest},
    ),
]
for axes, (title, image, style) in zip(figure.subplots(1, 3), panels, strict=True):
    drawn = axes.imshow(image, origin="lower", extent=(0, BOX.size[0], 0, BOX.size[1]), **style)
    figure.colorbar(drawn, ax=axes, shrink=0.8)
    axes.set(title=title, xlabel="x [Mpc/h]", ylabel="y [Mpc/h]")
Path("output").mkdir(exist_ok=True)
figure.savefig("output/particle_mesh.png", dpi=110)
