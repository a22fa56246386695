"""What a sampler says of its chains."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..diagnostics import effective_sample_size, r_hat
from ..likelihood import GaussianLikelihood

__all__ = ["report_on"]

_FEWEST_DRAWS = 4
_MOST_NUMBERS = 2000  # of a field; diagnostics of a whole map would take more memory than the map


def report_on(chains: NDArray[np.float32], likelihood: GaussianLikelihood) -> dict[str, Any]:
    """Measure chains.

    Parameters
    ----------
    chains : ndarray of float32, shape (draws, chains, ...)
    likelihood : GaussianLikelihood

    Returns
    -------
    dict
        chi2 (draws, chains), n_data, and with four draws or more r_hat and effective_sample_size
        of up to 2,000 evenly chosen numbers of a field. Both are left out where every chain has an
        observation of its own, because chains then do not sample the same thing.
    """
    report: dict[str, Any] = {
        "chi2": np.stack([likelihood.chi2(draw).numpy() for draw in chains]),
        "n_data": likelihood.n_data,
    }
    if len(chains) >= _FEWEST_DRAWS and likelihood.data.shape[0] == 1:
        flat = chains.reshape(*chains.shape[:2], -1)
        some = flat[..., :: max(1, flat.shape[-1] // _MOST_NUMBERS)]
        report["r_hat"] = r_hat(some)
        report["effective_sample_size"] = effective_sample_size(some)
    return report
