"""A light cone, particle by particle: each is seen where it crosses the past light cone.

Within a step a particle's path is straight, and so is the light's: where the two meet is where the
particle is seen. Slabs of snapshots are seen at one time each instead; see
`galsim_hub.particle_mesh.density_plane`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ..errors import BoxError, StepsError
from .box import Box
from .gravity import grid_points, mesh_positions
from .growth import Growth, check_growth
from .lpt import Particles
from .nbody import evolve
from .paint import from_origin, paint
from .planes import Plane, check_pixels

__all__ = ["light_cone"]

Tensor = Any


def light_cone(
    particles: Particles,
    box: Box,
    growth: Growth,
    stages: Any,
    edges: Sequence[float],
    *,
    n_pixels: int,
    resolution: int = 1,
    scheme: str = "fastpm",
) -> tuple[list[Plane], Particles]:
    """Evolve particles, and paint them onto planes as they cross the light cone.

    The observer is far away along the third axis, so that the light cone is flat; the box repeats
    along it. Distance 0 is the box's face.

    Parameters
    ----------
    particles : Particles
        At the first scale factor.
    box : Box
        Their box.
    growth : Growth
        Of the cosmology; light comes from as far as its comoving distance.
    stages : sequence of float
        Ascending scale factors, numbers to which no gradient flows. The first has to be before
        light leaves the last edge, the last after it leaves the first.
    edges : sequence of float
        Ascending comoving distances between slabs [Mpc/h].
    n_pixels : int
        Pixels of a plane along each side of the box.
    resolution : int
        Force mesh cells along a particle cell.
    scheme : str
        ``"fastpm"`` or ``"bullfrog"``.

    Returns
    -------
    planes : list of Plane
        One a slab, for `born_convergence`. Differentiable in the two directions across the line of
        sight, not in when the light crosses a particle; so a gradient by the cosmology lacks what
        the distances add. A gradient keeps the particles of every step.
    particles : Particles
        At the last scale factor.

    Raises
    ------
    BoxError
        If the edges do not ascend, or there is no pixel.
    StepsError
        If the steps do not cover the slabs.
    """
    check_pixels(n_pixels)
    check_growth(growth)
    far = np.asarray(edges, np.float64)
    if far.ndim != 1 or len(far) < 2 or not np.all(np.diff(far) > 0) or far[0] < 0:
        raise BoxError(
            f"The distances {far.tolist()} do not divide a line of sight into slabs. Give two or "
            "more, ascending from 0 or above.",
            tuple(np.atleast_1d(far).tolist()),
        )
    light = growth.cosmology.comoving_distance(tf.constant(np.asarray(stages, np.float64)))
    if light[0] < far[-1] or light[-1] > far[0]:
        raise StepsError(
            f"Light leaves {float(light[0]):.6g} to {float(light[-1]):.6g} Mpc/h during the steps, "
            f"and the slabs are at {far[0]:.6g} to {far[-1]:.6g}. Begin earlier or end later.",
            tuple(np.asarray(stages, np.float64).tolist()),
        )
    surfaces: list[Tensor] = [0.0] * (len(far) - 1)
    for i in range(len(stages) - 1):
        before = particles.displacement
        step = stages[i : i + 2]
        particles = evolve(particles, box, growth, step, resolution=resolution, scheme=scheme)
        for across, depth, weights in _cross(
            before, particles.displacement, box, float(light[i]), float(light[i + 1])
        ):
            cells = (
                across * tf.constant([n_pixels / n for n in box.shape[:2]], across.dtype)[:, None]
            )
            for j, (near, end) in enumerate(itertools.pairwise(far)):
                if near < light[i] and end > light[i + 1]:
                    inside = weights * tf.cast((depth >= near) & (depth < end), weights.dtype)
                    surfaces[j] += paint(cells, inside, (n_pixels, n_pixels))
    batch = particles.displacement.shape[:-4].as_list()
    return [
        _plane(surface, near, end, box, batch)
        for surface, (near, end) in zip(surfaces, itertools.pairwise(far), strict=True)
    ], particles


def _cross(
    before: Tensor, after: Tensor, box: Box, first: float, last: float
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Find where straight paths meet light that goes from a distance to a nearer one.

    Yields, for each copy of the box along the line of sight: positions across it in cells, the
    distance of the meeting [Mpc/h], and 1 for the particles that met.
    """
    origins = grid_points(box, box, before.dtype)
    starts, ends = (
        tf.stack([from_origin(x[:, i], i, origins) for i in range(3)], axis=1)
        for x in (mesh_positions(tf.reshape(x, [-1, 3, *box.shape]), box) for x in (before, after))
    )
    length = box.size[2]
    path = (ends[:, 2] - starts[:, 2]) * box.cell[2]
    inside = tf.math.floormod(starts[:, 2] * box.cell[2], length)
    nowhere = tf.constant(math.nan, before.dtype)
    # A path may begin in the box's copy before or behind those that the light passes.
    for copy in range(math.floor(last / length) - 1, math.floor(first / length) + 2):
        start = inside + copy * length
        gap, gap_after = first - start, last - start - path
        has_met = (gap > 0) & (gap_after <= 0)
        share = gap / tf.where(has_met, gap - gap_after, tf.ones_like(gap))
        across = starts[:, :2] + share[:, None] * (ends - starts)[:, :2]
        # A particle that is nowhere would meet no light, and be missed by nobody.
        is_nowhere = tf.math.is_nan(gap + gap_after)
        met = tf.where(is_nowhere, nowhere, tf.cast(has_met, start.dtype))
        yield across, first + share * (last - first), met


def _plane(surface: Tensor, near: float, end: float, box: Box, batch: list[Any]) -> Plane:
    n_pixels = surface.shape[-1]
    mean = box.n_cells * (end - near) / box.size[2] / n_pixels**2
    contrast = tf.reshape(surface / mean - 1.0, [*batch, n_pixels, n_pixels])
    return Plane(contrast, 0.5 * (near + end), end - near, box.size[:2])
