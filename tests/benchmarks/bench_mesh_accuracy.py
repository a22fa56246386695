"""Print how exact the particle mesh is: python tests/benchmarks/bench_mesh_accuracy.py [WORD ...].

A line has a figure, its bar and whether it holds; words choose the groups (background, linear,
steps, gradients, memory, wiener). CCL is the other code: pip install 'galsim-hub[oracles]'. How far
we are from other simulators is told by `make bench-pm`.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pyccl
import tensorflow as tf
from scipy.integrate import solve_ivp

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import particle_mesh as pm
from galsim_hub.particle_mesh.fourier import multiplicity
from galsim_hub.particle_mesh.lpt import displacements
from tests.oracles.perturbation_theory import displacements as oracle

UNIVERSES = [
    {},
    {"w0": -0.9},
    {"w0": -0.9, "wa": 0.3},
    {"Omega_k": 0.05},
    {"Omega_k": -0.05, "w0": -1.1, "wa": -0.2},
]
A = np.geomspace(1e-3, 1.0, 60)
K = np.geomspace(1e-4, 20.0, 500)  # [h/Mpc]
N_SEEDS = 20
Row = tuple[str, float, float]


def worst(ours: object, theirs: object) -> float:
    """Return the largest relative difference."""
    return float(np.max(np.abs(np.asarray(ours) / np.asarray(theirs) - 1.0)))


def second_order(universe: pm.Cosmology) -> np.ndarray:
    """Return D2 / D1^2 at A, by Runge and Kutta's method of order 8."""

    def right(x: float, y: np.ndarray) -> list[float]:
        d1, v1, d2, v2 = y
        drag = 2.0 + float(universe.expansion_slope(np.exp(x)))
        matter = 1.5 * float(universe.matter_density(np.exp(x)))
        return [v1, matter * d1 - drag * v1, v2, matter * (d2 - d1**2) - drag * v2]

    first = 1e-5
    begin = [first, first, -3 / 7 * first**2, -6 / 7 * first**2]
    span = (np.log(first), 0.0)
    y = solve_ivp(right, span, begin, "DOP853", t_eval=np.log(A), rtol=1e-9, atol=0.0).y
    return y[2] / y[0] ** 2


def background() -> Iterator[Row]:
    """Growth, distances and linear power next to CCL's, the worst of five universes."""
    names = ("Omega_c", "Omega_b", "h", "n_s", "sigma8", "Omega_k", "w0", "wa")
    rows: dict[str, list[float]] = {}
    for parameters in UNIVERSES:
        ours = pm.Planck15(**parameters)
        growth, h = pm.Growth(ours), float(ours.h)
        ccl = pyccl.Cosmology(
            **{name: float(getattr(ours, name)) for name in names},
            Omega_g=0.0,
            Neff=0.0,
            T_CMB=2.7255,
            transfer_function="eisenstein_hu",
        )
        a = A[A > 0.1][:-1]
        power = ccl.linear_matter_power(K * h, 1.0) * h**3
        figures = {
            "D1, CCL": worst(growth.first(A), ccl.growth_factor(A)),
            "f1, CCL": worst(growth.first_rate(A), ccl.growth_rate(A)),
            "D2 / D1^2, Runge-Kutta": worst(
                growth.second(A) / growth.first(A) ** 2, second_order(ours)
            ),
            "comoving distance, CCL": worst(
                ours.comoving_distance(a), h * ccl.comoving_radial_distance(a)
            ),
            "linear power, CCL": worst(pm.EisensteinHu(ours)(K), power),
        }
        for name, value in figures.items():
            rows.setdefault(name, []).append(value)
    for name, values in rows.items():
        yield f"{name}, {len(values)} universes", max(values), 5e-4 if "power" in name else 1e-4


