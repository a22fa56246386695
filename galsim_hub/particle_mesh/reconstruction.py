"""Find the most probable initial conditions of an observed field.

The posterior has many maxima, because structure on small scales can be moved in many ways.
Annealing fits large scales first: the residuals are smoothed, by less in each stage (Feng, Seljak
and Zaldarriaga 2018, arXiv:1804.09687; Modi, Feng and Seljak 2018, arXiv:1805.02247).

>>> from galsim_hub import particle_mesh as pm
>>> box, power = pm.Box(8, 100.0), pm.EisensteinHu(pm.Planck18())
>>> truth = pm.linear_field(box, power, seed=1)
>>> posterior = pm.Posterior(truth, 0.1, box, power, forward=lambda linear: linear)
>>> result = pm.reconstruct(posterior, [pm.Stage(0.0, 30)])
>>> bool(pm.correlation(result.linear, truth, box)[0] > 0.99)
True
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..arguments import is_whole
from ..errors import ReconstructionError
from .box import Box
from .optimizers import load_minimizer
from .posterior import Posterior
from .search_state import SearchState
from .spectrum import correlation, power_spectrum, transfer_function

__all__ = ["Diagnosis", "Reconstruction", "Stage", "anneal", "diagnose", "reconstruct"]

ANNEALING = (4.0, 2.0, 1.0, 0.5, 0.0)  # smoothing of the stages [cell]
ADAM_RATE = 0.1  # of white noise, whose unit is one
ADAM_MOMENTS = 0.9, 0.999
N_CORRECTIONS = 10  # pairs that L-BFGS remembers

Tensor = Any


class Stage(NamedTuple):
    """A part of the search.

    Attributes
    ----------
    smoothing : float
        Of the residuals [Mpc/h].
    iterations : int
        At most so many.
    """

    smoothing: float
    iterations: int


class Reconstruction(NamedTuple):
    """Where the search ended.

    Attributes
    ----------
    white : tensor of float64
        The most probable white noise.
    linear : tensor of float32
        The linear density contrast today that it makes.
    history : ndarray of float64
        Negative logarithm of the posterior (without smoothing) after each stage.
    """

    white: Tensor
    linear: Tensor
    history: NDArray[np.float64]


class Diagnosis(NamedTuple):
    """How good a reconstruction is.

    Attributes
    ----------
    k : ndarray of float64
        Wavenumbers of shells [h/Mpc].
    correlation, transfer : ndarray of float32
        With the true linear field, and the root of the ratio of the powers.
    chi2_data : float
        Of the residuals, for each cell that was seen. Below 1, because the fit follows the noise.
    chi2 : float
        That and the sum of squares of the white noise, for each cell that was seen: 1 for the most
        probable field of a linear model.
    """

    k: NDArray[np.float64]
    correlation: NDArray[np.float32]
    transfer: NDArray[np.float32]
    chi2_data: float
    chi2: float


def anneal(box: Box, iterations: int) -> list[Stage]:
    """Return stages from smooth residuals to plain ones.

    Parameters
    ----------
    box : Box
        Its largest cell sets the scales.
    iterations : int
        Of all stages together; the last stage has as many as the others together.

    Returns
    -------
    list of Stage

    Raises
    ------
    ReconstructionError
        If the iterations are no whole number from 0 on.

    Examples
    --------
    >>> [stage.iterations for stage in anneal(Box(8, 80.0), 80)]
    [10, 10, 10, 10, 40]
    """
    if not is_whole(iterations, least=0):
        raise ReconstructionError(
            f"{iterations!r} iterations were to be shared among stages. Give a whole number.",
            iterations,
        )
    each = iterations // (2 * (len(ANNEALING) - 1))
    counts = [each] * (len(ANNEALING) - 1)
    counts.append(iterations - sum(counts))
    return [Stage(s * max(box.cell), n) for s, n in zip(ANNEALING, counts, strict=True)]


def reconstruct(
    posterior: Posterior,
    stages: Sequence[Stage],
    *,
    method: str = "lbfgs",
    start: Tensor | None = None,
    folder: str | os.PathLike[str] | None = None,
    report: Callable[[Stage, float], None] | None = None,
) -> Reconstruction:
    """Search for the most probable initial conditions.

    Parameters
    ----------
    posterior : Posterior
        Of the observed field.
    stages : sequence of Stage
        Such as `anneal` gives; the last should smooth nothing.
    method : str
        ``"lbfgs"``, for one field, or ``"adam"``.
    start : tensor, optional
        White noise to begin with; zeros by default.
    folder : str or path, optional
        Where the state is kept after each stage. A search that was stopped goes on from there, and
        ends where it would have ended.
    report : function, optional
        Called after each stage with it and the negative logarithm of the posterior.

    Returns
    -------
    Reconstruction

    Raises
    ------
    ReconstructionError
        If there is no such method, a stage is none, L-BFGS is given several fields, `start` is not
        shaped as the observed field, a value is not finite, or the folder is another search's.
    MissingExtraError
        If L-BFGS is asked for and tensorflow-probability is not installed.
    """
    if method not in METHODS:
        raise ReconstructionError(
            f"There is no method {method!r}. Choose one of {', '.join(map(repr, METHODS))}.", method
        )
    stages = _read_stages(stages)
    white = tf.zeros(posterior.observed.shape, tf.float64) if start is None else start
    white = tf.cast(white, tf.float64)
    _check_start(white, posterior, method)
    state = (
        None if folder is None else SearchState.open(Path(folder), posterior, stages, method, white)
    )
    values: list[float] = []
    if state is not None:
        white, values = tf.constant(state.white), list(state.values)
    search = METHODS[method](posterior)
    for stage in stages[len(values) :]:
        white = search(white, stage)
        values.append(_finite(float(posterior.value_and_gradient(white)[0]), stage))
        if state is not None:
            state.save(white.numpy(), values)
        if report is not None:
            report(stage, values[-1])
    linear = posterior.linear(tf.cast(white, tf.float32))
    return Reconstruction(white, linear, np.asarray(values))


def diagnose(posterior: Posterior, white: Tensor, truth: Tensor) -> Diagnosis:
    """Compare a reconstruction with the truth and with the data.

    Parameters
    ----------
    posterior : Posterior
        Of the observed field.
    white : tensor
        The reconstructed white noise.
    truth : tensor
        The true linear density contrast today.

    Returns
    -------
    Diagnosis
    """
    linear = posterior.linear(tf.cast(white, tf.float32))
    truth, box = tf.cast(truth, tf.float32), posterior.box
    data = 2.0 * float(posterior.misfit(white))
    prior = float(tf.reduce_sum(tf.cast(white, tf.float64) ** 2))
    n_seen = int(np.sum(posterior.weight > 0))
    return Diagnosis(
        power_spectrum(truth, box).k,
        correlation(linear, truth, box).numpy(),
        transfer_function(linear, truth, box).numpy(),
        data / n_seen,
        (data + prior) / n_seen,
    )


def _lbfgs(posterior: Posterior) -> Callable[[Tensor, Stage], Tensor]:
    minimize = load_minimizer("lbfgs_minimize", "L-BFGS", ", or choose method='adam'")
    shape = posterior.observed.shape

    @tf.function(autograph=False)
    def run(flat: Tensor, smoothing: Tensor, iterations: Tensor) -> Tensor:
        def function(x: Tensor) -> tuple[Tensor, Tensor]:
            value, gradient = posterior.value_and_gradient(tf.reshape(x, shape), smoothing)
            return value, tf.reshape(gradient, [-1])

        return minimize(
            function,
            flat,
            num_correction_pairs=N_CORRECTIONS,
            max_iterations=iterations,
            max_line_search_iterations=10,
        ).position

    def search(white: Tensor, stage: Stage) -> Tensor:
        smoothing = tf.constant(stage.smoothing, tf.float32)
        flat = run(tf.reshape(white, [-1]), smoothing, tf.constant(stage.iterations))
        return tf.reshape(flat, shape)

    return search


def _adam(posterior: Posterior) -> Callable[[Tensor, Stage], Tensor]:
    first, second = ADAM_MOMENTS

    @tf.function(autograph=False)
    def run(white: Tensor, smoothing: Tensor, iterations: Tensor) -> Tensor:
        def step(i: Tensor, white: Tensor, mean: Tensor, square: Tensor) -> tuple[Tensor, ...]:
            gradient = posterior.value_and_gradient(white, smoothing)[1]
            mean = first * mean + (1.0 - first) * gradient
            square = second * square + (1.0 - second) * gradient**2
            n = tf.cast(i + 1, tf.float64)
            scale = tf.sqrt(square / (1.0 - second**n)) + 1e-8
            white -= ADAM_RATE * mean / (1.0 - first**n) / scale
            return i + 1, white, mean, square

        zeros = tf.zeros_like(white)
        begin = (tf.constant(0), white, zeros, zeros)
        return tf.while_loop(lambda i, *_: i < iterations, step, begin)[1]

    def search(white: Tensor, stage: Stage) -> Tensor:
        return run(white, tf.constant(stage.smoothing, tf.float32), tf.constant(stage.iterations))

    return search


METHODS = {"lbfgs": _lbfgs, "adam": _adam}


def _read_stages(stages: Any) -> list[Stage]:
    if isinstance(stages, Stage):
        stages = [stages]
    try:
        read = [Stage(*stage) for stage in stages]
        are_good = all(0 <= s < np.inf and is_whole(n, least=0) for s, n in read)
    except TypeError:
        are_good = False
    if not are_good:
        raise ReconstructionError(
            f"{stages!r} are no stages of a search. Give pm.Stage(smoothing, iterations), from 0 "
            "Mpc/h on and whole numbers, or what anneal gives.",
            stages,
        )
    return read


def _check_start(white: Tensor, posterior: Posterior, method: str) -> None:
    shape, expected = tuple(white.shape), tuple(posterior.observed.shape)
    if shape != expected:
        raise ReconstructionError(
            f"start has the shape {shape}, and the observed field {expected}. Give one of that "
            "shape, or none to start from zeros.",
            shape,
        )
    if method == "lbfgs" and len(expected) > 3:
        raise ReconstructionError(
            f"L-BFGS searches for one field, not for {expected[0]} in the shape {expected}. Search "
            "one by one, or choose method='adam'.",
            expected,
        )


def _finite(value: float, stage: Stage) -> float:
    if not np.isfinite(value):
        raise ReconstructionError(
            f"The posterior became {value} in {stage}. Begin with a wider smoothing, or check the "
            "observed field and its noise.",
            value,
        )
    return value
