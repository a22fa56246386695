"""Measure power spectra of fields, their correlation and their ratio."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..errors import BoxError
from .box import Box
from .fields import as_field, leading
from .fourier import multiplicity, to_modes

__all__ = ["Spectrum", "correlation", "power_spectrum", "transfer_function"]

Tensor = Any


class Spectrum(NamedTuple):
    """Power in shells of wavenumber, one fundamental mode of the longest side wide.

    Attributes
    ----------
    k : ndarray of float64
        Mean wavenumber of each shell's modes [h/Mpc].
    power : tensor
        Mean power [(Mpc/h)^3], shape (..., shell).
    n_modes : ndarray of float64
        Number of modes in each shell, those of the whole transform.
    """

    k: np.ndarray
    power: Tensor
    n_modes: np.ndarray


def power_spectrum(
    field: Tensor, box: Box, other: Tensor | None = None, *, deconvolve: bool = False
) -> Spectrum:
    """Return the power spectrum of a field, or the cross spectrum of two.

    Parameters
    ----------
    field : tensor
        Density, shape (..., nx, ny, nz); its mean does not matter.
    box : Box
        Its grid.
    other : tensor, optional
        Another field, of the same shape.
    deconvolve : bool
        Whether to divide by the window of painting by cloud in cell; right for painted fields.

    Returns
    -------
    Spectrum
        From the fundamental to the Nyquist wavenumber of the coarsest side. Differentiable.

    Raises
    ------
    BoxError
        If a field is not one of the box, or two differ in shape or precision.

    Examples
    --------
    >>> spectrum = power_spectrum(tf.random.stateless_normal([8, 8, 8], [0, 1]), Box(8, 10.0))
    >>> spectrum.n_modes.astype(int).tolist()
    [26, 66, 158]
    """
    field = as_field(field, box)
    modes = partner = to_modes(field)
    if other is not None:
        partner = to_modes(_alike(field, as_field(other, box)))
    power = tf.math.real(modes * tf.math.conj(partner))
    weights = multiplicity(box.shape[-1]) * np.ones_like(box.wavenumber())
    shells, n_shells = _shells(box)
    counts = np.bincount(shells, weights.ravel(), n_shells + 1)[:-1]
    k = np.bincount(shells, (weights * box.wavenumber()).ravel(), n_shells + 1)[:-1] / counts
    if deconvolve:
        weights = weights / _window(box) ** 2
    weighted = power * tf.constant(weights * box.volume / box.n_cells**2, power.dtype)
    columns = tf.reshape(weighted, [-1, weights.size])
    sums = tf.math.unsorted_segment_sum(tf.transpose(columns), shells, n_shells + 1)[:-1]
    means = tf.transpose(sums) / tf.constant(counts, power.dtype)
    return Spectrum(k, tf.reshape(means, [*leading(field, 3), n_shells]), counts)


def correlation(field: Tensor, other: Tensor, box: Box) -> Tensor:
    """Return r(k), the cross spectrum over the root of the product of the two spectra.

    Parameters
    ----------
    field, other : tensor
        Shape (..., nx, ny, nz).
    box : Box
        Their grid.

    Returns
    -------
    tensor
        1 where the fields have the same phases, shape (..., shell).

    Raises
    ------
    BoxError
        If a field is not one of the box, or the two differ in shape or precision.
    """
    field, other = as_field(field, box), as_field(other, box)
    cross = power_spectrum(field, box, other).power
    product = power_spectrum(field, box).power * power_spectrum(other, box).power
    return cross / tf.sqrt(product)


def transfer_function(field: Tensor, reference: Tensor, box: Box) -> Tensor:
    """Return the root of the ratio of two spectra.

    Parameters
    ----------
    field, reference : tensor
        Shape (..., nx, ny, nz).
    box : Box
        Their grid.

    Returns
    -------
    tensor
        1 where the fields have the same power, shape (..., shell).

    Raises
    ------
    BoxError
        If a field is not one of the box, or the two differ in shape or precision.
    """
    field, reference = as_field(field, box), as_field(reference, box)
    power = power_spectrum(field, box).power
    return tf.sqrt(power / power_spectrum(_alike(field, reference), box).power)


def _alike(field: Tensor, other: Tensor) -> Tensor:
    """Return the second of two fields, or raise where they cannot be compared."""
    if other.dtype != field.dtype or not other.shape.is_compatible_with(field.shape):
        raise BoxError(
            f"Two fields are compared, of {field.dtype.name} and shape {tuple(field.shape)} and of "
            f"{other.dtype.name} and shape {tuple(other.shape)}. Give both in one precision and "
            "shape.",
            (tuple(field.shape), tuple(other.shape)),
        )
    return other


def _shells(box: Box) -> tuple[np.ndarray, int]:
    """Give each mode the number of its shell; the last number is for those that have none."""
    fundamental = 2 * np.pi / max(box.size)
    nyquist = min(np.pi / cell for cell in box.cell)
    n_shells = max(int(nyquist / fundamental + 1e-9) - 1, 1)
    shell = np.floor(box.wavenumber() / fundamental - 1 + 1e-9).astype(np.int32)
    return np.where((shell < 0) | (shell >= n_shells), n_shells, shell).ravel(), n_shells


def _window(box: Box) -> np.ndarray:
    """Return the transform of the cloud in cell (Jing 2005, ApJ 620, 559, equation 18)."""
    factors = [
        np.sinc(k * h / (2 * np.pi)) ** 2 for k, h in zip(box.wavenumbers(), box.cell, strict=True)
    ]
    return factors[0] * factors[1] * factors[2]
