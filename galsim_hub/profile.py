"""A generated galaxy as a GalSim profile."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar, NamedTuple

import galsim
import numpy as np
from galsim.utilities import convert_interpolant
from numpy.typing import ArrayLike, NDArray

from .errors import SeedError
from .pins import Pins, measure_half_light_radius
from .recipe import Recipe, StampSource, check_source, choose_seeds
from .trimming import StampProfile

__all__ = ["GenerativeGalaxy", "Interpolation"]


class Interpolation(NamedTuple):
    """Say how `galsim.InterpolatedImage` interpolates a stamp; None is its own default.

    Attributes
    ----------
    x_interpolant, k_interpolant : galsim.Interpolant or str or None
        Interpolants in real and in Fourier space.
    pad_factor : float or None
        How far the stamp is padded with zeros for transforms.
    """

    x_interpolant: Any = None
    k_interpolant: Any = None
    pad_factor: float | None = None

    def converted(self) -> Interpolation:
        """Return the same with names of interpolants turned into interpolants."""
        x, k, pad_factor = self
        return Interpolation(
            None if x is None else convert_interpolant(x),
            None if k is None else convert_interpolant(k),
            None if pad_factor is None else float(pad_factor),
        )

    def given(self) -> dict[str, Any]:
        """Return what differs from the defaults, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class GenerativeGalaxy(galsim.GSObject):
    """Draw a galaxy that a model generates, like any other GalSim profile.

    The galaxy is determined by the model, its conditions and its seed, bit for bit. It has
    no PSF, no noise and no pixel response; its pixels are generated when they are first
    needed, trimmed, interpolated by `galsim.InterpolatedImage`, and never pickled.

    Parameters
    ----------
    model : GenerativeGalaxyModel
        The model that generates it.
    seed : int, optional
        Which of the galaxies of these conditions it is, 0 <= seed < 2**64.
    obj_id : hashable, optional
        Instead of a seed: an int, str, float, UUID, date, or tuple of those, hashed to the same
        galaxy in every band, visit and machine.
    latents : array_like of float, shape (latent_size,), optional
        Instead of conditions and seed: a latent code.
    rng : galsim.BaseDeviate, optional
        Where the seed is drawn from (one 64-bit draw) if none of these is given; a fresh
        deviate by default.
    flux : float, optional
        The flux to have exactly; by default what the model generates [its card's counts].
    half_light_radius : float, optional
        The radius to hold half of the flux [arcsec], to 1e-3: the model's galaxy is
        dilated to it.
    mag, zeropoint : float, optional
        Instead of `flux`: a magnitude, and that of one count in the image to draw on.
    x_interpolant, k_interpolant : galsim.Interpolant or str, optional
        Interpolants in real and Fourier space, as of `galsim.InterpolatedImage`.
    pad_factor : float, optional
        How far the trimmed stamp is padded with zeros, as of `galsim.InterpolatedImage`; 3.2 by
        default.
    gsparams : galsim.GSParams, optional
        Speed against accuracy.
    **conditions : float
        One value for each of ``model.quantities``, which go before pins of the same name.

    Raises
    ------
    UnknownModuleError
        If `model` is none, but its address, say.
    ConditionError
        If a condition is missing or unusable.
    SeedError
        If the seed or id is unusable, or more than one of seed, obj_id, latents is given.
    RandomDeviateError
        If `rng` is no GalSim deviate.
    PinError
        If flux, half_light_radius, mag and zeropoint contradict each other or make no sense.
    """

    _req_params: ClassVar[dict[str, Any]] = {}  # the conditions, which depend on the model
    _opt_params: ClassVar[dict[str, Any]] = {
        "flux": float,
        "half_light_radius": float,
        "mag": float,
        "zeropoint": float,
        "seed": int,
        "obj_id": str,
        "x_interpolant": str,
        "k_interpolant": str,
        "pad_factor": float,
    }
    _single_params: ClassVar[list[dict[str, Any]]] = []
    _takes_rng = True

    _has_hard_edges = False
    _is_axisymmetric = False
    _is_analytic_x = True
    _is_analytic_k = True

    def __init__(
        self,
        model: StampSource,
        *,
        seed: int | None = None,
        obj_id: Hashable | None = None,
        latents: ArrayLike | None = None,
        rng: galsim.BaseDeviate | None = None,
        flux: float | None = None,
        half_light_radius: float | None = None,
        mag: float | None = None,
        zeropoint: float | None = None,
        x_interpolant: Any = None,
        k_interpolant: Any = None,
        pad_factor: float | None = None,
        gsparams: galsim.GSParams | None = None,
        **conditions: Any,
    ) -> None:
        check_source(model)
        options = {"half_light_radius": half_light_radius, "mag": mag, "zeropoint": zeropoint}
        # The module format reserves the other names, but not these.
        for name in model.quantities:
            if options.get(name) is not None:
                conditions[name] = options.pop(name)
        pins = Pins.from_options(flux, **options)
        _check_single(seed=seed, obj_id=obj_id, latents=latents)
        if latents is None:
            seeds = None if seed is None else [seed]
            obj_ids = None if obj_id is None else [obj_id]
            chosen = choose_seeds(1, rng, seeds, obj_ids)[0]
            recipe = Recipe.from_conditions(model, conditions, chosen)
        else:
            recipe = Recipe.from_latents(model, conditions, latents)
        interpolation = Interpolation(x_interpolant, k_interpolant, pad_factor)
        self._settle(model, recipe, pins, interpolation, gsparams)

    @classmethod
    def from_stamp(
        cls,
        model: StampSource,
        recipe: Recipe,
        stamp: NDArray[np.float32] | None = None,
        interpolation: Interpolation | None = None,
        gsparams: galsim.GSParams | None = None,
        pins: Pins | None = None,
    ) -> GenerativeGalaxy:
        """Build a galaxy from a recipe already checked, with its pixels if there are any yet.

        Parameters
        ----------
        model : GenerativeGalaxyModel
        recipe : Recipe
        stamp : ndarray of float32, shape (y, x), optional
            Exactly the pixels that the recipe leads to; made when first needed by default.
        interpolation : Interpolation, optional
        gsparams : galsim.GSParams, optional
        pins : Pins, optional

        Returns
        -------
        GenerativeGalaxy
        """
        galaxy = cls.__new__(cls)
        interpolation = interpolation or Interpolation()
        galaxy._settle(model, recipe, pins or Pins(), interpolation, gsparams)
        galaxy._stamp = stamp
        return galaxy

    def _settle(
        self,
        model: StampSource,
        recipe: Recipe,
        pins: Pins,
        interpolation: Interpolation,
        gsparams: galsim.GSParams | None,
    ) -> None:
        self._model = model
        self._recipe = recipe
        self._pins = pins
        self._interpolation = interpolation.converted()
        self._gsparams = galsim.GSParams.check(gsparams)
        self._stamp: NDArray[np.float32] | None = None
        self._profile: StampProfile | None = None

    @property
    def model(self) -> StampSource:
        """The model that generates the galaxy."""
        return self._model

    @property
    def recipe(self) -> Recipe:
        """What determines the galaxy beside its model."""
        return self._recipe

    @property
    def pins(self) -> Pins:
        """The flux and the half-light radius that are fixed, if any."""
        return self._pins

    @property
    def conditions(self) -> dict[str, float]:
        """The conditions by name; empty for a galaxy of a latent code."""
        return self._recipe.name_values(self._model.quantities)

    @property
    def seed(self) -> int | None:
        """The 64-bit seed; None for a galaxy of a latent code."""
        return self._recipe.seed

    @property
    def latents(self) -> NDArray[np.float32] | None:
        """The latent code, shape (latent_size,); None for a galaxy of a seed."""
        latents = self._recipe.latents
        return np.array(latents, dtype=np.float32) if latents else None

    @property
    def stamp(self) -> NDArray[np.float32]:
        """The generated pixels, shape (y, x) [flux per pixel], before `flux` scales them."""
        if self._stamp is None:
            self._stamp = self._recipe.make_stamp(self._model)
        view = self._stamp.view()
        view.setflags(write=False)
        return view

    def set_stamp(self, stamp: NDArray[np.float32]) -> None:
        """Give the galaxy its pixels, generated in bulk.

        Parameters
        ----------
        stamp : ndarray of float32, shape (y, x)
            Exactly the pixels that its recipe leads to.
        """
        self._stamp = stamp

    def withGSParams(  # noqa: N802 (GalSim's name)
        self, gsparams: galsim.GSParams | None = None, **kwargs: Any
    ) -> GenerativeGalaxy:
        """Return the same galaxy with other `galsim.GSParams`.

        Parameters
        ----------
        gsparams : galsim.GSParams, optional
        **kwargs : float
            Single parameters to change.

        Returns
        -------
        GenerativeGalaxy
        """
        changed: GenerativeGalaxy = super().withGSParams(gsparams, **kwargs)
        # A copy drops its pixels, which do not depend on the parameters.
        changed._stamp = self._stamp
        return changed

    @property
    def _drawn(self) -> StampProfile:
        if self._profile is None:
            scale, wanted = self._model.pixel_size, self._pins.half_light_radius
            if wanted is not None:  # measured in the stamp's own flux: a pinned one may be 0
                scale *= wanted / measure_half_light_radius(self._draw_from(scale).interpolated)
            self._profile = self._draw_from(scale, self._pins.flux)
        return self._profile

    def _draw_from(self, scale: float, flux: float | None = None) -> StampProfile:
        interpolation = self._interpolation.given()
        return StampProfile(self.stamp, scale, flux, self._gsparams, **interpolation)

    @property
    def _interpolated(self) -> galsim.InterpolatedImage:
        return self._drawn.interpolated

    @property
    def _identity(self) -> tuple[Any, ...]:
        return (self._model, self._recipe, self._pins, self._interpolation, self._gsparams)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, GenerativeGalaxy) and self._identity == other._identity
        )

    def __hash__(self) -> int:
        return hash(("galsim.hub.GenerativeGalaxy", self._identity))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_stamp": None, "_profile": None}

    def __repr__(self) -> str:
        given = {
            **self.conditions,
            "seed": self.seed,
            "latents": self._recipe.latents or None,
            **self._pins.given(),
            **self._interpolation.given(),
            "gsparams": None if self._gsparams == galsim.GSParams() else self._gsparams,
        }
        arguments = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"galsim.hub.GenerativeGalaxy({', '.join([repr(self._model), *arguments])})"

    def __str__(self) -> str:
        conditions = [f"{name}={value:g}" for name, value in self.conditions.items()]
        which = [f"seed={self.seed}"] if conditions else ["latents=..."]
        return f"galsim.hub.GenerativeGalaxy({', '.join([str(self._model), *conditions, *which])})"

    # From here on what GalSim asks of a profile; what is seldom asked is the interpolated image's.

    @property
    def _flux(self) -> float:
        return float(self._drawn.flux)

    @property
    def _stepk(self) -> float:
        return float(self._drawn.stepk)

    @property
    def _maxk(self) -> float:
        return float(self._drawn.maxk)

    @property
    def _centroid(self) -> galsim.PositionD:
        return self._interpolated.centroid

    @property
    def _positive_flux(self) -> float:
        return float(self._interpolated.positive_flux)

    @property
    def _negative_flux(self) -> float:
        return float(self._interpolated.negative_flux)

    @property
    def _flux_per_photon(self) -> float:
        return float(self._calculate_flux_per_photon())

    @property
    def _max_sb(self) -> float:
        return float(self._interpolated.max_sb)

    @property
    def _sbp(self) -> Any:
        return self._interpolated._sbp

    def _xValue(self, pos: galsim.PositionD) -> float:  # noqa: N802 (GalSim's name)
        return float(self._interpolated._xValue(pos))

    def _kValue(self, kpos: galsim.PositionD) -> complex:  # noqa: N802 (GalSim's name)
        return complex(self._interpolated._kValue(kpos))

    def _drawReal(  # noqa: N802 (GalSim's name)
        self,
        image: galsim.Image,
        jac: NDArray[np.float64] | None = None,
        offset: tuple[float, float] = (0.0, 0.0),
        flux_scaling: float = 1.0,
    ) -> None:
        self._interpolated._drawReal(image, jac, offset, flux_scaling)

    def _drawKImage(  # noqa: N802 (GalSim's name)
        self, image: galsim.Image, jac: NDArray[np.float64] | None = None
    ) -> None:
        self._drawn.draw_k(image, jac)

    def _shoot(self, photons: galsim.PhotonArray, rng: galsim.BaseDeviate) -> None:
        self._interpolated._shoot(photons, rng)


def _check_single(**given: object) -> None:
    names = [name for name, value in given.items() if value is not None]
    if len(names) > 1:
        raise SeedError(
            f"Give one of seed, obj_id and latents, got {' and '.join(names)}: each determines "
            "the galaxy.",
            tuple(names),
        )
