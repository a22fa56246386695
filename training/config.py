"""Configuration: one YAML file holds every number that shapes a module.

Each section of the file is one frozen dataclass. Unknown keys are errors, because a misspelt
key that is silently ignored costs a night of training.
"""

import dataclasses
import hashlib
import json
import re

from .errors import ConfigError
from .galaxies_config import KnotsConfig

CONDITIONS = ("flux_radius", "mag_auto", "zphot")  # of every galaxy's module, in this order


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """The stamp set: where galaxies, PSFs and noise come from.

    Attributes are file paths, pixel counts, `pixel_scale` [arcsec] and `noise_variance`, the
    range [count^2 per pixel] from which each parametric stamp's noise level is drawn. Each
    parametric stamp's PSF is moved by up to `psf_dither` [pixel] along both axes, as a galaxy falls
    anywhere in its pixel. A stamp set with ``psfs: null`` uses the OpticalPSF stand-in of
    `training.data.psfs`. `columns` names the catalogue's column of each of `CONDITIONS`, in any
    order.
    """

    directory: str
    source: str = "parametric"
    catalogue: str = "data/src_cosmos.fits"
    catalogue_sha256: str | None = None
    exclusion_level: str = "bad_fits"
    psfs: str | None = None
    stamp_size: int = 128
    pixel_scale: float = 0.03
    psf_size: int = 65
    psf_dither: float = 1.0
    noise_variance: tuple[float, float] = (4.0e-6, 1.2e-5)
    columns: dict[str, str] = dataclasses.field(
        default_factory=lambda: {name: name for name in CONDITIONS}
    )
    knots: KnotsConfig | None = dataclasses.field(default_factory=KnotsConfig)
    rotate: bool = True
    realisations: int = 1
    shard_size: int = 512
    limit: int | None = None
    seed: int = 2020

    def __post_init__(self) -> None:
        if set(self.columns) != set(CONDITIONS):
            raise ConfigError(
                f"data.columns must name a column of the catalogue for each of "
                f"{', '.join(CONDITIONS)} and for nothing else, got {self.columns}."
            )
        # Networks and programs take conditions by their place.
        object.__setattr__(self, "columns", {name: self.columns[name] for name in CONDITIONS})


@dataclasses.dataclass(frozen=True)
class VAEConfig:
    """Architecture of the variational auto-encoder (see `training.models.vae`).

    `stem` is the side of the first patch convolution [pixel]; `widths` are the channels of the
    encoder's stages, from fine to coarse, `decoder_widths` those of the decoder's, from coarse to
    fine (none: the decoder paints nothing on its analytic base), and `blocks` the residual blocks
    in each, but for the decoder's finest stage, which costs most and has `top_blocks`. `texture`
    counts the latent maps, on the grid of the encoder's finest stage, that code what no vector can:
    where knots and arms lie. With none, the latent code is a vector only.
    """

    latent_size: int = 16
    stem: int = 4
    widths: tuple[int, ...] = (32, 48, 64, 96)
    decoder_widths: tuple[int, ...] = (96, 64, 32, 16)
    decoder_top: int = 64
    blocks: int = 2
    top_blocks: int = 2
    hidden: int = 256
    components: int = 2
    texture: int = 0


@dataclasses.dataclass(frozen=True)
class FlowConfig:
    """Architecture of the conditional flow (see `training.models.flow`)."""

    layers: int = 8
    hidden: tuple[int, ...] = (128, 128)
    temperature: float = 1.0


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """How a model is fitted: steps, batch, rate, weights of the loss.

    `learning_rate` falls by a cosine to `final_rate` times itself; `kl_warmup` is in steps;
    `flux_cap` [count] is the flux beyond which a galaxy's weight falls as 1 / flux^2, and
    `misfit_scale` [nat] the misfit beyond which it counts by its logarithm.
    """

    steps: int
    batch: int = 64
    learning_rate: float = 1.0e-3
    final_rate: float = 0.02
    warmup: int = 200
    clip_norm: float = 100.0
    kl_weight: float = 1.0
    kl_warmup: int = 2000
    flux_cap: float = 30.0
    misfit_scale: float = 300.0
    roughness: float = 0.0
    ema: float = 0.999
    checkpoint_minutes: float = 3.0
    validate_every: int = 250
    picture_every: int = 500
    patience: int = 20
    seed: int = 1


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """What the published folder says of itself."""

    name: str
    version: int
    summary: str
    licence: str = "MIT"
    directory: str = "hub_modules"


