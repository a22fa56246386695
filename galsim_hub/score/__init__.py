"""Score priors: what fields look like, learned from samples, and what data then say.

A score prior knows the gradient of the log density of a field behind white noise of any level. With
an explicit likelihood it is sampled, so that the physics of the data stays in formulas:

>>> import numpy as np
>>> from galsim_hub import score
>>> prior = score.GaussianPrior(lambda k: 1.0 / (0.1 + k) ** 2, (16, 16))
>>> truth = prior.sample(1, seed=1)
>>> noise = np.random.default_rng(2).normal(size=(16, 16)).astype("float32")
>>> likelihood = score.GaussianLikelihood(score.Identity(), truth[0] + noise, noise_std=1.0)
>>> likelihood.score(truth, 0.0).shape
TensorShape([1, 16, 16])

Fields are float32, batch first. Importing this package starts TensorFlow; importing
``galsim_hub`` does not.
"""

from __future__ import annotations

from ..errors import EngineError

try:
    import tensorflow  # noqa: F401 - asked for here, so that its absence is said here
except ImportError as error:
    raise EngineError(
        f"Score priors run on TensorFlow, which cannot be imported: {error}. Install it with "
        "pip install 'galsim-hub[tensorflow]'.",
        "tensorflow",
    ) from error

from . import calibration
from .deblending import Deblended, deblend
from .diagnostics import effective_sample_size, r_hat
from .gaussian import GaussianPrior
from .likelihood import GaussianLikelihood
from .line_integral import loop_defect
from .operators import Blur, Identity, LinearOperator, MaskedFourier
from .patches import PatchedPrior
from .prior import Prior, ScorePrior
from .sampling import (
    Posterior,
    annealed_hmc,
    annealed_langevin,
    maximum_a_posteriori,
    noise_splitting,
    probability_flow,
)
from .shear import KaiserSquires

__all__ = [
    "Blur",
    "Deblended",
    "GaussianLikelihood",
    "GaussianPrior",
    "Identity",
    "KaiserSquires",
    "LinearOperator",
    "MaskedFourier",
    "PatchedPrior",
    "Posterior",
    "Prior",
    "ScorePrior",
    "annealed_hmc",
    "annealed_langevin",
    "calibration",
    "deblend",
    "effective_sample_size",
    "loop_defect",
    "maximum_a_posteriori",
    "noise_splitting",
    "probability_flow",
    "r_hat",
]
