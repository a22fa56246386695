"""Which galaxy belongs to which part of the data: decided by the galaxy, not by its order."""

import numpy as np

SPLITS = ("train", "validation", "test")


def split_fraction(ident: np.ndarray) -> np.ndarray:
    """Return a fixed pseudo-uniform number in [0, 1) for each COSMOS IDENT."""
    return (
        np.asarray(ident).astype(np.uint64) * np.uint64(2654435761) % np.uint64(2**32)
    ) / 2.0**32


def split_of(ident: np.ndarray) -> np.ndarray:
    """Return 0 (train, 80%), 1 (validation, 10%) or 2 (test, 10%) for each IDENT."""
    return np.searchsorted([0.8, 0.9], split_fraction(ident), side="right")


def half_of(ident):
    """Return which half, 0 or 1, an IDENT belongs to, whatever its split: int64 array or tensor."""
    return ident * 2246822519 % 2**32 // 2**31
