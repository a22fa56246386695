"""The joint law of a module's conditions: which galaxies there are, and how well each is covered.

A module that carries `FILE_NAME` can draw its own conditions. The law is a copula: each
condition has a table of its quantiles, at even steps of the normal score, and a mixture of
Gaussians joins the scores. So marginals and their edges (a survey's magnitude limit) are
as in the training set, and given some conditions the others follow in closed form.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import CorruptedModuleError

__all__ = ["FILE_NAME", "SCORES", "Population"]

FILE_NAME = "conditions.npz"
SCORES = np.linspace(-4.0, 4.0, 321)  # where the tables hold each condition's quantile
_BLOCK = 16384  # rows handled at a time, so that memory stays small

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Hold the law of d conditions as a mixture of k Gaussians of their normal scores.

    Attributes
    ----------
    values : ndarray, shape (d, len(SCORES))
        Each condition's value at each score, strictly rising.
    weights : ndarray, shape (k,)
    means : ndarray, shape (k, d)
    covariances : ndarray, shape (k, d, d)
    log_densities : ndarray
        Even quantiles, from 0 to 1, of the log density of the scores of the training set.

    Notes
    -----
    The log densities are those of the scores, not of the conditions: they do not depend on the
    conditions' units.
    """

    values: Array
    weights: Array
    means: Array
    covariances: Array
    log_densities: Array

    @classmethod
    def load(cls, folder: Path) -> Population:
        """Read the law of the module in a folder.

        Parameters
        ----------
        folder : pathlib.Path
            The module's folder, whose files have been verified.

        Returns
        -------
        Population

        Raises
        ------
        CorruptedModuleError
            If the file cannot be read.
        """
        path = folder / FILE_NAME
        try:
            with np.load(path) as file:
                return cls(**{name: file[name].astype(float) for name in cls.__dataclass_fields__})
        except (OSError, ValueError, KeyError) as error:
            raise CorruptedModuleError(
                f"The law of the conditions in {path} cannot be read: {error}. Fetch the module "
                "again.",
                str(path),
            ) from error

    def save(self, folder: Path) -> None:
        """Write the law into a module's folder.

        Parameters
        ----------
        folder : pathlib.Path
        """
        arrays = {name: getattr(self, name) for name in self.__dataclass_fields__}
        np.savez_compressed(folder / FILE_NAME, **arrays)

    def sample(self, normals: Array, given: Mapping[int, Array]) -> Array:
        """Draw conditions, all of them or those that are not given.

        Parameters
        ----------
        normals : ndarray, shape (n, d + 1)
            Standard normals: one picks a row's Gaussian, the others its place in it.
        given : mapping of int to ndarray of shape (n,)
            Known conditions by their index; a value beyond the tables counts as their end.

        Returns
        -------
        ndarray, shape (n, d)
        """
        known = sorted(given)
        conditions = np.empty((len(normals), len(self.values)))
        for rows in _blocks(len(normals)):
            scores = np.empty_like(conditions[rows])
            for i in known:
                scores[:, i] = self._scores(given[i][rows], i)
            self._complete(scores, known, normals[rows].astype(float))
            for i, table in enumerate(self.values):
                drawn = np.interp(scores[:, i], SCORES, table)
                conditions[rows, i] = given[i][rows] if i in given else drawn
        return conditions

    def support(self, conditions: Array) -> Array:
        """Tell how well the training set covers conditions.

        Parameters
        ----------
        conditions : ndarray, shape (n, d)

        Returns
        -------
        ndarray, shape (n,)
            The share of the training set in sparser places: 1 at the densest, 0 outside.
        """
        scores = np.stack([self._scores(c, i) for i, c in enumerate(conditions.T)], axis=1)
        shares = np.linspace(0.0, 1.0, len(self.log_densities))
        support = np.interp(self.log_density(scores), self.log_densities, shares)
        lower, upper = self.values[:, 0], self.values[:, -1]
        inside = np.all((conditions >= lower) & (conditions <= upper), axis=1)
        return np.where(inside, support, 0.0)

    def log_density(self, scores: Array) -> Array:
        """Return the log density of normal scores.

        Parameters
        ----------
        scores : ndarray, shape (n, d)

        Returns
        -------
        ndarray, shape (n,)
        """
        columns = list(range(scores.shape[1]))
        parts = [_log_sum(self.log_weights(scores[r], columns)) for r in _blocks(len(scores))]
        return np.concatenate([np.empty(0), *parts])

    def _scores(self, column: Array, index: int) -> Array:
        return np.interp(column, self.values[index], SCORES)

    def log_weights(self, scores: Array, chosen: list[int]) -> Array:
        """Return the logarithm of weight times density of each Gaussian.

        Parameters
        ----------
        scores : ndarray, shape (n, d)
        chosen : list of int
            The columns that count.

        Returns
        -------
        ndarray, shape (n, k)
        """
        cholesky = np.linalg.cholesky(self.covariances[:, chosen][:, :, chosen])
        offsets = scores[:, None, chosen] - self.means[None][:, :, chosen]
        whitened = np.einsum("kij,nkj->nki", np.linalg.inv(cholesky), offsets)
        log_det = np.log(np.diagonal(cholesky, axis1=1, axis2=2)).sum(axis=1)
        constant = np.log(self.weights) - log_det - 0.5 * len(chosen) * np.log(2.0 * np.pi)
        weights: Array = constant - 0.5 * np.sum(whitened**2, axis=2)
        return weights

    def _complete(self, scores: Array, known: list[int], normals: Array) -> None:
        """Fill in the columns of `scores` that are not known."""
        free = [i for i in range(scores.shape[1]) if i not in known]
        chosen = _pick(self.log_weights(scores, known), normals[:, -1])
        for k in np.unique(chosen):
            rows, covariance = chosen == k, self.covariances[k]
            gain = np.linalg.solve(
                covariance[np.ix_(known, known)], covariance[np.ix_(known, free)]
            )
            left = covariance[np.ix_(free, free)] - covariance[np.ix_(free, known)] @ gain
            mean = self.means[k, free] + (scores[rows][:, known] - self.means[k, known]) @ gain
            drawn = mean + normals[rows][:, free] @ np.linalg.cholesky(left).T
            scores[np.ix_(rows, free)] = drawn


def _blocks(n: int) -> list[slice]:
    return [slice(start, start + _BLOCK) for start in range(0, n, _BLOCK)]


def _log_sum(logs: Array) -> Array:
    top: Array = logs.max(axis=1)
    total: Array = top + np.log(np.exp(logs - top[:, None]).sum(axis=1))
    return total


def _pick(log_weights: Array, normals: Array) -> NDArray[np.int64]:
    """Choose a Gaussian a row, by the quantile of a standard normal."""
    weights = np.cumsum(np.exp(log_weights - log_weights.max(axis=1, keepdims=True)), axis=1)
    quantiles = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in normals.tolist()])
    chosen: NDArray[np.int64] = np.sum(weights < (quantiles * weights[:, -1])[:, None], axis=1)
    return np.minimum(chosen, weights.shape[1] - 1)
