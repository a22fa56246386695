"""Double precision for the few numbers that a galaxy's shape hangs on.

Two engines add the products of a layer in orders of their own. In single precision what that
changes in an index or a radius moves clumps far out, and pixels by more than 1e-5 of the peak.
"""

from collections.abc import Sequence

import keras
import tensorflow as tf


class _Double(keras.DTypePolicy):
    """Compute in double precision with weights stored in single."""

    def __init__(self):
        super().__init__("float32")
        self._compute_dtype = "float64"


def call_in_double(model: keras.Model, inputs: tf.Tensor) -> Sequence[tf.Tensor]:
    """Return a model's outputs in double precision, whatever its layers compute in otherwise."""
    parts = [model, *model.layers]
    policies = [part.dtype_policy for part in parts]
    try:
        for part in parts:
            part.dtype_policy = _Double()
        return model(tf.cast(inputs, tf.float64))
    finally:
        for part, policy in zip(parts, policies, strict=True):
            part.dtype_policy = policy


def log(x: tf.Tensor) -> tf.Tensor:
    """Return the natural logarithm in the precision of `x`.

    ONNX Runtime takes that of doubles in single precision, and has the exponential in double: one
    step of Halley's for exp(y) = x cubes the error.
    """
    y = tf.math.log(x)
    if x.dtype != tf.float64:
        return y
    power = tf.exp(y)
    return y + 2.0 * (x - power) / (x + power)
