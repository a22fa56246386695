"""Run the parts of a validation of one module against one split of one stamp set."""

from __future__ import annotations

import argparse
import dataclasses
import pathlib

from galsim_hub import GenerativeGalaxyModel

from ..config import Config
from ..data.pipeline import StampSet
from ..errors import ConfigError
from . import morphology
from .measure import Measurer, Table, measure_kind
from .part import Part
from .scenes import KINDS, check_agreement


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

        tables = [self._table(kind) for kind in KINDS]
        for name in ("bias", "distribution", "gini_m20"):
            figure = getattr(figures, f"{name}_figure")(*tables)
            figure.savefig(self.folder / f"population-{name}.png", dpi=90)
        return population_part(*tables, self.options.split)

    def _table(self, kind: str) -> Table:
        options = self.options
        wanted = options.count if options.morphology_count is None else options.morphology_count
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
