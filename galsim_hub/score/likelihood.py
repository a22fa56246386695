"""What data say: linear observations with Gaussian noise, sharp or annealed.

Behind noise of level sigma on the field, the data A x have the noise covariance N + sigma^2 A A^T.
A prior and a likelihood of one level make a sequence of distributions that becomes the posterior as
sigma falls to zero, and is *not* the noised posterior before, not even for Gaussian priors: the
sequence leads chains to the posterior and is worth nothing else.
"""

from __future__ import annotations

from typing import Any

import galsim
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike

from ..errors import ObservationError
from .fields import as_mask, as_numbers, as_tensor
from .operators import LinearOperator

__all__ = ["GaussianLikelihood"]

Tensor = Any

# Of the residual. The score is that accurate, and log_prob to its square (see `log_prob`).
_TOLERANCE = 1e-3
_MOST_ITERATIONS = 100


class GaussianLikelihood:
    """Compare fields with data d = A x + noise, where the noise is Gaussian and independent.

    Parameters
    ----------
    operator : LinearOperator
        A, what the data would be without noise.
    data : array_like or galsim.Image
        One observation without a batch axis, or with `is_batch` one for every field.
    noise_std : float, array_like or galsim.Image
        The standard deviation of the noise, broadcast to the data.
    mask : array_like of bool or galsim.Image, optional
        True where there are data; what is elsewhere counts for nothing, and may be NaN.
    is_batch : bool
        Whether the first axis of the data counts fields, as when many simulated observations are
        sampled at once.

    Raises
    ------
    ObservationError
        If nothing is observed, or observed data or their noise are no usable numbers.
    """

    def __init__(
        self,
        operator: LinearOperator,
        data: galsim.Image | ArrayLike,
        noise_std: galsim.Image | ArrayLike,
        mask: galsim.Image | ArrayLike | None = None,
        *,
        is_batch: bool = False,
    ) -> None:
        self.operator = operator
        values = as_numbers("data", data).astype(np.float32)
        is_seen = _broadcast("mask", True if mask is None else mask, values.shape)
        if np.ma.isMaskedArray(data):
            is_seen = is_seen & ~np.ma.getmaskarray(data)
        std = _broadcast("noise_std", noise_std, values.shape).astype(np.float32)
        if not is_seen.any() or (is_batch and not is_seen.reshape(len(is_seen), -1).any(1).all()):
            raise ObservationError("Nothing is observed: the mask is empty.", "mask", 0)
        _check_numbers("data", values, is_seen & ~np.isfinite(values))
        _check_numbers("noise_std", std, is_seen & ~(np.isfinite(std) & (std > 0)))
        values, std = np.where(is_seen, values, 0.0), np.where(is_seen, std, 1.0)
        if not is_batch:
            values, std, is_seen = values[None], std[None], is_seen[None]
        self.data = tf.constant(values, tf.float32)
        self.noise_variance = tf.constant(std**2, tf.float32)
        self.mask = tf.constant(is_seen, tf.float32)

    @property
    def n_data(self) -> float:
        """How many numbers are observed, a field; the mean of a batch with several masks."""
        return np.count_nonzero(self.mask.numpy()) / int(self.mask.shape[0])

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one field."""
        return tuple(self.operator.adjoint(tf.zeros_like(self.data[:1])).shape[1:])

    def log_prob(self, x: Any, sigma: Any = 0.0) -> Tensor:
        """Return the log likelihood of fields, up to a number that depends on sigma alone.

        Parameters
        ----------
        x : array_like or tensor, shape (n, ...)
        sigma : float or tensor
            The level of the noise on the fields.

        Returns
        -------
        tensor of float32, shape (n,)

        Notes
        -----
        With a solution u of K u = r that is off by e, the quadratic form is off by e K e when it
        is taken as 2 r u - u K u: an error of the second order.
        """
        residual = self._residual(x)
        solution = self._solve(residual, sigma)
        form = 2.0 * residual * solution - solution * self._covariance(solution, sigma)
        return -0.5 * _sum(form)

    def score(self, x: Any, sigma: Any = 0.0) -> Tensor:
        """Return the gradient of the log likelihood.

        Parameters
        ----------
        x : array_like or tensor, shape (n, ...)
        sigma : float or tensor
            The level of the noise on the fields.

        Returns
        -------
        tensor of float32, shape (n, ...)
        """
        return self.operator.adjoint(self._solve(self._residual(x), sigma))

    def chi2(self, x: Any) -> Tensor:
        """Return how far fields are from the data, in standard deviations squared and summed.

        Parameters
        ----------
        x : array_like or tensor, shape (n, ...)

        Returns
        -------
        tensor of float32, shape (n,)
            Of a field that is right, `n_data` on average.
        """
        return _sum(self._residual(x) ** 2 / self.noise_variance)

    def _residual(self, x: Any) -> Tensor:
        model = self.operator.forward(as_tensor(x))
        if model.shape[1:] != self.data.shape[1:]:
            raise ObservationError(
                f"The operator gives data of shape {tuple(model.shape[1:])}, observed are "
                f"{tuple(self.data.shape[1:])}. Check the field's size.",
                "data",
                tuple(self.data.shape[1:]),
            )
        return self.mask * (self.data - model)

    def _covariance(self, y: Tensor, sigma: Any) -> Tensor:
        """Multiply observed data by N + sigma^2 A A^T."""
        variance = tf.cast(sigma, tf.float32) ** 2
        if self.operator.gram is not None:
            return (self.noise_variance + self.operator.gram * variance) * y
        spread = self.operator.forward(self.operator.adjoint(y))
        return self.noise_variance * y + variance * self.mask * spread

    def _solve(self, residual: Tensor, sigma: Any) -> Tensor:
        """Divide by that covariance: by conjugate gradients, unless it is diagonal."""
        if self.operator.gram is not None:
            return residual / (
                self.noise_variance + self.operator.gram * tf.cast(sigma, tf.float32) ** 2
            )
        return _conjugate_gradients(
            lambda y: self._covariance(y, sigma), residual, self.noise_variance
        )


def _conjugate_gradients(multiply: Any, right: Tensor, diagonal: Tensor) -> Tensor:
    """Solve a positive system for every row of a batch, preconditioned by a diagonal."""
    rank = right.shape.rank
    goal = _TOLERANCE**2 * _sum(right**2 / diagonal)

    def is_on(i: Tensor, solution: Tensor, left: Tensor, step: Tensor, size: Tensor) -> Tensor:
        return (i < _MOST_ITERATIONS) & tf.reduce_any(size > goal)

    def iterate(i: Tensor, solution: Tensor, left: Tensor, step: Tensor, size: Tensor) -> Any:
        image = multiply(step)
        # A row that has converged to zero must not divide by zero.
        length = _column(tf.math.divide_no_nan(size, _sum(step * image)), rank)
        solution, left = solution + length * step, left - length * image
        following = _sum(left**2 / diagonal)
        step = left / diagonal + _column(tf.math.divide_no_nan(following, size), rank) * step
        return i + 1, solution, left, step, following

    start = (0, tf.zeros_like(right), right, right / diagonal, _sum(right**2 / diagonal))
    return tf.while_loop(is_on, iterate, start)[1]


def _sum(values: Tensor) -> Tensor:
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def _column(values: Tensor, rank: int) -> Tensor:
    return tf.reshape(values, [-1, *([1] * (rank - 1))])


def _broadcast(name: str, values: ArrayLike, shape: tuple[int, ...]) -> Any:
    array = as_mask(values) if name == "mask" else as_numbers(name, values)
    try:
        return np.broadcast_to(array, shape)
    except ValueError as error:
        raise ObservationError(
            f"{name} has shape {array.shape}, which does not fit data of shape {shape}. Give one "
            "of the data's shape.",
            name,
            array.shape,
        ) from error


def _check_numbers(name: str, values: Any, is_bad: Any) -> None:
    if is_bad.any():
        first = float(values[is_bad][0])
        rule = "finite" if name == "data" else "finite and above zero"
        raise ObservationError(
            f"{name} must be {rule} where the mask is true, got {first} and "
            f"{int(is_bad.sum()) - 1} more such values. Mask what was not observed.",
            name,
            first,
        )
