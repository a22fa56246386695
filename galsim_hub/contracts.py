"""What any galaxy module owes its users, measured on this machine with nothing but the module.

Reach for `measure` to see whether a module works here: it replays the golden sample and
draws galaxies over the middle of the trained ranges. How like the sky they are needs the
data that a module was trained on: that is in its card's fidelity table.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .errors import EngineError
from .golden import replay, spread_conditions
from .model import GenerativeGalaxyModel
from .registry import locate
from .spec import ModuleSpec, read_spec

__all__ = ["Finding", "measure"]

FLUX_BIAS_BAR = 0.15  # of the median over a few dozen galaxies; cards hold the bias itself
CENTRE_BAR = 0.1  # of the stamp's side: further off, a galaxy is not where it was put
BORDER_BAR = 0.01  # of the flux; more shows as a square around the galaxy
_BORDER = 2  # [pixel]


@dataclass(frozen=True)
class Finding:
    """Hold what one look at a module found.

    Attributes
    ----------
    name, value, bar : str
        What was looked at, what was found, and what it has to be; an empty bar only informs.
    holds : bool
        Whether it is so.
    """

    name: str
    value: str
    bar: str
    holds: bool


def measure(file_name: str | os.PathLike[str], n_galaxies: int = 64) -> list[Finding]:
    """Measure a module's contracts.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION`` or the path of a module's folder.
    n_galaxies : int
        Galaxies drawn, for each band.

    Returns
    -------
    list of Finding

    Raises
    ------
    UnknownModuleError
        If there is no such module.
    CardError
        If its card is missing or cannot be used.
    CorruptedModuleError
        If its files are not those of the card.
    """
    location = locate(file_name)
    spec = read_spec(location.folder)
    spec.verify(location.folder)
    deviations = replay(location.folder, spec)
    contracts = [
        Finding(f"golden sample, {name}", f"{deviation:.2g} of the tolerance", "1", deviation <= 1)
        for name, deviation in deviations.items()
    ] or [Finding("golden sample", "none", "one", holds=False)]
    if spec.kind == "galaxy":
        for band in spec.bands or (None,):
            model = GenerativeGalaxyModel(location.address, "ignore", band=band)
            contracts += _measure_galaxies(model, n_galaxies)
    return contracts


def _measure_galaxies(model: GenerativeGalaxyModel, n_galaxies: int) -> list[Finding]:
    catalog = spread_conditions(model.spec, n_galaxies)
    seeds = range(n_galaxies)
    suffix = "" if model.band is None else f", band {model.band}"
    try:
        start = time.perf_counter()
        images = model.sample_images(catalog, seeds=seeds)
        seconds = time.perf_counter() - start
    except EngineError as error:
        bar = "finite, of the card's shape"
        return [Finding(f"galaxies{suffix}", str(error), bar, holds=False)]
    backwards = {name: column[::-1] for name, column in catalog.items()}
    reverse = model.sample_images(backwards, seeds=seeds[::-1])[::-1]
    same = bool((images == reverse).all())
    contracts = [
        Finding("finite pixels", "all", "all", holds=True),
        Finding("same bits in reverse order", "yes" if same else "no", "yes", same),
        _measure_seeds(model, catalog, images),
        _measure_centres(images),
        _measure_border(images),
        *_measure_flux(images, catalog, model.spec),
        Finding("speed", f"{n_galaxies / seconds:.0f} galaxies/s", "", holds=True),
    ]
    return [Finding(c.name + suffix, c.value, c.bar, c.holds) for c in contracts]


def _measure_seeds(
    model: GenerativeGalaxyModel,
    catalog: dict[str, NDArray[np.float64]],
    images: NDArray[np.float32],
) -> Finding:
    first = {name: column[:1] for name, column in catalog.items()}
    other = model.sample_images(first, seeds=[len(images)])
    differs = bool((other[0] != images[0]).any())
    expected = model.spec.random_name is not None
    words = {True: "another galaxy", False: "the same galaxy"}
    return Finding("another seed gives", words[differs], words[expected], differs == expected)


def _measure_centres(images: NDArray[np.float32]) -> Finding:
    size = images.shape[1]
    axis = np.arange(size) - (size - 1) / 2
    flux = images.sum(axis=(1, 2), dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):  # no flux, no centre: NaN holds no bar
        x, y = images.sum(axis=1) @ axis / flux, images.sum(axis=2) @ axis / flux
    worst, bar = float(np.hypot(x, y).max()), CENTRE_BAR * size
    value = f"{worst:.2f} pixel"
    return Finding("largest offset of a centroid", value, f"{bar:.1f} pixel", worst <= bar)


def _measure_border(images: NDArray[np.float32]) -> Finding:
    inside = slice(_BORDER, -_BORDER)
    total = images.sum(dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = float(abs(1 - images[:, inside, inside].sum(dtype=float) / total))
    return Finding("flux at the border", f"{share:.2%}", f"{BORDER_BAR:.0%}", share <= BORDER_BAR)


def _measure_flux(
    images: NDArray[np.float32], catalog: dict[str, NDArray[np.float64]], spec: ModuleSpec
) -> list[Finding]:
    flux = images.sum(axis=(1, 2), dtype=float)
    n_positive = int((flux > 0).sum())
    contracts = [
        Finding(
            "galaxies of positive flux",
            f"{n_positive} of {len(flux)}",
            "all",
            n_positive == len(flux),
        )
    ]
    magnitudes = [condition.name for condition in spec.inputs if condition.unit == "mag"]
    zeropoint = spec.flux.get("zeropoint")
    # With bands or several magnitudes the card does not say which magnitude gives which flux.
    if len(magnitudes) == 1 and isinstance(zeropoint, int | float) and not spec.bands:
        expected = 10 ** (-0.4 * (catalog[magnitudes[0]] - zeropoint))
        bias = float(np.median(flux / expected)) - 1
        holds = abs(bias) <= FLUX_BIAS_BAR
        contracts.append(Finding("median flux bias", f"{bias:+.1%}", f"{FLUX_BIAS_BAR:.0%}", holds))
    return contracts
