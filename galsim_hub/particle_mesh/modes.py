"""Linear density modes from a seed, the same at every resolution.

The random number of a mode is a hash of the seed and of the mode's own whole-number wavevector. So
a finer grid of the same box has the same large scales, and no generator's state matters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import BoxError, PowerSpectrumError, SeedError
from ..latents import check_seed
from .box import Box
from .cosmology import as_float64
from .fourier import to_field
from .power import PowerFunction

__all__ = ["linear_field", "linear_modes", "white_modes"]

ADVICE = "Fields take one, or a sequence of them for a batch."
MOST_CELLS = 2**20  # along a side: 3 x 20 bits make a mode's key

Tensor = Any


def white_modes(box: Box, seed: int) -> NDArray[np.complex128]:
    """Draw a complex Gaussian number of unit variance for each mode.

    Parameters
    ----------
    box : Box
        Gives the modes; a box of the same proportions with more cells has the same ones and more.
    seed : int
        From 0 to 2**64 - 1.

    Returns
    -------
    ndarray of complex128
        Shape (nx, ny, nz / 2 + 1), with the symmetry of the transform of a real field. The mode at
        0 is 0.

    Raises
    ------
    SeedError
        If the seed is not a whole number in that range.
    BoxError
        If a side has more than 2**20 cells.
    """
    if max(box.shape) > MOST_CELLS:
        raise BoxError(
            f"{box.shape} cells are more than the 2**20 a side that modes can be numbered for. "
            "Choose fewer.",
            box.shape,
        )
    mine, partner = _keys(box)
    # A mode and its partner at -k are one number and its conjugate: the larger key owns it.
    first, second = _normals(np.maximum(mine, partner), np.uint64(check_seed(seed, ADVICE)))
    modes = np.where(
        mine == partner,
        first,
        (first + 1j * np.where(mine > partner, second, -second)) / np.sqrt(2),
    )
    return np.where(box.wavenumber() == 0, 0.0, modes)


def linear_modes(box: Box, power: PowerFunction, white: Tensor) -> Tensor:
    """Give white modes the power of a spectrum.

    Parameters
    ----------
    box : Box
        Its grid.
    power : function
        Power today [(Mpc/h)^3] of wavenumbers [h/Mpc]; gradients flow through it.
    white : array_like or tensor of complex
        Modes of unit variance, such as `white_modes`, shape (..., nx, ny, nz / 2 + 1).

    Returns
    -------
    tensor of complex128
        Transform of the linear density contrast today, in the convention of numpy's `rfftn`.

    Raises
    ------
    PowerSpectrumError
        If the power is negative or not finite at a wavenumber of the grid.
    BoxError
        If the modes are not those of the box.
    """
    white = tf.cast(white, tf.complex128)
    k = box.wavenumber()
    if tuple(white.shape[-3:]) != k.shape:
        raise BoxError(
            f"White modes have the shape {tuple(white.shape)}; this box has modes of shape (..., "
            f"{', '.join(map(str, k.shape))}). Give those of `white_modes(box, seed)`.",
            tuple(white.shape),
        )
    safe = np.where(k == 0, 2 * np.pi / box.size[2], k)  # the mean's mode is made 0 below
    values = as_float64(power(tf.constant(safe)))
    _check_power(tf.get_static_value(values), safe)
    amplitude = tf.sqrt(values / box.volume) * box.n_cells
    amplitude *= np.where(k == 0, 0.0, 1.0)
    # Not a cast, whose gradient warns of the imaginary part that it drops.
    return tf.complex(amplitude, tf.zeros_like(amplitude)) * white


def linear_field(
    box: Box,
    power: PowerFunction,
    seed: int | Sequence[int] | NDArray[np.integer] = 0,
    *,
    dtype: Any = tf.float32,
) -> Tensor:
    """Draw the linear density contrast today on the grid.

    Parameters
    ----------
    box : Box
        Its grid.
    power : function
        Power today [(Mpc/h)^3] of wavenumbers [h/Mpc], such as `EisensteinHu`.
    seed : int or sequence of int
        One seed a field.
    dtype : dtype
        float32 or float64.

    Returns
    -------
    tensor
        Shape (nx, ny, nz), or (n, nx, ny, nz) for a sequence of n seeds.

    Raises
    ------
    SeedError
        If a seed is no whole number from 0 to 2**64 - 1, or there is none.
    PowerSpectrumError
        If the power is negative or not finite at a wavenumber of the grid.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import Box, EisensteinHu, Planck15
    >>> linear_field(Box(16, 100.0), EisensteinHu(Planck15()), seed=[1, 2]).shape
    TensorShape([2, 16, 16, 16])
    """
    is_one = np.ndim(seed) == 0
    seeds: list[Any] = [seed] if is_one else list(seed)  # type: ignore[arg-type]  # a sequence
    if not seeds:
        raise SeedError("A field was asked for of no seed. Give one or more.", seed)
    white = np.stack([white_modes(box, one) for one in seeds])
    field = tf.cast(to_field(linear_modes(box, power, white), box.shape), dtype)
    return field[0] if is_one else field


def _check_power(values: Any, k: NDArray[np.float64]) -> None:
    if values is not None and not np.all(np.isfinite(values) & (values >= 0)):
        first, last = float(k.min()), float(k.max())
        raise PowerSpectrumError(
            f"The power spectrum is negative or not finite somewhere from {first:.3g} to "
            f"{last:.3g} h/Mpc, the wavenumbers of this grid. Give a function of k in h/Mpc that "
            "is known there.",
            first,
            last,
        )


def _keys(box: Box) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Give wavevectors and their negatives numbers that do not depend on the grid's size."""
    mine, partner = (np.zeros([1, 1, 1], np.uint64) for _ in range(2))
    for i, (n, axis) in enumerate(zip(box.shape, box.mode_numbers(), strict=True)):
        negative = np.where(axis == -(n // 2), axis, -axis)  # the Nyquist mode is its own
        # The last axis has the top bits, so that the half of the modes that is kept owns them.
        shift = np.uint64(20 * i)
        mine = mine | ((axis + MOST_CELLS // 2).astype(np.uint64) << shift)
        partner = partner | ((negative + MOST_CELLS // 2).astype(np.uint64) << shift)
    return mine, partner


def _normals(
    keys: NDArray[np.uint64], seed: np.uint64
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return two independent normal numbers a key, by Box and Muller's method."""
    with np.errstate(over="ignore"):  # arithmetic modulo 2**64 is what is meant
        state = _mix(_mix(np.atleast_1d(seed) + np.uint64(1)) ^ _mix(keys))
        bits = _mix(state), _mix(state + np.uint64(0x9E3779B97F4A7C15))
    first, second = ((b >> np.uint64(11)).astype(np.float64) * 2.0**-53 for b in bits)
    radius = np.sqrt(-2.0 * np.log1p(-first))
    return radius * np.cos(2 * np.pi * second), radius * np.sin(2 * np.pi * second)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64-bit numbers one to one.

    Source: Steele, Lea and Flood 2014, OOPSLA, "Fast splittable pseudorandom number generators".
    """
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
