"""``training convergence``: ray-trace convergence maps for the score prior."""

import argparse
import json

from ..data.convergence import ConvergenceConfig

CONFIG = ConvergenceConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own options: it has none."""


def run(config: ConvergenceConfig, args: argparse.Namespace) -> None:
    """Write the maps and print their counts."""
    from ..data.convergence import build

    manifest = build(config)
    print(json.dumps({k: manifest[k] for k in ("counts", "pixel_scale_arcmin")}))
