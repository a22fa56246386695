"""Find the initial conditions of a simulated box, annealed and not, and print how good they are.

With the cells along a side and the iterations:
python tests/benchmarks/bench_reconstruction.py 64 400

A cell is 6.25 Mpc/h; the density today has white noise of unit variance a cell. chi2 counts the
residuals and the white noise of the initial conditions; "data" the residuals alone.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from galsim_hub import particle_mesh as pm

CELL = 6.25  # [Mpc/h]
N_STEPS = 5
LEAST_CORRELATION, LARGEST_K = 0.95, 0.1
MOST_EXCESS = 0.02


def observe(n: int) -> tuple[pm.Posterior, object]:
    """Return what a noisy simulation says, and its true linear density."""
    box, growth = pm.Box(n, CELL * n), pm.Growth(pm.Planck15())
    power = pm.EisensteinHu(growth.cosmology)
    truth = pm.linear_field(box, power, seed=11)
    forward = pm.simulation(box, growth, pm.scale_factors(0.1, 1.0, N_STEPS))
    noise = np.random.default_rng(12).standard_normal(box.shape)
    return pm.Posterior(forward(truth).numpy() + noise, 1.0, box, power, forward), truth


def search(name: str, posterior: pm.Posterior, stages: list, truth: object) -> pm.Diagnosis:
    """Search, and print the time and the posterior after each stage."""
    start = time.perf_counter()

    def report(stage: pm.Stage, value: float) -> None:
        seconds = time.perf_counter() - start
        print(
            f"{name:12} smoothing {stage.smoothing:5.2f} Mpc/h, {stage.iterations:4d} iterations: "
            f"-log p = {value:.1f} after {seconds:.0f} s",
            flush=True,
        )

    result = pm.reconstruct(posterior, stages, report=report)
    return pm.diagnose(posterior, result.white, truth)


def main(n: str = "64", iterations: str = "400") -> None:
    """Print the table."""
    posterior, truth = observe(int(n))
    annealed = search("annealed", posterior, pm.anneal(posterior.box, int(iterations)), truth)
    plain = search("not annealed", posterior, [pm.Stage(0.0, int(iterations))], truth)
    print(f"\n{'k [h/Mpc]':>10}{'r':>8}{'transfer':>10}{'r, plain':>10}{'transfer':>10}")
    for row in zip(
        annealed.k,
        annealed.correlation,
        annealed.transfer,
        plain.correlation,
        plain.transfer,
        strict=True,
    ):
        print("{:10.3f}{:8.4f}{:10.3f}{:10.4f}{:10.3f}".format(*row))
    low = annealed.k <= LARGEST_K
    print(f"least r to k = {LARGEST_K}: {annealed.correlation[low].min():.4f}", end=" ")
    print(f"(bar {LEAST_CORRELATION})")
    for name, diagnosis in (("annealed", annealed), ("not annealed", plain)):
        print(f"chi2/N {name}: {diagnosis.chi2:.4f} (bar 1 +- {MOST_EXCESS})", end=", ")
        print(f"data alone {diagnosis.chi2_data:.4f}")
    better = np.mean(annealed.correlation > plain.correlation)
    print(f"annealed r is larger in {better:.0%} of the shells (bar 100%)")


if __name__ == "__main__":
    main(*sys.argv[1:])
