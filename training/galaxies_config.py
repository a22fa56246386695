"""The sections of recipes that say what the catalogue's galaxies are drawn like."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class KnotsConfig:
    """Star-forming knots on the disk component (see `training.data.parametric`)."""

    max_fraction: float = 0.4
    min_knots: int = 8
    max_knots: int = 150
    pivot_redshift: float = 1.0


@dataclasses.dataclass(frozen=True)
class GalaxyMapsConfig:
    """A set of noiseless galaxies for a score prior (see `training.data.galaxies`).

    Stamps have `size` pixels of `pixel_scale` [arcsec] a side. Galaxies are seen behind the pixel
    and a round Gaussian of `smoothing` [arcsec, FWHM], up to `dither` [pixel] from the stamp's
    centre. Their total flux is even in its logarithm between 1 / `flux_spread` and `flux_spread`. A
    share `generated` comes from the module `generator`, the rest from the catalogue's fits.
    Galaxies that have less than `least_inside` of their light on the stamp are left out.
    """

    directory: str
    catalogue: str = "data/src_cosmos.fits"
    catalogue_sha256: str | None = None
    exclusion_level: str = "bad_fits"
    generator: str = "hub:cosmos@1"
    generated: float = 0.5
    train: int = 3000
    validation: int = 160
    test: int = 1000
    size: int = 32
    pixel_scale: float = 0.1
    smoothing: float = 0.1
    dither: float = 1.0
    flux_spread: float = 3.0
    least_inside: float = 0.95
    knots: KnotsConfig | None = dataclasses.field(default_factory=KnotsConfig)
    seed: int = 2020
    kind: str = "galaxy_maps"

    def count(self, split: str) -> int:
        """Return how many stamps a split has."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]
