"""Train and measure the variants of an ablation one after the other; what is done stays done."""

import json
import logging
import pathlib

import numpy as np

from ..config import AblationConfig, VariantConfig
from ..data.pipeline import StampSet
from ..errors import DataError
from . import measure
from .fit import fit_variant
from .page import read_page, write_page
from .variants import chosen, identity_of, recipe_of

logger = logging.getLogger(__name__)


def run(config: AblationConfig, only: list[str] | None = None) -> dict:
    """Bring the variants up to date, and the page after each; return all figures.

    Raises
    ------
    ConfigError
        If a variant is not sound, or the page has no place for figures.
    DataError
        If the stamp set has nothing to measure on.
    """
    variants = chosen(config, only)
    read_page(pathlib.Path(config.page))  # now, and not after hours of training
    stamps = StampSet(config.base.data.directory)
    if not stamps.count("validation"):
        raise DataError(
            f"The validation split of {stamps.directory} is empty: raise base.data.limit."
        )
    truth = None
    for variant in variants:
        if load(config, variant, stamps) is None:
            logger.info("variant %s", variant.name)
            truth = truth or measure.data_table(stamps)
            measure_variant(config, variant, stamps, truth)
        write_page(config, collect(config, stamps))
    return collect(config, stamps)


def measure_variant(
    config: AblationConfig, variant: VariantConfig, stamps: StampSet, truth: measure.Table
) -> None:
    """Train a variant and write its figures and its table of moments into its workdir."""
    recipe = recipe_of(config, variant)
    fitted = fit_variant(recipe, variant.switch)
    table, codes = measure.generated_table(fitted, stamps, config.draws)
    values = measure.ks_values(table, truth)
    values["loss"] = measure.validation_loss(fitted, stamps, config.base.fit_vae)
    values |= measure.memorisation_values(fitted, codes)
    figures = {
        "identity": identity_of(config, variant),
        "stamps": stamps.identity,
        "values": values,
        "train": fitted.stamps.count("train"),
        "failures": float(np.isnan(table["flux"]).mean()),
    }
    folder = pathlib.Path(recipe.workdir)
    np.savez(folder / "moments.npz", **table)
    part = folder / "part.measured.json"
    part.write_text(json.dumps(figures))
    part.replace(folder / "measured.json")  # last, because it says that the variant is done


def load(config: AblationConfig, variant: VariantConfig, stamps: StampSet) -> dict | None:
    """Return the figures of a variant, None unless they are this recipe's on these stamps."""
    path = pathlib.Path(recipe_of(config, variant).workdir) / "measured.json"
    figures = json.loads(path.read_text()) if path.is_file() else {}
    mine = (identity_of(config, variant), stamps.identity)
    return figures if (figures.get("identity"), figures.get("stamps")) == mine else None


def collect(config: AblationConfig, stamps: StampSet) -> dict:
    """Return the figures of every variant that is measured, and of pairs of them."""
    found = {variant.name: load(config, variant, stamps) for variant in config.variants}
    variants = {name: figures for name, figures in found.items() if figures}
    pairs = {}
    for one, other in pairs_of(config):
        if one.name in variants and other.name in variants:
            tables = [moments_of(config, variant) for variant in (one, other)]
            pairs[f"{one.name}, {other.name}"] = measure.ks_values(*tables)
    return {"validation": stamps.count("validation"), "variants": variants, "pairs": pairs}


def pairs_of(config: AblationConfig) -> list[tuple[VariantConfig, VariantConfig]]:
    """Return what must generate one population: the base and each repeat, then the two halves."""
    base, *others = config.variants
    repeats = [(base, variant) for variant in others if variant.is_repeat]
    half = {recipe_of(config, variant).half: variant for variant in config.variants}
    return repeats + ([(half[0], half[1])] if 0 in half and 1 in half else [])


def moments_of(config: AblationConfig, variant: VariantConfig) -> measure.Table:
    """Return the moments of a measured variant's galaxies."""
    with np.load(pathlib.Path(recipe_of(config, variant).workdir) / "moments.npz") as file:
        return dict(file)
