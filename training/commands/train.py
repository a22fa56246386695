"""``training train``: fit the models of a recipe, one after the other."""

import argparse
import json
import logging
import pathlib

from ..config import Config, ScoreConfig
from ..errors import ConfigError
from ..mesh_config import HaloConfig, RimConfig
from ..parsing import at_least
from ..recipe_file import Recipe
from ..run_folder import read_done

logger = logging.getLogger(__name__)

# The fits of a recipe, by its kind.
FITS = {
    "galaxy": ("vae", "flow", "clumps", "resampling"),
    "score_prior": ("score",),
    "cosmic_rim": ("rim",),
    "halo_field": ("halo",),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("--only", choices=FITS["galaxy"], help="fit one of a galaxy's models")
    parser.add_argument(
        "--until",
        type=at_least(0),
        default=None,
        help="stop after this step, before the next model; resume later",
    )


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Fit what is asked for and print where each run ended.

    No model is fitted on one that `--until` left unfinished.
    """
    if config.kind not in FITS:
        raise ConfigError(f"A recipe of kind {config.kind!r} has nothing to fit: export it.")
    names = config.fits if isinstance(config, Config) else FITS[config.kind]
    if args.only is not None and args.only not in names:
        raise ConfigError(f"The recipe has no fit of {args.only}, only {', '.join(names)}.")
    for name in names:
        if args.only in (None, name):
            print(json.dumps({name: fit(name, config, args.until)}))
            if args.until is not None and not read_done(pathlib.Path(config.workdir) / name):
                logger.info("The fit of %s stopped at --until; train goes on with it.", name)
                return


def fit(name: str, config: Recipe, until: int | None = None) -> dict[str, float]:
    """Fit one model in its folder of the recipe's workdir."""
    if name == "resampling":
        from ..resampling import fit_resampling

        return fit_resampling(config)
    import keras

    from ..loop import Fit

    recipe = getattr(config, f"fit_{name}")
    keras.utils.set_random_seed(recipe.seed)  # of the weights that the fit starts from
    task = TASKS[name](config)
    return Fit(task, recipe, pathlib.Path(config.workdir) / name).run(until)


def rim_task(config: RimConfig):
    """Return the task of a learned search for initial conditions."""
    from ..rim.task import RimTask

    return RimTask(config)


def halo_task(config: HaloConfig):
    """Return the task of a halo field."""
    from ..halo.task import HaloTask

    return HaloTask(config)


def vae_task(config: Config):
    """Return the auto-encoder's task."""
    from ..tasks import VAETask

    return VAETask(config)


def score_task(config: ScoreConfig):
    """Return a score network's task."""
    from ..score.task import ScoreTask

    return ScoreTask(config)


def flow_task(config: Config):
    """Return the flow's task, on the posteriors of the auto-encoder's best weights."""
    from ..latents import cached_latents
    from ..tasks import FlowTask, VAETask, load_fitted

    task = VAETask(config)
    workdir = pathlib.Path(config.workdir)
    load_fitted(task, config.fit_vae, workdir / "vae")
    latents = cached_latents(task.vae, task.stamps, workdir / "latents.npz")
    return FlowTask(config, latents)


def clumps_task(config: Config):
    """Return the task of the clumps, on what the auto-encoder's best weights leave over."""
    from ..clumpiness import ClumpTask, cached_tables
    from ..tasks import VAETask, load_fitted

    task = VAETask(config)
    load_fitted(task, config.fit_vae, pathlib.Path(config.workdir) / "vae")
    tables = cached_tables(task.vae, task.stamps, pathlib.Path(config.workdir) / "clumps.npz")
    return ClumpTask(config, tables)


TASKS = {
    "vae": vae_task,
    "flow": flow_task,
    "clumps": clumps_task,
    "score": score_task,
    "rim": rim_task,
    "halo": halo_task,
}
