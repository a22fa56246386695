"""See what steps and force resolution buy: python examples/09_power_ratio.py.

One initial field is followed with few and with many steps. The picture shows the power of matter
today over that of linear theory, and how far the quick runs are from the best one.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm

N_CELLS = 64
BOX = pm.Box(N_CELLS, 1.5 * N_CELLS)  # [Mpc/h]
COSMOLOGY = pm.Planck18()
GROWTH = pm.Growth(COSMOLOGY)
POWER = pm.EisensteinHu(COSMOLOGY)
RUNS = {  # steps, and force mesh cells along a particle cell
    "40 steps, resolution 2": (40, 2),
    "10 steps, resolution 2": (10, 2),
    "10 steps": (10, 1),
    "5 steps": (5, 1),
}

linear = pm.linear_field(BOX, POWER, seed=5)
densities = {}
for name, (n_steps, resolution) in RUNS.items():
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    particles = pm.start(linear, BOX, GROWTH, stages[0])
    particles = pm.evolve(particles, BOX, GROWTH, stages, resolution=resolution)
    densities[name] = pm.density(particles.displacement, BOX)

best = densities["40 steps, resolution 2"]
k, true, _ = pm.power_spectrum(best, BOX, deconvolve=True)
initial = pm.power_spectrum(linear, BOX).power  # of this very box: its luck divides out
print(f"{'k [h/Mpc]':>10}" + "".join(f"{name:>26}" for name in RUNS))
figure = Figure(figsize=(12, 3.4), layout="constrained")
growth, ratio, phases = figure.subplots(1, 3)
table = []
for name, density in densities.items():
    power = pm.power_spectrum(density, BOX, deconvolve=True).power
    correlation = pm.correlation(density, best, BOX)
    growth.loglog(k, power / initial, label=name)
    ratio.semilogx(k, power / true, label=name)
    phases.semilogx(k, correlation, label=name)
    table.append(np.stack([power / true, correlation], axis=-1))
for shell, row in zip(k, np.stack(table, axis=1), strict=True):
    print(f"{shell:10.3f}" + "".join(f"{p:18.3f}, {r:.4f}" for p, r in row))
growth.set(title="P(k) over the linear one", xlabel="k [h/Mpc]")
growth.legend(fontsize=8)
ratio.set(title="P(k) over that of the best run", xlabel="k [h/Mpc]", ylim=(0, 1.1))
phases.set(title="r(k) with the best run", xlabel="k [h/Mpc]", ylim=(0.5, 1.02))
Path("output").mkdir(exist_ok=True)
figure.savefig("output/power_ratio.png", dpi=90)
