"""Linear power spectra: the formula of Eisenstein and Hu, or any table.

A power spectrum is a function from wavenumbers [h/Mpc] to power [(Mpc/h)^3] today; a plain Python
function of tensors will do. Everything here is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ..errors import CosmologyError, PowerSpectrumError
from .cosmology import Cosmology, as_float64

__all__ = ["EisensteinHu", "PowerFunction", "TabulatedPower", "sigma"]

T_CMB = 2.7255  # [K]
N_SIGMA_POINTS = 2048  # of the integral over ln k: enough for 1e-7
NEGLIGIBLE = 1e-3  # of a variance, what a table may lack: sigma is then right to 5e-4

Tensor = Any
PowerFunction = Callable[[Tensor], Tensor]


class EisensteinHu:
    """The linear power spectrum of a cosmology, by the fit with baryon oscillations.

    Source: Eisenstein and Hu 1998, ApJ 496, 605.

    Parameters
    ----------
    cosmology : Cosmology
        Gradients flow to its parameters; sigma8 is its own.

    Raises
    ------
    CosmologyError
        If there are no baryons, by whose density the fit divides.

    Examples
    --------
    >>> from galsim_hub.particle_mesh import Planck15
    >>> power = EisensteinHu(Planck15())
    >>> round(float(sigma(power, 8.0)), 4)
    0.8159
    """

    def __init__(self, cosmology: Cosmology) -> None:
        if tf.get_static_value(cosmology.Omega_b) == 0:
            raise CosmologyError(
                "Omega_b = 0, and the fit of Eisenstein and Hu divides by the density of baryons. "
                "Give a few, Omega_b=1e-5, whose oscillations are not seen, or a TabulatedPower.",
                "Omega_b",
                0.0,
            )
        self.cosmology = cosmology
        self._amplitude = (cosmology.sigma8 / sigma(self._shape, 8.0)) ** 2

    def __call__(self, k: Tensor) -> Tensor:
        """Return the power today.

        Parameters
        ----------
        k : tensor
            Wavenumbers, above 0 [h/Mpc].

        Returns
        -------
        tensor of float64
            Power [(Mpc/h)^3].
        """
        return self._amplitude * self._shape(as_float64(k))

    def _shape(self, k: Tensor) -> Tensor:
        return k**self.cosmology.n_s * transfer(self.cosmology, k) ** 2


class TabulatedPower:
    """A power spectrum interpolated in a table, such as CAMB or CLASS write.

    Parameters
    ----------
    k : array_like
        Wavenumbers, ascending, at least 4 [h/Mpc].
    power : array_like or tensor
        Power at each [(Mpc/h)^3]; gradients flow to it.

    Raises
    ------
    PowerSpectrumError
        If the table is too short, not ascending or not positive, and on calls beyond its range.

    Examples
    --------
    >>> power = TabulatedPower([0.01, 0.1, 1.0, 10.0], [1e4, 1e3, 1e2, 1e1])
    >>> print(f"{power(0.5):.1f}")
    200.0
    """

    def __init__(self, k: ArrayLike, power: Tensor) -> None:
        k, power = np.asarray(k, np.float64), as_float64(power)
        self.range = first, last = (
            (float(k.flat[0]), float(k.flat[-1])) if k.size else (math.nan, math.nan)
        )
        known = tf.get_static_value(power)
        if (
            k.ndim != 1
            or len(k) < 4
            or power.shape != k.shape
            or not np.all(np.isfinite(k) & (k > 0))
            or not np.all(np.diff(k) > 0)
            or (known is not None and not np.all(np.isfinite(known) & (known > 0)))
        ):
            raise PowerSpectrumError(
                "A table of power needs 4 or more ascending, positive wavenumbers and as many "
                "positive values. Sort it and drop rows that repeat.",
                first,
                last,
            )
        self._log_k = np.log(k)
        self._log_power = tf.math.log(power)

    def __call__(self, k: Tensor) -> Tensor:
        """Return the power by cubic interpolation of its logarithm in ln k.

        Parameters
        ----------
        k : array_like or tensor
            Wavenumbers inside the table's range [h/Mpc].

        Returns
        -------
        tensor of float64
            Power [(Mpc/h)^3].

        Raises
        ------
        PowerSpectrumError
            If a wavenumber lies outside the table.
        """
        k = as_float64(k)
        self._check_covers(tf.get_static_value(k))
        x, nodes = tf.math.log(k), self._log_k
        flat = tf.reshape(x, [-1])
        i = tf.clip_by_value(tf.searchsorted(nodes, flat, side="right") - 1, 0, len(nodes) - 2)
        width = tf.gather(np.diff(nodes), i)
        t = (flat - tf.gather(nodes, i)) / width
        slope = self._slopes()
        y0, y1 = tf.gather(self._log_power, i), tf.gather(self._log_power, i + 1)
        m0, m1 = width * tf.gather(slope, i), width * tf.gather(slope, i + 1)
        cubic = (
            y0
            + t * m0
            + t**2 * (3.0 * (y1 - y0) - 2.0 * m0 - m1)
            + t**3 * (2.0 * (y0 - y1) + m0 + m1)
        )
        return tf.exp(tf.reshape(cubic, tf.shape(x)))

    def _slopes(self) -> Tensor:
        """Return the slopes of parabolas through each node and its neighbours."""
        h = np.diff(self._log_k)
        secant = (self._log_power[1:] - self._log_power[:-1]) / h
        inner = (h[1:] * secant[:-1] + h[:-1] * secant[1:]) / (h[1:] + h[:-1])
        return tf.concat(
            [2.0 * secant[:1] - inner[:1], inner, 2.0 * secant[-1:] - inner[-1:]], axis=0
        )

    def _check_covers(self, k: Any) -> None:
        if k is None or np.size(k) == 0:
            return
        low, high = float(np.min(k)), float(np.max(k))
        first, last = self.range
        if not (low >= first * (1 - 1e-12) and high <= last * (1 + 1e-12)):
            raise PowerSpectrumError(
                f"The table of power goes from {first:.3g} to {last:.3g} h/Mpc, but is asked for "
                f"{low:.3g} to {high:.3g}. Extend the table, or change the box and its cells.",
                first,
                last,
            )


def sigma(power: PowerFunction, radius: float) -> Tensor:
    """Return the RMS density contrast in spheres.

    Parameters
    ----------
    power : function
        Power [(Mpc/h)^3] of wavenumbers [h/Mpc], known from 8e-4 / radius to 8e3 / radius. A
        `TabulatedPower` may end where what is beyond adds less than 1e-3 to the variance.
    radius : float
        Radius of the spheres [Mpc/h].

    Returns
    -------
    tensor of float64

    Raises
    ------
    PowerSpectrumError
        If the radius is not positive, or a table lacks too much.
    """
    if not 0 < float(radius) < math.inf:
        raise PowerSpectrumError(
            f"Spheres of {float(radius)} Mpc/h were asked for. Give a positive radius.", 0.0, 0.0
        )
    log_k = np.linspace(np.log(1e-4), np.log(1e3), N_SIGMA_POINTS) - np.log(radius / 8.0)
    if isinstance(power, TabulatedPower):
        first, last = np.log(power.range)
        if log_k[0] < first or log_k[-1] > last:
            log_k = np.linspace(max(log_k[0], first), min(log_k[-1], last), N_SIGMA_POINTS)
    k = np.exp(log_k)
    x = k * radius
    window = np.where(x < 1e-2, 1 - x**2 / 10, 3 * (np.sin(x) - x * np.cos(x)) / x**3)
    integrand = k**3 * window**2 / (2 * np.pi**2) * power(tf.constant(k))
    step = log_k[1] - log_k[0]
    variance = step * (tf.reduce_sum(integrand) - 0.5 * (integrand[0] + integrand[-1]))
    if isinstance(power, TabulatedPower):
        _check_rest(power, k, radius, tf.get_static_value(variance))
    return tf.sqrt(variance)


def _check_rest(power: TabulatedPower, k: np.ndarray, radius: float, variance: Any) -> None:
    """Raise where what lies beyond the ends of an integral is not negligible."""
    if variance is None:
        return
    low, high = k[[0, -1]] ** 3 * power(k[[0, -1]]).numpy() / (2 * np.pi**2)
    # Bounds, if power rises to the first wavenumber and falls from the last, where the window's
    # square is 4.5 / x^4 on average.
    rest = low / 3 + high * 4.5 / (k[-1] * radius) ** 4
    if not rest <= NEGLIGIBLE * variance:
        first, last = power.range
        raise PowerSpectrumError(
            f"The table of power goes from {first:.3g} to {last:.3g} h/Mpc; what lies beyond may "
            f"be {float(rest / variance):.2g} of the variance in spheres of {float(radius):.4g} "
            f"Mpc/h, and {NEGLIGIBLE} is allowed. Extend the table.",
            first,
            last,
        )


def transfer(cosmology: Cosmology, k: Tensor) -> Tensor:
    """Return the transfer function of matter, 1 on the largest scales.

    Parameters
    ----------
    cosmology : Cosmology
        Dark energy and curvature do not matter.
    k : tensor of float64
        Wavenumbers, above 0 [h/Mpc].

    Returns
    -------
    tensor of float64
        Source: Eisenstein and Hu 1998, ApJ 496, 605, equations 2 to 24.
    """
    k = as_float64(k) * cosmology.h  # [1/Mpc], as in the paper
    matter = cosmology.Omega_m * cosmology.h**2
    baryons = cosmology.Omega_b * cosmology.h**2
    share = baryons / matter
    theta = T_CMB / 2.7
    z_equality = 2.5e4 * matter / theta**4  # (2)
    k_equality = 7.46e-2 * matter / theta**2  # (3)
    z_drag = _drag_redshift(matter, baryons)
    drag_ratio = 31.5e3 * baryons / theta**4 / z_drag  # (5)
    sound = _sound_horizon(k_equality, 31.5e3 * baryons / theta**4 / z_equality, drag_ratio)
    q = k / (13.41 * k_equality)  # (10)
    dark = _cold_dark_matter(k, q, matter, share, sound)
    y = (1.0 + z_equality) / (1.0 + z_drag)
    alpha = 2.07 * k_equality * sound * (1.0 + drag_ratio) ** -0.75 * _g(y)  # (14)
    return share * _baryons(k, q, matter, baryons, alpha, sound) + (1.0 - share) * dark  # (16)


def _drag_redshift(matter: Tensor, baryons: Tensor) -> Tensor:
    b1 = 0.313 * matter**-0.419 * (1.0 + 0.607 * matter**0.674)
    b2 = 0.238 * matter**0.223
    return 1291.0 * matter**0.251 / (1.0 + 0.659 * matter**0.828) * (1.0 + b1 * baryons**b2)  # (4)


def _sound_horizon(k_equality: Tensor, at_equality: Tensor, at_drag: Tensor) -> Tensor:
    root = tf.sqrt(at_equality)
    ratio = (tf.sqrt(1.0 + at_drag) + tf.sqrt(at_drag + at_equality)) / (1.0 + root)
    return 2.0 / (3.0 * k_equality) * math.sqrt(6.0) / root * tf.math.log(ratio)  # (6)


def _cold_dark_matter(k: Tensor, q: Tensor, matter: Tensor, share: Tensor, sound: Tensor) -> Tensor:
    a1 = (46.9 * matter) ** 0.670 * (1.0 + (32.1 * matter) ** -0.532)
    a2 = (12.0 * matter) ** 0.424 * (1.0 + (45.0 * matter) ** -0.582)
    alpha = a1**-share * a2 ** (-(share**3))  # (11)
    b1 = 0.944 / (1.0 + (458.0 * matter) ** -0.708)
    b2 = (0.395 * matter) ** -0.0266
    beta = 1.0 / (1.0 + b1 * ((1.0 - share) ** b2 - 1.0))  # (12)
    mix = 1.0 / (1.0 + (k * sound / 5.4) ** 4)  # (18)
    return mix * _pressureless(q, 1.0, beta) + (1.0 - mix) * _pressureless(q, alpha, beta)  # (17)


def _baryons(
    k: Tensor, q: Tensor, matter: Tensor, baryons: Tensor, alpha: Tensor, sound: Tensor
) -> Tensor:
    share = baryons / matter
    silk = 1.6 * baryons**0.52 * matter**0.73 * (1.0 + (10.4 * matter) ** -0.95)  # (7) [1/Mpc]
    node = 8.41 * matter**0.435  # (23)
    beta = 0.5 + share + (3.0 - 2.0 * share) * tf.sqrt((17.2 * matter) ** 2 + 1.0)  # (24)
    x = k * sound
    shifted = x / (1.0 + (node / x) ** 3) ** (1.0 / 3.0)  # (22)
    return (
        _pressureless(q, 1.0, 1.0) / (1.0 + (x / 5.2) ** 2)
        + alpha / (1.0 + (beta / x) ** 3) * tf.exp(-((k / silk) ** 1.4))
    ) * (tf.sin(shifted) / shifted)  # (21)


def _pressureless(q: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
    c = 14.2 / alpha + 386.0 / (1.0 + 69.9 * q**1.08)  # (20)
    log = tf.math.log(math.e + 1.8 * beta * q)
    return log / (log + c * q**2)  # (19)


def _g(y: Tensor) -> Tensor:
    root = tf.sqrt(1.0 + y)
    return y * (-6.0 * root + (2.0 + 3.0 * y) * tf.math.log((root + 1.0) / (root - 1.0)))  # (15)
