"""Print how good maps of mass are under a convergence prior of the hub.

  python tests/benchmarks/bench_kappa.py hub:kappa_score data/convergence --parts fidelity --maps 16
  python tests/benchmarks/bench_kappa.py hub:kappa_score data/convergence --maps 500 --samples 200

Held-out maps (test.npy of the folder) are observed with the galaxies and the shape noise of the
COSMOS catalogue. ``fidelity`` compares the posterior's mean with the Wiener filter, and samples
with truths; ``calibration`` asks whether truths lie among samples as one of them would; ``chains``
starts half of the chains from the Kaiser-Squires map and half from the prior. Bars hold for 500
maps and 200 samples; fewer scatter. ``--split train`` takes maps of the half of the sky that the
prior was trained on: what is missed on one split alone is the luck of the halves. ``--update-card``
adds the table to that of the module's card.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).parents[2]))  # `training` and `tests` are not installed

from galsim_hub import score
from galsim_hub.registry import locate
from training.release import fidelity_table
from training.score import mapping, mapping_rows
from training.score.export import add_fidelity
from training.score.validation import Row

PARTS = ("fidelity", "calibration", "chains")


MAPS, CHAINS = "Maps of mass:", "Chains:"  # where what was done begins, in this order


def measure(args: argparse.Namespace, plan: mapping.Plan) -> tuple[dict[str, str], list[Row]]:
    """Return what was done, by its first words, and a row for everything that was measured."""
    prior = score.ScorePrior(args.module)
    maps = np.load(args.folder / f"{args.split}.npy", mmap_mode="r")
    done: dict[str, str] = {}
    rows: list[Row] = []
    if set(args.parts) & {"fidelity", "calibration"}:
        found = mapping.infer(prior, maps, plan, lambda *count: print("# maps", *count, flush=True))
        print(f"# {found.seconds:.0f} s")
        if "fidelity" in args.parts:
            training = np.load(args.folder / "train.npy", mmap_mode="r")
            known = mapping.training_squares(training, plan)
            rows += mapping_rows.fidelity_rows(found, prior.std, known)
        if "calibration" in args.parts:
            rows += mapping_rows.calibration_rows(found, plan.seed)
        done[MAPS] = (
            f"{plan.n_maps} squares of {plan.side}x{plan.side} pixels of the {args.split} split "
            f"behind the shape noise of COSMOS, {plan.n_samples} samples each, without a margin of "
            f"{plan.margin} pixels and less the mean of the whole square, which no shear shows; "
            "the Wiener filter knows the prior's power spectrum."
        )
    if "chains" in args.parts:
        one = mapping.cut(maps, dataclasses.replace(plan, n_maps=1))[0]
        rows += mapping_rows.chain_rows(*mapping.agree(prior, one, plan, args.draws))
        done[CHAINS] = (
            f"{2 * mapping.N_CHAINS} of one such square of {plan.side}x{plan.side} pixels, "
            f"{plan.n_warmup} sweeps and {args.draws} that count."
        )
    return done, rows


def update_card(module: str, done: dict[str, str], rows: list[Row]) -> None:
    """Add rows to the module's table, in place of those of the same names, and what was done."""
    folder = locate(module).folder
    front = yaml.safe_load((folder / "card.md").read_text().split("---\n", 2)[1])
    old = front.get("fidelity") or {"protocol": "", "rows": []}
    names = {row.quantity for row in rows}
    kept = [row for row in old["rows"] if row["quantity"] not in names]
    before, maps, chains = parts_of(old["protocol"])
    protocol = say({"": before, MAPS: maps, CHAINS: chains} | done)
    table = {"protocol": protocol, "rows": kept + [row._asdict() for row in rows]}
    add_fidelity(folder, table)


def parts_of(protocol: str) -> tuple[str, str, str]:
    """Return what a card says was done before, with maps and with chains."""
    rest, _, chains = protocol.partition(CHAINS)
    before, _, maps = rest.partition(MAPS)
    return before.strip(), maps.strip(), chains.strip()


def say(done: dict[str, str]) -> str:
    """Return what was done as one text."""
    return " ".join(f"{name} {text}".strip() for name, text in done.items() if text)


def main() -> None:
    """Print the table."""
    default = mapping.Plan()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("module", help="hub:NAME or a folder")
    parser.add_argument("folder", type=Path, help="with test.npy and train.npy (training data)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    parser.add_argument("--maps", type=int, default=16, dest="n_maps")
    parser.add_argument("--samples", type=int, default=16, dest="n_samples", help="a map")
    for name in ("side", "margin", "n_steps", "n_warmup", "thin", "together", "seed"):
        option = "--" + name.removeprefix("n_")
        parser.add_argument(option, type=int, default=getattr(default, name), dest=name)
    parser.add_argument("--draws", type=int, default=60, help="of each chain, of the part chains")
    parser.add_argument("--update-card", action="store_true")
    args = parser.parse_args()
    if args.update_card and len({"fidelity", "calibration"} & set(args.parts)) == 1:
        parser.error(
            "--update-card: the card tells once what was mapped for fidelity and"
            " calibration; give both parts, or neither"
        )
    names = [field.name for field in dataclasses.fields(mapping.Plan)]
    done, rows = measure(args, mapping.Plan(**{name: getattr(args, name) for name in names}))
    found = {"protocol": say(done), "rows": [row._asdict() for row in rows]}
    print(fidelity_table(found, parser.prog))
    if args.update_card:
        update_card(args.module, done, rows)


if __name__ == "__main__":
    main()
