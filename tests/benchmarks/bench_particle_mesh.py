"""Time the simulator: `make bench-pm`, or with the cells along a side and the number of steps.

Prints the first call, which compiles, and the median of three after it, on the wall and in CPU time
(of all threads; it does not suffer from other jobs on the machine). Peers run in environments of
their own: give the interpreter of one that has JaxPM as the third argument.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CELL = 3.125  # [Mpc/h]


def measure(name: str, function: Callable[[], object]) -> None:
    """Print a row of the table for a function that returns when its work is done."""
    rows = []
    for _ in range(4):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        rows.append((time.perf_counter() - wall, time.process_time() - cpu))
    wall, cpu = np.median(rows[1:], axis=0)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{name:28}{rows[0][0]:10.2f}{rows[0][1]:10.2f}{wall:10.2f}{cpu:10.2f}{memory:10.2f}",
        flush=True,
    )


def time_ours(n: int, n_steps: int) -> None:
    """Print the rows of this package."""
    import tensorflow as tf  # here: the peers' environments have none

    from galsim_hub import particle_mesh as pm

    box, growth = pm.Box(n, CELL * n), pm.Growth(pm.Planck15())
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    linear = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=1)

    def density(field: tf.Tensor) -> tf.Tensor:
        particles = pm.start(field, box, growth, stages[0])
        return pm.density(pm.evolve(particles, box, growth, stages).displacement, box)

    def gradient() -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(linear)
            loss = tf.reduce_mean(density(linear) ** 2)
        return tape.gradient(loss, linear).numpy()

    measure("galsim_hub forward", lambda: density(linear).numpy())
    measure("galsim_hub gradient", gradient)


def time_jaxpm(n: int, n_steps: int) -> None:
    """Print the rows of JaxPM's kernels in the same FastPM steps; its gradient is checkpointed."""
    import jax
    import jax.numpy as jnp
    from jaxpm.painting import cic_paint
    from jaxpm.pm import pm_forces

    shape = (n, n, n)
    a = np.linspace(0.1, 1.0, n_steps + 1)  # of matter alone: the cost is the same
    grid = jnp.stack(jnp.meshgrid(*[jnp.arange(n, dtype=jnp.float32)] * 3, indexing="ij"), -1)
    field = jax.random.normal(jax.random.PRNGKey(0), shape)

    def density(field: jax.Array) -> jax.Array:
        x = grid + 0.1 * pm_forces(grid, delta=field, paint_absolute_pos=True)
        p = jnp.zeros_like(x)

        @jax.checkpoint
        def step(state: tuple, interval: jax.Array) -> tuple:
            x, p = state
            p = p + 1.5 * (interval[1] - interval[0]) * pm_forces(x, mesh_shape=shape)
            return (x + p * (interval[1] - interval[0]), p), None

        (x, _), _ = jax.lax.scan(step, (x, p), jnp.stack([a[:-1], a[1:]], axis=1))
        return cic_paint(jnp.zeros(shape), x)

    run = jax.jit(density)
    slope = jax.jit(jax.grad(lambda field: jnp.mean(density(field) ** 2)))
    measure("JaxPM forward", lambda: np.asarray(run(field)))
    measure("JaxPM gradient", lambda: np.asarray(slope(field)))


def main(n: str = "64", n_steps: str = "10", peer: str = "", engine: str = "ours") -> None:
    """Print the table."""
    if engine == "jaxpm":
        time_jaxpm(int(n), int(n_steps))
        return
    print(f"{n}^3 particles, {n_steps} steps")
    print(f"{'':28}{'first [s]':>10}{'cpu [s]':>10}{'then [s]':>10}{'cpu [s]':>10}{'max [GB]':>10}")
    time_ours(int(n), int(n_steps))
    if peer:
        subprocess.run([peer, str(Path(__file__)), n, n_steps, "", "jaxpm"], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
