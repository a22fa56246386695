"""A generative model of galaxies: from a module's name and conditions to galaxies."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, ClassVar

import galsim
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .backend import check_engine
from .condition_sampling import ConditionSampling
from .conditions import ExtrapolationPolicy, check_policy, limit_to_range, read_conditions
from .encoding import Posterior, image_stamps, pixel_masks, psf_stamps, read_latents, variances
from .errors import CorruptedModuleError, LatentError
from .legacy import describe
from .network import GalaxyNetwork, choose_band
from .profile import GenerativeGalaxy, Interpolation
from .recipe import Recipe, choose_seeds
from .registry import locate
from .spec import ModuleSpec

__all__ = ["GenerativeGalaxyModel"]


class GenerativeGalaxyModel(ConditionSampling):
    """Generate galaxies with a module of kind ``galaxy``.

    Building one reads the module's card only. The network is checked and loaded in the
    process that first needs it, so models may be pickled, and processes forked, freely.

    Parameters
    ----------
    file_name : str or path
        ``hub:NAME``, ``hub:NAME@VERSION``, the path of a module's folder or tar.gz archive, or
        ``https://HOST/PATH.tar.gz#sha256=HEX``. What is not on this machine is downloaded.
    on_extrapolate : {'warn', 'error', 'clip', 'ignore'}
        What to do about conditions outside the range the module was trained on. 'warn' refuses
        those that are outside by more than a quarter of the range's width, such as a magnitude of
        99; 'clip' records the clipped values as the galaxy's conditions.
    engine : {'auto', 'light', 'tensorflow'}
        What runs the network: 'auto' takes the light engine for all that the module has light
        files for. Engines agree to about 1e-6 of a galaxy's peak, one galaxy in a hundred to 5e-5.
    band : str, optional
        The band to draw, for a module of several. A seed or id is the same galaxy in each.
    allow_unverified : bool
        Take what an https address without a sha256 gives, with a warning.

    Raises
    ------
    UnknownModuleError, CardError
        If there is no such module, or its card cannot be used.
    BandError
        If the module has no such band, or several and none is given.
    DownloadError, CacheError, RegistryError, UnsafeModuleError
        If it cannot be had, or not safely.
    UnsupportedModuleError
        If it is no galaxy module.
    """

    _req_params: ClassVar[dict[str, Any]] = {"file_name": str}
    _opt_params: ClassVar[dict[str, Any]] = {
        "on_extrapolate": str,
        "engine": str,
        "band": str,
        "allow_unverified": bool,
    }
    _single_params: ClassVar[list[dict[str, Any]]] = []
    _takes_rng = False

    def __init__(
        self,
        file_name: str | os.PathLike[str],
        on_extrapolate: str = "warn",
        engine: str = "auto",
        *,
        band: str | None = None,
        allow_unverified: bool = False,
    ) -> None:
        location = locate(file_name, allow_unverified=allow_unverified)
        self._file_name, spec = location.address, describe(location.folder)
        self._spec = spec.without(location.given)
        self._band = choose_band(spec, band)
        self._network = GalaxyNetwork(
            location.folder, spec, check_engine(engine), self._band, location.given
        )
        self._on_extrapolate = check_policy(on_extrapolate)
        self._spec.require_kind("galaxy", location.address)

    @property
    def file_name(self) -> str:
        """The module's address with its version pinned, or its absolute path."""
        return self._file_name

    @property
    def on_extrapolate(self) -> ExtrapolationPolicy:
        """What is done about conditions outside the trained range."""
        return self._on_extrapolate

    @property
    def engine(self) -> str:
        """What runs the network: 'auto', 'light' or 'tensorflow'."""
        return self._network.engine

    @property
    def fixed_conditions(self) -> dict[str, float]:
        """What the address gives every galaxy: the conditions that an alias fixes."""
        return dict(sorted(self._network.given.items()))

    @property
    def spec(self) -> ModuleSpec:
        """What the module's card promises."""
        return self._spec

    @property
    def name(self) -> str:
        """The module's name."""
        return self._spec.name

    @property
    def sha256(self) -> str:
        """The module's identity: the hash of every file that decides its output."""
        return self._spec.sha256

    @property
    def quantities(self) -> tuple[str, ...]:
        """The names of the conditions, in order."""
        return self._spec.quantities

    @property
    def band(self) -> str | None:
        """The band that is drawn; None if the module knows of none."""
        return self._band

    @property
    def stamp_size(self) -> int:
        """The side of a generated stamp [pixels]."""
        assert self._spec.stamp_size is not None  # the schema requires it
        return self._spec.stamp_size

    @property
    def pixel_size(self) -> float:
        """The side of a pixel [arcsec]."""
        assert self._spec.pixel_size is not None  # the schema requires it
        return self._spec.pixel_size

    def sample(
        self,
        catalog: Any,
        rng: galsim.BaseDeviate | None = None,
        *,
        seeds: Iterable[int] | None = None,
        obj_ids: Iterable[Hashable] | None = None,
        x_interpolant: Any = None,
        k_interpolant: Any = None,
        pad_factor: float | None = None,
        gsparams: galsim.GSParams | None = None,
    ) -> list[GenerativeGalaxy]:
        """Generate one galaxy a row of a catalogue.

        The pixels are made here, in bulk (64 kB a galaxy of 128x128 pixels): for catalogues
        that do not fit into memory, sample them in parts.

        Parameters
        ----------
        catalog : astropy Table, structured array or mapping
            Columns named as `quantities`; scalars count for every row, units are converted.
        rng : galsim.BaseDeviate, optional
            One 64-bit seed is drawn from it a galaxy, in order; a fresh one by default.
        seeds : iterable of int, optional
            Instead of `rng`: each galaxy's seed.
        obj_ids : iterable of int, str or tuple, optional
            Instead of `rng`: each galaxy's id, hashed to its seed.
        x_interpolant, k_interpolant, pad_factor, gsparams
            See `GenerativeGalaxy`.

        Returns
        -------
        list of GenerativeGalaxy
            Empty for an empty catalogue.

        Raises
        ------
        ConditionError
            If a condition is missing or unusable.
        RandomDeviateError
            If `rng` is no GalSim deviate.
        SeedError
            If the seeds or ids are unusable or not one a row.
        """
        conditions = self.read_conditions(catalog)
        chosen = choose_seeds(len(conditions), rng, seeds, obj_ids)
        interpolation = Interpolation(x_interpolant, k_interpolant, pad_factor).converted()
        return [
            GenerativeGalaxy.from_stamp(
                self, Recipe(tuple(row), seed), image, interpolation, gsparams
            )
            for row, seed, image in zip(
                conditions.tolist(), chosen, self.generate(conditions, chosen), strict=True
            )
        ]

    def sample_images(
        self,
        catalog: Any,
        rng: galsim.BaseDeviate | None = None,
        *,
        seeds: Iterable[int] | None = None,
        obj_ids: Iterable[Hashable] | None = None,
    ) -> NDArray[np.float32]:
        """Generate one stamp a row of a catalogue.

        Parameters
        ----------
        catalog, rng, seeds, obj_ids
            As in `sample`.

        Returns
        -------
        ndarray of float32, shape (n, stamp_size, stamp_size)
            Noiseless and PSF-free, flux per pixel, centred on the stamp's true centre.
        """
        conditions = self.read_conditions(catalog)
        return self.generate(conditions, choose_seeds(len(conditions), rng, seeds, obj_ids))

    def encode(
        self,
        image: galsim.Image | Sequence[galsim.Image],
        psf: galsim.GSObject | Sequence[galsim.GSObject],
        noise_variance: ArrayLike,
        *,
        refine: bool = False,
        mask: ArrayLike | None = None,
    ) -> Posterior:
        """Infer the latent code of an observed galaxy, or of each of a list.

        Parameters
        ----------
        image : galsim.Image or list of them
            At the module's pixel scale, the galaxy in its true centre; cut or zero-padded
            to the stamp.
        psf : galsim.GSObject or list of them
            The effective PSF, with the pixel's response; one for all images or one each.
        noise_variance : float or array_like of shape (n,)
            The noise's variance a pixel.
        refine : bool
            Go on from the encoder's answer to the best fit of the image: seconds a galaxy.
        mask : array_like of bool, shape of the stamps (n, y, x) or of one, optional
            The pixels that a refinement may fit: those of neighbours left out, say.

        Returns
        -------
        Posterior
            With one row an image, or none for a single image.

        Raises
        ------
        ImageError
            If an image, PSF, variance or mask cannot be used.
        UnsupportedModuleError
            If the module has no encoder, or no decoder to refine with.
        """
        self._network.require("encode")
        images = [image] if isinstance(image, galsim.Image) else list(image)
        stamps = image_stamps(images, self._spec), psf_stamps(psf, len(images), self._spec)
        noise = variances(noise_variance, len(images))
        mean, scale = self._network.encode(*stamps, noise)
        offset = np.zeros((len(images), 2), np.float32)
        if refine:
            used = pixel_masks(mask, stamps[0].shape)
            weights = used / noise[:, None, None]
            mean, scale, offset = self._network.refine(*stamps, weights, mean)
        first = 0 if isinstance(image, galsim.Image) else slice(None)
        return Posterior(mean[first], scale[first], offset[first])

    def decode(self, latents: ArrayLike) -> GenerativeGalaxy | list[GenerativeGalaxy]:
        """Turn a latent code into its galaxy, or each row of codes into one.

        Parameters
        ----------
        latents : array_like of float, shape (latent_size,) or (n, latent_size)

        Returns
        -------
        GenerativeGalaxy or list of GenerativeGalaxy
            A list if `latents` has two dimensions.

        Raises
        ------
        LatentError
            If the shape is wrong or a value is not finite.
        UnsupportedModuleError
            If the module has no decoder.
        """
        codes = self.read_latents(latents)
        galaxies = [
            GenerativeGalaxy.from_stamp(self, Recipe(latents=tuple(code)), image)
            for code, image in zip(codes.tolist(), self.generate_from_latents(codes), strict=True)
        ]
        return galaxies[0] if np.ndim(latents) == 1 else galaxies

    def log_prob(self, latents: ArrayLike, catalog: Any) -> NDArray[np.float32]:
        """Tell how probable latent codes are under the conditions of a catalogue.

        Parameters
        ----------
        latents : array_like of float, shape (latent_size,) or (n, latent_size)
        catalog : astropy Table, structured array or mapping
            One row a code.

        Returns
        -------
        ndarray of float32, shape (n,)
            The natural logarithm of the probability density.

        Raises
        ------
        LatentError
            If the codes have the wrong shape, or their number is not that of the rows.
        """
        codes = self.read_latents(latents)
        conditions = self.read_conditions(catalog)
        if len(conditions) != len(codes):
            raise LatentError(
                f"Got {len(codes)} latent codes and {len(conditions)} rows of conditions. Give "
                "one row a code.",
                codes.shape,
            )
        return self._network.log_prob(codes, conditions)

    def read_conditions(self, catalog: Any) -> NDArray[np.float64]:
        """Check a catalogue's conditions, shape (n, len(quantities)), as `on_extrapolate` says."""
        conditions = read_conditions(catalog, self._spec)
        return limit_to_range(conditions, self._spec, self._on_extrapolate)

    def read_latents(self, latents: ArrayLike) -> NDArray[np.float32]:
        """Check latent codes; a single one becomes one row of shape (n, latent_size)."""
        self._network.require("decode")
        return read_latents(latents, self._spec)

    def generate(
        self, conditions: NDArray[np.float64], seeds: Sequence[int]
    ) -> NDArray[np.float32]:
        """Make the stamps, shape (n, y, x), of what `read_conditions` gave and of seeds."""
        return self._network.generate(conditions, seeds)

    def generate_from_latents(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Make the stamps, shape (n, y, x), of what `read_latents` gave."""
        return self._network.decode(latents)

    @property
    def _options(self) -> tuple[str, str, str | None]:
        return self._on_extrapolate, self._network.engine, self._band

    @property
    def _identity(self) -> tuple[Any, ...]:
        fixed = tuple(self.fixed_conditions.items())
        return self.sha256, self.quantities, fixed, *self._options

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, GenerativeGalaxyModel) and self._identity == other._identity
        )

    def __hash__(self) -> int:
        return hash(("galsim.hub.GenerativeGalaxyModel", self._identity))

    def __repr__(self) -> str:
        policy = "" if self._on_extrapolate == "warn" else f", {self._on_extrapolate!r}"
        engine = "" if self._network.engine == "auto" else f", engine={self._network.engine!r}"
        band = "" if self._band is None else f", band={self._band!r}"
        return f"galsim.hub.GenerativeGalaxyModel({self._file_name!r}{policy}{engine}{band})"

    def __str__(self) -> str:
        band = "" if self._band is None else f", {self._band}"
        return f"galsim.hub.GenerativeGalaxyModel({self._spec.label}{band})"

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _restore, (self._file_name, (self.sha256, self.fixed_conditions), *self._options)


def _restore(
    file_name: str, made_by: tuple[str, dict[str, float]], *options: Any
) -> GenerativeGalaxyModel:
    model = GenerativeGalaxyModel(file_name, *options[:2], band=options[2])
    if (model.sha256, model.fixed_conditions) != made_by:
        (sha256, fixed), now = made_by, model.fixed_conditions
        raise CorruptedModuleError(
            f"Module {file_name} is not the one that was pickled: its identity is {model.sha256}"
            f"{f' with {now}' if now else ''}, it was {sha256}{f' with {fixed}' if fixed else ''}. "
            "Install the module that made the galaxies.",
            file_name,
            sha256,
            model.sha256,
        )
    return model
