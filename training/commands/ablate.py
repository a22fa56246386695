"""``training ablate``: what each choice of the galaxies' recipe buys, as a table."""

import argparse

from ..config import AblationConfig
from ..recipe_file import Recipe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="leave the others for later")
    parser.add_argument(
        "--check", action="store_true", help="only see whether page, figures and recipe agree"
    )


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Train and measure what is missing, write the page and print the table."""
    assert isinstance(config, AblationConfig)  # the only kind that has this verb
    from ..ablation import page

    if args.check:
        page.check_page(config)
        return
    from ..ablation.run import run as run_variants

    print("\n".join(page.table(config, run_variants(config, args.only))))
