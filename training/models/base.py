"""The analytic base of a galaxy: a mixture of softened elliptical Sersic profiles.

A small head of the latent code predicts centre, sizes, shears, Sersic indices and light shares.
The network then learns only the deviations from it, so that physics gives size, shape and the
fall to zero at the border.
"""

import math

import keras
import tensorflow as tf

PARAMETERS = 5  # a component: log size, two shears, index, share of the light
SOFTENING = 0.5  # [pixel] radius of the core: half a pixel cannot be resolved
MAX_SHEAR = 0.9
MAX_OFFSET = 3.0  # [pixel]
TINY = 1e-30  # keeps a profile too small for any pixel from 0 / 0


def base_parameters(raw: tf.Tensor, components: int) -> dict[str, tf.Tensor]:
    """Map unbounded head outputs to physical parameters.

    Parameters
    ----------
    raw
        (n, 2 + 5 * components).

    Returns
    -------
    dict with centre (n, 2) [pixel], and per component (n, k): half_light_radius [pixel],
    g1, g2, index, share (sums to 1).
    """
    centre = MAX_OFFSET * tf.tanh(raw[:, :2] / MAX_OFFSET)
    size, e1, e2, index, share = tf.unstack(
        tf.reshape(raw[:, 2:], [-1, PARAMETERS, components]), axis=1
    )
    norm = tf.sqrt(e1**2 + e2**2 + 1e-8)
    squeeze = MAX_SHEAR * tf.tanh(norm / MAX_SHEAR) / norm
    start = tf.constant([0.6, -0.4][:components] + [0.0] * (components - 2), raw.dtype)
    return {
        "centre": centre,
        "half_light_radius": tf.exp(1.5 + start + tf.clip_by_value(size, -4.0, 4.0)),
        "g1": e1 * squeeze,
        "g2": e2 * squeeze,
        "index": tf.exp(math.log(1.2) - start + 1.2 * tf.tanh(index)),
        "share": tf.nn.softmax(share, axis=-1),
    }


def sersic(params: dict[str, tf.Tensor], size: int) -> tf.Tensor:
    """Return each component's unit-flux profile on the stamp, (n, k, y, x).

    The exponent's coefficient is b(n) = 2 n - 1/3 + 4 / (405 n) + 46 / (25515 n^2) (Ciotti &
    Bertin 1999, eq. 18, first terms). The flux is normalised over the stamp.
    """
    axis = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    x = axis[None, None, None, :] - params["centre"][:, None, None, None, 0]
    y = axis[None, None, :, None] - params["centre"][:, None, None, None, 1]
    g1, g2, radius, index = (
        params[k][..., None, None] for k in ("g1", "g2", "half_light_radius", "index")
    )
    scale = 1.0 / (tf.sqrt(1.0 - g1**2 - g2**2) * radius)
    a11, a22, a12 = ((1.0 - g1) * scale, (1.0 + g1) * scale, -g2 * scale)
    # |A r|^2 as a quadratic form, so that the big tensors are touched few times.
    q11, q22, q12 = a11**2 + a12**2, a22**2 + a12**2, 2.0 * a12 * (a11 + a22)
    square = x * (q11 * x + q12 * y) + q22 * y**2 + (SOFTENING / radius) ** 2
    coefficient = 2.0 * index - 1.0 / 3.0 + 4.0 / (405.0 * index) + 46.0 / (25515.0 * index**2)
    profile = tf.exp(-coefficient * tf.exp(tf.math.log(square) * (0.5 / index)))
    return profile / (tf.reduce_sum(profile, axis=[2, 3], keepdims=True) + TINY)


def base_light(raw: tf.Tensor, size: int, components: int) -> tf.Tensor:
    """Return the unit-flux mixture on the stamp, (n, y, x)."""
    params = base_parameters(raw, components)
    return tf.reduce_sum(sersic(params, size) * params["share"][..., None, None], axis=1)


def border_taper(size: int, width: float = 12.0) -> tf.Tensor:
    """Return a round window that falls to nothing at the stamp's edge, (size, size).

    It is part of the decoder, in training and after: a generated galaxy ends inside its
    stamp, and ends the same way in all directions.
    """
    axis = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    radius = tf.sqrt(axis[:, None] ** 2 + axis[None, :] ** 2)
    edge = size / 2 - 1.5
    t = tf.clip_by_value((radius - (edge - width)) / width, 0.0, 1.0)
    return tf.cos(0.5 * math.pi * t) ** 2 + 1e-12


@keras.saving.register_keras_serializable("galsim_hub")
class HybridImage(keras.layers.Layer):
    """Join base, flux and the network's residual, if any: flux * base * exp(residual)."""

    def __init__(self, size: int, components: int, **kwargs):
        super().__init__(**kwargs)
        self.size, self.components = size, components

    def call(self, inputs):
        """Return the PSF-free, noiseless image (n, y, x) [count per pixel]."""
        raw, log_flux, *residual = inputs
        light = base_light(raw, self.size, self.components) * border_taper(self.size)
        for log_factor in residual:
            light *= tf.exp(log_factor)
        total = tf.reduce_sum(light, axis=[1, 2], keepdims=True) + TINY
        return light * (tf.exp(log_flux)[:, :, None] / total)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "components": self.components}
