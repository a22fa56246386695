"""A prior of fields wider than a network takes at once, from overlapping patches.

The denoised field is put together, not samples: samples of two patches are different fields, and
their mean where patches overlap has half the scatter and edges of both. One field that every patch
denoises its part of has neither, and the likelihood, which is not local, sees it whole.

What reaches far in a denoised field is the Gaussian part, and that is known for any size. It is
taken over the whole field, and patches give only what the network adds to theirs.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..errors import FieldError
from .fields import as_fields, as_levels
from .gaussian import GaussianPrior
from .prior import Prior

__all__ = ["PatchedPrior"]

# Networks halve their grid up to three times, and answer otherwise for a field that is shifted by
# less than a cell of the coarsest.
_COARSEST = 8  # [pixel]

Tensor = Any


class PatchedPrior:
    """Know the score of fields of any size by that of square patches.

    Parameters
    ----------
    prior : Prior
        Of images, with a power spectrum.
    size : int
        Side of a patch [pixel].
    overlap : int
        Of neighbouring patches [pixel]. A quarter of it, at each edge of a patch, counts for
        nothing: there the network sees the patch's other side.

    Raises
    ------
    FieldError
        If the overlap is not below half the size, or the prior has no power spectrum.
    """

    def __init__(self, prior: Prior, size: int, overlap: int) -> None:
        if not 4 <= overlap < size / 2:
            raise FieldError(
                f"Patches of {size} pixels cannot overlap by {overlap}: take from 4 to less than "
                "half the size.",
                overlap,
            )
        if prior.gaussian((size, size)) is None:
            raise FieldError(
                "Patches need a prior with a power spectrum, which this one has not: sample fields "
                "of the prior's own size.",
                size,
            )
        self._prior, self._size, self._overlap = prior, size, overlap

    def __repr__(self) -> str:
        return f"galsim_hub.score.PatchedPrior({self._prior!r}, {self._size}, {self._overlap})"

    @property
    def std(self) -> float:
        """The standard deviation of the fields' values."""
        return self._prior.std

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels that it knows."""
        return self._prior.sigma_range

    def gaussian(self, event_shape: tuple[int, ...]) -> GaussianPrior | None:
        """Return the Gaussian prior of the same power spectrum.

        Parameters
        ----------
        event_shape : tuple of int
            The shape of one field.

        Returns
        -------
        GaussianPrior
        """
        return self._prior.gaussian(event_shape)

    def score(self, x: Any, sigma: Any) -> Tensor:
        """Return the gradient of the log density behind noise.

        Parameters
        ----------
        x : array_like or tensor, shape (n, y, x)
        sigma : float or array_like, shape (n,)
            Within `sigma_range`.

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        x = as_fields(x, (None, None))
        return (self.denoise(x, sigma) - x) / as_levels(sigma, tf.shape(x)[0], 2) ** 2

    def denoise(self, x: Any, sigma: Any) -> Tensor:
        """Return the mean of fields given their noisy versions.

        Parameters
        ----------
        x : array_like or tensor, shape (n, y, x)
        sigma : float or array_like, shape (n,)

        Returns
        -------
        tensor of float32, shape (n, y, x)
        """
        x = as_fields(x, (None, None))
        shape = (int(x.shape[1]), int(x.shape[2]))
        starts = [_starts(side, self._size, self._overlap) for side in shape]
        sides = [min(side, self._size) for side in shape]
        window = np.outer(
            *(_window(n, side, self._overlap) for n, side in zip(shape, sides, strict=True))
        )
        places = np.array(list(itertools.product(*starts)), np.int32)
        weight = tf.constant(window, tf.float32)
        # Patches wrap around as the field does, and their windows are brought to a sum of one.
        total = sum(_put(weight[None], place, shape) for place in places)
        corners = tf.constant(places)

        def add(i: Tensor, added: Tensor) -> tuple[Tensor, Tensor]:
            patch = tf.roll(x, -corners[i], [1, 2])[:, : sides[0], : sides[1]]
            extra = self._prior.denoise(patch, sigma) - self._wiener(patch, sigma)
            return i + 1, added + _put(weight * extra, corners[i], shape)

        start = (0, tf.zeros_like(x))
        added = tf.while_loop(lambda i, _: i < len(places), add, start)[1]
        return self._wiener(x, sigma) + added / total

    def _wiener(self, x: Tensor, sigma: Any) -> Tensor:
        gaussian = self._prior.gaussian((int(x.shape[1]), int(x.shape[2])))
        assert gaussian is not None  # asked when this was made
        return gaussian.denoise(x, sigma)


def _starts(side: int, size: int, overlap: int) -> NDArray[np.int64]:
    """Return where patches begin along one axis, evenly; one if it holds the whole axis."""
    count = 1 if side <= size else math.ceil(side / (size - overlap))
    starts = np.arange(count) * side // count
    # What is left of a narrow overlap would not cover the field.
    return starts // _COARSEST * _COARSEST if overlap >= 2 * _COARSEST else starts


def _window(n: int, side: int, overlap: int) -> NDArray[np.float64]:
    """Return the weight of a patch's pixels along one axis: zero, a smooth rise, one."""
    if n == side:
        return np.ones(side)  # it meets nobody but itself, as the whole field does
    margin = overlap // 4
    inside = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5 - margin
    return np.sin(0.5 * np.pi * np.clip(inside / (overlap - 2 * margin), 0.0, 1.0)) ** 2


def _put(patch: Tensor, place: Any, shape: tuple[int, int]) -> Tensor:
    """Return fields that are zero outside of a patch."""
    rest = [[0, 0], *([0, n - side] for n, side in zip(shape, patch.shape[1:], strict=True))]
    return tf.roll(tf.pad(patch, rest), place, [1, 2])
