"""Make the galaxies of a configuration file a few at a time, though GalSim asks for one.

Several galaxies in one call cost less than one by one. The conditions of a coming object can be
known if they, and its seed or id, are constant, come from a Catalog or a Sequence, or are an
expression of such; what follows an rng cannot. A stamp is kept under the recipe that determines it,
so looking ahead changes no pixel: at worst a stamp is made in vain.
"""

from __future__ import annotations

import ast
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend.chunks import limit_threads
from .recipe import Recipe, StampSource

__all__ = ["MAX_AHEAD", "coming_bases", "is_foreseeable", "strip_state", "take_stamp"]

# With the galaxy that is asked for, one call of the flow; few enough to waste at a job's end.
MAX_AHEAD = 7
_MAX_KEPT = 32  # stamps, 2 MB of 128x128 pixels
_FORESEEABLE = ("Catalog", "Sequence")
# What expressions may name beside variables: modules without a state, functions, and the object.
_CONSTANT = frozenset(
    {"abs", "float", "int", "math", "max", "min", "np", "numpy", "round", "obj_num"}
)

_kept: OrderedDict[tuple[StampSource, Recipe], NDArray[np.float32]] = OrderedDict()


def is_foreseeable(value: Any, variables: Mapping[str, Any] | None = None) -> bool:
    """Tell whether an entry of a configuration is known for objects to come.

    Parameters
    ----------
    value : object
        A number, a text, an expression, or a dict with a type.
    variables : mapping, optional
        The configuration's ``eval_variables``, which expressions may name.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_foreseeable({"type": "Sequence", "first": 20}), is_foreseeable("$rng() ** 2")
    (True, False)
    >>> is_foreseeable("$a / 0.03", {"fa": {"type": "Catalog", "col": 5}})
    True
    """
    variables = variables or {}
    if isinstance(value, Mapping):
        entries = strip_state(value)
        kind = entries.pop("type", None)
        if kind == "Eval":
            return _is_foreseeable_expression(str(entries.get("str")), variables)
        return kind in _FORESEEABLE and all(
            is_foreseeable(entry, variables) for entry in entries.values()
        )
    if isinstance(value, str) and value.startswith("$"):
        return _is_foreseeable_expression(value[1:], variables)
    if isinstance(value, str):
        return not value.startswith("@")
    return isinstance(value, int | float | np.number)


def _is_foreseeable_expression(expression: str, variables: Mapping[str, Any]) -> bool:
    """Tell whether all that an expression names is known for objects to come."""
    if "@" in expression or "random" in expression:
        return False
    try:
        nodes = list(ast.walk(ast.parse(expression.strip(), mode="eval")))
    except SyntaxError:
        return False
    by_name = {key[1:]: key for key in variables}
    # A variable hides the function of its name.
    constant = _CONSTANT - set(by_name)
    names = {node.id for node in nodes if isinstance(node, ast.Name)} - constant
    if not names <= set(by_name):
        return False
    # Without itself, for one that names itself is never known.
    return all(
        is_foreseeable(
            variables[by_name[name]], {k: v for k, v in variables.items() if k != by_name[name]}
        )
        for name in names
    )


def coming_bases(base: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the base configuration as the next objects will see it.

    Parameters
    ----------
    base : mapping
        As this object sees it.

    Yields
    ------
    dict
        With variables of its own: what GalSim remembers in them is not the next object's.
    """
    for obj_num in range(base["obj_num"] + 1, base["obj_num"] + 1 + MAX_AHEAD):
        then = {**base, "obj_num": obj_num}
        if "eval_variables" in base:
            then["eval_variables"] = strip_state(base["eval_variables"])
        yield then


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
