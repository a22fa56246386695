"""A learned optimiser: a recurrent network that reads gradients and says where to go.

Ten of its steps do what hundreds of a general search do, for the fields that it was trained on
(Modi et al. 2021, arXiv:2104.12864). The physics stays outside: a network is given the gradients of
likelihood and prior, scaled as Adam scales them, and Newton's step of a linear model.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from ..arguments import is_count
from ..backend import load_function
from ..errors import ExtrapolationWarning, ReconstructionError
from ..registry import locate
from ..spec import ModuleSpec, read_spec
from .posterior import Posterior

__all__ = ["N_FEATURES", "LearnedSearch", "learned_steps"]

N_FEATURES = 7
ADAM_MOMENTS = 0.9, 0.999
# Axes of fields (batch, x, y, z) that each mirror image turns round, those of two far apart first.
MIRRORS = ((), (1, 2, 3), (2, 3), (1, 3), (1, 2), (3,), (2,), (1,))
ALIKE = 1e-2  # relative, what mirror images of a forward model's result may differ by
TOLERANCE = 0.05  # relative, of cells and noise, beyond which the search warns
PART = 0.25  # of Newton's step; halves diverge, because clusters are far from linear

Tensor = Any
Network = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def learned_steps(
    posterior: Posterior, network: Network, n_iterations: int, hidden_size: int
) -> Iterator[Tensor]:
    """Take steps from zeros as a network says.

    Parameters
    ----------
    posterior : Posterior
        Of a batch of observed fields, shape (batch, nx, ny, nz).
    network : function
        From features (batch, nx, ny, nz, `N_FEATURES`) and memory (batch, nx, ny, nz,
        `hidden_size`) to a correction (batch, nx, ny, nz) and new memory.
    n_iterations : int
        Steps to take.
    hidden_size : int
        Numbers that the network remembers of a cell.

    Yields
    ------
    white : tensor of float32
        White noise after each step, shape (batch, nx, ny, nz).
    """
    shape = posterior.observed.shape
    white, hidden = tf.zeros(shape), tf.zeros([*shape, hidden_size])
    moments = [tf.zeros([2, *shape]), tf.zeros([2, *shape])]
    for i in range(n_iterations):
        # Stopped: the gradient's own gradient is neither known nor needed to learn.
        gradients = [tf.stop_gradient(tf.cast(g, tf.float32)) for g in posterior.gradients(white)]
        scaled, moments = _scale(tf.stack(gradients), moments, i + 1)
        newton = [posterior.newton_step(gradient) for gradient in (*gradients, sum(gradients))]
        newton = [2.0 * tf.tanh(0.5 * step) for step in newton]  # clusters ask for too much
        done = tf.fill(shape, i / n_iterations)
        linear = posterior.linear(white) / posterior.linear_std
        features = tf.stack([white, linear, *tf.unstack(scaled), *newton[:2], done], axis=-1)
        correction, hidden = network(features, hidden)
        white += posterior.linear(correction) / posterior.linear_std - PART * newton[2]
        yield white


def _scale(gradients: Tensor, moments: list[Tensor], n: int) -> tuple[Tensor, list[Tensor]]:
    first, second = ADAM_MOMENTS
    mean = first * moments[0] + (1.0 - first) * gradients
    square = second * moments[1] + (1.0 - second) * gradients**2
    scale = tf.sqrt(square / (1.0 - second**n)) + 1e-8
    return mean / (1.0 - first**n) / scale, [mean, square]


class LearnedSearch:
    """Run a module of kind ``field_search``.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION`` or the path of a module's folder.

    Raises
    ------
    UnknownModuleError
        If there is no such module.
    UnsupportedModuleError
        If it is a module of another kind.
    """

    def __init__(self, file_name: str | os.PathLike[str]) -> None:
        location = locate(file_name)
        self._spec, self._folder = read_spec(location.folder), location.folder
        self._spec.require_kind("field_search", location.address)

    @property
    def spec(self) -> ModuleSpec:
        """The module's card."""
        return self._spec

    def reconstruct(
        self, posterior: Posterior, n_iterations: int | None = None, *, orientations: int = 8
    ) -> Tensor:
        """Find probable initial conditions.

        All mirror images of the observation are searched beside it and the results averaged: nature
        has no handedness, but a network has errors of its own in each.

        Parameters
        ----------
        posterior : Posterior
            Of observed fields, shape (nx, ny, nz) or (batch, nx, ny, nz). How like those of the
            card they are decides how good the result is.
        n_iterations : int, optional
            Steps to take; as many as in training by default.
        orientations : int
            Of the 8 mirror images, how many to search, in one batch: 1 is the observation alone.

        Returns
        -------
        tensor of float32
            White noise, shaped as the observed fields; `posterior.linear` makes it a density.

        Raises
        ------
        ReconstructionError
            If a side of the grid is not a multiple of the module's coarsest cell, there is no step,
            or several orientations are asked for of a forward model that tells mirror images apart.

        Warns
        -----
        ExtrapolationWarning
            If cells or noise are not those of the module's training.
        """
        training = self._spec.training
        multiple = training["multiple_of"]
        if any(n % multiple for n in posterior.box.shape):
            raise ReconstructionError(
                f"The grid {posterior.box.shape} does not suit {self._spec.label}: each side must "
                f"be a multiple of {multiple}. Choose such a grid.",
                posterior.box.shape,
            )
        n = training["iterations"] if n_iterations is None else n_iterations
        if not is_count(n):
            raise ReconstructionError(
                f"{n!r} steps of a search are asked for. Give a whole number above 0.", n
            )
        self._warn_of_others(posterior)
        step = load_function(self._folder, self._spec, "step")

        def network(features: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
            outputs = step(features=features, hidden=hidden)
            return outputs["correction"], outputs["hidden"]

        mirrors = _mirrors(posterior, orientations)
        rows = [-1, *posterior.box.shape]
        weight = np.broadcast_to(posterior.weight, posterior.observed.shape)
        observed, weight = (np.reshape(x, rows) for x in (posterior.observed, weight))
        batch = posterior.observing(
            np.concatenate([np.flip(observed, axes) for axes in mirrors]),
            np.concatenate([np.flip(weight, axes) for axes in mirrors]),
        )
        white = tf.zeros(batch.observed.shape)
        for white in learned_steps(batch, network, int(n), training["hidden"]):  # noqa: B007 - the last
            pass
        parts = zip(tf.split(white, len(mirrors)), mirrors, strict=True)
        mean = sum(tf.reverse(part, list(axes)) if axes else part for part, axes in parts)
        return tf.reshape(mean / len(mirrors), posterior.observed.shape)

    def _warn_of_others(self, posterior: Posterior) -> None:
        training = self._spec.training
        noise = float(np.mean(posterior.weight**2)) ** -0.5
        given = {"cell": max(posterior.box.cell), "noise": noise}
        other = [name for name, x in given.items() if abs(x / training[name] - 1.0) > TOLERANCE]
        if other or min(posterior.box.cell) < (1.0 - TOLERANCE) * training["cell"]:
            warnings.warn(
                f"{self._spec.label} was trained on cells of {training['cell']:g} Mpc/h with noise "
                f"of {training['noise']:g} a cell, and these are {posterior.box.cell} with "
                f"{noise:g}. Go on from the result with galsim_hub.particle_mesh.reconstruct.",
                ExtrapolationWarning,
                stacklevel=3,
            )


def _mirrors(posterior: Posterior, orientations: int) -> tuple[tuple[int, ...], ...]:
    """Return the mirror images to search; refuse those that a forward model tells apart."""
    if orientations not in range(1, len(MIRRORS) + 1):
        raise ReconstructionError(
            f"{orientations!r} orientations are asked for; give 1 to {len(MIRRORS)}.", orientations
        )
    mirrors = MIRRORS[:orientations]
    white = tf.random.stateless_normal([1, *posterior.box.shape], [0, 0])
    turned = [tf.reverse(white, list(axes)) if axes else white for axes in mirrors]
    if orientations > 1:
        plain, *images = (posterior.forward(posterior.linear(field)) for field in turned)
        for image, axes in zip(images, mirrors[1:], strict=True):
            apart = tf.norm(tf.reverse(image, list(axes)) - plain) / tf.norm(plain)
            if apart > ALIKE:
                raise ReconstructionError(
                    "The forward model tells mirror images apart: those of one field differ by "
                    f"{float(apart):.2g}. Give orientations=1.",
                    orientations,
                )
    return mirrors
