"""Make the galaxies of a configuration file a few at a time, though GalSim asks for one.

Several galaxies in one call cost less than one by one. The conditions of a coming object can be
known if they, and its seed or id, are constant or come from a Catalog or a Sequence; what
follows an rng cannot. A stamp is kept under the recipe that determines it, so looking ahead
changes no pixel: at worst a stamp is made in vain.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend.chunks import limit_threads
from .recipe import Recipe, StampSource

__all__ = ["MAX_AHEAD", "is_foreseeable", "strip_state", "take_stamp"]

# With the galaxy that is asked for, one call of the flow; few enough to waste at a job's end.
MAX_AHEAD = 7
_MAX_KEPT = 32  # stamps, 2 MB of 128x128 pixels
_FORESEEABLE = ("Catalog", "Sequence")

_kept: OrderedDict[tuple[StampSource, Recipe], NDArray[np.float32]] = OrderedDict()


def is_foreseeable(value: Any) -> bool:
    """Tell whether an entry of a configuration is known for objects to come.

    Parameters
    ----------
    value : object
        A number, a text, or a dict with a type.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_foreseeable({"type": "Sequence", "first": 20}), is_foreseeable("$obj_num**2")
    (True, False)
    """
    if isinstance(value, Mapping):
        entries = strip_state(value)
        return entries.pop("type", None) in _FORESEEABLE and all(
            is_foreseeable(entry) for entry in entries.values()
        )
    if isinstance(value, str):
        return not value.startswith(("$", "@"))
    return isinstance(value, int | float | np.number)


def strip_state(value: Any) -> Any:
    """Copy an entry without what GalSim remembers in it.

    Parameters
    ----------
    value : object

    Returns
    -------
    object
    """
    if not isinstance(value, Mapping):
        return value
    return {
        name: strip_state(entry)
        for name, entry in value.items()
        if name != "current" and not name.startswith("_")
    }


def take_stamp(
    model: StampSource, recipe: Recipe, foresee: Callable[[], Iterable[Recipe]]
) -> NDArray[np.float32]:
    """Give the stamp of a recipe, made with those of the recipes to come if need be.

    Parameters
    ----------
    model : StampSource
    recipe : Recipe
        Of conditions and a seed.
    foresee : callable
        Gives the recipes to come; called only if the stamp is not there yet.

    Returns
    -------
    ndarray of float32, shape (y, x)
    """
    if (model, recipe) not in _kept:
        recipes = list(dict.fromkeys([recipe, *foresee()]))
        conditions = np.array([each.conditions for each in recipes])
        with limit_threads(1):  # a configuration says by nproc how many cores to take
            stamps = model.generate(conditions, [each.seed or 0 for each in recipes])
        for each, stamp in zip(recipes, stamps, strict=True):
            _kept[model, each] = stamp.copy()  # a view would keep the whole batch alive
    # Taken, not looked up: an object is drawn once.
    stamp = _kept.pop((model, recipe))
    while len(_kept) > _MAX_KEPT:
        _kept.popitem(last=False)
    return stamp
