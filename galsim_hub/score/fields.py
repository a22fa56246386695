"""Check what users hand over before it meets a network or a Fourier transform."""

from __future__ import annotations

from typing import Any

import galsim
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import FieldError, ObservationError, SamplingError
from ..latents import check_seed

__all__ = [
    "as_fields",
    "as_level",
    "as_levels",
    "as_mask",
    "as_numbers",
    "as_sides",
    "as_tensor",
    "check_count",
    "check_shape",
    "stream",
]

Tensor = Any


def as_numbers(name: str, values: Any) -> NDArray[np.float64]:
    """Return what was observed as an array.

    Parameters
    ----------
    name : str
        The argument's name.
    values : galsim.Image or array_like

    Returns
    -------
    ndarray of float64
        NaN where an array is masked.

    Raises
    ------
    ObservationError
        If a value is no number.
    """
    if isinstance(values, galsim.Image):
        values = values.array
    try:
        return np.ma.filled(np.ma.asarray(values, dtype=np.float64), np.nan)
    except (TypeError, ValueError) as error:
        raise ObservationError(
            f"{name} holds what is no number ({error}). Give a number, an array of them or a "
            "galsim.Image.",
            name,
        ) from error


def as_mask(values: Any) -> NDArray[np.bool_]:
    """Return where there are data.

    Parameters
    ----------
    values : galsim.Image or array_like
        Other than zero where there are; what is masked of it counts as zero.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    ObservationError
        If a value is no number.
    """
    return np.asarray(np.nan_to_num(as_numbers("mask", values)) != 0)


def as_tensor(values: Any, name: str = "x") -> Tensor:
    """Return numbers of any precision as a tensor of float32.

    Parameters
    ----------
    values : array_like or tensor
    name : str
        The argument's name.

    Returns
    -------
    tensor of float32

    Raises
    ------
    FieldError
        If an array is masked somewhere, or a value is no number.
    """
    if np.ma.is_masked(values):
        raise FieldError(
            f"{np.ma.getmaskarray(values).sum()} values of {name} are masked. Fill them, as with "
            f"{name}.filled(0.0); what was not observed is masked in the likelihood.",
            name,
        )
    try:
        if tf.is_tensor(values):
            return tf.cast(values, tf.float32)
        return tf.convert_to_tensor(values, tf.float32)
    except (TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise FieldError(
            f"{name} holds what is no number ({reason}). Give an array or tensor of numbers.", name
        ) from error


def as_fields(fields: Any, event_shape: tuple[int | None, ...]) -> Tensor:
    """Return fields as a tensor.

    Parameters
    ----------
    fields : array_like or tensor, shape (n, ...)
    event_shape : tuple of int or None
        The shape of one field; None is any.

    Returns
    -------
    tensor of float32

    Raises
    ------
    FieldError
        If the shape is another, or a value is masked or not finite. Tensors of a graph have no
        values yet, and only their shape is looked at.
    """
    tensor = as_tensor(fields)
    check_shape(tuple(tensor.shape), event_shape)
    if tf.executing_eagerly() and not bool(tf.reduce_all(tf.math.is_finite(tensor))):
        n_bad = int(tf.reduce_sum(tf.cast(~tf.math.is_finite(tensor), tf.int64)))
        raise FieldError(
            f"{n_bad} values of fields of shape {tuple(tensor.shape)} are not finite. Mask missing "
            "data in the likelihood, and give the prior numbers only.",
            tuple(tensor.shape),
        )
    return tensor


def check_shape(shape: tuple[int | None, ...], event_shape: tuple[int | None, ...]) -> None:
    """Check that a batch holds fields of one shape.

    Parameters
    ----------
    shape : tuple of int or None
        Of the batch.
    event_shape : tuple of int or None
        Of one field.

    Raises
    ------
    FieldError
        If it does not.
    """
    fits = len(shape) == len(event_shape) + 1 and all(
        want is None or got is None or got == want
        for got, want in zip(shape[1:], event_shape, strict=True)
    )
    if not fits:
        expected = ", ".join("any" if side is None else str(side) for side in event_shape)
        raise FieldError(
            f"Expected a batch of fields, of shape (n, {expected}), got {shape}. Add a first axis "
            "to a single field with field[None].",
            shape,
        )


def as_sides(shape: Any) -> tuple[int, ...] | None:
    """Return the shape of one field as whole numbers.

    Parameters
    ----------
    shape : object
        What was given.

    Returns
    -------
    tuple of int or None
        None if it is no sequence of positive whole numbers.
    """
    sides = tuple(shape) if np.ndim(shape) == 1 else ()
    if not sides or not all(isinstance(n, int | np.integer) and n > 0 for n in sides):
        return None
    return tuple(int(n) for n in sides)


def as_level(sigma: Any) -> float:
    """Return the one noise level of all fields.

    Parameters
    ----------
    sigma : object
        What was given.

    Returns
    -------
    float

    Raises
    ------
    FieldError
        If it is no single number, negative or not finite.
    """
    level = as_tensor(sigma, "sigma")
    if level.shape.rank != 0:
        raise FieldError(
            f"sigma must be one number for all fields, got shape {tuple(level.shape)}. Ask for "
            "one level at a time.",
            tuple(level.shape),
        )
    as_levels(level, 1, 0)
    return float(sigma)


def as_levels(sigma: Any, n_fields: Any, n_dims: int) -> Tensor:
    """Return noise levels as a tensor that broadcasts against fields.

    Parameters
    ----------
    sigma : float, array_like or tensor
        One level, or one a field.
    n_fields : int or tensor
        How many fields there are.
    n_dims : int
        Axes of one field.

    Returns
    -------
    tensor of float32, shape (n, 1, ...)

    Raises
    ------
    FieldError
        If a level is negative or not finite, or there are neither one nor `n_fields` of them.
    """
    levels = as_tensor(sigma, "sigma")
    if levels.shape.rank not in (0, 1):
        raise FieldError(
            f"sigma must be one number or one a field, got shape {tuple(levels.shape)}.",
            tuple(levels.shape),
        )
    if tf.executing_eagerly():
        values = np.atleast_1d(levels.numpy())
        if not (np.isfinite(values) & (values >= 0)).all():
            raise FieldError(f"sigma must be finite and not negative, got {sigma!r}.", sigma)
        if len(values) not in (1, int(n_fields)):
            raise FieldError(
                f"Got {len(values)} noise levels for {int(n_fields)} fields. Give one, or one a "
                "field.",
                len(values),
            )
    levels = tf.broadcast_to(tf.reshape(levels, [-1]), [n_fields])
    return tf.reshape(levels, [-1, *([1] * n_dims)])


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Check a number of things.

    Parameters
    ----------
    name : str
        The argument's name.
    value : object
        What was given.
    least : int
        The smallest that makes sense.

    Raises
    ------
    SamplingError
        If it is no whole number, or smaller.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise SamplingError(
            f"{name} must be a whole number from {least} on, got {value!r}.", name, value
        )


def stream(seed: object, step: int) -> Tensor:
    """Return the key of the random numbers of one step of a run.

    Parameters
    ----------
    seed : int
        Of the run.
    step : int
        Those of different steps are independent.

    Returns
    -------
    tensor of 2 int64

    Raises
    ------
    SeedError
        If the seed is no whole number from 0 to 2**64 - 1.
    """
    # TensorFlow's keys are signed.
    return tf.constant(np.array([check_seed(seed), step], np.uint64).astype(np.int64))
