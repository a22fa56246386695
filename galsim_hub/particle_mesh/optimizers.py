"""TensorFlow Probability's minimisers, which an extra brings."""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import MissingExtraError

__all__ = ["load_minimizer"]


def load_minimizer(name: str, what: str, otherwise: str = "") -> Any:
    """Import a function of `tensorflow_probability.optimizer`.

    Parameters
    ----------
    name : str
        Of the function.
    what : str
        Needs it, for the error.
    otherwise : str
        What to do without it, for the error.

    Returns
    -------
    function

    Raises
    ------
    MissingExtraError
        If it cannot be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its own imports
            # Here: it is an extra, and slow to import, which the first attribute does.
            import tensorflow_probability as tfp

            return getattr(tfp.optimizer, name)
    except ImportError as error:
        raise MissingExtraError(
            f"{what} needs tensorflow-probability, which cannot be imported: {error}. Install it "
            f"with pip install 'galsim-hub[inference]'{otherwise}.",
            "inference",
            str(error.name),
        ) from error
