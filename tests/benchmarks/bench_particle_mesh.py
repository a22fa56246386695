"""Time the simulator beside JaxPM and FlowPM: `make bench-pm`, which installs both from PyPI.

`bench_particle_mesh.py SIDES STEPS INTERPRETER...` does the same with the interpreters of
environments that have a peer: `64,128 10 .../python` prints, for each of the sides, the first call,
which compiles, and the median of three after it, on the wall and in CPU time (of all threads; it
does not suffer from other jobs on the machine), and the most memory of a process that did nothing
else. All follow the same linear field of Planck 2015 by the same FastPM steps, from perturbation
theory of second order. The density is compared with JaxPM's too, in its convention of the
second-order growth.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CELL = 3.125  # [Mpc/h]
MOST_DISTANCE = 1e-3  # relative, of densities and of their power
FASTER_THAN_FLOWPM = 3.0
LONGEST_FIRST_CALL = 5.0  # [s] at 64^3
# FlowPM's gradient of larger boxes takes more than 13 GB.
LARGEST_GRADIENT = {"FlowPM": 64}


def measure(name: str, function: Callable[[], object]) -> None:
    """Print what a function took that returns when its work is done, as JSON."""
    rows = []
    for _ in range(4):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        rows.append((time.perf_counter() - wall, time.process_time() - cpu))
    then = np.median(rows[1:], axis=0).tolist()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"name": name, "first": rows[0], "then": then, "memory": memory}), flush=True)


def time_ours(folder: Path, n_steps: int, *, has_gradient: bool) -> None:
    """Time this package."""
    import tensorflow as tf  # here: the peers' environments may have none

    from galsim_hub import particle_mesh as pm

    linear = tf.constant(np.load(folder / "linear.npy"))
    n = linear.shape[0]
    box, growth = pm.Box(n, CELL * n), pm.Growth(pm.Planck15())
    stages = pm.scale_factors(0.1, 1.0, n_steps)

    def density(field: tf.Tensor) -> tf.Tensor:
        particles = pm.start(field, box, growth, stages[0])
        return pm.density(pm.evolve(particles, box, growth, stages).displacement, box)

    def gradient() -> np.ndarray:
        with tf.GradientTape() as tape:
            tape.watch(linear)
            loss = tf.reduce_mean(density(linear) ** 2)
        return tape.gradient(loss, linear).numpy()

    if has_gradient:
        measure("gradient", gradient)
    else:
        measure("forward", lambda: density(linear).numpy())


def jaxpm_density(n: int, n_steps: int) -> Callable:
    """Return JaxPM's density of a linear field; gradients keep the particles of each step alone."""
    import jax
    import jax.numpy as jnp
    import jax_cosmo
    from jax_cosmo.background import Esqr
    from jaxpm import growth
    from jaxpm.painting import cic_paint
    from jaxpm.pm import lpt, pm_forces

    cosmology, shape = jax_cosmo.Planck15(), (n, n, n)
    a = np.linspace(0.1, 1.0, n_steps + 1)
    grid = jnp.stack(jnp.meshgrid(*[jnp.arange(n, dtype=jnp.float32)] * 3, indexing="ij"), -1)

    def one(function: Callable, at: float) -> float:
        return float(np.squeeze(function(cosmology, jnp.array([at]))))

    def kick(first: float, last: float, at: float) -> float:
        change = one(growth.Gf, last) - one(growth.Gf, first)
        scale = at**2 * np.sqrt(one(Esqr, at)) * one(growth.dGfa, at)
        return 1.5 * float(cosmology.Omega_m) * change / scale

    def drift(first: float, last: float, at: float) -> float:
        size = [one(growth.growth_factor, t) for t in (first, last)]
        return (size[1] - size[0]) / one(growth.Gf, at)

    rows = []
    for first, last in itertools.pairwise(a):
        middle = float(np.sqrt(first * last))
        parts = kick(first, middle, first), drift(first, last, middle), kick(middle, last, last)
        rows.append(parts)
    coefficients = jnp.array(rows, jnp.float32)

    def density(linear: jax.Array) -> jax.Array:
        x, p, _ = lpt(cosmology, linear, grid, a=a[0], order=2)

        @jax.checkpoint
        def step(state: tuple, row: jax.Array) -> tuple:
            x, p, force = state
            p = p + row[0] * force
            x = x + row[1] * p
            force = pm_forces(x, mesh_shape=shape)
            return (x, p + row[2] * force, force), None

        x = x + grid
        (x, _, _), _ = jax.lax.scan(step, (x, p, pm_forces(x, mesh_shape=shape)), coefficients)
        return cic_paint(jnp.zeros(shape), x)

    return density


def time_jaxpm(folder: Path, n_steps: int, *, has_gradient: bool) -> None:
    """Time JaxPM, and save its density."""
    import jax
    import jax.numpy as jnp

    linear = jnp.asarray(np.load(folder / "linear.npy"))
    density = jaxpm_density(len(linear), n_steps)
    if has_gradient:
        slope = jax.jit(jax.grad(lambda field: jnp.mean(density(field) ** 2)))
        measure("gradient", lambda: np.asarray(slope(linear)))
    else:
        run = jax.jit(density)
        measure("forward", lambda: np.asarray(run(linear)))
        np.save(folder / "jaxpm.npy", run(linear))


