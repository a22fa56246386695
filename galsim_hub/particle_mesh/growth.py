"""Growth of structure to second order, from its own differential equations.

With x = ln a the growing modes obey (Bouchet et al. 1995, A&A 296, 575, section 2)::

    D1'' + (2 + E'/E) D1' - 3/2 Omega_m(a) D1 = 0
    D2'' + (2 + E'/E) D2' - 3/2 Omega_m(a) D2 = -3/2 Omega_m(a) D1^2

Both are linear, so D1 = a u and D2 = a^2 v are solved by collocation on Chebyshev points: two dense
solves, without a loop, and with the gradients of every parameter. They are exact to 1e-8 where
matter alone rules at first. Where dark energy has a share then, growth begins a little wrong and
forgets it: of w0 = -0.5, wa = 0.45, a share of 0.13, D1 errs by 4e-5 at a = 0.001 and 2e-7 at 0.01,
D2 by 1e-3 and 1e-4. The worst in the ranges of the module particle_mesh, a share of 0.67 for ever
(w0 + wa = 0), has D1 to 4e-6 and D2 to 6e-3 from a = 0.1 on. Where the share was even larger before
(w0 + wa > 0) matter never ruled, and there is an error.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import CosmologyError
from .cosmology import Cosmology, as_float64

__all__ = ["FIRST_SCALE_FACTOR", "Growth", "check_growth"]

FIRST_SCALE_FACTOR = 1e-4  # where matter alone is assumed to rule
LAST_SCALE_FACTOR = 1.25
LARGEST_SHARE = 0.01  # of dark energy at first that is larger still before
N_POINTS = 64

Tensor = Any


class Growth:
    """Growth factors and rates of one cosmology.

    Each method takes a scale factor, a float or a tensor, and returns a tensor of float64.

    Parameters
    ----------
    cosmology : Cosmology
        Gradients flow to its parameters.

    Raises
    ------
    CosmologyError
        If the universe has not always expanded since matter ruled, or matter never did.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import Cosmology
    >>> einstein_de_sitter = Cosmology(1.0, 0.0, h=0.7, n_s=1.0, sigma8=0.8)
    >>> growth = Growth(einstein_de_sitter)
    >>> print(f"{growth.first(0.5):.6f} {growth.second(0.5) * 28 / 3:.6f}")
    0.500000 -1.000000
    """

    def __init__(self, cosmology: Cosmology) -> None:
        if not isinstance(cosmology, Cosmology):
            raise CosmologyError(
                f"Growth needs a Cosmology, not {cosmology!r:.100}. Give Planck18() or another.",
                "cosmology",
                cosmology,
            )
        self.cosmology = cosmology
        x, derivative = _chebyshev(N_POINTS)
        a = np.exp(x)
        _check_expansion(cosmology, a)
        _check_beginning(cosmology)
        slope, matter = cosmology.expansion_slope(a), 1.5 * cosmology.matter_density(a)
        source = 3.0 + slope - matter
        # At first u' = -source / 3.5, for source grows as a and u'' as u'.
        u = _solve(derivative, 4.0 + slope, source, 0.0 * matter, (1.0, -source[0] / 3.5))
        v = _solve(
            derivative, 6.0 + slope, 8.0 + 2.0 * slope - matter, -matter * u**2, (-3.0 / 7.0, 0.0)
        )
        self._values = tf.stack([u, _times(derivative, u), v, _times(derivative, v)], axis=-1)
        self._norm = 1.0 / self._read(1.0)[..., 0]

    def first(self, a: Tensor) -> Tensor:
        """Return D1, normalised to 1 today."""
        return self._size(a, 1)

    def first_rate(self, a: Tensor) -> Tensor:
        """Return f1 = d ln D1 / d ln a."""
        return self._rate(a, 1)

    def second(self, a: Tensor) -> Tensor:
        """Return D2, negative, -3/7 D1^2 while matter alone rules."""
        return self._size(a, 2)

    def second_rate(self, a: Tensor) -> Tensor:
        """Return f2 = d ln D2 / d ln a."""
        return self._rate(a, 2)

    def momentum(self, a: Tensor) -> Tensor:
        """Return a^2 E f1 D1, the momentum of a Zel'dovich displacement of 1."""
        return self.speed(a) * self.first_rate(a) * self.first(a)

    def speed(self, a: Tensor) -> Tensor:
        """Return a^2 E, the momentum of a displacement that grows by its own size in d ln a."""
        a = as_float64(a)
        return a**2 * self.cosmology.expansion(a)

    def _size(self, a: Tensor, order: int) -> Tensor:
        return (self._norm * as_float64(a)) ** order * self._read(a)[..., 2 * order - 2]

    def _rate(self, a: Tensor, order: int) -> Tensor:
        values = self._read(a)
        return order + values[..., 2 * order - 1] / values[..., 2 * order - 2]

    def _read(self, a: Tensor) -> Tensor:
        """Interpolate u, u', v, v' through the Chebyshev points."""
        a = as_float64(a)
        known = tf.get_static_value(a)
        if known is not None and not _is_covered(known):
            raise CosmologyError(
                f"Growth was asked for at scale factor {known}; it is known from "
                f"{FIRST_SCALE_FACTOR} to {LAST_SCALE_FACTOR}. Stay between these.",
                "a",
                known,
            )
        first, last = np.log([FIRST_SCALE_FACTOR, LAST_SCALE_FACTOR])
        angle = tf.acos(
            tf.clip_by_value(2.0 * (tf.math.log(a) - first) / (last - first) - 1.0, -1, 1)
        )
        basis = tf.cos(angle[..., None] * np.arange(N_POINTS))
        return tf.linalg.matvec(_to_coefficients(N_POINTS) @ self._values, basis, transpose_a=True)


