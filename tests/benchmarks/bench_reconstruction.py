"""Find the initial conditions of simulated boxes, annealed and not, and print how good they are.

With the cells along a side, the iterations and the number of boxes:
python tests/benchmarks/bench_reconstruction.py 64 400 4

A cell is 6.25 Mpc/h; the density today has white noise of unit variance a cell. chi2 counts the
residuals and the white noise of the initial conditions; "data" the residuals alone. All is averaged
over the boxes; the difference of the two searches has the error of its mean.
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


def observe(n: int, number: int) -> tuple[pm.Posterior, object]:
    """Return what a noisy simulation says, and its true linear density."""
    box, growth = pm.Box(n, CELL * n), pm.Growth(pm.Planck15())
    power = pm.EisensteinHu(growth.cosmology)
    truth = pm.linear_field(box, power, seed=11 + 2 * number)
    forward = pm.simulation(box, growth, pm.scale_factors(0.1, 1.0, N_STEPS))
    noise = np.random.default_rng(12 + 2 * number).standard_normal(box.shape)
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


def main(n: str = "64", iterations: str = "400", boxes: str = "4") -> None:
    """Print the table."""
    found: dict[str, list[pm.Diagnosis]] = {"annealed": [], "not annealed": []}
    for number in range(int(boxes)):
        posterior, truth = observe(int(n), number)
        print(f"box {number + 1} of {boxes}", flush=True)
        stages = pm.anneal(posterior.box, int(iterations)), [pm.Stage(0.0, int(iterations))]
        for name, way in zip(found, stages, strict=True):
            found[name].append(search(name, posterior, list(way), truth))
    k = found["annealed"][0].k
    r, transfer = (
        {name: np.array([getattr(x, field) for x in rows]) for name, rows in found.items()}
        for field in ("correlation", "transfer")
    )
    gain = r["annealed"] - r["not annealed"]
    mean = gain.mean(axis=0)
    error = (
        gain.std(axis=0, ddof=1) / len(gain) ** 0.5 if len(gain) > 1 else np.full(len(k), np.nan)
    )
    print(f"\n{'k [h/Mpc]':>10}" + "".join(f"{x:>14}{'transfer':>10}" for x in found), end="")
    print(f"{'gain':>10}{'error':>10}")
    for i, shell in enumerate(k):
        print(f"{shell:10.3f}", end="")
        print(
            "".join(f"{r[x][:, i].mean():14.4f}{transfer[x][:, i].mean():10.3f}" for x in found),
            end="",
        )
        print(f"{mean[i]:+10.4f}{error[i]:10.4f}")
    low = r["annealed"][:, k <= LARGEST_K]
    print(f"least r to k = {LARGEST_K}, of any box: {low.min():.4f} (bar {LEAST_CORRELATION})")
    for name, rows in found.items():
        print(f"chi2/N {name}: {np.mean([x.chi2 for x in rows]):.4f}", end=" ")
        print(f"(bar 1 +- {MOST_EXCESS}), data alone {np.mean([x.chi2_data for x in rows]):.4f}")
    print(f"annealed r is larger in {np.mean(mean > 0):.0%} of the shells (bar 100%)")


if __name__ == "__main__":
    main(*sys.argv[1:])
