"""``training validate``: measure an exported module against the held-out part of a stamp set."""

import argparse
import pathlib

from ..config import Config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options."""
    parser.add_argument(
        "--module", help="hub:NAME@VERSION or a folder (default: the recipe's export)"
    )
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("--count", type=int, default=10240, help="galaxies at most")
    parser.add_argument(
        "--update-card", action="store_true", help="write the table into the module's card"
    )


def run(config: Config, args: argparse.Namespace) -> None:
    """Print the table with its counts and save report.md and bias.png."""
    from galsim_hub import GenerativeGalaxyModel

    from ..card import add_fidelity
    from ..data.pipeline import StampSet
    from ..validation import report

    exported = (
        pathlib.Path(config.export.directory) / config.export.name / str(config.export.version)
    )
    address = args.module or str(exported)
    model = GenerativeGalaxyModel(address, on_extrapolate="ignore")
    result = report.validate(model, StampSet(config.data.directory), args.split, args.count)
    folder = pathlib.Path(config.workdir) / f"validation-{model.spec.name}-{model.spec.version}"
    report.write_report(result, folder)
    print(report.markdown(result))
    print(f"Report in {folder}; the bars {'hold' if result.passed else 'DO NOT hold'}.")
    if args.update_card:
        add_fidelity(pathlib.Path(address), {"protocol": result.protocol, "rows": result.rows})