@dataclasses.dataclass(frozen=True)
class Config:
    """The whole recipe of a module: data, two models, two fits, export.

    `half` (0 or 1) trains on one half of the training split, chosen by IDENT: two modules with no
    galaxy in common tell what is learnt by heart. With `learned_prior` the prior of the latents is
    a flow of the recipe's shape, fitted along. `start_from` is the workdir of a recipe whose
    auto-encoder and flow the fit goes on from. With `fit_clumps` the light in clumps is learned.
    Of `candidates` codes that the flow draws for a galaxy one is kept, by weights with which
    galaxies are observed as the data are (see `training.resampling`).
    """

    workdir: str
    data: DataConfig
    vae: VAEConfig
    flow: FlowConfig
    fit_vae: FitConfig
    fit_flow: FitConfig
    export: ExportConfig
    half: int | None = None
    learned_prior: bool = False
    start_from: str | None = None
    fit_clumps: FitConfig | None = None
    candidates: int = 1
    kind: str = "galaxy"

    def __post_init__(self) -> None:
        if self.half not in (None, 0, 1):
            raise ConfigError(f"half must be 0, 1 or null, got {self.half}.")
        if self.candidates < 1:
            raise ConfigError(f"candidates must be 1 or more, got {self.candidates}.")
        if self.vae.texture and len(self.vae.decoder_widths) < 2:
            raise ConfigError(
                "vae.texture needs a decoder that paints: give vae.decoder_widths two or more, got "
                f"{list(self.vae.decoder_widths)}, or set vae.texture=0."
            )
        if self.fit_clumps and self.vae.decoder_widths:
            raise ConfigError("fit_clumps needs a decoder without paint: vae.decoder_widths=[].")

    @property
    def fits(self) -> tuple[str, ...]:
        """The models to fit, in order."""
        clumps = ("clumps",) if self.fit_clumps else ()
        return ("vae", "flow", *clumps, *(("resampling",) if self.candidates > 1 else ()))


@dataclasses.dataclass(frozen=True)
class ScoreDataConfig:
    """What a score prior learns from (see `training.score.data`).

    `source` is ``two_moons``, ``gaussian_field`` (periodic, `crop` pixels a side, power
    `amplitude` / (1 + (k / `knee`)^2), k in radian / pixel) or ``maps``: a folder with the float32
    arrays (n, y, x) ``train.npy``, ``validation.npy`` and ``test.npy``, and ``manifest.json``. From
    maps, squares of `crop` pixels are cut at random, flipped and turned if `is_isotropic`; the loss
    leaves out `margin` pixels at their border, where a network that takes fields to be periodic
    sees a seam. `count` limits the maps of each split. ``galaxies`` is such a folder of stamps of
    `crop` pixels, each a galaxy in the middle, which the network then knows.
    """

    source: str
    directory: str | None = None
    crop: int = 64
    margin: int = 0
    is_isotropic: bool = True
    amplitude: float = 20.0
    knee: float = 0.25
    count: int | None = None


