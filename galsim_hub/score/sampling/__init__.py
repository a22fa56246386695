"""Samplers of posteriors, each ``f(prior, likelihood, initial, *, seed, ...) -> Posterior``."""
