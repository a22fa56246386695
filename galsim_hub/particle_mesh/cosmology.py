"""The background: densities, expansion rate and distances.

Matter, curvature and dark energy with w(a) = w0 + wa (1 - a); no radiation, as in the simulations
that this package is compared with. Every parameter may be a float or a TensorFlow scalar, so that
gradients flow to it. Everything here is computed in float64.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import CosmologyError, suggest

__all__ = ["HUBBLE_DISTANCE", "Cosmology", "Planck15", "Planck18"]

HUBBLE_DISTANCE = 2997.92458  # c / H0 [Mpc/h]
LEAST_SCALE_FACTOR = 1e-4  # whose distance is still inverted
LARGEST_HUBBLE = 10.0  # [100 km/s/Mpc]; no universe needs more, H0 in km/s/Mpc is larger
OTHER_NAMES = {
    "Omega_m": " Omega_m is Omega_c + Omega_b: give Omega_c.",
    "H0": " H0 is 100 h: give h.",
}
N_NODES = 64  # of a quadrature: distances are then exact to 1e-10
NODES, WEIGHTS = np.polynomial.legendre.leggauss(N_NODES)

Tensor = Any  # TensorFlow ships no types


@dataclasses.dataclass(frozen=True, eq=False)
class Cosmology:
    """The parameters of a universe, in the order of the constructor.

    Attributes
    ----------
    Omega_c, Omega_b : float or tensor
        Density of cold dark matter and of baryons today, in critical densities.
    h : float or tensor
        Hubble constant [100 km/s/Mpc].
    n_s : float or tensor
        Tilt of the primordial spectrum.
    sigma8 : float or tensor
        RMS of the linear density contrast today in spheres of 8 Mpc/h.
    Omega_k : float or tensor
        Density of curvature; positive for an open universe.
    w0, wa : float or tensor
        Equation of state of dark energy, w0 + wa (1 - a).

    Raises
    ------
    CosmologyError
        If a density or the Hubble constant is not positive, h is H0, or a parameter is no number.

    Examples
    --------
    >>> cosmology = Planck15(Omega_c=0.25)
    >>> round(float(cosmology.expansion(0.5)), 4)
    1.7579
    """

    Omega_c: Tensor
    Omega_b: Tensor
    h: Tensor
    n_s: Tensor
    sigma8: Tensor
    Omega_k: Tensor = 0.0
    w0: Tensor = -1.0
    wa: Tensor = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            tensor = as_float64(getattr(self, field.name))
            object.__setattr__(self, field.name, tensor)
            known = tf.get_static_value(tensor)  # None while a graph is traced
            if known is not None:
                _check_parameter(field.name, known)

    @property
    def Omega_m(self) -> Tensor:  # noqa: N802 - the field's own name
        """Density of matter today."""
        return self.Omega_c + self.Omega_b

    @property
    def Omega_de(self) -> Tensor:  # noqa: N802 - the field's own name
        """Density of dark energy today."""
        return 1.0 - self.Omega_m - self.Omega_k

    def replace(self, **changes: Tensor) -> Cosmology:
        """Return a copy with some parameters changed.

        Parameters
        ----------
        **changes : float or tensor
            New values by name.

        Returns
        -------
        Cosmology

        Raises
        ------
        CosmologyError
            If there is no such parameter.
        """
        _check_names(changes)
        return dataclasses.replace(self, **changes)

    def expansion(self, a: Tensor) -> Tensor:
        """Return the expansion rate E = H / H0.

        Parameters
        ----------
        a : float or tensor
            Scale factor, 1 today.

        Returns
        -------
        tensor of float64
            Source: Linder 2003, PRL 90, 091301, equation 7.
        """
        return tf.sqrt(sum(self._densities(as_float64(a))))

    def expansion_slope(self, a: Tensor) -> Tensor:
        """Return d ln E / d ln a.

        Parameters
        ----------
        a : float or tensor
            Scale factor.

        Returns
        -------
        tensor of float64
        """
        a = as_float64(a)
        matter, curvature, dark = self._densities(a)
        w = self.w0 + self.wa * (1.0 - a)
        slope = -3.0 * matter - 2.0 * curvature - 3.0 * (1.0 + w) * dark
        return 0.5 * slope / (matter + curvature + dark)

    def matter_density(self, a: Tensor) -> Tensor:
        """Return the density of matter at a time, in that time's critical densities.

        Parameters
        ----------
        a : float or tensor
            Scale factor.

        Returns
        -------
        tensor of float64
        """
        densities = self._densities(as_float64(a))
        return densities[0] / sum(densities)

    def _densities(self, a: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        power = -3.0 * (1.0 + self.w0 + self.wa)
        dark = self.Omega_de * a**power * tf.exp(3.0 * self.wa * (a - 1.0))
        return self.Omega_m * a**-3.0, self.Omega_k * a**-2.0, dark

    def comoving_distance(self, a: Tensor) -> Tensor:
        """Return the comoving distance along the line of sight [Mpc/h].

        Parameters
        ----------
        a : float or tensor
            Scale factor of the source, above 0.

        Returns
        -------
        tensor of float64
            Source: Hogg 1999, arXiv:astro-ph/9905116, equation 15.
        """
        start = tf.sqrt(as_float64(a))[..., None]
        half = 0.5 * (1.0 - start)
        # In the root of a the integrand is almost flat while matter rules.
        root = start + half * (1.0 + NODES)
        integrand = 2.0 / (root**3 * self.expansion(root**2))
        return HUBBLE_DISTANCE * tf.reduce_sum(half * WEIGHTS * integrand, axis=-1)

    def transverse_distance(self, a: Tensor) -> Tensor:
        """Return the comoving distance across the line of sight [Mpc/h].

        Parameters
        ----------
        a : float or tensor
            Scale factor of the source.

        Returns
        -------
        tensor of float64
            Source: Hogg 1999, arXiv:astro-ph/9905116, equation 16.
        """
        return self.curved(self.comoving_distance(a))

    def curved(self, distance: Tensor) -> Tensor:
        """Turn distances along the line of sight into those across it [Mpc/h].

        Parameters
        ----------
        distance : float or tensor
            Comoving distance [Mpc/h].

        Returns
        -------
        tensor of float64
            The same in a flat universe.
        """
        distance = as_float64(distance)
        square = self.Omega_k * (distance / HUBBLE_DISTANCE) ** 2
        # Near zero the series keeps value and gradient; elsewhere `safe` keeps the roots finite.
        is_small = tf.abs(square) < 1e-6
        safe = tf.where(is_small, tf.ones_like(square), square)
        root = tf.sqrt(tf.abs(safe))
        ratio = tf.where(safe > 0.0, tf.sinh(root), tf.sin(root)) / root
        return distance * tf.where(is_small, 1.0 + square / 6.0, ratio)

    def scale_factor(self, distance: Tensor) -> Tensor:
        """Return the scale factor at a comoving distance, by Newton's method.

        Parameters
        ----------
        distance : float or tensor
            Comoving distance along the line of sight [Mpc/h], from 0 to that of a = 1e-4.

        Returns
        -------
        tensor of float64

        Raises
        ------
        CosmologyError
            If a distance is negative, not a number, or further than that.
        """
        distance = as_float64(distance)
        self._check_distance(tf.get_static_value(distance))
        a = 1.0 / (1.0 + distance / HUBBLE_DISTANCE)
        for _ in range(8):  # 8 doublings of the digits are more than float64 holds
            slope = HUBBLE_DISTANCE / (a**2 * self.expansion(a))
            step = (self.comoving_distance(a) - distance) / slope
            a = tf.maximum(a + step, 0.2 * a)
        return a

    def _check_distance(self, distance: Any) -> None:
        furthest = tf.get_static_value(self.comoving_distance(LEAST_SCALE_FACTOR))
        if distance is None or furthest is None:
            return
        # The distance of today may be rounded to a little less than 0.
        if not np.all((distance >= -1e-9 * furthest) & (distance <= furthest)):
            raise CosmologyError(
                f"Scale factors were asked for at distances from {np.min(distance):.6g} to "
                f"{np.max(distance):.6g} Mpc/h. Give those from 0 to {float(furthest):.6g}, where "
                f"a = {LEAST_SCALE_FACTOR}: little further is the horizon.",
                "distance",
                np.asarray(distance).tolist(),
            )


def as_float64(value: Tensor) -> Tensor:
    """Return a value as a tensor of float64, keeping its gradient.

    Parameters
    ----------
    value : float, array_like or tensor
        Any real number or array.

    Returns
    -------
    tensor of float64
    """
    if isinstance(value, (tf.Tensor, tf.Variable)):
        return tf.cast(value, tf.float64)
    return tf.convert_to_tensor(value, tf.float64)


def Planck15(**changes: Tensor) -> Cosmology:  # noqa: N802 - named as the cosmology is
    """Return the parameters of Planck 2015 (arXiv:1502.01589, table 4, last column).

    Parameters
    ----------
    **changes : float or tensor
        Parameters to replace.

    Returns
    -------
    Cosmology
    """
    _check_names(changes)
    values = {"Omega_c": 0.2589, "Omega_b": 0.0486, "h": 0.6774, "n_s": 0.9667, "sigma8": 0.8159}
    return Cosmology(**{**values, **changes})


def Planck18(**changes: Tensor) -> Cosmology:  # noqa: N802 - named as the cosmology is
    """Return the parameters of Planck 2018 (arXiv:1807.06209, table 2, last column).

    Parameters
    ----------
    **changes : float or tensor
        Parameters to replace.

    Returns
    -------
    Cosmology
    """
    _check_names(changes)
    values = {"Omega_c": 0.2621, "Omega_b": 0.0490, "h": 0.6766, "n_s": 0.9665, "sigma8": 0.8102}
    return Cosmology(**{**values, **changes})


def _check_names(changes: dict[str, Tensor]) -> None:
    known = [field.name for field in dataclasses.fields(Cosmology)]
    for name in changes:
        if name not in known:
            other = OTHER_NAMES.get(name, "")
            raise CosmologyError(
                f"A cosmology has no parameter {name!r}; it has {', '.join(known)}."
                f"{other or suggest(name, known)}",
                name,
                changes[name],
            )


def _check_parameter(name: str, given: NDArray[np.float64]) -> None:
    if np.ndim(given):
        raise CosmologyError(
            f"{name} = {np.asarray(given).tolist()}; a cosmology has one number of each. Make "
            "several cosmologies.",
            name,
            np.asarray(given).tolist(),
        )
    value = float(given)
    if name == "h" and value > LARGEST_HUBBLE:
        raise CosmologyError(
            f"h = {value}; it is the Hubble constant in 100 km/s/Mpc, h = H0 / 100. Give about "
            "0.7.",
            name,
            value,
        )
    is_good = np.isfinite(value) and (
        value > 0 or (value == 0 and name == "Omega_b") or name in ("Omega_k", "w0", "wa", "n_s")
    )
    if not is_good:
        raise CosmologyError(
            f"{name} = {value}; it must be a positive, finite number. Densities are in critical "
            "densities, h in 100 km/s/Mpc.",
            name,
            value,
        )