@dataclasses.dataclass(frozen=True)
class ScoreNetworkConfig:
    """Architecture of a score network (see `training.score.network`) and its noise levels.

    `sigma` is their range [standard deviations of the data]. For images, `widths` are the channels
    of the U-Net from fine to coarse, with `blocks` residual blocks at each; for vectors, the widths
    of residual dense blocks. With `gaussian`, the network learns what the Gaussian score of the
    data's power spectrum lacks, and the loss of every level counts by what that one would leave.
    `stem` x `stem` pixels of an image are one to the U-Net: for images that are smooth on a pixel.
    With `spectral_norm` the first convolution of every block has norm one; the second, which starts
    at zero, is free.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96)
    blocks: int = 1
    stem: int = 1
    groups: int = 4
    embedding: int = 64
    gaussian: bool = False
    spectral_norm: bool = False
    sigma: tuple[float, ...] = (0.01, 10.0)


@dataclasses.dataclass(frozen=True)
class ScoreConfig:
    """The whole recipe of a score prior.

    `density_level` [standard deviations of the data] is the level of noise of `log_prob` unless
    another is asked for; None is the network's lowest.
    """

    workdir: str
    data: ScoreDataConfig
    network: ScoreNetworkConfig
    fit_score: FitConfig
    export: ExportConfig
    density_level: float | None = None
    kind: str = "score_prior"

    def __post_init__(self) -> None:
        low, high = self.network.sigma
        if not 0.0 < low < high:
            raise ConfigError(f"network.sigma must rise from above zero, got [{low}, {high}].")
        if self.density_level is not None and not low <= self.density_level <= high:
            raise ConfigError(
                f"density_level must be within network.sigma, [{low}, {high}], got "
                f"{self.density_level}."
            )
        if self.network.stem < 1:
            raise ConfigError(f"network.stem must be 1 or more, got {self.network.stem}.")
        if 2 * self.data.margin >= self.data.crop:
            raise ConfigError(
                f"data.margin {self.data.margin} leaves nothing of a crop of {self.data.crop}."
            )


@dataclasses.dataclass(frozen=True)
class ConvergenceConfig:
    """A set of convergence maps: where its planes lie, how many maps and of which sources.

    `pixel_scale` [arcmin] is rounded to what divides the side of a plane. The redshifts of sources
    have the shape of Smail et al. 1994; the values are those of the COSMOS shear catalogue (Massey
    et al. 2007, ApJS 172, 239: median redshift 1.26).
    """

    directory: str
    planes: str
    planes_sha256: str | None = None
    train: int = 2000
    validation: int = 200
    test: int = 500
    size: int = 128
    pixel_scale: float = 0.29
    median_redshift: float = 1.26
    alpha: float = 2.0
    beta: float = 1.5
    seed: int = 2020
    kind: str = "convergence_maps"

    def count(self, split: str) -> int:
        """Return how many maps a split has."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[split]


SWITCHES = ("white_noise", "psf_modulus", "no_psf", "upright", "posterior_means")


@dataclasses.dataclass(frozen=True)
class VariantConfig:
    """One row of an ablation: what differs from the base, in words (`text`) and in entries.

    `set` holds ``section.key=value`` changes of the base's recipe; `switch` names what no recipe
    can say (one of `SWITCHES`, see `training.ablation.switches`).
    """

    name: str
    text: str
    set: tuple[str, ...] = ()
    switch: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9 ]*", self.name):
            raise ConfigError(
                f"A variant is named with small letters, digits and blanks, got {self.name!r}."
            )
        if self.switch not in (None, *SWITCHES):
            raise ConfigError(
                f"Variant {self.name!r}: switch must be one of {sorted(SWITCHES)} or null, got "
                f"{self.switch!r}."
            )

    @property
    def is_repeat(self) -> bool:
        """Whether nothing differs from the base but seeds."""
        keys = [change.partition("=")[0] for change in self.set]
        return self.switch is None and all(key.endswith(".seed") for key in keys)


@dataclasses.dataclass(frozen=True)
class AblationConfig:
    """What each choice of a galaxy's recipe buys (see `training.ablation`).

    The first of `variants` is the base itself; those that change seeds alone repeat it. Each is
    trained in a folder of `base.workdir` and measured with `draws` galaxies at each row of
    conditions of the validation split. `page` gets the table, and the numbers go beside it.
    """

    kind: str
    base: Config
    variants: tuple[VariantConfig, ...]
    page: str
    draws: int = 4

    def __post_init__(self) -> None:
        names = [variant.name for variant in self.variants]
        if not names or self.variants[0].set or self.variants[0].switch:
            raise ConfigError("The first of an ablation's variants is the base: change nothing.")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ConfigError(f"Variants of an ablation need names of their own; twice: {twice}.")
        if self.draws < 1:
            raise ConfigError(f"draws must be 1 or more, got {self.draws}.")


def fingerprint(section: object) -> str:
    """Return the sha256 of a section's content, to tell whether results belong to it."""
    text = json.dumps(dataclasses.asdict(section), sort_keys=True)  # type: ignore[call-overload]
    return hashlib.sha256(text.encode()).hexdigest()
