"""The analytic base of a galaxy: a mixture of softened elliptical Sersic profiles.

A small head of the latent code predicts centres, sizes, shears, Sersic indices and light shares.
The network, if there is one, learns only the deviations from it, so that physics gives size, shape
and the fall to zero at the border.
"""

import math

import keras
import numpy as np
import tensorflow as tf

from .clumps import draw_clumps, draw_share, hosting

PARAMETERS = 7  # a component: centre, log size, two shears, index, share of the light
SOFTENING = 0.5  # [pixel] radius of the core: half a pixel cannot be resolved
MAX_SHEAR = 0.9
MAX_OFFSET = 3.0  # [pixel] of the first component; the others' is its half-light radius
INDICES = (0.2, 6.0)  # Sersic indices from flatter than any catalogue's to steeper
TINY = 1e-30  # keeps a profile too small for any pixel from 0 / 0


def base_parameters(raw: tf.Tensor, components: int) -> dict[str, tf.Tensor]:
    """Map unbounded head outputs to physical parameters.

    Parameters
    ----------
    raw
        (n, PARAMETERS * components).

    Returns
    -------
    dict of (n, components): x, y, half_light_radius [pixel], g1, g2, index, share (sums to 1).
    """
    x, y, size, e1, e2, index, share = tf.split(raw, [components] * PARAMETERS, axis=1)
    norm = tf.sqrt(e1 * e1 + e2 * e2 + 1e-8)
    squeeze = MAX_SHEAR * tf.tanh(norm / MAX_SHEAR) / norm
    # Heads that say nothing yet give an extended flat profile and a compact steep one.
    start = tf.constant([0.6, -0.4][:components] + [0.0] * (components - 2), raw.dtype)
    low, high = math.log(INDICES[0]), math.log(INDICES[1])
    radius = tf.exp(1.5 + start + tf.clip_by_value(size, -4.0, 4.0))
    return {
        "x": _joined_centre(x, radius),
        "y": _joined_centre(y, radius),
        "half_light_radius": radius,
        "g1": e1 * squeeze,
        "g2": e2 * squeeze,
        "index": tf.exp(low + (high - low) * tf.sigmoid(1.5 * index - start)),
        "share": tf.nn.softmax(share, axis=-1),
    }


def _joined_centre(x: tf.Tensor, radius: tf.Tensor) -> tf.Tensor:
    """Return each component's place along an axis; all but the first lie around the first."""
    first = MAX_OFFSET * tf.tanh(x[:, :1] / MAX_OFFSET)
    return first + tf.concat([tf.zeros_like(first), radius[:, :1] * tf.tanh(x[:, 1:])], axis=1)


def turn_base(raw: tf.Tensor, turn: tf.Tensor, components: int) -> tf.Tensor:
    """Return the head outputs of galaxies flipped and turned, as `dihedral` does to images.

    Centres and shears change their signs, and centres their axes: the other outputs stay.
    """
    matrices = tf.cast(turn_matrices(components), raw.dtype)
    return tf.matmul(raw[:, None], tf.gather(matrices, turn))[:, 0]


def turn_matrices(components: int) -> np.ndarray:
    """Return what the head outputs are multiplied by, from the right, for each of the 8 turns."""
    x, y, _, e1, e2, _, _ = np.arange(PARAMETERS * components).reshape(PARAMETERS, components)
    flip, quarter = (np.eye(PARAMETERS * components, dtype=np.float32) for _ in range(2))
    flip[x] *= -1.0
    flip[e2] *= -1.0
    quarter[[*x, *y]] = quarter[[*y, *x]]
    quarter[x] *= -1.0
    quarter[[*e1, *e2]] *= -1.0
    power = np.linalg.matrix_power
    return np.stack([power(flip, k // 4) @ power(quarter, k % 4) for k in range(8)])


def softened_sersic(params: dict[str, tf.Tensor], size: int) -> tf.Tensor:
    """Return each component's profile on the stamp, (n, k, y, x), not normalised."""
    axis = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    x = axis[None, None, None, :] - params["x"][..., None, None]
    y = axis[None, None, :, None] - params["y"][..., None, None]
    g1, g2, radius, index = (
        params[k][..., None, None] for k in ("g1", "g2", "half_light_radius", "index")
    )
    # |A r|^2 as a quadratic form, and as much as can be along one axis alone: the big tensors are
    # touched few times.
    scale = 1.0 / ((1.0 - g1 * g1 - g2 * g2) * radius * radius)
    less, more = 1.0 - g1, 1.0 + g1
    q11, q22 = (less * less + g2 * g2) * scale, (more * more + g2 * g2) * scale
    core = SOFTENING / radius
    square = x * (q11 * x + (-4.0 * g2 * scale) * y) + (q22 * (y * y) + core * core)
    return tf.exp(-coefficient(index) * tf.exp(tf.math.log(square) * (0.5 / index)))


def coefficient(index: tf.Tensor) -> tf.Tensor:
    """Return b(n) = 2 n - 1/3 + 4 / (405 n) + 46 / (25515 n^2), the exponent's coefficient.

    Ciotti & Bertin (1999, eq. 18), first terms.
    """
    inverse = 1.0 / index
    return 2.0 * index - 1.0 / 3.0 + inverse * (4.0 / 405.0 + inverse * (46.0 / 25515.0))


def base_light(
    raw: tf.Tensor, size: int, components: int, clumps: tuple[tf.Tensor, tf.Tensor] | None = None
) -> tf.Tensor:
    """Return the unit-flux mixture on the stamp, (n, y, x).

    With `clumps`, the largest share (n,) of the hosts' light in them and their noise
    (n, noise_size(components)), that light is moved into points. Pixels are in single precision,
    parameters and places in that of `raw`.
    """
    precise = base_parameters(raw, components)
    params = {name: tf.cast(each, tf.float32) for name, each in precise.items()}
    profiles = tf.reshape(softened_sersic(params, size), [-1, components, size * size])
    # Normalised by their weights in the sum, a product of matrices, and not pixel by pixel.
    weights = params["share"] / (tf.reduce_sum(profiles, axis=2) + TINY)
    if clumps is None:
        light = tf.matmul(weights[:, None], profiles)
    else:
        moved = draw_share(*clumps) * hosting(params)
        points = draw_clumps(precise, coefficient(precise["index"]), clumps[1], size)
        light = tf.matmul((weights * (1.0 - moved))[:, None], profiles)
        light += tf.matmul((params["share"] * moved)[:, None], points)
    return tf.reshape(light, [-1, size, size])


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


def tapered(light: tf.Tensor, log_flux: tf.Tensor) -> tf.Tensor:
    """Return the light (n, y, x) within the round window, with its flux, exp(log_flux (n, 1))."""
    light *= border_taper(light.shape[-1])
    total = tf.reduce_sum(light, axis=[1, 2], keepdims=True) + TINY
    return light * (tf.exp(log_flux)[:, :, None] / total)


@keras.saving.register_keras_serializable("galsim_hub")
class HybridImage(keras.layers.Layer):
    """Join base, flux and the network's residual, if any: flux * base * exp(residual)."""

    def __init__(self, size: int, components: int, **kwargs):
        super().__init__(**kwargs)
        self.size, self.components = size, components

    def call(self, inputs):
        """Return the PSF-free, noiseless image (n, y, x) [count per pixel]."""
        raw, log_flux, *residual = inputs
        light = base_light(raw, self.size, self.components)
        for log_factor in residual:
            light *= tf.exp(log_factor)
        return tapered(light, log_flux)

    def get_config(self):
        """Return the constructor's arguments."""
        return {**super().get_config(), "size": self.size, "components": self.components}
