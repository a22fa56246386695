"""``training export``: write the module folder of a trained recipe."""

import argparse
import importlib

from ..errors import ConfigError
from ..recipe_file import Recipe

# Where the function `export` of a kind of module is.
EXPORTERS = {
    "galaxy": "training.export",
    "particle_mesh": "training.simulator.export",
    "cosmic_rim": "training.rim.export",
    "halo_field": "training.halo.export",
    "score_prior": "training.score.export",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "--replace", action="store_true", help="overwrite a version that is not released yet"
    )


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Export and print where the module is."""
    if config.kind not in EXPORTERS:
        raise ConfigError(f"A recipe of kind {config.kind!r} makes no module.")
    exporter = importlib.import_module(EXPORTERS[config.kind])
    print(exporter.export(config, replace=args.replace))
