"""Run the parts of a validation of one module against one split of one stamp set."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

import numpy as np

from galsim_hub import GenerativeGalaxyModel
from galsim_hub.network import GalaxyNetwork
from galsim_hub.registry import locate

from ..config import Config, DataConfig
from ..data.pipeline import StampSet
from ..data.split import half_of
from ..data.stamps import open_catalogue
from ..errors import ConfigError, DataError
from . import morphology
from .measure import Measurer, Table, measure_kind
from .part import Part
from .scenes import BATCH, KINDS, SEED, check_agreement, scenes


@dataclasses.dataclass
class Validation:
    """A module, what it is measured against, how much of it, and where the results go."""

    config: Config
    model: GenerativeGalaxyModel
    stamps: StampSet
    options: argparse.Namespace

    @classmethod
    def open(cls, config: Config, address: str, options: argparse.Namespace) -> Validation:
        """Check that the module can be measured against the split."""
        model = GenerativeGalaxyModel(address, on_extrapolate="ignore")
        stamps = StampSet(config.data.directory)
        check_agreement(model, stamps, options.split)
        return cls(config, model, stamps, options)

    @property
    def folder(self) -> pathlib.Path:
        """Where report, pictures and parts of this module go."""
        spec = self.model.spec
        return pathlib.Path(self.config.workdir) / f"validation-{spec.name}-{spec.version}"

    @property
    def identity(self) -> dict[str, str]:
        """What a part must have been measured on to be reported with the others."""
        return {
            "module": self.model.sha256,
            "split": self.options.split,
            "stamps": self.stamps.identity,
        }

    def measure(self, name: str) -> None:
        """Measure one part and save it, with its pictures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        part: Part = getattr(self, f"_{name}")()
        part.save(self.folder, self.identity)

    def _population(self) -> Part:
        from . import figures
        from .population import population_part

        require_fits(self.config.data)
        tables = [self._table(kind) for kind in KINDS]
        for name in ("bias", "distribution", "gini_m20"):
            figure = getattr(figures, f"{name}_figure")(*tables)
            figure.savefig(self.folder / f"population-{name}.png", dpi=90)
        return population_part(*tables, self.options.split)

    def _table(self, kind: str) -> Table:
        options = self.options
        wanted = options.count if options.morphology_count is None else options.morphology_count
        if kind == "sersic" and options.sersic_morphology_count is not None:
            wanted = min(wanted, options.sersic_morphology_count)
        if wanted:
            morphology.require_statmorph()
        return measure_kind(
            kind,
            Measurer(self.config.data, self.model, wanted),
            self.stamps,
            options.split,
            options.count,
            pathlib.Path(self.config.workdir) / "measurements",
            options.processes,
        )

    def _latents(self) -> Part:
        from . import latents

        network, split = self._network(), self.options.split
        measurer = Measurer(self.config.data, self.model, 0)

        def encode(kind: str, split: str, count: int) -> dict[str, np.ndarray]:
            found = scenes(kind, self.stamps, split, count, self.model)
            return latents.encode_scenes(network, measurer, found)

        data = encode("data", split, self.options.count)
        generated = encode("generated", split, self.options.count)
        train = encode("data", "train", self.options.train_count)
        truth = latents.posterior_samples(data, SEED)
        drawn = latents.prior_samples(self.config, network, truth, data["conditions"])
        seen = latents.observe_latents(network, drawn, data["psf"], data["variance"])
        half = half_of(train["ident"])
        halves = [train["mean"][half == k] for k in (0, 1)]
        quantities = [
            *latents.latent_quantities(truth, drawn, data["conditions"]),
            *latents.coverage_quantities(drawn, *seen),
            *latents.memorisation_quantities(generated["mean"], data["mean"], halves),
        ]
        return latents.latents_part(quantities, len(truth), len(train["mean"]), split)

    def _conditions(self) -> Part:
        from .conditions import conditions_part

        return conditions_part(self.model, self.config.data, self.options.split, self.options.draws)

    def _real(self) -> Part:
        from .figures import real_figure
        from .real_stamps import measure_real, real_part

        if self.options.real_stamps is None:
            raise ConfigError("The part real needs --real-stamps CATALOGUE, a RealGalaxyCatalog.")
        morphology.require_statmorph()
        results, total = measure_real(self.model, self._network(), self.options.real_stamps)
        real_figure(results).savefig(self.folder / "real-stamps.png", dpi=90)
        return real_part(results, total)

    def _isotropy(self) -> Part:
        from .isotropy import isotropy_part

        return isotropy_part(self.model, self._split_conditions(), self.options.draws)

    def _shear(self) -> Part:
        from .shear import shear_part

        return shear_part(self.model, self._split_conditions()[: self.options.rings])

    def _network(self) -> GalaxyNetwork:
        return GalaxyNetwork(locate(self.model.file_name).folder, self.model.spec)

    def _split_conditions(self) -> np.ndarray:
        """Return the conditions of the split (n, d), in file order."""
        batches = self.stamps.ordered(self.options.split, BATCH)
        return np.concatenate([batch["conditions"].numpy() for batch in batches]).astype(float)


def require_fits(config: DataConfig) -> None:
    """Raise `DataError` unless the catalogue has the fits with which a module is compared."""
    names = open_catalogue(config).param_cat.dtype.names
    if lost := sorted({"flux", "hlr", "sersicfit"} - set(names)):
        raise DataError(
            f"The part population compares a module with the fits of {config.catalogue}, which has "
            f"no columns {', '.join(lost)}: give a data.catalogue as that of COSMOS 25.2, or name "
            "other --parts."
        )
