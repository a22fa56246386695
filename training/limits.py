"""What the entries of recipes may be: one table, asked whenever a recipe is read."""

import math
import re
import typing
from collections.abc import Callable

from .errors import ConfigError


class Limit(typing.NamedTuple):
    """What an entry must be, in words and as a question."""

    text: str
    holds: Callable[[typing.Any], bool]


def one_of(*names: str) -> Limit:
    """Return the limit of a name."""
    return Limit(f"one of {', '.join(names)}", lambda value: value in names)


def some(limit: Limit, least: int = 1) -> Limit:
    """Return the limit of a list whose elements have a limit each."""
    return Limit(
        f"a list of {least} or more numbers, each {limit.text}",
        lambda values: len(values) >= least and all(map(limit.holds, values)),
    )


POSITIVE = Limit("above 0", lambda value: 0.0 < value < math.inf)
NOT_NEGATIVE = Limit("0 or more", lambda value: 0.0 <= value < math.inf)
COUNT = Limit("1 or more", lambda value: value >= 1)
ODD = Limit("odd and 1 or more", lambda value: value >= 1 and value % 2 == 1)
SEED = Limit("from 0 to 2^32 - 1", lambda value: 0 <= value < 2**32)  # as Keras takes them
SHARE = Limit("between 0 and 1", lambda value: 0.0 < value < 1.0)
RANGE = Limit(
    "two numbers above 0, the second not below the first",
    lambda pair: len(pair) == 2 and 0.0 < pair[0] <= pair[1] < math.inf,
)
CELLS = Limit("an even number, 4 or more", lambda value: value >= 4 and value % 2 == 0)
SCALE_FACTOR = Limit("1e-4 to below 1", lambda value: 1e-4 <= value < 1.0)
TEXT = Limit("some text", lambda value: bool(value.strip()))
# As a card's schema has it; also a folder's name.
NAME = Limit(
    "of letters, digits, - and _, a letter or digit first",
    lambda value: re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", value) is not None,
)

# By section; entries that are not here, and those that are null, have their type alone.
LIMITS: dict[str, dict[str, Limit]] = {
    "DataConfig": {
        "directory": TEXT,
        "source": one_of("real", "parametric"),
        "exclusion_level": one_of("none", "bad_stamp", "bad_fits", "marginal"),  # as GalSim's
        "stamp_size": COUNT,
        "pixel_scale": POSITIVE,
        "psf_size": ODD,
        "psf_dither": NOT_NEGATIVE,
        "noise_variance": RANGE,
        "realisations": COUNT,
        "shard_size": COUNT,
        "limit": COUNT,
        "seed": SEED,
    },
    "VAEConfig": {
        "latent_size": COUNT,
        "stem": COUNT,
        "widths": some(COUNT),
        "decoder_widths": some(COUNT, least=0),
        "decoder_top": COUNT,
        "blocks": NOT_NEGATIVE,
        "top_blocks": NOT_NEGATIVE,
        "hidden": COUNT,
        "components": COUNT,
        "texture": NOT_NEGATIVE,
    },
    "FlowConfig": {"layers": COUNT, "hidden": some(COUNT), "temperature": POSITIVE},
    "FitConfig": {
        "steps": COUNT,
        "batch": COUNT,
        "learning_rate": POSITIVE,
        "final_rate": NOT_NEGATIVE,
        "warmup": NOT_NEGATIVE,
        "clip_norm": POSITIVE,
        "kl_weight": NOT_NEGATIVE,
        "kl_warmup": NOT_NEGATIVE,
        "flux_cap": POSITIVE,
        "misfit_scale": POSITIVE,
        "roughness": NOT_NEGATIVE,
        "ema": SHARE,
        "checkpoint_minutes": NOT_NEGATIVE,
        "validate_every": COUNT,
        "picture_every": COUNT,
        "patience": COUNT,
        "seed": SEED,
    },
    "ExportConfig": {
        "name": NAME,
        "version": COUNT,
        "summary": TEXT,
        "licence": TEXT,
        "directory": TEXT,
    },
    "ScoreDataConfig": {
        "crop": COUNT,
        "margin": NOT_NEGATIVE,
        "amplitude": POSITIVE,
        "knee": POSITIVE,
        "count": COUNT,
    },
    "ScoreNetworkConfig": {
        "widths": some(COUNT),
        "blocks": NOT_NEGATIVE,
        "groups": COUNT,
        "embedding": COUNT,
        "sigma": RANGE,
    },
    "ConvergenceConfig": {"size": COUNT, "pixel_scale": POSITIVE, "seed": SEED},
    "SimulatorConfig": {"cells": CELLS, "first_scale_factor": SCALE_FACTOR, "steps": COUNT},
    "RimConfig": {
        "cells": CELLS,
        "cell": POSITIVE,
        "noise": POSITIVE,
        "steps": COUNT,
        "first_scale_factor": SCALE_FACTOR,
        "iterations": COUNT,
        "validation_fields": COUNT,
    },
    "HaloDataConfig": {
        "cells": CELLS,
        "cell": POSITIVE,
        "steps": COUNT,
        "resolution": COUNT,
        "quick_steps": COUNT,
        "first_scale_factor": SCALE_FACTOR,
        "linking_length": POSITIVE,
    },
    "GalaxyMapsConfig": {"size": COUNT, "pixel_scale": POSITIVE, "seed": SEED},
}


def check(section: str, entries: dict[str, typing.Any], where: str) -> None:
    """Raise `ConfigError` unless all entries of a section are within their limits."""
    for key, value in entries.items():
        limit = LIMITS.get(section, {}).get(key)
        if limit is not None and value is not None and not limit.holds(value):
            raise ConfigError(f"{where}: {key} must be {limit.text}, got {value!r}.")
