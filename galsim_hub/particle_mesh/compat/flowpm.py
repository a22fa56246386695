"""The calls of FlowPM, on this package's physics.

A script that says ``import flowpm`` may say ``from galsim_hub.particle_mesh.compat import flowpm``,
and finds ``flowpm.cosmology.Planck15`` and ``flowpm.tfpower.linear_matter_power`` there too.
As there, lengths are in cells, a state is one tensor (3, batch, particle, 3) of positions, momenta
and forces, and fields are (batch, x, y, z). Calls that take a cosmology first, as in FlowPM's
repository, and those of its release 0.1.1 both work. The growth is this package's: displacements
of second order are about 1% larger than FlowPM's, whose D2 is that of a universe of matter alone.
"""

from __future__ import annotations

import functools
import numbers
import types
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import BoxError, CosmologyError, StepsError
from ..box import Box
from ..cosmology import Cosmology, Planck15
from ..gravity import acceleration
from ..growth import Growth
from ..lpt import Particles, start
from ..modes import linear_field as _linear_field
from ..nbody import evolve, snapshots
from ..paint import paint, read
from ..power import EisensteinHu
from ..spectrum import power_spectrum as _power_spectrum

__all__ = [
    "Planck15",
    "cic_paint",
    "cic_readout",
    "cosmology",
    "linear_field",
    "linear_matter_power",
    "lpt_init",
    "nbody",
    "power_spectrum",
    "tfpower",
]

Tensor = Any


def linear_field(
    nc: int | Sequence[int],
    boxsize: float | Sequence[float],
    pk: Callable[[Any], Any],
    kvec: Any = None,
    batch_size: int = 1,
    seed: int | None = None,
    dtype: Any = tf.float32,
    name: str = "",
) -> Tensor:
    """Draw linear density fields.

    Parameters
    ----------
    nc : int or sequence of int
        Cells along each side.
    boxsize : float or sequence of float
        Sides [Mpc/h].
    pk : function
        Power [(Mpc/h)^3] of an array of wavenumbers [h/Mpc].
    kvec : object
        Has no effect.
    batch_size : int
        Number of fields.
    seed : int, optional
        Of the first field; those after it have the next whole numbers. A new one by default.
    dtype : dtype
        float32 or float64.
    name : str
        Has no effect.

    Returns
    -------
    tensor
        Shape (batch_size, nx, ny, nz).
    """
    first = int(np.random.default_rng().integers(2**32)) if seed is None else seed
    seeds = [first + i for i in range(batch_size)]

    def power(k: Tensor) -> Tensor:
        flat = tf.reshape(k, [-1])  # interpolators of one dimension are common
        known = tf.get_static_value(flat)
        found = tf.convert_to_tensor(pk(flat if known is None else known))
        # FlowPM multiplies it by complex modes, so its users cast it to complex numbers.
        found = tf.math.real(found) if found.dtype.is_complex else found
        return tf.reshape(found, tf.shape(k))

    return _linear_field(Box(nc, boxsize), power, seeds, dtype=dtype)


def _cosmology_may_come_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """Take a cosmology as the first argument, too; in the release's order it is the fourth."""

    @functools.wraps(function)
    def call(*args: Any, cosmo: Cosmology | None = None, **named: Any) -> Any:
        if args and isinstance(args[0], Cosmology | dict):
            cosmo, args = _cosmology(args[0]), args[1:]
        if cosmo is not None and len(args) > 3:
            args = (*args[:3], cosmo, *args[3:])
        elif cosmo is not None:
            named = {"cosmology": cosmo} | named
        return function(*args, **named)

    return call


