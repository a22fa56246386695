"""``training data``: build the stamps of galaxies, a score prior's maps or a halo field's boxes."""

import argparse
import json

from ..config import AblationConfig, Config, ConvergenceConfig, ScoreConfig
from ..errors import ConfigError
from ..galaxies_config import GalaxyMapsConfig
from ..mesh_config import HaloConfig
from ..parsing import at_least
from ..recipe_file import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "--processes", type=at_least(1), help="how many to draw with (default: all cores)"
    )
    parser.add_argument("--fetch-only", action="store_true", help="bring the catalogue and stop")


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Build what is missing and print the counts."""
    if isinstance(config, AblationConfig):
        config = config.base
    if config.kind not in BUILDERS:
        raise ConfigError(f"A recipe of kind {config.kind!r} needs no data.")
    print(json.dumps(BUILDERS[config.kind](config, args)))


def build_stamps(config: Config, args: argparse.Namespace) -> dict:
    """Draw the stamps of galaxies; return how many there are and how many failed."""
    from ..data import build, fetch

    if config.data.catalogue_sha256 == fetch.CATALOGUE_SHA256:
        fetch.fetch_catalogue(config.data.catalogue)
    if args.fetch_only:
        return {"catalogue": config.data.catalogue}
    manifest = build.build(config.data, args.processes)
    return {k: manifest[k] for k in ("counts", "failed", "catalogue_size")}


def build_convergence(config: ConvergenceConfig, args: argparse.Namespace) -> dict:
    """Trace rays to maps of convergence."""
    from ..data import convergence

    manifest = convergence.build(config)
    return {k: manifest[k] for k in ("counts", "pixel_scale_arcmin")}


def build_halo_boxes(config: HaloConfig, args: argparse.Namespace) -> dict:
    """Simulate the boxes of a halo field."""
    from ..halo import data

    return {"counts": data.build(config)}


def build_galaxy_maps(config: GalaxyMapsConfig, args: argparse.Namespace) -> dict:
    """Draw the stamps of a score prior."""
    from ..data import galaxies

    manifest = galaxies.build(config)
    return {k: manifest[k] for k in ("counts", "left_out", "std")}


def refuse_score(config: ScoreConfig, args: argparse.Namespace) -> dict:
    """Say where the data of a score prior come from."""
    raise ConfigError(
        f"Data of source {config.data.source!r} are not built from this recipe: points and "
        "Gaussian fields are drawn during training, and maps are a folder that data.directory "
        "names (training/configs/convergence_maps.yaml and galaxies_maps.yaml make one)."
    )


BUILDERS = {
    "galaxy": build_stamps,
    "convergence_maps": build_convergence,
    "halo_field": build_halo_boxes,
    "galaxy_maps": build_galaxy_maps,
    "score_prior": refuse_score,
}
