"""Star-forming clumps: part of a galaxy's light, gathered in points that no code can place.

Where the clumps of a faint galaxy lie its image hardly tells, so the likelihood of a single image
has no use for them; how clumpy galaxies of a kind are, their images tell together (see
`training.clumpiness`). Light of the flatter profiles is moved into points that follow the same
profiles, so that the mean over their places is the smooth galaxy that a code stands for.
"""

import math

import keras
import tensorflow as tf

from .double import log

SLOTS = 48  # clumps that a component can have
FEWEST = 8.0  # and those that it has at least, if any
WIDTH = 0.75  # [pixel] standard deviation of a clump: narrower ones a stamp cannot hold
NORMALS = 3  # a clump: two for its direction, one for its distance
SHARED = 2  # a galaxy: share of the light and number of clumps
STEEP = (2.0, 3.5)  # Sersic indices up to which a profile hosts clumps, and from which it has none
MEAN_INVERSE_NUMBER = (1.0 / FEWEST - 1.0 / SLOTS) / math.log(SLOTS / FEWEST)


def noise_size(components: int) -> int:
    """Return how many standard normals the clumps of a galaxy take."""
    return SHARED + NORMALS * SLOTS * components


def hosting(params: dict[str, tf.Tensor]) -> tf.Tensor:
    """Return the share of each component's own light that may lie in clumps, (n, k)."""
    low, high = STEEP
    return tf.clip_by_value((high - params["index"]) / (high - low), 0.0, 1.0)


def draw_share(largest: tf.Tensor, noise: tf.Tensor) -> tf.Tensor:
    """Return the share of the hosts' light in clumps, (n, 1), even between zero and `largest`."""
    return largest[:, None] * _uniform(noise[:, :1])


def draw_clumps(
    params: dict[str, tf.Tensor], coefficient: tf.Tensor, noise: tf.Tensor, size: int
) -> tf.Tensor:
    """Return the clumps of each component, of unit flux together, (n, k, size * size).

    Parameters
    ----------
    params
        As `base.base_parameters` gives them.
    coefficient
        Of the profiles' exponents, (n, k).
    noise
        Standard normals, (n, noise_size(k)).
    size
        Side of the stamp [pixel].
    """
    components = params["index"].shape[1]
    number = FEWEST * (SLOTS / FEWEST) ** _uniform(noise[:, 1:SHARED])
    shares = tf.clip_by_value(number - tf.range(SLOTS, dtype=tf.float32), 0.0, 1.0) / number
    normals = tf.reshape(
        tf.cast(noise[:, SHARED:], coefficient.dtype), [-1, NORMALS, components, SLOTS]
    )
    x, y = _places(params, coefficient, normals)
    axis = tf.range(size, dtype=tf.float32) - (size - 1) / 2
    across, along = (
        tf.exp(-0.5 * ((axis - places[..., None]) / WIDTH) ** 2)
        / (WIDTH * math.sqrt(2.0 * math.pi))
        for places in (x, y)
    )
    # A round Gaussian is a product, and a sum of products a product of matrices.
    clumps = tf.matmul(along * shares[:, None, :, None], across, transpose_a=True)
    return tf.reshape(clumps, [-1, components, size * size])


def _places(
    params: dict[str, tf.Tensor], coefficient: tf.Tensor, normals: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return x and y of the clumps, (n, k, SLOTS) [pixel], distributed as the profiles' light.

    Within radius r a Sersic profile has the light of a Gamma distribution of shape 2 n below
    b (r / R)^(1 / n) (Ciotti 1991); its quantiles are Wilson & Hilferty's (1931).
    """
    g1, g2, radius, index, x0, y0 = (
        params[name][..., None] for name in ("g1", "g2", "half_light_radius", "index", "x", "y")
    )
    # Divided by its length a direction is even over the circle; zero, which `decode` gives, is one.
    along_x, along_y, distance = tf.unstack(normals, axis=1)
    shape = 2.0 * index
    root = 1.0 - 1.0 / (9.0 * shape) + distance / (3.0 * tf.sqrt(shape))
    gamma = shape * tf.maximum(root, 1e-3) ** 3
    reach = radius * tf.exp(index * log(gamma / coefficient[..., None]))
    reach /= tf.sqrt((along_x**2 + along_y**2 + 1e-12) * (1.0 - g1 * g1 - g2 * g2))
    along_x, along_y = reach * along_x, reach * along_y
    x = x0 + (1.0 + g1) * along_x + g2 * along_y
    y = y0 + g2 * along_x + (1.0 - g1) * along_y
    return tf.cast(x, tf.float32), tf.cast(y, tf.float32)


def _uniform(normal: tf.Tensor) -> tf.Tensor:
    return 0.5 * (1.0 + tf.math.erf(normal / math.sqrt(2.0)))


class Clumpiness(keras.Model):
    """The largest share of the hosts' light in clumps, given code and conditions.

    What it learns from is the mean of share^2 over number (see `training.clumpiness`), which for a
    share even up to the largest is a third of its square times `MEAN_INVERSE_NUMBER`.
    """

    def __init__(self, size: int, hidden: int = 32):
        super().__init__()
        self.size = size
        self.stack = [keras.layers.Dense(hidden, activation="silu") for _ in range(2)]
        # It begins where a tenth of the light is in clumps.
        start = keras.initializers.Constant(math.log(0.01 / 0.99))
        self.squared = keras.layers.Dense(1, bias_initializer=start)
        # What the images' misfit adds to the signal where there are no clumps: for the fit alone.
        self.misfit = [keras.layers.Dense(hidden, activation="silu"), keras.layers.Dense(1)]
        fixed = {"shape": (size,), "trainable": False}
        self.mean = self.add_weight(name="mean", initializer="zeros", **fixed)
        self.scale = self.add_weight(name="scale", initializer="ones", **fixed)
        for layers in ([*self.stack, self.squared], self.misfit):
            width = size
            for layer in layers:
                layer.build((None, width))
                width = layer.units
        self.built = True

    def standardise_by(self, features) -> None:
        """Fix mean and scale of the features (n, size) for good."""
        self.mean.assign(features.mean(axis=0))
        self.scale.assign(features.std(axis=0) + 1e-6)

    def largest_squared(self, features: tf.Tensor) -> tf.Tensor:
        """Return the square of the largest share, (n,)."""
        x = (features - self.mean) / self.scale
        for layer in self.stack:
            x = layer(x)
        return tf.sigmoid(self.squared(x))[:, 0]

    def baseline(self, features: tf.Tensor) -> tf.Tensor:
        """Return what misfits add to the signal, in its units."""
        x = (features - self.mean) / self.scale
        for layer in self.misfit:
            x = layer(x)
        return x[:, 0]

    def call(self, features: tf.Tensor) -> tf.Tensor:
        """Return the largest share, (n,)."""
        return tf.sqrt(self.largest_squared(features))


def clump_features(codes: tf.Tensor, conditions: tf.Tensor) -> tf.Tensor:
    """Return what clumpiness may depend on: the code and size, magnitude, redshift, (n, d)."""
    size, magnitude, redshift = tf.unstack(conditions, axis=-1)
    seen = tf.stack([tf.math.log(size), magnitude, tf.math.log(redshift)], axis=-1)
    return tf.concat([codes, seen], axis=1)