@_cosmology_may_come_first
def lpt_init(
    linear: Tensor,
    a: float | Tensor | None = None,
    order: int = 2,
    cosmology: Cosmology | None = None,
    kvec: Any = None,
    name: str = "",
    *,
    a0: float | Tensor | None = None,
) -> Tensor:
    """Move particles from the grid to where perturbation theory puts them.

    ``lpt_init(cosmo, linear, a, order)`` does the same.

    Parameters
    ----------
    linear : tensor
        Linear density contrast today, shape (batch, nx, ny, nz).
    a : float or tensor
        Scale factor.
    order : int
        1 or 2.
    cosmology : Cosmology, optional
        Planck 2015 by default.
    kvec, name : object
        Have no effect.
    a0 : float or tensor, optional
        Another name of `a`.

    Returns
    -------
    tensor
        Shape (3, batch, particle, 3): positions, momenta and forces [cell].
    """
    cosmo = _cosmology(cosmology)
    linear = tf.convert_to_tensor(linear)
    _check_axes(linear, "A field", "batch", "x", "y", "z")
    box = _cells(linear.shape[1:])
    scale_factor = a if a0 is None else a0
    if scale_factor is None:
        raise StepsError("lpt_init needs a, the scale factor to start at. Give it.", None)
    growth = Growth(cosmo)
    particles = start(linear, box, growth, scale_factor, order=order, gradient="four_point")
    return _state(particles, box, cosmo)


@_cosmology_may_come_first
def nbody(
    state: Tensor,
    stages: Any,
    nc: int | Sequence[int] | None = None,
    cosmology: Cosmology | None = None,
    pm_nc_factor: int = 1,
    return_intermediate_states: bool = False,  # noqa: FBT001, FBT002 - FlowPM's signature
    name: str = "",
) -> Any:
    """Evolve a state with FastPM steps.

    ``nbody(cosmo, state, stages, nc, pm_nc_factor)`` does the same.

    Parameters
    ----------
    state : tensor
        Shape (3, batch, particle, 3), at the first scale factor.
    stages : sequence of float
        Ascending scale factors.
    nc : int or sequence of int
        Cells along each side.
    cosmology : Cosmology, optional
        Planck 2015 by default.
    pm_nc_factor : int
        Force mesh cells along a particle cell.
    return_intermediate_states : bool
        Whether to return the state after each step.
    name : str
        Has no effect.

    Returns
    -------
    tensor or list of (float, tensor)
        The last state, or the scale factor and state after each step.
    """
    cosmo = _cosmology(cosmology)
    if nc is None:
        raise BoxError("nbody needs nc, the cells along a side. Give it after the stages.", nc)
    if len(stages) < 2:
        return state
    sides: Any = [nc] * 3 if isinstance(nc, numbers.Real) else nc
    box = _cells(sides)
    growth, particles = Growth(cosmo), _particles(state, box)
    if return_intermediate_states:
        steps = snapshots(particles, box, growth, stages, stages[1:], resolution=pm_nc_factor)
        return [(a, _state(found, box, cosmo, pm_nc_factor)) for a, found in steps]
    end = evolve(particles, box, growth, stages, resolution=pm_nc_factor)
    return _state(end, box, cosmo, pm_nc_factor)


def cic_paint(
    mesh: Tensor, part: Tensor, weight: Tensor | None = None, name: str = "CiCPaint"
) -> Tensor:
    """Add particles to a mesh.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, nx, ny, nz).
    part : tensor
        Positions [cell], shape (batch, particle, 3), or with more axes of particles.
    weight : tensor, optional
        Shape (batch, particle); 1 by default.
    name : str
        Has no effect.

    Returns
    -------
    tensor
        Shape (batch, nx, ny, nz).
    """
    part = _one_row(part)
    _check_axes(part, "The positions", mesh.shape[0], "particle", 3)
    if weight is None:
        weight = tf.ones_like(part[..., 0])
    weight = tf.reshape(weight, part.shape[:2])
    return mesh + paint(tf.linalg.matrix_transpose(part), weight, tuple(mesh.shape[1:]))


def cic_readout(mesh: Tensor, part: Tensor, name: str = "CiCReadout") -> Tensor:
    """Interpolate a mesh at particles.

    Parameters
    ----------
    mesh : tensor
        Shape (batch, nx, ny, nz).
    part : tensor
        Positions [cell], shape (batch, particle, 3), or with more axes of particles.
    name : str
        Has no effect.

    Returns
    -------
    tensor
        Shape (batch, particle).
    """
    mesh, part = tf.convert_to_tensor(mesh), _one_row(part)
    _check_axes(part, "The positions", mesh.shape[0], "particle", 3)
    return read(mesh, tf.linalg.matrix_transpose(part))


