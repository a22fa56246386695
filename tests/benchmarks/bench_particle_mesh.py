"""Time the simulator: `make bench-pm`, or with the cells along a side and the number of steps.

Prints the first call, which compiles, and the median of three after it, on the wall and in CPU time
(of all threads; it does not suffer from other jobs on the machine). Peers run in environments of
their own: give the interpreters of those that have JaxPM (`pip install jaxpm`) or FlowPM (`pip
install --no-deps flowpm==0.1.1` beside tensorflow, tensorflow_probability, tf_keras and scipy) as
further arguments. With JaxPM the fields are compared too: both follow the same linear field, in
JaxPM's convention of the second-order growth.
"""

from __future__ import annotations

import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

CELL = 3.125  # [Mpc/h]
MOST_DISTANCE = 1e-3  # relative, of densities and of their power


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


def time_flowpm(n: int, n_steps: int) -> None:
    """Print the rows of FlowPM."""
    import flowpm
    import tensorflow as tf

    stages = np.linspace(0.1, 1.0, n_steps + 1)
    field = flowpm.linear_field(n, CELL * n, lambda k: 2e4 / (1.0 + (50.0 * k) ** 2), seed=1)

    @tf.function
    def density(field: tf.Tensor) -> tf.Tensor:
        state = flowpm.lpt_init(field, a=stages[0])
        return flowpm.cic_paint(tf.zeros_like(field), flowpm.nbody(state, stages, n)[0])

    @tf.function
    def gradient(field: tf.Tensor) -> tf.Tensor:
        return tf.gradients(tf.reduce_mean(density(field) ** 2), field)[0]

    measure("FlowPM forward", lambda: density(field).numpy())
    measure("FlowPM gradient", lambda: gradient(field).numpy())


def peer_of(interpreter: str) -> str:
    """Return which of the peers an environment has."""
    code = "from importlib.util import find_spec as f; print(*filter(f, ('jaxpm', 'flowpm')))"
    found = subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True)
    if not found.stdout.split():
        raise SystemExit(f"{interpreter} has neither JaxPM nor FlowPM: pip install one of them.")
    return found.stdout.split()[0]


def density_of_jaxpm(folder: Path, n_steps: int) -> None:
    """Follow the linear field of a folder with JaxPM's perturbation theory, growth and forces."""
    import jax.numpy as jnp
    import jax_cosmo
    from jax_cosmo.background import Esqr
    from jaxpm import growth
    from jaxpm.painting import cic_paint
    from jaxpm.pm import lpt, pm_forces

    linear = jnp.asarray(np.load(folder / "linear.npy"))
    cosmology = jax_cosmo.Planck15()
    n, a = len(linear), np.linspace(0.1, 1.0, n_steps + 1)
    grid = jnp.stack(jnp.meshgrid(*[jnp.arange(n, dtype=jnp.float32)] * 3, indexing="ij"), -1)
    x, p, _ = lpt(cosmology, linear, grid, a=a[0], order=2)
    x = x + grid

    def kick(p: jnp.ndarray, first: float, last: float, at: float) -> jnp.ndarray:
        change = growth.Gf(cosmology, jnp.array([last])) - growth.Gf(cosmology, jnp.array([first]))
        scale = at**2 * jnp.sqrt(Esqr(cosmology, jnp.array([at])))
        force = 1.5 * cosmology.Omega_m * pm_forces(x, mesh_shape=linear.shape)
        return p + change / (scale * growth.dGfa(cosmology, jnp.array([at]))) * force

    def drift(first: float, last: float, at: float) -> jnp.ndarray:
        size = [growth.growth_factor(cosmology, jnp.array([t])) for t in (first, last)]
        return x + (size[1] - size[0]) / growth.Gf(cosmology, jnp.array([at])) * p

    for first, last in itertools.pairwise(a):
        middle = float(np.sqrt(first * last))
        p = kick(p, first, middle, first)
        x = drift(first, last, middle)
        p = kick(p, middle, last, last)
    np.save(folder / "density.npy", cic_paint(jnp.zeros(linear.shape), x))


def compare_with_jaxpm(n: int, n_steps: int, peer: str) -> None:
    """Print how far our density lies from that of JaxPM, and our power from its power."""
    from galsim_hub import particle_mesh as pm

    class NormalisedGrowth(pm.Growth):
        """Growth whose second order is -3/7 today, as JaxPM has it."""

        def second(self, a: object) -> object:
            return -3.0 / 7.0 * super().second(a) / super().second(1.0)

    box, growth = pm.Box(n, CELL * n), NormalisedGrowth(pm.Planck15())
    stages = pm.scale_factors(0.1, 1.0, n_steps)
    linear = pm.linear_field(box, pm.EisensteinHu(growth.cosmology), seed=1)
    particles = pm.start(linear, box, growth, stages[0], gradient="four_point")
    ours = pm.density(pm.evolve(particles, box, growth, stages).displacement, box).numpy()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "linear.npy", linear.numpy())
        command = [peer, __file__, "density", folder, str(n_steps)]
        subprocess.run(command, check=True)
        theirs = np.load(Path(folder) / "density.npy")
    distance = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    power = [pm.power_spectrum(field, box).power.numpy() for field in (ours, theirs)]
    worst = np.abs(power[0] / power[1] - 1.0).max()
    print(f"\nAgainst JaxPM from the same initial conditions, D2 as there (bar {MOST_DISTANCE:g})")
    print(f"{'density, rel. L2':28}{distance:10.1e}")
    print(f"{'power, largest difference':28}{worst:10.1e}")


def main(n: str = "64", n_steps: str = "10", *peers: str) -> None:
    """Print the table."""
    print(f"{n}^3 particles, {n_steps} steps")
    print(f"{'':28}{'first [s]':>10}{'cpu [s]':>10}{'then [s]':>10}{'cpu [s]':>10}{'max [GB]':>10}")
    time_ours(int(n), int(n_steps))
    names = {interpreter: peer_of(interpreter) for interpreter in peers}
    for interpreter, name in names.items():
        subprocess.run([interpreter, __file__, "time", name, n, n_steps], check=True)
    for interpreter, name in names.items():
        if name == "jaxpm":
            compare_with_jaxpm(int(n), int(n_steps), interpreter)


if __name__ == "__main__":
    if sys.argv[1:2] == ["time"]:
        time_peer = {"jaxpm": time_jaxpm, "flowpm": time_flowpm}[sys.argv[2]]
        time_peer(int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:2] == ["density"]:
        density_of_jaxpm(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(*sys.argv[1:])
