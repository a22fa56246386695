"""Fit the network of a learned search."""

import pathlib

from ..config import RimConfig


def train(config: RimConfig, until: int | None = None) -> dict[str, float]:
    """Fit in the recipe's workdir, or go on where it was stopped."""
    import keras

    from ..loop import Fit
    from .task import RimTask

    keras.utils.set_random_seed(config.fit.seed)
    return Fit(RimTask(config), config.fit, pathlib.Path(config.workdir) / "rim").run(until)
