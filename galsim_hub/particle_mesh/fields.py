"""Read the fields that functions of the particle mesh are given, or say what is wrong with one."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from ..errors import BoxError
from .box import Box

__all__ = ["FLOATS", "as_field", "leading"]

FLOATS = tf.float32, tf.float64

Tensor = Any


def as_field(value: Any, box: Box, components: int | None = None) -> Tensor:
    """Return a field on the cells of a box as a tensor.

    Parameters
    ----------
    value : array_like or tensor
        float32 or float64, shape (..., nx, ny, nz).
    box : Box
        Its grid.
    components : int, optional
        Length of the axis before the box's three, where there is one.

    Returns
    -------
    tensor

    Raises
    ------
    BoxError
        If it is no field of this box, or neither float32 nor float64.
    """
    if hasattr(value, "displacement"):  # a tuple of two tensors, which would become one
        raise BoxError(
            "A field was expected, and particles were given. Give particles.displacement.",
            type(value).__name__,
        )
    field = tf.convert_to_tensor(value)
    box.check_field(field.shape, components)
    if field.dtype not in FLOATS:
        raise BoxError(
            f"A field is {field.dtype.name}; the particle mesh needs float32 or float64. Cast it.",
            field.dtype.name,
        )
    return field


def leading(field: Tensor, n: int) -> list[Any]:
    """Return the axes before the last ones, as far as they are known.

    Parameters
    ----------
    field : tensor
        Of any shape.
    n : int
        How many axes to leave out.

    Returns
    -------
    list of int or tensor
        A tensor where a `tf.function` does not know the length.
    """
    static, dynamic = field.shape[:-n].as_list(), tf.shape(field)
    return [dynamic[i] if size is None else size for i, size in enumerate(static)]
