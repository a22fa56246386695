"""``training data``: build the stamp set of galaxies, or the maps of a score prior."""

import argparse
import json

from ..config import AblationConfig, Config, ConvergenceConfig, Recipe, ScoreConfig
from ..errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "--processes", type=int, default=None, help="how many to draw with (default: all cores)"
    )
    parser.add_argument("--fetch-only", action="store_true", help="bring the catalogue and stop")


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Build what is missing and print the counts."""
    if isinstance(config, ConvergenceConfig):
        from ..data import convergence

        manifest = convergence.build(config)
        print(json.dumps({k: manifest[k] for k in ("counts", "pixel_scale_arcmin")}))
        return
    if isinstance(config, ScoreConfig):
        raise ConfigError(
            f"Data of source {config.data.source!r} are not built from this recipe: points and "
            "Gaussian fields are drawn during training, and maps are a folder that data.directory "
            "names (training/configs/convergence_maps.yaml makes one)."
        )
    if isinstance(config, AblationConfig):
        config = config.base
    if not isinstance(config, Config):
        raise ConfigError(f"A recipe of kind {config.kind!r} needs no data.")
    from ..data import build, fetch

    if config.data.catalogue_sha256 == fetch.CATALOGUE_SHA256:
        fetch.fetch_catalogue(config.data.catalogue)
    if args.fetch_only:
        return
    manifest = build.build(config.data, args.processes)
    print(json.dumps({k: manifest[k] for k in ("counts", "failed", "catalogue_size")}))
