"""``training validate``: measure a module against the held-out part of a stamp set."""

import argparse
import pathlib

from ..config import Config, ScoreConfig
from ..errors import ConfigError
from ..parsing import at_least
from ..recipe_file import Recipe

PARTS = ("population", "latents", "conditions", "real", "isotropy", "shear")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options, and the module before the recipe."""
    parser.add_argument(
        "module", nargs="?", help="hub:NAME@VERSION or a folder (default: the recipe's export)"
    )
    parser.add_argument("--split", default="validation", choices=("validation", "test"))
    parser.add_argument("--count", type=at_least(1), default=10240, help="galaxies at most")
    parser.add_argument(
        "--morphology-count",
        type=at_least(0),
        help="of which statmorph measures so many (default: all)",
    )
    parser.add_argument(
        "--sersic-morphology-count", type=at_least(0), help="the same for the Sersic fits, if fewer"
    )
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=["population"], help="what to measure now"
    )
    parser.add_argument(
        "--processes", type=at_least(1), help="how many measure (default: all cores)"
    )
    parser.add_argument(
        "--real-stamps", help="RealGalaxyCatalog of the part real, with its fits table beside it"
    )
    parser.add_argument(
        "--train-count",
        type=at_least(1),
        default=20_000,
        help="training galaxies of the part latents",
    )
    parser.add_argument(
        "--draws",
        type=at_least(1),
        default=100_000,
        help="draws of the parts isotropy and conditions",
    )
    parser.add_argument("--rings", type=at_least(1), default=500, help="galaxies of the part shear")
    parser.add_argument(
        "--update-card", action="store_true", help="write the table into the module's card"
    )


def run(config: Recipe, args: argparse.Namespace) -> None:
    """Measure the parts asked for, then report on every part measured so far."""
    if isinstance(config, ScoreConfig):
        validate_score(config, args)
        return
    if not isinstance(config, Config):
        raise ConfigError(
            f"A recipe of kind {config.kind!r} is measured by its benchmark, not by this verb: see "
            "tests/benchmarks/README.md."
        )
    from ..validation import report
    from ..validation.part import load_bars, load_parts
    from ..validation.run import Validation

    validation = Validation.open(config, address_of(config, args), args)
    for name in args.parts:
        validation.measure(name)
    label = validation.model.spec.label
    result = report.Report(
        label, load_parts(validation.folder, validation.identity), load_bars(label)
    )
    print(report.write_report(result, validation.folder))
    print(f"Report in {validation.folder}. {result.verdict}")
    if args.update_card:
        from galsim_hub.registry import locate

        from ..card import add_fidelity

        fidelity = {"protocol": result.protocol, "rows": result.rows, "verdict": result.verdict}
        add_fidelity(locate(validation.model.file_name).folder, fidelity)


def validate_score(config: ScoreConfig, args: argparse.Namespace) -> None:
    """Measure a score prior whole, and print the table."""
    from galsim_hub.score import ScorePrior

    from ..release import fidelity_table
    from ..score import validation
    from ..score.export import COMMAND, add_fidelity

    prior = ScorePrior(address_of(config, args))
    protocol, rows = validation.measure(config, prior, args.count)
    fidelity = {"protocol": protocol, "rows": [row._asdict() for row in rows]}
    print(fidelity_table(fidelity, COMMAND))
    if args.update_card:
        from galsim_hub.registry import locate

        add_fidelity(locate(prior.file_name).folder, fidelity)


def address_of(config: Config | ScoreConfig, args: argparse.Namespace) -> str:
    """Return the module to measure: the one named, or the recipe's own."""
    export = config.export
    return args.module or str(pathlib.Path(export.directory) / export.name / str(export.version))
