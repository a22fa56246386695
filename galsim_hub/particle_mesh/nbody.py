"""Evolve particles: one compiled loop over the steps, and its exact reverse for gradients.

The steps can be undone: from the last positions and momenta the reverse loop finds those of every
step before, and carries the gradient with them (Li et al. 2022, arXiv:2211.09815). So the gradient
needs the memory of a few steps, however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import StepsError
from .box import Box
from .fields import leading
from .gravity import Solver, solver_of
from .growth import Growth
from .kernels import inverse_laplacian
from .lpt import Particles, check_particles
from .steps import Schedule, schedule

__all__ = ["LEAST_KEPT", "advance", "dot", "evolve", "retreat", "run", "snapshots"]

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
        At the last scale factor. Gradients flow to the particles, to the cosmology and to `stages`;
        they are of first order, by a tape: a gradient has none of its own.

    Raises
    ------
    BoxError
        If the particles are not those of the box.
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
    x, p = check_particles(particles, box)
    mesh = box.refined(resolution)
    plan = schedule(growth, stages, scheme)
    flat = [tf.reshape(field, [-1, 3, *box.shape]) for field in (x, p)]
    plan = Schedule(*(tf.cast(field, x.dtype) for field in plan))
    kernel = tf.constant(inverse_laplacian(mesh), x.dtype)
    geometry = box.shape, box.size, mesh.shape
    n = tf.constant(plan.stages.shape[0])

    def forward(x: Tensor, p: Tensor, drift: Tensor, stages: Tensor) -> tuple[Tensor, Tensor]:
        return _forward(x, p, drift, _pad(stages), n, kernel, geometry)

    def backward(end: Sequence[Tensor], bars: Sequence[Tensor], plan: Schedule) -> Any:
        bars = _backward(*end, *bars, plan.drift, _pad(plan.stages), n, kernel, geometry)
        return *bars[:3], bars[3][: plan.stages.shape[0]]

    x_end, p_end = run(flat[0], flat[1], plan, forward, backward)
    shape = [*leading(x, 4), 3, *box.shape]
    return Particles(tf.reshape(x_end, shape), tf.reshape(p_end, shape))


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
        Ascending scale factors, numbers to which no gradient flows; `evolve` has one.
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
        If the stages do not ascend, or an output is not among those after the one before.
    """
    stages = np.asarray(stages, np.float64)
    schedule(growth, stages, scheme)  # as a whole, before any part of it is run
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


def run(
    x: Tensor,
    p: Tensor,
    plan: Schedule,
    forward: Callable[..., tuple[Tensor, Tensor]],
    backward: Callable[..., tuple[Tensor, ...]],
) -> tuple[Tensor, Tensor]:
    """Run a schedule whose gradient is found by undoing it.

    Parameters
    ----------
    x, p : tensor
        Displacements and momenta at the start [Mpc/h].
    plan : Schedule
        Gradients flow to it.
    forward : function
        Of (x, p, drift, stages): the last displacements and momenta.
    backward : function
        Of (the last displacements and momenta, their gradients, plan): the gradients by what
        `forward` was given.

    Returns
    -------
    x, p : tensor
        At the end.

    Raises
    ------
    StepsError
        When a gradient is asked for, if a step is too long to be undone.
    """

    @tf.custom_gradient
    def evolved(x: Tensor, p: Tensor, drift: Tensor, stages: Tensor) -> tuple[Any, Any]:
        # Stopped, or TensorFlow would look for the gradient of what is inside.
        x, p, drift, stages = map(tf.stop_gradient, (x, p, drift, stages))
        end = forward(x, p, drift, stages)

        def gradient(x_bar: Tensor, p_bar: Tensor) -> tuple[Tensor, ...]:
            _check_reversible(plan)
            return backward(end, (x_bar, p_bar), Schedule(drift, stages))

        return end, gradient

    return evolved(x, p, plan.drift, plan.stages)


def advance(solver: Solver, row: Tensor, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor]:
    """Kick and drift.

    Parameters
    ----------
    solver : Solver
        Of the force.
    row : tensor
        keep, kick and drift of a stage of a `Schedule`.
    x, p : tensor
        Displacements and momenta [Mpc/h], shape (batch, 3, nx, ny, nz).

    Returns
    -------
    x, p : tensor
        After the stage.
    """
    keep, kick, drift = tf.unstack(row)
    p = keep * p + kick * solver.accelerate(x)
    return x + drift * p, p


def retreat(
    solver: Solver, row: Tensor, x: Tensor, p: Tensor, x_bar: Tensor, p_bar: Tensor
) -> tuple[Tensor, ...]:
    """Undo a kick and a drift, and carry the gradient with them.

    Parameters
    ----------
    solver : Solver
        Of the force.
    row : tensor
        keep, kick and drift of a stage of a `Schedule`.
    x, p : tensor
        Displacements and momenta after the stage [Mpc/h], shape (batch, 3, nx, ny, nz).
    x_bar, p_bar : tensor
        Gradients by them.

    Returns
    -------
    x, p, x_bar, p_bar : tensor
        Before the stage.
    row_bar : tensor
        Gradient by `row`.
    """
    keep, kick, drift = tf.unstack(row)
    x -= drift * p
    drift_bar = dot(x_bar, p)
    p_bar += drift * x_bar
    g, pulled = solver.pull_back(x, p_bar)
    p = (p - kick * g) / keep
    row_bar = tf.stack([dot(p_bar, p), dot(p_bar, g), drift_bar])
    return x, p, x_bar + kick * pulled, keep * p_bar, row_bar


def _pad(stages: Tensor) -> Tensor:
    return tf.pad(stages, [[0, -stages.shape[0] % PADDED_STAGES], [0, 0]])


@tf.function(jit_compile=True, autograph=False)
def _forward(
    x: Tensor, p: Tensor, drift: Tensor, stages: Tensor, n: Tensor, kernel: Tensor, geometry: Any
) -> tuple[Tensor, Tensor]:
    solver = solver_of(geometry, kernel)

    def step(i: Tensor, x: Tensor, p: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return i + 1, *advance(solver, stages[i], x, p)

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
        *state, row_bar = retreat(solver, stages[i], x, p, x_bar, p_bar)
        return i - 1, *state, tf.tensor_scatter_nd_update(stages_bar, [[i]], row_bar[None])

    begin = (n - 1, x, p, x_bar, p_bar, tf.zeros_like(stages))
    _, _, p, x_bar, p_bar, stages_bar = tf.while_loop(lambda i, *_: i >= 0, step, begin)
    return x_bar, p_bar + drift * x_bar, dot(x_bar, p), stages_bar


def dot(left: Tensor, right: Tensor) -> Tensor:
    """Return the sum of the products of the elements of two tensors.

    Parameters
    ----------
    left, right : tensor
        Of one shape.

    Returns
    -------
    tensor
        Scalar, in their precision.
    """
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
