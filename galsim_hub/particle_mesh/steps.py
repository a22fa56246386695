"""Time steps: the coefficients of kick and drift that carry particles between scale factors.

Every scheme here is a drift, and then for each force evaluation a kick and a drift::

    p <- keep p + kick g(x),    x <- x + drift p

so one loop runs them all. FastPM is kick-drift-kick, with the two half kicks at the same positions
made one. BullFrog is drift-kick-drift.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from ..arguments import is_count
from ..errors import StepsError
from .cosmology import as_float64
from .growth import Growth, check_growth

__all__ = ["Schedule", "bullfrog", "fastpm", "scale_factors", "schedule"]

Tensor = Any


class Schedule(NamedTuple):
    """Coefficients of a sequence of steps.

    Attributes
    ----------
    drift : tensor
        Of the drift before the first force.
    stages : tensor
        One row (keep, kick, drift) a force evaluation.
    """

    drift: Tensor
    stages: Tensor


def schedule(growth: Growth, stages: Any, scheme: str = "fastpm") -> Schedule:
    """Return the coefficients of a scheme.

    Parameters
    ----------
    growth : Growth
        Of the cosmology; gradients flow to its parameters.
    stages : sequence of float
        Ascending scale factors, the first where the particles are, the last where they end.
    scheme : str
        ``"fastpm"`` or ``"bullfrog"``.

    Returns
    -------
    Schedule

    Raises
    ------
    StepsError
        If the scale factors do not ascend (where their values are known, outside of a
        `tf.function`), or there is no such scheme.
    CosmologyError
        If `growth` is something else.
    """
    check_growth(growth)
    if scheme not in SCHEMES:
        raise StepsError(
            f"There is no scheme {scheme!r}. Choose one of {', '.join(map(repr, SCHEMES))}.", scheme
        )
    known = tf.get_static_value(tf.convert_to_tensor(stages))
    if known is not None:
        values = np.asarray(known, np.float64)
        if values.ndim != 1 or len(values) < 2 or not np.all(np.diff(values) > 0) or values[0] <= 0:
            raise StepsError(
                f"The scale factors {values.tolist()} do not make steps: at least two are needed, "
                "positive and ascending. Use scale_factors(first, last, n_steps).",
                tuple(np.atleast_1d(values).tolist()),
            )
    return SCHEMES[scheme](growth, as_float64(stages))


def scale_factors(first: float, last: float, n_steps: int) -> np.ndarray:
    """Return scale factors at equal distances.

    Parameters
    ----------
    first, last : float
        Scale factors to start and to end at.
    n_steps : int
        Number of steps, 1 or more.

    Returns
    -------
    ndarray of float64
        n_steps + 1 values.

    Raises
    ------
    StepsError
        If `first` is not positive and below `last`, or there is no step.

    Examples
    --------
    >>> scale_factors(0.1, 1.0, 3).round(2).tolist()
    [0.1, 0.4, 0.7, 1.0]
    """
    if not (0 < first < last < np.inf and is_count(n_steps)):
        raise StepsError(
            f"{n_steps} steps from a = {first} to {last} cannot be made. Give 0 < first < last and "
            "at least one step.",
            (first, last, n_steps),
        )
    return np.linspace(first, last, int(n_steps) + 1)


def fastpm(growth: Growth, a: Tensor) -> Schedule:
    """Return kick-drift-kick steps that are exact for growing modes of first order.

    Parameters
    ----------
    growth : Growth
        Of the cosmology.
    a : tensor of float64
        Scale factors. The middle of a step is their geometric mean.

    Returns
    -------
    Schedule
        Source: Feng et al. 2016, arXiv:1603.00476, equations 8 to 14. By the growth equation its
        g_f is 3/2 Omega_m D1 / (a^2 E), so that Omega_m and E leave the kick.
    """
    middle = tf.sqrt(a[:-1] * a[1:])
    momentum, size = growth.momentum, growth.first
    before = (momentum(middle) - momentum(a[:-1])) / size(a[:-1])
    after = (momentum(a[1:]) - momentum(middle)) / size(a[1:])
    drift = (size(a[1:]) - size(a[:-1])) / momentum(middle)
    zero = tf.zeros([1], tf.float64)
    kick = tf.concat([before, zero], 0) + tf.concat([zero, after], 0)
    stages = tf.stack([tf.ones_like(kick), kick, tf.concat([drift, zero], 0)], axis=1)
    return Schedule(zero[0], stages)


def bullfrog(growth: Growth, a: Tensor) -> Schedule:
    """Return drift-kick-drift steps that are exact for growing modes of second order.

    Parameters
    ----------
    growth : Growth
        Of the cosmology.
    a : tensor of float64
        Scale factors. The middle of a step is the mean of their growth factors.

    Returns
    -------
    Schedule
        Source: Rampf, List and Hahn 2024, arXiv:2409.19049, section 3. Their velocity dx / dD is
        p / momentum(a); with p the steps are better reversed.
    """
    momentum, first, second = growth.momentum(a), growth.first(a), growth.second(a)
    slope = growth.second_rate(a) * second / (growth.first_rate(a) * first)  # d D2 / d D1
    half = 0.5 * (first[1:] - first[:-1])
    middle = first[:-1] + half
    forced = (second[:-1] + slope[:-1] * half - middle**2) / middle
    # What a displacement of second order keeps of its speed, for it to grow by D2.
    keep = (slope[1:] - forced) / (slope[:-1] - forced)
    before, after = half / momentum[:-1], half / momentum[1:]
    stages = tf.stack(
        [
            keep * momentum[1:] / momentum[:-1],
            (1.0 - keep) * momentum[1:] / middle,
            after + tf.concat([before[1:], tf.zeros([1], tf.float64)], 0),
        ],
        axis=1,
    )
    return Schedule(before[0], stages)


SCHEMES = {"fastpm": fastpm, "bullfrog": bullfrog}
