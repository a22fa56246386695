"""A prior that a network learned from samples: the score behind noise of any level."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from ..backend import load_function
from ..errors import CardError, FieldError
from ..latents import generator
from ..registry import locate
from ..spec import ModuleSpec, read_spec
from .fields import as_fields, as_level, as_levels, as_sides, check_count
from .fourier import filtered
from .gaussian import GaussianPrior
from .ode import flow, flow_with_volume, levels_between, trace_probes

__all__ = ["Prior", "ScorePrior"]

Tensor = Any

_N_STEPS = 40  # between the ends of the trained range; Heun's error is then below the network's


class Prior(Protocol):
    """Say what a sampler needs of a prior."""

    @property
    def std(self) -> float:
        """Return the standard deviation of the fields' values."""
        ...

    @property
    def sigma_range(self) -> tuple[float, float]:
        """Return the lowest and the highest noise level that it knows."""
        ...

    def score(self, x: Any, sigma: Any) -> Tensor:
        """Return the gradient of the log density behind noise, shape of `x`."""
        ...

    def denoise(self, x: Any, sigma: Any) -> Tensor:
        """Return the mean of fields given their noisy versions, shape of `x`."""
        ...

    def gaussian(self, event_shape: tuple[int, ...]) -> GaussianPrior | None:
        """Return the Gaussian prior of the same power spectrum, None if there is no spectrum."""
        ...