def time_flowpm(folder: Path, n_steps: int, *, has_gradient: bool) -> None:
    """Time FlowPM."""
    import flowpm
    import tensorflow as tf

    linear = tf.constant(np.load(folder / "linear.npy")[None])
    stages = np.linspace(0.1, 1.0, n_steps + 1)

    @tf.function
    def density(field: tf.Tensor) -> tf.Tensor:
        state = flowpm.lpt_init(field, a=stages[0])
        final = flowpm.nbody(state, stages, field.shape[1])
        return flowpm.cic_paint(tf.zeros_like(field), final[0])

    @tf.function
    def gradient(field: tf.Tensor) -> tf.Tensor:
        return tf.gradients(tf.reduce_mean(density(field) ** 2), field)[0]

    if has_gradient:
        measure("gradient", lambda: gradient(linear).numpy())
    else:
        measure("forward", lambda: density(linear).numpy())


TIMERS = {"galsim_hub": time_ours, "JaxPM": time_jaxpm, "FlowPM": time_flowpm}


def peer_of(interpreter: str) -> str:
    """Return which of the peers an environment has."""
    code = "from importlib.util import find_spec as f; print(*filter(f, ('jaxpm', 'flowpm')))"
    found = subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True)
    if not found.stdout.split():
        raise SystemExit(f"{interpreter} has neither JaxPM nor FlowPM: pip install one of them.")
    return {"jaxpm": "JaxPM", "flowpm": "FlowPM"}[found.stdout.split()[0]]


def compare_with_jaxpm(linear: object, theirs: np.ndarray, box: object, n_steps: int) -> None:
    """Print how far our density lies from that of JaxPM, and our power from its power."""
    from galsim_hub import particle_mesh as pm

    class NormalisedGrowth(pm.Growth):
        """Growth whose second order is -3/7 today, as JaxPM has it."""

        def second(self, a: object) -> object:
            return -3.0 / 7.0 * super().second(a) / super().second(1.0)

    growth, stages = NormalisedGrowth(pm.Planck15()), pm.scale_factors(0.1, 1.0, n_steps)
    particles = pm.start(linear, box, growth, stages[0], gradient="four_point")
    ours = pm.density(pm.evolve(particles, box, growth, stages).displacement, box).numpy()
    distance = np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)
    power = [pm.power_spectrum(field, box).power.numpy() for field in (ours, theirs)]
    worst = np.abs(power[0] / power[1] - 1.0).max()
    for name, value in (("density, rel. L2", distance), ("power, largest difference", worst)):
        held = verdict(value <= MOST_DISTANCE)
        print(f"{name + ' from JaxPM':44}{value:10.1e}  {held} ({MOST_DISTANCE:g})")


def verdict(holds: bool) -> str:  # noqa: FBT001 - a comparison
    """Return the word for it."""
    return "holds" if holds else "MISSED"


def time_side(n: int, n_steps: int, interpreters: dict[str, str]) -> None:
    """Print the table of one side and what it says."""
    from galsim_hub import particle_mesh as pm

    print(f"\n{n}^3 particles, {n_steps} steps")
    print(f"{'':28}{'first [s]':>10}{'cpu [s]':>10}{'then [s]':>10}{'cpu [s]':>10}{'max [GB]':>10}")
    box = pm.Box(n, CELL * n)
    linear = pm.linear_field(box, pm.EisensteinHu(pm.Planck15()), seed=1)
    found: dict[tuple[str, str], dict] = {}
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / "linear.npy", linear.numpy())
        for what, name in itertools.product(("forward", "gradient"), interpreters):
            if what == "gradient" and n > LARGEST_GRADIENT.get(name, n):
                continue
            command = [interpreters[name], __file__, "time", name, what, folder, str(n_steps)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            row = found[name, what] = json.loads(done.stdout.splitlines()[-1])
            times = (*row["first"], *row["then"], row["memory"])
            print(f"{name + ' ' + what:28}" + "".join(f"{x:10.2f}" for x in times), flush=True)
        density = Path(folder) / "jaxpm.npy"
        theirs = np.load(density) if density.is_file() else None
    for what in ("forward", "gradient"):
        ours = found["galsim_hub", what]
        if n == 64:
            first = ours["first"][0]
            held = verdict(first <= LONGEST_FIRST_CALL)
            print(
                f"{'first call, ' + what + ' [s]':44}{first:10.2f}  {held} ({LONGEST_FIRST_CALL:g})"
            )
        for peer, bar in (("JaxPM", 1.0), ("FlowPM", FASTER_THAN_FLOWPM)):
            if (peer, what) in found:
                ratio = found[peer, what]["then"][0] / ours["then"][0]
                text = f"{peer} / galsim_hub, {what}"
                print(f"{text:44}{ratio:10.2f}  {verdict(ratio >= bar)} ({bar:g})")
    if theirs is not None:
        compare_with_jaxpm(linear, theirs, box, n_steps)


def main(sides: str = "64,128", n_steps: str = "10", *peers: str) -> None:
    """Print the tables."""
    interpreters = {"galsim_hub": sys.executable}
    interpreters |= {peer_of(interpreter): interpreter for interpreter in peers}
    for n in sides.split(","):
        time_side(int(n), int(n_steps), interpreters)


if __name__ == "__main__":
    if sys.argv[1:2] == ["time"]:
        _, _, name, what, folder, n_steps = sys.argv
        TIMERS[name](Path(folder), int(n_steps), has_gradient=what == "gradient")
    else:
        main(*sys.argv[1:])
