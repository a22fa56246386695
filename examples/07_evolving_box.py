"""Watch structure grow: python examples/07_evolving_box.py writes output/evolving_box.gif."""

from pathlib import Path

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm

N_CELLS = 64
N_FRAMES = 24
BOX = pm.Box(N_CELLS, 1.5625 * N_CELLS)  # [Mpc/h]
COSMOLOGY = pm.Planck18()
GROWTH = pm.Growth(COSMOLOGY)
STAGES = pm.scale_factors(0.08, 1.0, N_FRAMES)

linear = pm.linear_field(BOX, pm.EisensteinHu(COSMOLOGY), seed=8)
particles = pm.start(linear, BOX, GROWTH, STAGES[0])

figure = Figure(figsize=(4, 4.2))
FigureCanvasAgg(figure)
axes = figure.add_axes((0.14, 0.12, 0.83, 0.8))  # fixed, or it moves with the title
axes.set(xlabel="x [Mpc/h]", ylabel="y [Mpc/h]")
extent = (0, BOX.size[0], 0, BOX.size[1])
image = axes.imshow(
    np.zeros(BOX.shape[:2]), vmin=-1.0, vmax=1.5, cmap="magma", origin="lower", extent=extent
)
image.set_interpolation("bicubic")
writer = PillowWriter(fps=8)
Path("output").mkdir(exist_ok=True)
with writer.saving(figure, "output/evolving_box.gif", dpi=60):
    for a, state in pm.snapshots(particles, BOX, GROWTH, STAGES, STAGES):
        density = pm.density(state.displacement, BOX).numpy()
        slab = density[..., : N_CELLS // 8].mean(axis=-1)
        image.set_data(np.log10(slab.T + 0.05))
        axes.set_title(f"z = {1 / a - 1:.1f}")
        writer.grab_frame()
    for _ in range(8):  # today stays a while
        writer.grab_frame()