def check_growth(growth: Any) -> None:
    """Raise unless an argument is the growth of a cosmology.

    Parameters
    ----------
    growth : object
        What a function was given.

    Raises
    ------
    CosmologyError
        If it is not.
    """
    if not isinstance(growth, Growth):
        raise CosmologyError(
            f"The growth of a cosmology is needed, not {type(growth).__name__}. Give "
            "Growth(cosmology), made once.",
            "growth",
            growth,
        )


def _check_expansion(cosmology: Cosmology, a: NDArray[np.float64]) -> None:
    rate = tf.get_static_value(cosmology.expansion(a))  # a root: not a number where none is
    if rate is not None and not np.all(rate > 0):
        raise CosmologyError(
            f"With Omega_m = {float(cosmology.Omega_m)} and Omega_k = {float(cosmology.Omega_k)} "
            f"the universe does not expand at a = {a[~(rate > 0)][0]:.3g}: it bounced or turned. "
            "Choose a curvature nearer to 0.",
            "Omega_k",
            float(cosmology.Omega_k),
        )


def _check_beginning(cosmology: Cosmology) -> None:
    known = tf.get_static_value(cosmology.matter_density(FIRST_SCALE_FACTOR))
    if known is None:
        return
    w0, wa = float(cosmology.w0), float(cosmology.wa)
    if w0 + wa > 0 and not 1.0 - known <= LARGEST_SHARE:
        raise CosmologyError(
            f"With w0 = {w0:g} and wa = {wa:g} matter never ruled: it is {float(known):.3g} of all "
            f"density at a = {FIRST_SCALE_FACTOR}, where growth begins, and less before. Choose "
            "w0 + wa below 0.",
            "wa",
            wa,
        )


def _is_covered(a: Any) -> bool:
    return bool(np.all((a >= 0.999 * FIRST_SCALE_FACTOR) & (a <= LAST_SCALE_FACTOR)))


def _times(matrix: NDArray[np.float64], vector: Tensor) -> Tensor:
    return tf.linalg.matvec(tf.constant(matrix), vector)


def _solve(
    derivative: NDArray[np.float64],
    damping: Tensor,
    stiffness: Tensor,
    right: Tensor,
    start: tuple[Tensor, Tensor],
) -> Tensor:
    """Solve y'' + damping y' + stiffness y = right with y and y' given at the first point."""
    operator = (
        derivative @ derivative
        + damping[:, None] * derivative
        + stiffness[:, None] * np.eye(len(derivative))
    )
    # The equation at the two last rows of the tau method gives way to the two conditions.
    rows = tf.concat([np.eye(1, len(derivative)), derivative[:1], operator[2:]], axis=0)
    values = tf.concat([tf.stack([as_float64(value) for value in start]), right[2:]], axis=0)
    return tf.linalg.solve(rows, values[:, None])[:, 0]


def _chebyshev(n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points in ln a, ascending, and the matrix of d / d ln a on them.

    Source: Trefethen 2000, Spectral Methods in MATLAB, theorem 7.
    """
    points = -np.cos(np.pi * np.arange(n) / (n - 1))
    weights = np.where(np.isin(np.arange(n), (0, n - 1)), 2.0, 1.0) * (-1.0) ** np.arange(n)
    difference = points[:, None] - points[None, :] + np.eye(n)
    matrix = np.outer(weights, 1.0 / weights) / difference
    matrix -= np.diag(matrix.sum(axis=1))
    first, last = np.log([FIRST_SCALE_FACTOR, LAST_SCALE_FACTOR])
    return first + 0.5 * (last - first) * (1.0 + points), matrix * 2.0 / (last - first)


def _to_coefficients(n: int) -> NDArray[np.float64]:
    """Return the matrix from values at the points to coefficients of Chebyshev polynomials."""
    angles = np.pi * (1.0 - np.arange(n) / (n - 1))
    return np.linalg.inv(np.cos(np.outer(angles, np.arange(n))))