def linear() -> Iterator[Row]:
    """Perturbation theory, power of random fields, and the same waves on two grids."""
    box = pm.Box(64, 200.0)
    power = pm.EisensteinHu(pm.Planck15())
    field = pm.linear_field(box, power, seed=1)
    theory = oracle(field.numpy().astype(np.float64), box)
    for i, (ours, theirs) in enumerate(zip(displacements(field, box), theory, strict=True), 1):
        off = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
        yield f"{i}LPT, 64^3 float32 less float64 oracle, rel. L2", off, 1e-5
    wave = np.cos(2 * np.pi * np.arange(64) / 64)[:, None, None] * np.ones(box.shape)
    growth = pm.Growth(pm.Planck15())
    moved = pm.start(tf.constant(0.9 * wave), box, growth, 1.0).displacement.numpy()
    exact = -0.9 * box.size[0] / (2 * np.pi) * np.sin(2 * np.pi * np.arange(64) / 64)
    off = np.abs(moved - exact[:, None, None] * np.eye(3)[0][:, None, None, None]).max()
    yield "a plane wave before crossing, less Zel'dovich's", off / np.abs(exact).max(), 1e-12
    k = box.wavenumber()
    k[0, 0, 0] = 1.0
    shell = np.minimum((k * 200.0 / (2 * np.pi)).astype(int), 32)
    weights = multiplicity(64) * np.ones_like(k)
    weights[0, 0, 0] = 0.0
    expected = power(k).numpy() * box.n_cells**2 / box.volume
    sums = np.zeros(33)
    for seed in range(N_SEEDS):
        modes = pm.to_modes(pm.linear_field(box, power, seed, dtype=tf.float64)).numpy()
        share = np.abs(modes) ** 2 / expected
        sums += np.bincount(shell.ravel(), (weights * share).ravel(), 33)
    counts = N_SEEDS * np.bincount(shell.ravel(), weights.ravel(), 33)
    deviation = (sums / counts - 1.0)[1:32] / np.sqrt(2.0 / counts[1:32])
    yield f"power over input, {N_SEEDS} seeds, 31 shells [sigma]", np.abs(deviation).max(), 3.0
    coarse, fine = (pm.white_modes(pm.Box(n, 200.0), 1) for n in (64, 128))
    low = np.r_[0:32, -31:0]
    cut = np.ix_(low, low, range(32))
    yield "modes of a seed, 64^3 less 128^3", np.abs(coarse[cut] - fine[cut]).max(), 0.0


def second_order_step(growth: pm.Growth, scheme: str) -> float:
    """Return how far the second order of a displacement is from theory's after one long step.

    Of waves and of the same waves upside down the second order is half the sum. Its product with
    theory's averages over the kinks of painting at cells' corners, which the waves cross by two.
    """
    box = pm.Box((512, 512, 4), (5120.0, 5120.0, 40.0))
    x, y, _ = 2 * np.pi * np.indices(box.shape) / 512
    waves = 0.03 * (np.cos(x) + np.cos(y) + np.cos(x + y))
    before, after = 0.1, 0.3

    def start(waves: np.ndarray, a: float, order: int = 2) -> Any:
        return pm.start(tf.constant(waves), box, growth, a, order=order)

    ends = [
        pm.evolve(start(w, before), box, growth, [before, after], scheme=scheme).displacement
        for w in (waves, -waves)
    ]
    found = 0.5 * (ends[0] + ends[1])
    theory = start(waves, after).displacement - start(waves, after, 1).displacement
    return abs(float(tf.reduce_sum(found * theory) / tf.reduce_sum(theory**2)) - 1.0)


def steps() -> Iterator[Row]:
    """A step of theory, and what forces conserve."""
    growth = pm.Growth(pm.Planck15())
    box = pm.Box((256, 4, 4), (2560.0, 40.0, 40.0))
    wave = 1e-5 * np.cos(2 * np.pi * np.arange(256) / 256)[:, None, None] * np.ones(box.shape)
    before, after = (pm.start(tf.constant(wave), box, growth, a) for a in (0.5, 0.52))
    for scheme in ("fastpm", "bullfrog"):
        end = pm.evolve(before, box, growth, [0.5, 0.52], scheme=scheme)
        off = np.abs(end.displacement - after.displacement).max()
        yield f"a step of a small wave, {scheme}", off / np.abs(after.displacement).max(), 1e-4
    off, rival = (second_order_step(growth, scheme) for scheme in ("bullfrog", "fastpm"))
    yield f"second order, a 0.1-0.3, bullfrog (fastpm: {rival:.2f})", off, 1e-3
    box = pm.Box(64, 200.0)
    field = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=1)
    start = pm.start(field, box, growth, 0.1)
    end = pm.evolve(start, box, growth, pm.scale_factors(0.1, 1.0, 10))
    p = end.momentum.numpy().astype(np.float64)
    total = np.abs(p.sum(axis=(1, 2, 3))).max() / np.abs(p).sum()
    yield "momentum, 64^3 float32, 10 steps", total, 1e-5
    density = pm.density(end.displacement, box).numpy().astype(np.float64)
    yield "mass, 64^3 float32", abs(density.mean() - 1.0), 1e-6
    force = pm.acceleration(tf.zeros([3, *box.shape]), box).numpy()
    yield "force on an even grid [cell]", np.abs(force).max() / box.cell[0], 1e-6