def linear_matter_power(cosmo: Cosmology, k: Any, a: float | Tensor = 1.0) -> Tensor:
    """Return the linear power spectrum of Eisenstein and Hu.

    Parameters
    ----------
    cosmo : Cosmology
        Its parameters.
    k : array_like
        Wavenumbers [h/Mpc].
    a : float or tensor
        Scale factor.

    Returns
    -------
    tensor of float64
        Power [(Mpc/h)^3].
    """
    return EisensteinHu(cosmo)(k) * Growth(cosmo).first(a) ** 2


def power_spectrum(field: Tensor, boxsize: float | Sequence[float]) -> tuple[Any, Tensor]:
    """Measure the power spectra of fields.

    Parameters
    ----------
    field : tensor
        Shape (batch, nx, ny, nz).
    boxsize : float or sequence of float
        Sides [Mpc/h].

    Returns
    -------
    k : ndarray
        Wavenumbers [h/Mpc].
    power : tensor
        Power [(Mpc/h)^3], shape (batch, shell).
    """
    field = tf.convert_to_tensor(field)
    spectrum = _power_spectrum(field, Box(field.shape[1:], boxsize))
    return spectrum.k, spectrum.power


def _cosmology(given: Any) -> Cosmology:
    if given is None:
        return Planck15()
    if not isinstance(given, Cosmology):
        raise CosmologyError(
            f"{given!r:.100} is not a Cosmology. Give galsim_hub.particle_mesh.Planck15() or "
            "another; dicts of FlowPM have other names.",
            "cosmology",
            given,
        )
    return given


def _cells(shape: Sequence[int]) -> Box:
    """Return the box in which a cell is the unit of length."""
    return Box(list(shape), [float(n) for n in shape])


def _particles(state: Tensor, box: Box) -> Particles:
    state = tf.convert_to_tensor(state)
    _check_axes(state, "The state", 3, "batch", box.n_cells, 3)
    x, p = (tf.reshape(tf.linalg.matrix_transpose(state[i]), [-1, 3, *box.shape]) for i in range(2))
    return Particles(x - _corners(box, x.dtype), p)


def _state(particles: Particles, box: Box, cosmo: Cosmology, resolution: int = 1) -> Tensor:
    x, p = particles
    force = acceleration(x, box, resolution=resolution) * tf.cast(1.5 * cosmo.Omega_m, x.dtype)
    rows = [x + _corners(box, x.dtype), p, force]
    flat = [tf.reshape(field, [-1, 3, box.n_cells]) for field in rows]
    return tf.stack([tf.linalg.matrix_transpose(field) for field in flat])


def _one_row(part: Tensor) -> Tensor:
    """Return positions with one axis of particles, as FlowPM flattens them."""
    part = tf.convert_to_tensor(part)
    return part if part.shape.rank < 4 else tf.reshape(part, [part.shape[0], -1, part.shape[-1]])


def _check_axes(tensor: Tensor, name: str, *axes: int | str | None) -> None:
    """Raise unless a tensor has these axes, of the lengths that are numbers."""
    shape = tuple(tensor.shape)
    if len(shape) != len(axes) or any(
        isinstance(axis, int) and n not in (axis, None) for n, axis in zip(shape, axes, strict=True)
    ):
        raise BoxError(
            f"{name} has the shape {shape}, where ({', '.join(map(str, axes))}) is needed. Add the "
            "axis that is missing, or give the cells that it was made with.",
            shape,
        )


def _corners(box: Box, dtype: Any) -> Tensor:
    return tf.constant(np.indices(box.shape), dtype)


# FlowPM's modules, of which scripts use one function each.
cosmology = types.SimpleNamespace(Planck15=Planck15)
tfpower = types.SimpleNamespace(linear_matter_power=linear_matter_power)