class ScorePrior:
    """Use a module of kind ``score_prior``.

    Building one reads the module's card only; the network is checked and loaded with the first
    score.

    Parameters
    ----------
    file_name : str or path
        As `galsim_hub.GenerativeGalaxyModel` takes it.

    Raises
    ------
    UnknownModuleError, CardError
        If there is no such module, or its card cannot be used.
    UnsupportedModuleError
        If it is no score prior.
    """

    def __init__(self, file_name: str | os.PathLike[str]) -> None:
        location = locate(file_name)
        self._folder, self._file_name = location.folder, location.address
        self._spec = read_spec(location.folder)
        self._spec.require_kind("score_prior", location.address)
        self._about = self._spec.prior
        self._check_card()
        self._network: Callable[..., Any] | None = None

    def __repr__(self) -> str:
        return f"galsim_hub.score.ScorePrior({self._file_name!r})"

    def __reduce__(self) -> tuple[type, tuple[str]]:
        return type(self), (self._file_name,)

    @property
    def file_name(self) -> str:
        """The module's address with its version pinned, or its absolute path."""
        return self._file_name

    @property
    def spec(self) -> ModuleSpec:
        """What the module's card promises."""
        return self._spec

    @property
    def event_shape(self) -> tuple[int | None, ...]:
        """The shape of one field; None is any side that `multiple_of` divides."""
        return tuple(self._about["event_shape"])

    @property
    def multiple_of(self) -> int:
        """What the sides of a map must be a multiple of [pixels]."""
        return int(self._about.get("multiple_of", 1))

    @property
    def pixel_scale(self) -> float | None:
        """The side of a pixel [arcsec], None if the fields are no maps of the sky."""
        return self._spec.pixel_size

    @property
    def smoothing(self) -> float | None:
        """The Gaussian that sources are seen behind [arcsec, FWHM], None if it is not said."""
        width = self._about.get("smoothing")
        return None if width is None else float(width)

    @property
    def std(self) -> float:
        """The standard deviation of the training set's values."""
        return float(self._about["std"])

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The noise levels that the network was trained for."""
        low, high = self._about["sigma"]
        return float(low), float(high)

    @property
    def density_sigma(self) -> float:
        """The noise level of `log_prob` [units of the fields] unless another is asked for."""
        return float(self._about.get("density_sigma", self.sigma_range[0]))

    def check_pixel_scale(self, pixel_scale: float) -> None:
        """Check that maps have the module's pixels.

        Parameters
        ----------
        pixel_scale : float
            Side of a pixel [arcsec].

        Raises
        ------
        FieldError
            If it differs by more than 1%, or the module's fields are no maps.
        """
        own = self.pixel_scale
        if own is None or not abs(pixel_scale / own - 1.0) <= 0.01:
            knows = "no pixel scale" if own is None else f"pixels of {own:g} arcsec"
            raise FieldError(
                f"Module {self._spec.label} knows {knows}, got maps with pixels of "
                f"{pixel_scale:g} arcsec. Make the maps with the module's pixels.",
                pixel_scale,
            )

    def gaussian(self, event_shape: tuple[int, ...]) -> GaussianPrior | None:
        """Return the Gaussian prior with the training set's power spectrum.

        Parameters
        ----------
        event_shape : tuple of int
            The shape of one field.

        Returns
        -------
        GaussianPrior or None
            None if the module has no power spectrum, as for fields that are no images.
        """
        table = self._about.get("power")
        if table is None:
            return None
        log_k, log_power = np.log(table["wavenumber"]), np.log(table["power"])

        def power(k: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.exp(np.interp(np.log(np.maximum(k, 1e-9)), log_k, log_power))

        ny, nx = event_shape
        return GaussianPrior(power, (ny, nx), self.pixel_scale)

    def score(self, x: Any, sigma: Any) -> Tensor:
        """Return the gradient of the log density behind noise.

        Parameters
        ----------
        x : array_like or tensor, shape (n, ...)
        sigma : float or array_like, shape (n,)
            The noise level, in the units of the fields and within `sigma_range`.

        Returns
        -------
        tensor of float32, shape (n, ...)

        Raises
        ------
        FieldError
            If the fields are not finite or not of the module's shape, or a level is outside its
            range.
        """
        x = self._checked(x)
        levels = tf.reshape(as_levels(sigma, tf.shape(x)[0], 1), [-1])
        self._check_levels(levels)
        if self._network is None:
            with tf.init_scope():  # the network outlives the graph that first asks for it
                self._network = load_function(self._folder, self._spec, "score")
        return tf.ensure_shape(self._network(x=x, sigma=levels)["score"], x.shape)

    def denoise(self, x: Any, sigma: Any) -> Tensor:
        """Return the mean of fields given their noisy versions, by Tweedie's formula.

        Parameters
        ----------
        x : array_like or tensor, shape (n, ...)
        sigma : float or array_like, shape (n,)

        Returns
        -------
        tensor of float32, shape (n, ...)
        """
        x = self._checked(x)
        levels = as_levels(sigma, tf.shape(x)[0], len(self.event_shape))
        return x + levels**2 * self.score(x, sigma)

    def sample(
        self, n: int, seed: int, shape: tuple[int, ...] | None = None, n_steps: int = _N_STEPS
    ) -> NDArray[np.float32]:
        """Draw fields: noise of the highest level flows to the lowest and is denoised.

        Parameters
        ----------
        n : int
        seed : int
        shape : tuple of int, optional
            The shape of one field, for a module that takes several.
        n_steps : int
            Steps of the flow.

        Returns
        -------
        ndarray of float32, shape (n, ...)

        Raises
        ------
        FieldError
            If the module takes no fields of that shape, or needs one.
        SamplingError, SeedError
            If a number or the seed makes no sense.
        """
        check_count("n", n)
        check_count("n_steps", n_steps)
        low, high = self.sigma_range
        shape = self._shape(shape)
        gaussian = self.gaussian(shape) if len(shape) == 2 else None
        noise, white = (
            generator(part, seed).standard_normal((n, *shape)).astype(np.float32)
            for part in ("noise", "field")
        )
        if gaussian is None:
            field = self.std * white
        else:
            field = filtered(white, np.sqrt(gaussian.power).astype(np.float32))
        levels = levels_between(high, low, n_steps)
        run = tf.function(lambda x: self.denoise(flow(self.score, x, levels), low), autograph=False)
        return run(tf.constant(high * noise + field)).numpy()

    def log_prob(
        self,
        x: Any,
        seed: int = 0,
        *,
        sigma: float | None = None,
        n_probes: int = 4,
        n_steps: int = _N_STEPS,
    ) -> NDArray[np.float32]:
        """Return the log density of fields, by the probability flow to pure noise.

        Parameters
        ----------
        x : array_like, shape (n, ...)
        seed : int
            Of the probes of Hutchinson's trace, the same for every field.
        sigma : float, optional
            The level of noise behind which the density is: `density_sigma` by default.
        n_probes : int
            Random probes of the trace. Of images the error falls with their number, else with its
            root; as many as a field has numbers make it exact.
        n_steps : int
            Steps of the flow.

        Returns
        -------
        ndarray of float32, shape (n,)
            Of the density behind noise of level `sigma`.

        Raises
        ------
        FieldError
            If the fields are not finite or not of the module's shape, or it does not know `sigma`.
        SamplingError, SeedError
            If a number or the seed makes no sense.
        """
        check_count("n_probes", n_probes)
        check_count("n_steps", n_steps)
        x = self._checked(x)
        high = self.sigma_range[1]
        lowest = self.density_sigma if sigma is None else as_level(sigma)
        self._check_levels(tf.constant([lowest], tf.float32))
        if not x.shape[0]:
            return np.zeros(0, np.float32)
        levels = levels_between(lowest, high, n_steps)
        probes = trace_probes(tuple(x.shape[1:]), n_probes, seed)
        end, change = self._to_noise(x, tf.constant(levels), tf.constant(probes))
        return (self._log_noise(end.numpy(), high) - change.numpy()).astype(np.float32)

    @functools.cached_property
    def _to_noise(self) -> Any:
        """Traced once for fields of one shape: the network's gradient is a large graph."""
        return tf.function(functools.partial(flow_with_volume, self.score), autograph=False)

    def _log_noise(self, x: NDArray[np.float32], sigma: float) -> NDArray[np.float64]:
        """Return the log density at the highest level, where fields are almost pure noise."""
        gaussian = self.gaussian(x.shape[1:]) if x.ndim == 3 else None
        if gaussian is not None:
            return np.asarray(gaussian.log_prob(x, sigma=sigma))
        variance = sigma**2 + self.std**2
        terms = x.astype(np.float64) ** 2 / variance + np.log(2.0 * np.pi * variance)
        return np.asarray(-0.5 * terms.reshape(len(x), -1).sum(axis=1))

    def _checked(self, x: Any) -> Tensor:
        x = as_fields(x, self.event_shape)
        self._check_sides(tuple(x.shape[1:]))
        return x

    def _check_card(self) -> None:
        (low, high), level = self.sigma_range, self.density_sigma
        table = self._about.get("power", {"wavenumber": [], "power": []})
        problems = {
            "prior.sigma": low >= high and f"goes from {low:g} to {high:g}: it must grow",
            "prior.density_sigma": not low <= level <= high
            and f"is {level:g}, outside of sigma, {low:g} to {high:g}",
            "prior.power": len(table["wavenumber"]) != len(table["power"])
            and "has not as many wavenumbers as powers",
        }
        for field, problem in problems.items():
            if problem:
                path = str(self._folder / "card.md")
                raise CardError(f"{field} of {path} {problem}. Correct the card.", path, field)

    def _shape(self, shape: tuple[int, ...] | None) -> tuple[int, ...]:
        own, sides = self.event_shape, as_sides(self.event_shape if shape is None else shape)
        if (
            sides is None
            or len(sides) != len(own)
            or any(one not in (None, side) for one, side in zip(own, sides, strict=True))
        ):
            example = tuple(8 * self.multiple_of if one is None else one for one in own)
            some = "several shapes" if None in own else f"shape {own}"
            raise FieldError(
                f"Module {self._spec.label} makes fields of {some}, got shape={shape}. Choose one "
                f"of whole numbers, such as shape={example}.",
                shape,
            )
        self._check_sides(sides)
        return sides

    def _check_sides(self, shape: tuple[int | None, ...]) -> None:
        for side, own in zip(shape, self.event_shape, strict=True):
            if own is None and side is not None and side % self.multiple_of:
                raise FieldError(
                    f"Module {self._spec.label} takes maps whose sides are multiples of "
                    f"{self.multiple_of} pixels, got {shape}. Crop the map, or put it into a "
                    "larger one and mask the rest in the likelihood.",
                    shape,
                )

    def _check_levels(self, levels: Tensor) -> None:
        if not tf.executing_eagerly():
            return  # a sampler has checked its own
        low, high = self.sigma_range
        values = levels.numpy()
        if values.size and not (values.min() >= low * 0.999 and values.max() <= high * 1.001):
            raise FieldError(
                f"Module {self._spec.label} was trained for noise levels from {low:g} to {high:g}, "
                f"got {values.min():g} to {values.max():g}.",
                float(values.min()),
            )
