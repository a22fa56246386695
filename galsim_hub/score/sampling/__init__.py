"""Samplers of posteriors, each ``f(prior, likelihood, initial, *, seed, ...) -> Posterior``."""

from __future__ import annotations

from .flow import probability_flow
from .hmc import annealed_hmc
from .langevin import annealed_langevin
from .maximum import maximum_a_posteriori
from .posterior import Posterior
from .splitting import noise_splitting

__all__ = [
    "Posterior",
    "annealed_hmc",
    "annealed_langevin",
    "maximum_a_posteriori",
    "noise_splitting",
    "probability_flow",
]
