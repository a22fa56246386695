"""The law of the conditions that a module carries, against the catalogue's."""

import galsim
import numpy as np

from galsim_hub import GenerativeGalaxyModel

from ..config import DataConfig
from ..data.split import SPLITS, split_of
from ..data.stamps import StampSource
from .distances import ks
from .part import Part, Quantity
from .scenes import SEED

BINS = 4  # quantiles of one condition in which the others are compared


def conditions_part(
    model: GenerativeGalaxyModel, config: DataConfig, split: str, count: int
) -> Part:
    """Compare drawn conditions with the training set's, and given one with the split's."""
    source = StampSource(config)
    usable, number = source.usable(), split_of(source.idents)
    train, held_out = (
        source.conditions[usable & (number == SPLITS.index(name))] for name in ("train", split)
    )
    drawn = _matrix(model, model.sample_conditions(count, galsim.BaseDeviate(SEED)))
    quantities = [
        Quantity(f"conditions_ks_{name}", f"KS distance of drawn {name}", ks(d, t))
        for name, d, t in zip(model.quantities, drawn.T, train.T, strict=True)
    ]
    worst = max(quantity.value for quantity in quantities)
    quantities.append(Quantity("conditions_ks", "KS distance of drawn conditions, worst", worst))
    quantities += [_given(model, name, held_out) for name in model.quantities]
    support = model.support(dict(zip(model.quantities, held_out.T, strict=True)))
    uniform = np.linspace(0.0, 1.0, 10_001)
    quantities.append(
        Quantity("support_ks", "KS distance of held-out support from uniform", ks(support, uniform))
    )
    protocol = (
        f"{count:,} drawn conditions against the {len(train):,} of the train split; given each "
        f"condition of the {len(held_out):,} galaxies of the {split} split, the others against "
        f"the split's own, in {BINS} quantile bins of what was given."
    )
    return Part("conditions", protocol, quantities)


def _given(model: GenerativeGalaxyModel, name: str, truth: np.ndarray) -> Quantity:
    """Return the worst KS distance of the other conditions, given one, in bins of that one."""
    known = model.quantities.index(name)
    given = truth[:, known].astype(float)
    table = model.sample_conditions(len(truth), galsim.BaseDeviate(SEED), **{name: given})
    drawn = _matrix(model, table)
    bins = np.array_split(np.argsort(given), BINS)
    others = [i for i in range(truth.shape[1]) if i != known]
    worst = max(ks(drawn[rows, i], truth[rows, i]) for rows in bins for i in others)
    return Quantity(f"conditions_given_{name}", f"KS distance given {name}, worst bin", worst)


def _matrix(model: GenerativeGalaxyModel, table: dict[str, np.ndarray]) -> np.ndarray:
    return np.stack([table[name] for name in model.quantities], axis=1)