def gradients() -> Iterator[Row]:
    """Gradients next to central differences, in double precision."""
    box, rng = pm.Box(16, 80.0), np.random.default_rng(2718)
    direction, weights = tf.constant(rng.normal(size=(2, *box.shape)))
    white, stages = pm.white_modes(box, 3), np.geomspace(0.1, 1.0, 5)

    def simulate(values: dict[str, tf.Tensor]) -> pm.Particles:
        values = dict(values)
        shift = values.pop("initial field", 0.0)
        cosmology = pm.Planck15(**values)
        growth = pm.Growth(cosmology)
        modes = pm.linear_modes(box, pm.EisensteinHu(cosmology), white)
        field = pm.to_field(modes, box.shape) + shift * direction
        return pm.evolve(pm.start(field, box, growth, stages[0]), box, growth, stages)

    def figure(values: dict[str, tf.Tensor]) -> tf.Tensor:
        x = simulate(values).displacement
        # Painting has kinks where a particle crosses a wall: only a tiny step crosses none.
        if "initial field" in values:
            return tf.reduce_sum(weights * pm.density(x, box))
        return tf.reduce_sum(weights * x[0])

    middle = {"initial field": 0.0, "Omega_c": 0.2589, "sigma8": 0.8159, "w0": -1.0}
    for name, value in middle.items():
        step = 1e-7 if name == "initial field" else 1e-6
        at = tf.constant(value, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(at)
            result = figure({name: at})
        up, down = (float(figure({name: at + s * step})) for s in (1, -1))
        off = worst(tape.gradient(result, at), (up - down) / (2 * step))
        yield f"gradient by {name}", off, 1e-6 if name == "initial field" else 1e-5


def peak(n: int, n_steps: int) -> float:
    """Return what a gradient adds to the memory of a process of its own [GB]."""
    command = [sys.executable, __file__, "peak", str(n), str(n_steps)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def print_peak(n: int, n_steps: int) -> None:
    """Print the memory of a gradient beyond that of the process before it [GB]."""
    box, growth = pm.Box(n, 3.125 * n), pm.Growth(pm.Planck15())
    field = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=1)
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tf.GradientTape() as tape:
        tape.watch(field)
        end = pm.evolve(pm.start(field, box, growth, stages[0]), box, growth, stages)
        loss = tf.reduce_mean(pm.density(end.displacement, box) ** 2)
    tape.gradient(loss, field).numpy()
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20)


def memory() -> Iterator[Row]:
    """Memory of gradients, compiled code included."""
    ten, forty = peak(64, 10), peak(64, 40)
    yield f"memory, 64^3, 40 steps over 10 ({ten:.2f} GB) - 1", forty / ten - 1.0, 0.05
    yield "memory, 128^3, 10 steps [GB]", peak(128, 10), 1.5


def wiener() -> Iterator[Row]:
    """Reconstruction with a linear model next to the Wiener filter."""
    box, noise = pm.Box(16, 80.0), 0.5
    power = pm.EisensteinHu(pm.Planck15())
    truth = pm.linear_field(box, power, seed=3, dtype=tf.float64).numpy()
    observed = truth + noise * np.random.default_rng(4).standard_normal(box.shape)
    posterior = pm.Posterior(observed, noise, box, power, forward=lambda field: field)
    found = pm.reconstruct(posterior, pm.anneal(box, 80)).linear.numpy()
    k = box.wavenumber()
    k[0, 0, 0] = 1.0
    signal = power(k).numpy()
    signal[0, 0, 0] = 0.0
    share = signal / (signal + noise**2 * box.volume / box.n_cells)
    expected = np.fft.irfftn(np.fft.rfftn(observed) * share)
    off = np.linalg.norm(found - expected) / np.linalg.norm(expected)
    yield "linear reconstruction less Wiener filter, rel. L2", off, 1e-3


GROUPS: dict[str, Callable[[], Iterator[Row]]] = {
    group.__name__: group for group in (background, linear, steps, gradients, memory, wiener)
}


def main(*words: str) -> None:
    """Print the table."""
    for word in words or GROUPS:
        for name, value, bar in GROUPS[word]():
            verdict = "holds" if abs(value) <= bar else "MISSED"
            print(f"{name:52}{value:11.2e}   bar {bar:7.1e}   {verdict}", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["peak"]:
        print_peak(*(int(number) for number in sys.argv[2:]))
    else:
        main(*sys.argv[1:])
