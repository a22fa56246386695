"""What every error has in common."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

import galsim

__all__ = ["GalSimHubError", "suggest"]


class GalSimHubError(galsim.GalSimError):
    """Report a failure of galsim_hub; the base class of every error it raises.

    Parameters
    ----------
    message : str
        What was asked, what was got, what was expected and what to do.
    *values : object
        The subclass's own values, in the order of its constructor.
    """

    def __init__(self, message: str, *values: object) -> None:
        super().__init__(message)
        self.message = message
        self._arguments = (message, *values)

    def __str__(self) -> str:
        return self.message

    def __repr__(self) -> str:
        arguments = ", ".join(map(repr, self._arguments))
        return f"galsim.hub.errors.{type(self).__name__}({arguments})"

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), self._arguments


_MUCH = 0.15  # of difflib's likeness, 1 for the same name


def suggest(name: str, known: Iterable[str]) -> str:
    """Name the known names nearest to a misspelt one, as the end of a message.

    Parameters
    ----------
    name : str
        The name that was not found.
    known : iterable of str
        The names that exist.

    Returns
    -------
    str
        ``" Did you mean 'a' or 'b'?"``, or an empty string when none is near.

    Examples
    --------
    >>> suggest("cosmso", ["cosmos", "candels"])
    " Did you mean 'cosmos'?"
    """
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    # What is much further than the nearest shares little but the beginning.
    likeness = [difflib.SequenceMatcher(None, other, name).ratio() for other in near]
    near = [n for n, like in zip(near, likeness, strict=True) if like > likeness[0] - _MUCH]
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
