"""What determines one galaxy of a model, bit for bit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import ConditionError, LatentError, SeedError, UnknownModuleError, suggest
from .latents import check_rng, check_seed, draw_seed, seed_from_id

__all__ = ["Recipe", "StampSource", "check_source", "choose_seeds"]


class StampSource(Protocol):
    """Say what a galaxy needs of its model: `GenerativeGalaxyModel` has it."""

    @property
    def pixel_size(self) -> float:
        """Give the side of a pixel [arcsec]."""
        ...

    @property
    def quantities(self) -> tuple[str, ...]:
        """Name the conditions, in order."""
        ...

    def read_conditions(self, catalog: Any) -> NDArray[np.float64]:
        """Check conditions, shape (n, number of quantities)."""
        ...

    def read_latents(self, latents: ArrayLike) -> NDArray[np.float32]:
        """Check latent codes, shape (n, latent_size)."""
        ...

    def generate(
        self, conditions: NDArray[np.float64], seeds: Sequence[int]
    ) -> NDArray[np.float32]:
        """Make the stamps of seeds, shape (n, y, x)."""
        ...

    def generate_from_latents(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the stamps of latent codes, shape (n, y, x)."""
        ...


def check_source(model: object) -> None:
    """Refuse what is no model, such as the address of one.

    Parameters
    ----------
    model : object

    Raises
    ------
    UnknownModuleError
        If it has no conditions to ask for.
    """
    if not hasattr(model, "quantities"):
        remedy = f"GenerativeGalaxyModel({model!r})" if isinstance(model, str) else "one"
        raise UnknownModuleError(
            f"A galaxy is made of a GenerativeGalaxyModel, got {model!r}. Give {remedy}.",
            str(model),
        )


@dataclass(frozen=True)
class Recipe:
    """Hold what determines a galaxy beside its model: conditions and seed, or a latent code.

    Attributes
    ----------
    conditions : tuple of float
        In the order of the model's quantities; empty for a latent code.
    seed : int or None
        0 <= seed < 2**64; None for a latent code.
    latents : tuple of float
        The latent code; empty for a seed.
    """

    conditions: tuple[float, ...] = ()
    seed: int | None = None
    latents: tuple[float, ...] = ()

    @classmethod
    def from_conditions(
        cls, model: StampSource, conditions: Mapping[str, Any], seed: int
    ) -> Recipe:
        """Check the named conditions of one galaxy.

        Parameters
        ----------
        model : StampSource
        conditions : mapping of str to float
        seed : int

        Returns
        -------
        Recipe

        Raises
        ------
        ConditionError
            If one is missing, unknown, no scalar or unusable.
        """
        _check_names(conditions, model.quantities)
        rows = model.read_conditions(conditions or {"": 0})
        if len(rows) != 1:
            raise ConditionError(
                f"One galaxy takes one value a condition, got {len(rows)}. Use model.sample for a "
                "catalogue.",
                None,
                len(rows),
            )
        return cls(conditions=tuple(rows[0].tolist()), seed=seed)

    @classmethod
    def from_latents(
        cls, model: StampSource, conditions: Mapping[str, Any], latents: ArrayLike
    ) -> Recipe:
        """Check the latent code of one galaxy, which takes no conditions.

        Parameters
        ----------
        model : StampSource
        conditions : mapping of str to float
            Must be empty.
        latents : array_like of float, shape (latent_size,)

        Returns
        -------
        Recipe

        Raises
        ------
        ConditionError
            If there are conditions.
        LatentError
            If it is not one code of the right length.
        """
        _check_names(conditions, ())
        codes = model.read_latents(latents)
        if len(codes) != 1:
            raise LatentError(
                f"One galaxy takes one latent code, got {len(codes)}. Use model.decode for more.",
                codes.shape,
            )
        return cls(latents=tuple(codes[0].tolist()))

    def make_stamp(self, model: StampSource) -> NDArray[np.float32]:
        """Generate the galaxy's pixels.

        Parameters
        ----------
        model : StampSource

        Returns
        -------
        ndarray of float32, shape (y, x)
        """
        if self.seed is None:
            stamps = model.generate_from_latents(np.array([self.latents], dtype=np.float32))
        else:
            stamps = model.generate(np.array([self.conditions]), [self.seed])
        stamp: NDArray[np.float32] = stamps[0]
        return stamp

    def name_values(self, quantities: Sequence[str]) -> dict[str, float]:
        """Give the conditions by name; none for a latent code.

        Parameters
        ----------
        quantities : sequence of str

        Returns
        -------
        dict of str to float
        """
        return dict(zip(quantities, self.conditions, strict=False))


def choose_seeds(
    n: int,
    rng: galsim.BaseDeviate | None = None,
    seeds: Iterable[int] | None = None,
    obj_ids: Iterable[Hashable] | None = None,
) -> list[int]:
    """Settle the seeds of n galaxies: given, hashed from ids, or drawn in order.

    Parameters
    ----------
    n : int
    rng : galsim.BaseDeviate, optional
        Left alone if seeds or ids are given.
    seeds : iterable of int, optional
    obj_ids : iterable of int, str or tuple, optional

    Returns
    -------
    list of int, length n

    Raises
    ------
    RandomDeviateError
        If `rng` is no GalSim deviate.
    SeedError
        If both seeds and ids are given, or they are unusable or not n.
    """
    if seeds is not None and obj_ids is not None:
        raise SeedError("Give seeds or obj_ids, not both: each determines the galaxies.", None)
    deviate = check_rng(rng)
    if seeds is not None:
        chosen = [check_seed(seed) for seed in seeds]
    elif obj_ids is not None:
        chosen = [seed_from_id(obj_id) for obj_id in obj_ids]
    else:
        chosen = [draw_seed(deviate) for _ in range(n)]
    if len(chosen) != n:
        raise SeedError(
            f"Got {len(chosen)} seeds or obj_ids for {n} galaxies. Give one a row.", len(chosen)
        )
    return chosen


def _check_names(conditions: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in conditions:
        if name not in known:
            takes = f"conditions {', '.join(known)}" if known else "no conditions beside latents"
            raise ConditionError(
                f"{name!r} is no condition: the galaxy takes {takes}.{suggest(name, known)}", name
            )
