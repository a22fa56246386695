"""``training export``: write the module folder of a trained recipe."""

import argparse

from ..config import Config, ScoreConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "--replace", action="store_true", help="overwrite a version that is not released yet"
    )


def run(config: Config | ScoreConfig, args: argparse.Namespace) -> None:
    """Export and print where the module is."""
    if isinstance(config, ScoreConfig):
        from ..score.export import export_score

        print(export_score(config, replace=args.replace))
        return
    from ..export import export

    print(export(config, replace=args.replace))
