"""Command line: ``python -m training VERB CONFIG [--set section.key=value ...]``.

The verb ``validate`` takes a module before the recipe.
"""

import argparse
import importlib
import logging
import sys

from galsim_hub.errors import GalSimHubError

from .errors import ConfigError, TrainingError
from .recipe_file import load_config

VERBS = {
    "data": "build the stamp set (fetches the catalogue if the recipe pins it)",
    "train": "fit the models of the recipe, one after the other; resumes where it was stopped",
    "export": "write the module folder: SavedModel, card, golden sample, cover",
    "validate": "measure an exported module against the stamp set",
    "ablate": "train a recipe's variants small and write the table of what each choice buys",
}
# The verbs of a module's recipe, and of the kinds of recipe that have others.
MODULE_VERBS = ("data", "train", "export", "validate")
VERBS_OF = {
    "particle_mesh": ("export",),
    "cosmic_rim": ("train", "export"),
    "halo_field": ("data", "train", "export"),
    "ablation": ("data", "ablate"),
}


def main(argv: list[str] | None = None) -> int:
    """Run one verb; errors made for people are printed without a traceback."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb, help_text in VERBS.items():
        sub = verbs.add_parser(verb, help=help_text)
        # First, because a verb may take something before the recipe.
        importlib.import_module(f"training.commands.{verb}").add_arguments(sub)
        sub.add_argument("config", help="a recipe, such as training/configs/cosmos.yaml")
        sub.add_argument(
            "--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE"
        )
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        config = load_config(args.config, args.overrides)
        known = VERBS_OF.get(config.kind, MODULE_VERBS)
        if args.verb not in known:
            raise ConfigError(
                f"A recipe of kind {config.kind!r} has no verb {args.verb!r}, but "
                f"{', '.join(known)}."
            )
        importlib.import_module(f"training.commands.{args.verb}").run(config, args)
    except (TrainingError, GalSimHubError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
