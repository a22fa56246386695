"""Conditions for those who have none: drawn from the joint law that a module carries."""

from __future__ import annotations

import dataclasses
from typing import Any

import galsim
import numpy as np
from numpy.typing import NDArray

from .arguments import is_whole
from .conditions import ExtrapolationPolicy, limit_to_range, read_conditions
from .errors import ConditionError, UnsupportedModuleError, suggest
from .latents import standard_normals
from .network import GalaxyNetwork
from .population import FILE_NAME, Population
from .recipe import choose_seeds
from .spec import ModuleSpec

__all__ = ["ConditionSampling"]


class ConditionSampling:
    """Draw a module's conditions, and tell how well its training set covers them."""

    _spec: ModuleSpec
    _network: GalaxyNetwork
    _on_extrapolate: ExtrapolationPolicy

    def sample_conditions(
        self, n: int, rng: galsim.BaseDeviate | None = None, **given: Any
    ) -> dict[str, NDArray[np.float64]]:
        """Draw conditions from their joint law in the training set, or some given the others.

        Parameters
        ----------
        n : int
            How many galaxies.
        rng : galsim.BaseDeviate, optional
            One 64-bit seed is drawn from it a galaxy; a fresh one by default.
        **given : float or array_like of shape (n,)
            Known conditions by name, such as ``mag_auto=24.0``; Quantities are converted.

        Returns
        -------
        dict of str to ndarray of shape (n,)
            A catalogue for `sample`, inside the trained range but for what was given.

        Raises
        ------
        ConditionError
            If n is no whole number, or a given condition is unknown, unusable or not of length n.
        RandomDeviateError
            If `rng` is no GalSim deviate.
        UnsupportedModuleError
            If the module does not carry the law of its conditions.
        """
        population = self._population()
        if not is_whole(n, 0):
            raise ConditionError(f"n must be a whole number, 0 or more, got {n!r}.", None, n)
        known = _read_given(given, n, self._spec, self._on_extrapolate)
        normals = standard_normals(choose_seeds(n, rng), len(self._spec.inputs) + 1)
        drawn = population.sample(normals.astype(float), known)
        table = dict(zip(self._spec.quantities, drawn.T, strict=True))
        for index, condition in enumerate(self._spec.inputs):
            if index not in known:
                # The card's range leaves out the extremes of the training set, so does this.
                column = table[condition.name]
                table[condition.name] = np.clip(column, condition.minimum, condition.maximum)
        return table

    def support(self, catalog: Any) -> NDArray[np.float64]:
        """Tell how well the training set covers the conditions of a catalogue.

        Parameters
        ----------
        catalog : astropy Table, structured array or mapping

        Returns
        -------
        ndarray of shape (n,)
            The share of training galaxies in sparser places of condition space: 1 at the
            densest, 0.01 where 99% of galaxies are in denser ones, 0 outside the training set.

        Raises
        ------
        ConditionError
            If a condition is missing or unusable.
        UnsupportedModuleError
            If the module does not carry the law of its conditions.
        """
        return self._population().support(read_conditions(catalog, self._spec))

    def _population(self) -> Population:
        if FILE_NAME not in self._spec.files:
            raise UnsupportedModuleError(
                f"Module {self._spec.label} does not carry the law of its conditions "
                f"({FILE_NAME}). Give conditions of your own, or choose a newer version.",
                self._spec.label,
                FILE_NAME,
            )
        return _load(self._network)


# Verified and read once a process, as the network is.
_laws: dict[str, Population] = {}


def _load(network: GalaxyNetwork) -> Population:
    identity = network.spec.sha256
    if identity not in _laws:
        network.spec.verify(network.folder)
        _laws[identity] = Population.load(network.folder)
    return _laws[identity]


def _read_given(
    given: dict[str, Any], n: int, spec: ModuleSpec, policy: ExtrapolationPolicy
) -> dict[int, NDArray[np.float64]]:
    """Return the given conditions, (n,) each, by their index."""
    for name in given:
        if name not in spec.quantities:
            raise ConditionError(
                f"Module {spec.label} has no condition {name!r}; it has "
                f"{', '.join(spec.quantities)}.{suggest(name, spec.quantities)}",
                name,
                given[name],
            )
    names = [name for name in spec.quantities if name in given]
    if not names:
        return {}
    reduced = dataclasses.replace(spec, inputs=tuple(i for i in spec.inputs if i.name in given))
    rows = limit_to_range(read_conditions(given, reduced), reduced, policy)
    if len(rows) not in (1, n):
        raise ConditionError(
            f"The given conditions have {len(rows)} rows for {n} galaxies. Give one value, or one "
            "a galaxy.",
            names[0],
            len(rows),
        )
    columns = np.broadcast_to(rows, (n, len(names))).T
    return {
        spec.quantities.index(name): column for name, column in zip(names, columns, strict=True)
    }
