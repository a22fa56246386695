"""Evolve particles: one compiled loop over the steps, and its exact reverse for gradients.

The steps can be undone: from the last positions and momenta the reverse loop finds those of every
step before, and carries the gradient with them (Li et al. 2022, arXiv:2211.09815). So the gradient
needs the memory of a few steps, however many there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import StepsError
from .box import Box
from .gravity import solver_of
from .growth import Growth
from .kernels import inverse_laplacian
from .lpt import Particles
from .steps import Schedule, schedule

__all__ = ["LEAST_KEPT", "evolve", "snapshots"]

# A step that keeps less of the momentum cannot be undone without losing digits.
LEAST_KEPT = 0.05

# The table of steps is padded to a multiple of this: runs of other lengths need no compiling.
PADDED_STAGES = 64

Tensor = Any


def evolve(
    particles: Particles,
    box: Box,
    growth: Growth,
    stages: Any,
    *,
    resolution: int = 1,
    scheme: str = "fastpm",
) -> Particles:
    """Carry particles from the first scale factor to the last.

    Parameters
    ----------
    particles : Particles
        At the first scale factor, such as `start` gives; a batch is evolved as one.
    box : Box
        Their box.
    growth : Growth
        Of the cosmology.
    stages : sequence of float
        Ascending scale factors, such as `scale_factors` gives.
    resolution : int
        Force mesh cells along a particle cell.
    scheme : str
        ``"fastpm"`` or ``"bullfrog"``.

    Returns
    -------
    Particles
        At the last scale factor. Gradients flow to the particles, to the cosmology and to `stages`.

    Raises
    ------
    StepsError
        If the scale factors do not ascend; when a gradient is asked for, if a step is too long to
        be undone.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import Planck15, scale_factors, start
    >>> box, growth = Box(8, 50.0), Growth(Planck15())
    >>> particles = start(tf.zeros([8, 8, 8]), box, growth, 0.1)
    >>> evolve(particles, box, growth, scale_factors(0.1, 1.0, 2)).displacement.shape
    TensorShape([3, 8, 8, 8])
    """
    x, p = (tf.convert_to_tensor(field) for field in particles)
    box.check_field(x.shape, components=3)
    mesh = box.refined(resolution)
    plan = schedule(growth, stages, scheme)
    flat = [tf.reshape(field, [-1, 3, *box.shape]) for field in (x, p)]
    plan = Schedule(*(tf.cast(field, x.dtype) for field in plan))
    kernel = tf.constant(inverse_laplacian(mesh), x.dtype)
    x_end, p_end = _run(flat[0], flat[1], plan, kernel, (box.shape, box.size, mesh.shape))
    return Particles(tf.reshape(x_end, x.shape), tf.reshape(p_end, x.shape))


def snapshots(
    particles: Particles,
    box: Box,
    growth: Growth,
    stages: Any,
    outputs: Any,
    *,
    resolution: int = 1,
    scheme: str = "fastpm",
) -> Iterator[tuple[float, Particles]]:
    """Evolve particles and stop on the way.

    Parameters
    ----------
    particles : Particles
        At the first scale factor.
    box : Box
        Their box.
    growth : Growth
        Of the cosmology.
    stages : sequence of float
        Ascending scale factors.
    outputs : sequence of float
        Those of `stages` to stop at, ascending.
    resolution : int
        Force mesh cells along a particle cell.
    scheme : str
        ``"fastpm"`` or ``"bullfrog"``.

    Yields
    ------
    a : float
        The scale factor of an output.
    particles : Particles
        The particles then.

    Raises
    ------
    StepsError
        If an output is not among the stages after those before it.
    """
    stages = np.asarray(stages, np.float64)
    begin = 0
    for a in np.asarray(outputs, np.float64):
        (found,) = np.nonzero(np.isclose(stages, a, rtol=1e-9, atol=0.0))
        if len(found) == 0 or found[0] < begin:
            raise StepsError(
                f"The output at a = {a} is not among the scale factors {stages[begin:].tolist()} "
                "that are left. Add it to the stages, and give outputs in ascending order.",
                float(a),
            )
        if found[0] > begin:
            part = stages[begin : found[0] + 1]
            particles = evolve(particles, box, growth, part, resolution=resolution, scheme=scheme)
        begin = int(found[0])
        yield float(a), particles


def _run(
    x: Tensor, p: Tensor, plan: Schedule, kernel: Tensor, geometry: Any
) -> tuple[Tensor, Tensor]:
    """Run the steps; the two directions are compiled apart, each when it is first needed."""
    n_stages = plan.stages.shape[0]

    @tf.custom_gradient
    def evolved(x: Tensor, p: Tensor, drift: Tensor, stages: Tensor) -> tuple[Any, Any]:
        # Stopped, or TensorFlow would look for the gradient of what is inside.
        x, p, drift, stages = map(tf.stop_gradient, (x, p, drift, stages))
        steps = drift, stages, tf.constant(n_stages), kernel, geometry
        end = _forward(x, p, *steps)

        def gradient(x_bar: Tensor, p_bar: Tensor) -> tuple[Tensor, ...]:
            _check_reversible(plan)
            return _backward(*end, x_bar, p_bar, *steps)

        return end, gradient

    padding = [[0, -n_stages % PADDED_STAGES], [0, 0]]
    return evolved(x, p, plan.drift, tf.pad(plan.stages, padding))


@tf.function(jit_compile=True, autograph=False)
def _forward(
    x: Tensor, p: Tensor, drift: Tensor, stages: Tensor, n: Tensor, kernel: Tensor, geometry: Any
) -> tuple[Tensor, Tensor]:
    solver = solver_of(geometry, kernel)

    def step(i: Tensor, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        keep, kick, after = tf.unstack(stages[i])
        p = keep * p + kick * solver.accelerate(x)
        return i + 1, x + after * p, p

    _, x, p = tf.while_loop(lambda i, *_: i < n, step, (tf.constant(0), x + drift * p, p))
    return x, p


@tf.function(jit_compile=True, autograph=False)
def _backward(
    x: Tensor,
    p: Tensor,
    x_bar: Tensor,
    p_bar: Tensor,
    drift: Tensor,
    stages: Tensor,
    n: Tensor,
    kernel: Tensor,
    geometry: Any,
) -> tuple[Tensor, ...]:
    """Undo the steps from the last to the first, and carry the gradient with them."""
    solver = solver_of(geometry, kernel)

    def step(
        i: Tensor, x: Tensor, p: Tensor, x_bar: Tensor, p_bar: Tensor, stages_bar: Tensor
    ) -> tuple[Tensor, ...]:
        keep, kick, after = tf.unstack(stages[i])
        x -= after * p
        after_bar = _dot(x_bar, p)
        p_bar += after * x_bar
        g, pulled = solver.pull_back(x, p_bar)
        p = (p - kick * g) / keep
        row = tf.stack([_dot(p_bar, p), _dot(p_bar, g), after_bar])
        stages_bar = tf.tensor_scatter_nd_update(stages_bar, [[i]], row[None])
        return i - 1, x, p, x_bar + kick * pulled, keep * p_bar, stages_bar

    begin = (n - 1, x, p, x_bar, p_bar, tf.zeros_like(stages))
    _, _, p, x_bar, p_bar, stages_bar = tf.while_loop(lambda i, *_: i >= 0, step, begin)
    return x_bar, p_bar + drift * x_bar, _dot(x_bar, p), stages_bar


def _dot(left: Tensor, right: Tensor) -> Tensor:
    # In float64: a sum of millions of products has no digits left in float32.
    total = tf.reduce_sum(tf.cast(left, tf.float64) * tf.cast(right, tf.float64))
    return tf.cast(total, left.dtype)


def _check_reversible(plan: Schedule) -> None:
    kept = tf.get_static_value(plan.stages[:, 0])
    if kept is not None and np.min(kept) < LEAST_KEPT:
        raise StepsError(
            f"A step keeps {np.min(kept):.3f} of the momentum, and at least {LEAST_KEPT} is needed "
            "to undo it for gradients. Take shorter steps, or the scheme 'fastpm'.",
            float(np.min(kept)),
        )
