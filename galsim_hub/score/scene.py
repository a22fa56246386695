"""Several fields seen as one image: sources in stamps of their own, added up behind a PSF.

The field of a scene has shape (sources, y, x): one stamp a source, in units of the source's scale,
so that one prior of sources of flux near one serves them all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from .fields import as_tensor
from .gaussian import GaussianPrior
from .likelihood import GaussianLikelihood
from .operators import Blur
from .prior import Prior

__all__ = ["Scene", "SceneLikelihood", "ScenePrior"]

Tensor = Any

_LEAST_RESPONSE = 1e-3  # of the largest
_MOST_EXCESS = 1.2  # of A A^T over its stationary approximation
_ROUNDS, _ITERATIONS = 12, 20


class Scene:
    """See the sum of sources behind a PSF, on pixels that are as large or larger.

    Parameters
    ----------
    kernel : array_like, shape (odd, odd)
        What the PSF adds to the field's own smoothing, on the field's pixels.
    centres : array_like, shape (sources, 2)
        x and y of the sources [pixel of the image], the centre of the first pixel being (0, 0).
    image_shape : tuple of 2 int
        Pixels of the image along y and x.
    side : int
        Pixels of a stamp.
    factor : int
        Pixels of the field along the side of one of the image.
    scales : array_like, shape (sources,), optional
        The flux that a field of total one stands for.
    """

    def __init__(
        self,
        kernel: ArrayLike,
        centres: ArrayLike,
        image_shape: tuple[int, int],
        side: int,
        factor: int = 1,
        scales: ArrayLike | None = None,
    ) -> None:
        self.gram: float | None = None
        self.image_shape, self._factor = image_shape, factor
        self._blur = Blur(kernel, factor)
        self.centres = places = np.atleast_2d(np.asarray(centres, dtype=float))
        self.scales = np.ones(len(places)) if scales is None else np.asarray(scales, dtype=float)
        # A canvas beyond the image: light from there is blurred into it.
        self._margin = -(-max(np.shape(kernel)) // (2 * factor))
        sizes = [factor * (n + 2 * self._margin) for n in image_shape]
        lows = [_first_pixels(places[:, axis], side, factor, self._margin) for axis in (1, 0)]
        self._y, self._x = (
            tf.constant([_rows(low, side, size) for low in first], tf.float32)
            for first, size in zip(lows, sizes, strict=True)
        )
        self._scales = tf.constant(self.scales, tf.float32)[:, None, None]
        # Where each source lies on its stamp, from the stamp's centre [pixel of the field].
        true = (places + 0.5) * factor - 0.5 + self._margin * factor
        self.offsets: NDArray[np.float64] = true - np.stack(lows[::-1], 1) - 0.5 * (side - 1)

    @property
    def middle(self) -> tuple[int, int]:
        """The pixel of the image, y and x, in which the brightest source lies."""
        x, y = np.rint(self.centres[int(np.argmax(self.scales))]).astype(int)
        ny, nx = self.image_shape
        return int(np.clip(y, 0, ny - 1)), int(np.clip(x, 0, nx - 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the image of all sources.

        Parameters
        ----------
        x : tensor, shape (n, sources, y, x)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        x = as_tensor(x) * self._scales
        canvas = tf.einsum("sih,nsij,sjw->nhw", self._y, x, self._x)
        return self._cropped(self._blur.forward(canvas))

    def forward_each(self, x: Tensor) -> Tensor:
        """Return the image of every source.

        Parameters
        ----------
        x : tensor, shape (sources, y, x)

        Returns
        -------
        tensor of float32, shape (sources, y, x)
        """
        x = as_tensor(x) * self._scales
        canvas = tf.einsum("sih,sij,sjw->shw", self._y, x, self._x)
        return self._cropped(self._blur.forward(canvas))

    def adjoint(self, y: Tensor) -> Tensor:
        """Bring an image back to every stamp.

        Parameters
        ----------
        y : tensor, shape (n, y, x)

        Returns
        -------
        tensor of float32, shape (n, sources, y, x)
        """
        m = self._margin
        padded = tf.pad(as_tensor(y, "y"), [[0, 0], [m, m], [m, m]])
        canvas = self._blur.adjoint(padded)
        return tf.einsum("sih,nhw,sjw->nsij", self._y, canvas, self._x) * self._scales

    def _cropped(self, image: Tensor) -> Tensor:
        m, (ny, nx) = self._margin, self.image_shape
        return image[:, m : m + ny, m : m + nx]


class SceneLikelihood(GaussianLikelihood):
    """Compare sources with an image, annealed as if they were everywhere in it.

    Behind noise on the fields the exact covariance of the data takes an iterative solution for each
    score. Here A A^T is taken to be stationary, with the response of the middle of the brightest
    source, which takes two Fourier transforms: another sequence, with the same end. Edges of stamps
    and of the image mix modes, and the PSF leaves little response to small scales: so every mode is
    given some, enough that here, too, nothing is sharper than the noise on the fields.

    Parameters
    ----------
    operator : Scene
    data, noise_std, mask
        As of `GaussianLikelihood`.
    """

    operator: Scene

    def __init__(
        self, operator: Scene, data: ArrayLike, noise_std: ArrayLike, mask: ArrayLike | None = None
    ) -> None:
        super().__init__(operator, data, noise_std, mask)
        weight = self.mask / tf.sqrt(self.noise_variance)
        self._weight = weight
        point = tf.scatter_nd([[0, *operator.middle]], [1.0], self.data.shape)
        spread = operator.forward(operator.adjoint(point))
        modes = tf.signal.rfft2d(spread) * tf.math.conj(tf.signal.rfft2d(point))
        share = float(tf.reduce_sum(weight**2) / tf.reduce_sum(self.mask))
        self._response = share * tf.maximum(tf.math.real(modes), 0.0)
        floor = _LEAST_RESPONSE * tf.reduce_max(self._response)
        for _ in range(_ROUNDS):
            excess = self._excess(self._response + floor)
            if excess <= _MOST_EXCESS:
                break
            floor *= excess
        self._response += floor

    def _excess(self, response: Tensor) -> Tensor:
        """Return how many times a response A A^T is at most, by power iteration."""
        root = tf.sqrt(response)
        y, size = tf.random.stateless_normal(self.data.shape, [0, 0]), tf.constant(0.0)
        for _ in range(_ITERATIONS):
            y = self._weight * self._filtered(y / tf.norm(y), 1.0 / root)
            y = self._weight * self.operator.forward(self.operator.adjoint(y))
            y = self._filtered(y, 1.0 / root)
            size = tf.norm(y)
        return size

    def _covariance(self, y: Tensor, sigma: Any) -> Tensor:
        root = tf.sqrt(self.noise_variance)
        white = tf.math.divide_no_nan(y, root)
        return self.mask * root * self._filtered(white, 1.0 + _square(sigma) * self._response)

    def _solve(self, residual: Tensor, sigma: Any) -> Tensor:
        response = 1.0 / (1.0 + _square(sigma) * self._response)
        return self._weight * self._filtered(self._weight * residual, response)

    def log_prob(self, x: Any, sigma: Any = 0.0) -> Tensor:
        """Return the log likelihood of fields, up to a number that depends on sigma alone.

        Parameters
        ----------
        x : array_like or tensor, shape (n, sources, y, x)
        sigma : float or tensor
            The level of the noise on the fields.

        Returns
        -------
        tensor of float32, shape (n,)
        """
        residual = self._residual(x)
        return -0.5 * tf.reduce_sum(residual * self._solve(residual, sigma), [1, 2])

    @staticmethod
    def _filtered(image: Tensor, factor: Tensor) -> Tensor:
        modes = tf.signal.rfft2d(image) * tf.complex(factor, tf.zeros_like(factor))
        return tf.signal.irfft2d(modes, image.shape[1:])


class ScenePrior:
    """Give every source of a scene the same prior, independently.

    Parameters
    ----------
    prior : Prior
        Of one stamp.
    """

    def __init__(self, prior: Prior) -> None:
        self._prior = prior

    def __repr__(self) -> str:
        return f"galsim_hub.score.scene.ScenePrior({self._prior!r})"

    @property
    def std(self) -> float:
        """The spread of dark pixels, which most are: the lowest noise level.

        Nothing in a noised prior or likelihood is sharper than the noise, so samplers whose steps
        are measured by it are stable, whatever the PSF and however bright the few other pixels.
        """
        return self.sigma_range[0]

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The lowest and the highest noise level."""
        return self._prior.sigma_range

    def gaussian(self, event_shape: tuple[int, ...]) -> GaussianPrior | None:
        """Return None: a scene is no stationary field.

        Parameters
        ----------
        event_shape : tuple of int

        Returns
        -------
        None
        """
        return None

    def score(self, x: Any, sigma: Any) -> Tensor:
        """Return the gradient of the log density behind noise.

        Parameters
        ----------
        x : tensor, shape (n, sources, y, x)
        sigma : float or tensor
            One noise level.

        Returns
        -------
        tensor of float32, shape (n, sources, y, x)
        """
        x = as_tensor(x)
        return tf.reshape(self._prior.score(_flat(x), sigma), tf.shape(x))

    def denoise(self, x: Any, sigma: Any) -> Tensor:
        """Return the mean of fields given their noisy versions.

        Parameters
        ----------
        x : tensor, shape (n, sources, y, x)
        sigma : float or tensor
            One noise level.

        Returns
        -------
        tensor of float32, shape (n, sources, y, x)
        """
        x = as_tensor(x)
        return tf.reshape(self._prior.denoise(_flat(x), sigma), tf.shape(x))


def _flat(x: Tensor) -> Tensor:
    return tf.reshape(x, [-1, *x.shape[2:]])


def _square(sigma: Any) -> Tensor:
    return tf.cast(sigma, tf.float32) ** 2


def _first_pixels(
    places: NDArray[np.float64], side: int, factor: int, margin: int
) -> NDArray[np.int64]:
    """Return the first pixel of every stamp on the canvas, the source as central as can be."""
    middle = (places + 0.5) * factor - 0.5 + margin * factor
    return np.rint(middle - 0.5 * (side - 1)).astype(np.int64)


def _rows(low: int, side: int, size: int) -> NDArray[np.float32]:
    """Return which pixel of the canvas each pixel of a stamp is: one or none."""
    return np.eye(side, size, k=int(low), dtype=np.float32)
