"""Lens planes through simulated boxes, and the convergence along the line of sight.

A light cone is a pile of slabs, each cut from the box at the scale factor of its own distance; see
`galsim_hub.particle_mesh.snapshots`. The third axis is the line of sight, and the observer looks
along the first two from the middle of the box; the box repeats where the view is wider.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..arguments import is_count
from ..errors import BoxError, CosmologyError
from .box import Box
from .cosmology import HUBBLE_DISTANCE, Cosmology, as_float64
from .lpt import Particles
from .paint import paint, read

__all__ = ["Plane", "born_convergence", "density_plane", "slab_middles"]

Tensor = Any


class Plane(NamedTuple):
    """The matter of a slab, projected along the line of sight.

    Attributes
    ----------
    contrast : tensor
        Surface density over its mean, minus 1, shape (..., x, y).
    distance : float or tensor
        Comoving distance of the slab's middle [Mpc/h].
    width : float
        Thickness of the slab [Mpc/h].
    size : tuple of 2 float
        Sides of the plane [Mpc/h].
    """

    contrast: Tensor
    distance: Tensor
    width: float
    size: tuple[float, float]


def density_plane(
    particles: Particles,
    box: Box,
    *,
    depth: float,
    width: float,
    distance: float | Tensor,
    resolution: int,
) -> Plane:
    """Project the particles of a slab onto a plane.

    Parameters
    ----------
    particles : Particles
        At the scale factor of the slab.
    box : Box
        Their box.
    depth : float
        Middle of the slab along the third axis of the box [Mpc/h]; the slab may wrap around.
    width : float
        Thickness, up to the box's side [Mpc/h].
    distance : float or tensor
        Comoving distance of the slab's middle from the observer [Mpc/h].
    resolution : int
        Pixels along each side.

    Returns
    -------
    Plane
        Differentiable in the two directions across the line of sight.

    Raises
    ------
    BoxError
        If the slab is thicker than the box, has no thickness or lies nowhere; if there is no pixel.
    """
    check_pixels(resolution)
    if not math.isfinite(depth):
        raise BoxError(
            f"The middle of a slab is at {depth} Mpc/h. Give a place along the third axis.", depth
        )
    if not 0 < width <= box.size[2]:
        raise BoxError(
            f"A slab of {width} Mpc/h was asked for in a box {box.size[2]} Mpc/h deep. Cut several "
            "thinner slabs.",
            width,
        )
    x = particles.positions(box)
    batch = x.shape[:-2].as_list()
    x = tf.reshape(x, [-1, box.n_cells, 3])
    inside = _inside(x[..., 2], depth, width, box.size[2])
    across = tf.stack([x[..., i] * (resolution / box.size[i]) for i in range(2)], axis=1)
    mean = box.n_cells * (width / box.size[2]) / resolution**2
    surface = paint(across, inside, (resolution, resolution)) / mean
    contrast = tf.reshape(surface - 1.0, [*batch, resolution, resolution])
    return Plane(contrast, distance, width, box.size[:2])


def _inside(z: Tensor, depth: float, width: float, side: float) -> Tensor:
    """Give 1 to the particles of a slab and 0 to others, by their places from 0 to a side.

    Slabs that tile the box share their edges to the bit, so that each particle is in one of them.
    """
    first, last = (
        # To a part in 2**40: edges that two slabs find apart by rounding become one.
        (round((depth + share * width) / side * 2**40) % 2**40) * (side / 2**40)
        for share in (-0.5, 0.5)
    )
    begun, goes_on = z >= first, z < last
    # A slab whose end is not after its beginning wraps around, or fills the box.
    is_inside = begun & goes_on if first < last else begun | goes_on
    # A particle that is nowhere would be in no slab, and be missed by nobody.
    nowhere = tf.constant(math.nan, z.dtype)
    return tf.where(tf.math.is_nan(z), nowhere, tf.cast(is_inside, z.dtype))


def born_convergence(
    planes: Sequence[Plane],
    cosmology: Cosmology,
    *,
    source: float,
    field: float,
    n_pixels: int,
) -> Tensor:
    """Add up the convergence of lens planes along straight lines of sight.

    Parameters
    ----------
    planes : sequence of Plane
        Slabs that fill the line of sight up to the source; those behind it do not count.
    cosmology : Cosmology
        Gives scale factors and the strength of the lenses.
    source : float
        Scale factor of the sources.
    field : float
        Side of the square map [deg].
    n_pixels : int
        Pixels along a side.

    Returns
    -------
    tensor
        Convergence, shape (..., n_pixels, n_pixels).

    Raises
    ------
    BoxError
        If there is no plane or no pixel, a plane is not in front of the observer, or the map's side
        is not from 0 to 180 deg.
    CosmologyError
        If the source is not in the past, or a plane is beyond the horizon.

    Source: Jain, Seljak and White 2000, ApJ 530, 547, equation 7, with the sum over slabs.
    """
    if not planes:
        raise BoxError("The convergence of no plane was asked for. Give at least one.", 0)
    check_pixels(n_pixels)
    if not 0 < field <= 180:
        raise BoxError(
            f"A map of {field} deg a side was asked for. Give a side above 0, up to 180 deg.", field
        )
    if not 0 < source < 1:
        raise CosmologyError(
            f"Sources at scale factor {source} are not in the past. Give one between 0 and 1.",
            "a",
            source,
        )
    behind = cosmology.comoving_distance(source)
    angle = np.deg2rad(field) * ((np.arange(n_pixels) + 0.5) / n_pixels - 0.5)
    chi = tf.stack([as_float64(plane.distance) for plane in planes])
    known = tf.get_static_value(chi)
    if known is not None and not np.all(np.isfinite(known) & (known >= 0)):
        raise BoxError(
            f"Planes are at the distances {known.tolist()} Mpc/h; those in front of the observer "
            "have finite ones from 0 on. Leave the others out.",
            tuple(known.tolist()),
        )
    width = np.array([plane.width for plane in planes])
    across = cosmology.curved(chi)
    remaining = tf.maximum(cosmology.curved(behind - chi), 0.0) / cosmology.curved(behind)
    strength = 1.5 * cosmology.Omega_m / HUBBLE_DISTANCE**2
    weights = strength * width * across * remaining / cosmology.scale_factor(chi)
    seen = [_look(plane, across[i] * angle) for i, plane in enumerate(planes)]
    return sum(tf.cast(weights[i], map_.dtype) * map_ for i, map_ in enumerate(seen))


def _look(plane: Plane, offsets: Tensor) -> Tensor:
    """Interpolate a plane at offsets from its middle [Mpc/h]."""
    contrast = plane.contrast
    shape = list(contrast.shape[-2:])
    n_pixels = offsets.shape[0]
    grid = tf.meshgrid(offsets, offsets, indexing="ij")
    cells = [
        tf.reshape((side / size + 0.5) * n, [-1])
        for side, size, n in zip(grid, plane.size, shape, strict=True)
    ]
    mesh = tf.reshape(contrast, [-1, *shape])
    positions = tf.cast(tf.stack(cells)[None], mesh.dtype)
    positions = tf.repeat(positions, mesh.shape[0], axis=0)
    return tf.reshape(read(mesh, positions), [*contrast.shape[:-2], n_pixels, n_pixels])


def check_pixels(n_pixels: int) -> None:
    """Raise unless a number of pixels is a whole one above 0.

    Parameters
    ----------
    n_pixels : int
        Pixels along a side.

    Raises
    ------
    BoxError
        If it is not.
    """
    if not is_count(n_pixels):
        raise BoxError(
            f"A map of {n_pixels!r} pixels a side was asked for. Give a whole number above 0.",
            n_pixels,
        )


def slab_middles(first: float, last: float, width: float) -> list[float]:
    """Return the middles of the slabs that fill a line of sight.

    Parameters
    ----------
    first, last : float
        Comoving distances where the first slab begins and the last ends [Mpc/h].
    width : float
        Greatest thickness of a slab [Mpc/h].

    Returns
    -------
    list of float
        Comoving distances [Mpc/h], at equal steps.

    Raises
    ------
    BoxError
        If the line of sight or the slabs have no length.

    Examples
    --------
    >>> slab_middles(0.0, 100.0, 50.0)
    [25.0, 75.0]
    """
    if not (first < last and width > 0):
        raise BoxError(
            f"Slabs of {width} Mpc/h do not fill a line of sight from {first} to {last} Mpc/h. "
            "Give first < last and a positive width.",
            (first, last, width),
        )
    n_slabs = math.ceil((last - first) / width)
    edges = np.linspace(first, last, n_slabs + 1)
    return [float(middle) for middle in 0.5 * (edges[1:] + edges[:-1])]
