"""Find what a noisy density grew from: python examples/05_initial_conditions.py.

A box is simulated and seen with noise of the density's own size. The search knows the cosmology,
the noise and the physics, not the phases.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from galsim_hub import particle_mesh as pm

N_CELLS = 32
N_ITERATIONS = 160
BOX = pm.Box(N_CELLS, 6.25 * N_CELLS)  # [Mpc/h]
NOISE = 1.0  # of 1 + delta, in a cell
GROWTH = pm.Growth(pm.Planck18())
POWER = pm.EisensteinHu(GROWTH.cosmology)

truth = pm.linear_field(BOX, POWER, seed=3)
forward = pm.simulation(BOX, GROWTH, pm.scale_factors(0.1, 1.0, 5))
observed = forward(truth).numpy() + NOISE * np.random.default_rng(4).standard_normal(BOX.shape)

posterior = pm.Posterior(observed, NOISE, BOX, POWER, forward)
result = pm.reconstruct(
    posterior,
    pm.anneal(BOX, N_ITERATIONS),
    folder="output/initial_conditions",  # killed, it goes on from here
    report=lambda stage, value: print(f"{stage}: -log p = {value:.0f}"),
)
diagnosis = pm.diagnose(posterior, result.white, truth)
print(f"chi2 of residuals and prior: {diagnosis.chi2:.3f} a cell")
for k, r in zip(diagnosis.k, diagnosis.correlation, strict=True):
    print(f"k = {k:.3f} h/Mpc: r = {r:.3f}")

figure = Figure(figsize=(12, 3.2), layout="constrained")
*maps, curve = figure.subplots(1, 4)
fields = {
    "Observed, with noise": observed - 1.0,
    "True linear density": truth.numpy(),
    "Reconstructed": result.linear.numpy(),
}
for axes, (title, field) in zip(maps, fields.items(), strict=True):
    slab = field[..., : max(N_CELLS // 8, 1)].mean(axis=-1).T
    extent = (0, BOX.size[0], 0, BOX.size[1])
    axes.imshow(slab, origin="lower", extent=extent, cmap="RdBu_r", vmin=-3, vmax=3)
    axes.set(title=title, xlabel="x [Mpc/h]")
curve.plot(diagnosis.k, diagnosis.correlation, label="correlation r(k)")
curve.plot(diagnosis.k, diagnosis.transfer, label="transfer function")
curve.set(xlabel="k [h/Mpc]", ylim=(0, 1.2))
curve.legend()
Path("output").mkdir(exist_ok=True)
figure.savefig("output/initial_conditions.png", dpi=100)
