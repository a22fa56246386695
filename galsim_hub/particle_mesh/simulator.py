"""A published simulator: a module of kind ``particle_mesh`` as a differentiable function.

Reach for `galsim_hub.load` where a fixed grid will do and the same bytes are wanted everywhere; for
any other grid, curvature or force mesh use the functions of this package.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..backend import load_function
from ..errors import (
    BoxError,
    CosmologyError,
    ExtrapolationWarning,
    SeedError,
    StepsError,
    suggest,
)
from ..registry import locate
from ..spec import ModuleSpec, read_spec
from .box import Box
from .cosmology import Planck18
from .fourier import to_field
from .modes import white_modes

__all__ = ["Simulation", "Simulator"]

Tensor = Any
OUTPUTS = ("density", "displacement")


class Simulation(NamedTuple):
    """What a published simulator gives.

    Attributes
    ----------
    scale_factors : tensor
        Of the outputs, shape (m,).
    density : tensor
        1 + delta, shape (m, n, n, n).
    displacement : tensor
        Of particles from the grid [Mpc/h], shape (m, 3, n, n, n).
    """

    scale_factors: Tensor
    density: Tensor
    displacement: Tensor


class Simulator:
    """Run a module of kind ``particle_mesh``.

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

    Examples
    --------
    >>> import galsim_hub
    >>> simulator = galsim_hub.load("hub:particle_mesh")
    >>> simulator.n_cells
    32
    """

    def __init__(self, file_name: str | os.PathLike[str]) -> None:
        location = locate(file_name)
        self._spec = read_spec(location.folder)
        self._spec.require_kind("particle_mesh", location.address)
        self._folder = location.folder

    @property
    def spec(self) -> ModuleSpec:
        """The module's card."""
        return self._spec

    @property
    def n_cells(self) -> int:
        """Number of cells along a side of the box."""
        return round(self._spec.random_size ** (1 / 3))

    @property
    def parameters(self) -> tuple[str, ...]:
        """What `simulate` may be given by name, the size of the box among it."""
        return self._spec.quantities

    def white_noise(self, seed: int) -> NDArray[np.float32]:
        """Draw the normal numbers of a seed.

        Parameters
        ----------
        seed : int
            As `white_modes` takes it: the same large scales at every number of cells.

        Returns
        -------
        ndarray of float32
            One number of unit variance a cell, shape (n, n, n).
        """
        box = Box(self.n_cells, 1.0)
        modes = white_modes(box, seed) * box.n_cells**0.5
        return to_field(tf.constant(modes), box.shape).numpy().astype(np.float32)

    def simulate(
        self,
        seed: int | None = None,
        *,
        white: Tensor | None = None,
        scale_factors: Sequence[float] | Tensor = (1.0,),
        box_size: float | Tensor = 200.0,
        **parameters: float | Tensor,
    ) -> Simulation:
        """Grow structure from normal numbers.

        Parameters
        ----------
        seed : int, optional
            Of the normal numbers.
        white : tensor, optional
            The normal numbers themselves, in place of a seed, shape (n, n, n).
        scale_factors : sequence of float or tensor
            When to look, ascending, after the module's first scale factor.
        box_size : float or tensor
            Side of the box [Mpc/h].
        **parameters : float or tensor
            Those of `parameters` that differ from Planck 2018 with a cosmological constant.

        Returns
        -------
        Simulation
            Gradients flow to everything that was given as a tensor.

        Raises
        ------
        CosmologyError
            If a parameter is unknown or not a number.
        StepsError
            If the scale factors do not ascend, or begin too early.
        SeedError
            If neither or both of `seed` and `white` are given.

        Warns
        -----
        ExtrapolationWarning
            If a parameter lies outside the range of the card.
        """
        inputs = self._read_parameters({"box_size": box_size, **parameters})
        inputs["random_normal"] = self._read_white(seed, white)
        inputs["scale_factors"] = self._read_scale_factors(scale_factors)
        density, displacement = self._run(inputs)
        return Simulation(inputs["scale_factors"][0], density[0], displacement[0])

    def _run(self, inputs: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        names = list(inputs)
        simulate, pull_back = (
            load_function(self._folder, self._spec, name) for name in ("simulate", "pull_back")
        )

        @tf.custom_gradient
        def run(*values: Tensor) -> tuple[Any, Any]:
            given = dict(zip(names, map(tf.stop_gradient, values), strict=True))
            outputs = simulate(**given)

            def gradient(*upstream: Tensor) -> list[Tensor]:
                slopes = {f"{n}_gradient": x for n, x in zip(OUTPUTS, upstream, strict=True)}
                pulled = pull_back(**given, **slopes)
                return [pulled[name] for name in names]

            return tuple(outputs[name] for name in OUTPUTS), gradient

        return run(*inputs.values())

    def _read_parameters(self, given: dict[str, Tensor]) -> dict[str, Tensor]:
        planck = Planck18()
        defaults = {name: getattr(planck, name) for name in self.parameters if name != "box_size"}
        unknown = sorted(set(given) - set(self.parameters))
        if unknown:
            raise CosmologyError(
                f"Module {self._spec.label} has no parameter {unknown[0]!r}; it has "
                f"{', '.join(self.parameters)}.{suggest(unknown[0], self.parameters)}",
                unknown[0],
                given[unknown[0]],
            )
        values = {n: tf.reshape(tf.cast(x, tf.float32), [1]) for n, x in (defaults | given).items()}
        known = {n: tf.get_static_value(x) for n, x in values.items()}
        numbers = {n: float(x[0]) for n, x in known.items() if x is not None}
        for name, value in numbers.items():
            self._check_range(name, value)
        if numbers.get("Omega_b", -np.inf) > numbers.get("Omega_m", np.inf):
            raise CosmologyError(
                f"Omega_m = {numbers['Omega_m']:g} is less than Omega_b = {numbers['Omega_b']:g}, "
                "which is a part of it. Give a larger Omega_m.",
                "Omega_m",
                numbers["Omega_m"],
            )
        return values

    def _check_range(self, name: str, value: float) -> None:
        allowed = next(parameter for parameter in self._spec.inputs if parameter.name == name)
        if not np.isfinite(value):
            raise CosmologyError(f"{name} = {value}; give a finite number.", name, value)
        if allowed.minimum > 0 and value <= 0:
            raise CosmologyError(
                f"{name} = {value:g} must be positive; the module knows {allowed.range_text}.",
                name,
                value,
            )
        if not allowed.minimum <= value <= allowed.maximum:
            warnings.warn(
                f"{name} = {value:g} lies outside the range of {self._spec.label}, "
                f"{allowed.range_text}.",
                ExtrapolationWarning,
                stacklevel=4,
            )

    def _read_white(self, seed: int | None, white: Tensor | None) -> Tensor:
        if (seed is None) == (white is None):
            raise SeedError("Give one of seed and white: they say the same thing.", seed)
        n = self.n_cells
        field = tf.cast(white if seed is None else self.white_noise(seed), tf.float32)
        if tuple(field.shape) != (n, n, n):
            raise BoxError(
                f"The normal numbers have the shape {tuple(field.shape)}, and {self._spec.label} "
                f"takes those of one box, ({n}, {n}, {n}). Simulate several one by one.",
                tuple(field.shape),
            )
        return tf.reshape(field, [1, n**3])

    def _read_scale_factors(self, scale_factors: Sequence[float] | Tensor) -> Tensor:
        first = self._spec.training["first_scale_factor"]
        outputs = tf.reshape(tf.cast(scale_factors, tf.float32), [1, -1])
        known = tf.get_static_value(outputs)
        if known is not None and (
            known.size == 0
            or not np.all(np.diff(known[0], prepend=first) > 0)
            or not np.all(known <= 1.0)
        ):
            raise StepsError(
                f"The scale factors {known[0].tolist()} do not ascend from {first}, where "
                f"{self._spec.label} begins, to at most 1. Sort them and leave out the others.",
                tuple(known[0].tolist()),
            )
        return outputs
