"""A catalogue of generated galaxies, asked for like `galsim.COSMOSCatalog`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import galsim
import numpy as np
from galsim.utilities import rand_with_replacement
from numpy.typing import ArrayLike, NDArray

from .arguments import check_choice, check_index, check_positive, check_whole
from .chromatic import apply_spiral_sed
from .conditions import limit_to_range, read_conditions
from .errors import CatalogError
from .latents import check_rng, check_seed, seed_from_id
from .model import GenerativeGalaxyModel
from .pins import Pins
from .profile import GenerativeGalaxy
from .recipe import Recipe
from .selection import EXCLUSION_LEVELS, LIMITS, select_rows, settle_limits
from .tables import as_table, as_weights, read_table

__all__ = ["GenerativeCatalog"]

_GAL_TYPES = (None, "real", "parametric")


class GenerativeCatalog:
    """Make galaxies of a catalogue of conditions, by index or at random.

    It answers to the names of `galsim.COSMOSCatalog`, so that simulations written for that take
    generated galaxies instead. A row is one galaxy, the same in every process and on every
    machine: `rng` chooses among rows only.

    Parameters
    ----------
    file_name : str or path, optional
        A FITS table with a column for each of the model's conditions, such as
        ``real_galaxy_catalog_25.2_fits.fits`` or the catalogue beside it. By default the
        conditions are drawn from the law that the module carries.
    sample : {'25.2', '23.5'}, optional
        COSMOS's samples by their limiting magnitude: the latter sets ``max_mag``. Not with a file.
    dir : str, optional
        The folder of `file_name`; by default the current one, then GalSim's own.
    model : GenerativeGalaxyModel or str
        The model, or its address.
    catalog : astropy Table, DataFrame, structured array or mapping of columns, optional
        Instead of a file. A column ``obj_id`` is that of `GenerativeGalaxy`; random choices
        follow a column ``weight``. So do those of a file.
    n_objects : int
        How many conditions to draw from the law, before limits.
    seed : int
        Which draw of the law it is, and which galaxies of the conditions.
    exclusion_level : {'marginal', 'bad_fits', 'bad_stamp', 'none'}
        Rows to leave out: 'marginal' those outside the trained range, the next two those without
        numbers, without an id in a column of them, or so far outside that the model would refuse
        them, 'none' none; what is outside is then as the model's `on_extrapolate` says.
    exptime, area : float, optional
        Exposure time [s] and collecting area [cm^2] to scale fluxes to.
    orig_exptime, orig_area : float, optional
        Those that the model's fluxes are for: the card's exposure time, or 1 s, and Hubble's area.
    preload, use_real, cut_ratio, sn_limit, min_mask_dist
        Taken and left alone: they say how COSMOSCatalog reads and cuts images; here are none.
    **limits : float
        ``min_hlr``, ``max_hlr`` [arcsec], ``min_flux``, ``max_flux`` [the card's counts],
        ``min_mag``, ``max_mag``, ``min_z``, ``max_z``: exclusive. Size and flux are those of the
        catalogue's fits (columns ``hlr`` and ``flux``) if it has them, as for COSMOSCatalog; all
        else are the conditions, of which the size is that of the galaxy behind Hubble's PSF.

    Raises
    ------
    CatalogError
        If the file cannot be read, an option makes no sense, or no row is left.
    ConditionError
        If a condition is missing or unusable.
    SeedError
        If a column ``obj_id`` holds no ids, or a row that is not left out has none.
    UnsupportedModuleError
        If there is no catalogue and the module does not carry the law of its conditions.
    """

    hst_eff_area = galsim.COSMOSCatalog.hst_eff_area
    real_cat = None  # as of a COSMOSCatalog without images
    use_real = False

    _req_params: ClassVar[dict[str, Any]] = {}
    _opt_params: ClassVar[dict[str, Any]] = {
        **dict.fromkeys(("file_name", "sample", "dir", "exclusion_level"), str),
        "n_objects": int,
        "seed": int,
        "preload": bool,
        "use_real": bool,
        **dict.fromkeys(("exptime", "area", "orig_exptime", "orig_area", *LIMITS), float),
        **dict.fromkeys(("cut_ratio", "sn_limit", "min_mask_dist"), float),
    }
    _single_params: ClassVar[list[dict[str, Any]]] = []
    _takes_rng = False

    def __init__(
        self,
        file_name: str | os.PathLike[str] | None = None,
        sample: str | None = None,
        dir: str | None = None,
        *,
        model: GenerativeGalaxyModel | str | os.PathLike[str] = "hub:cosmos",
        catalog: Any = None,
        n_objects: int = 10_000,
        seed: int = 0,
        exclusion_level: str = "marginal",
        exptime: float | None = None,
        area: float | None = None,
        orig_exptime: float | None = None,
        orig_area: float | None = None,
        preload: bool | None = None,
        use_real: bool | None = None,
        cut_ratio: float | None = None,
        sn_limit: float | None = None,
        min_mask_dist: float | None = None,
        **limits: float | None,
    ) -> None:
        check_choice("exclusion_level", exclusion_level, EXCLUSION_LEVELS)
        if file_name is not None and catalog is not None:
            raise CatalogError("Give file_name or catalog, not both.", "catalog", catalog)
        if file_name is not None and sample is not None:
            message = (
                "Give file_name or sample, not both: max_mag=23.5 limits a file as '23.5' does."
            )
            raise CatalogError(message, "sample", sample)
        if file_name is None and dir is not None:
            message = "dir is the folder of file_name, which is missing. Give that, or no dir."
            raise CatalogError(message, "dir", dir)
        if not isinstance(model, GenerativeGalaxyModel):
            model = GenerativeGalaxyModel(model)
        self._model = model
        self._seed = check_seed(seed)
        check_whole(n_objects=n_objects)
        check_positive(exptime=exptime, area=area, orig_exptime=orig_exptime, orig_area=orig_area)
        self.exptime, self.area = exptime, area
        exposure = self._model.spec.flux.get("exptime", 1.0)
        self.orig_exptime = exposure if orig_exptime is None else orig_exptime
        self.orig_area = self.hst_eff_area if orig_area is None else orig_area
        self._use_sample = sample
        if file_name is not None:
            catalog = read_table(file_name, dir, self._model.spec)
        self._table: Any = self._draw_table(n_objects) if catalog is None else as_table(catalog)
        self._orig_index = select_rows(
            self._table,
            self._model.spec,
            exclusion_level,
            settle_limits(sample, limits),
            is_far_refused=self._model.on_extrapolate == "warn",
        )
        rows = self._table[self._orig_index]
        self._conditions = self._read_conditions(rows)
        self._weight: Any = rows["weight"] if "weight" in rows.colnames else None

    def _read_conditions(self, rows: Any) -> NDArray[np.float64]:
        """Read the rows that are left; a message about one gives its place in the whole table."""
        spec = self._model.spec
        whole = np.full((len(self._table), len(spec.inputs)), np.nan)  # which is never outside
        whole[self._orig_index] = read_conditions(rows, spec)
        return limit_to_range(whole, spec, self._model.on_extrapolate)[self._orig_index]

    def _draw_table(self, n_objects: int) -> Any:
        # GalSim takes 0 for a seed of the clock's.
        rng = galsim.BaseDeviate(1 + seed_from_id(self._seed) % (2**31 - 1))
        return as_table(self._model.sample_conditions(n_objects, rng))

    @property
    def model(self) -> GenerativeGalaxyModel:
        """The model that generates the galaxies."""
        return self._model

    @property
    def param_cat(self) -> Any:
        """The whole table, of which `orig_index` are the rows that are left."""
        return self._table

    @property
    def orig_index(self) -> NDArray[np.intp]:
        """The rows of the whole catalogue that are left, shape (nobjects,)."""
        return self._orig_index

    @property
    def nobjects(self) -> int:
        """How many rows are left to choose among."""
        return len(self._orig_index)

    def __len__(self) -> int:
        return self.nobjects

    def getNObjects(self) -> int:  # noqa: N802 (GalSim's name)
        """Return how many rows are left to choose among."""
        return self.nobjects

    def getNTot(self) -> int:  # noqa: N802 (GalSim's name)
        """Return how many rows there were before limits."""
        return len(self._table)

    def getUseSample(self) -> str | None:  # noqa: N802 (GalSim's name)
        """Return the sample that was asked for."""
        return self._use_sample

    def getOrigIndex(self, index: ArrayLike) -> Any:  # noqa: N802 (GalSim's name)
        """Return the rows of the whole catalogue that an index, or each of several, stands for."""
        if np.ndim(index) == 0:
            return int(self._orig_index[check_index(index, self.nobjects)])
        indices: Any = np.asarray(index)
        return self._orig_index[[check_index(each, self.nobjects) for each in indices.tolist()]]

    def getParametricRecord(self, index: int) -> dict[str, Any]:  # noqa: N802 (GalSim's name)
        """Return a row as a dict."""
        row = self._table[self.getOrigIndex(index)]
        return {name: row[name] for name in self._table.colnames}

    def getValue(self, key: str, index: int) -> Any:  # noqa: N802 (GalSim's name)
        """Return what a column says of a galaxy.

        Parameters
        ----------
        key : str
        index : int

        Returns
        -------
        float, int or str
        """
        check_choice("key", key, self._table.colnames)
        value = self._table[key][self.getOrigIndex(index)]
        return value.item() if isinstance(value, np.generic) else value

    def canMakeReal(self) -> bool:  # noqa: N802 (GalSim's name)
        """Tell that no galaxy is a cut-out of an observed image."""
        return False

    def selectRandomIndex(  # noqa: N802 (GalSim's name)
        self, n_random: int = 1, rng: galsim.BaseDeviate | None = None
    ) -> int | NDArray[np.intp]:
        """Choose indices at random, with replacement.

        Parameters
        ----------
        n_random : int
        rng : galsim.BaseDeviate, optional
            A fresh one by default.

        Returns
        -------
        int or ndarray of shape (n_random,)
            An int if `n_random` is 1.

        Raises
        ------
        CatalogError
            If `n_random` is no whole number above zero, or the weights choose nothing.
        RandomDeviateError
            If `rng` is no GalSim deviate.
        """
        check_whole(n_random=n_random)
        deviate = check_rng(rng)
        weights = None if self._weight is None else as_weights(self._weight)
        indices = rand_with_replacement(n_random, self.nobjects, deviate, weights)
        return indices if n_random > 1 else int(indices[0])

    def makeGalaxy(  # noqa: N802 (GalSim's name)
        self,
        index: int | ArrayLike | None = None,
        gal_type: str | None = None,
        chromatic: bool = False,  # noqa: FBT001, FBT002 (in COSMOSCatalog's order)
        noise_pad_size: float = 5,
        deep: bool = False,  # noqa: FBT001, FBT002 (in COSMOSCatalog's order)
        sersic_prec: float = 0.05,
        rng: galsim.BaseDeviate | None = None,
        n_random: int | None = None,
        gsparams: galsim.GSParams | None = None,
        *,
        exptime: float | None = None,
        area: float | None = None,
        **pins: float | None,
    ) -> Any:
        """Make one galaxy, or one an index.

        Parameters
        ----------
        index : int or array_like of int, optional
            Rows, counted among those left; by default chosen at random. Several are made in bulk.
        gal_type : {'real', 'parametric'}, optional
            Of no effect, for galaxies are generated.
        chromatic : bool
            Give it a redshifted spectrum of a spiral (CWW Sbc), with its flux in F814W; see
            `apply_sed` for another.
        noise_pad_size : float
            Of no effect: there is no noise to pad.
        deep : bool
            Of no effect but a warning, as for COSMOS's sample 25.2: COSMOSCatalog makes galaxies
            of '23.5' fainter and smaller, here max_mag and the conditions say how faint they are.
        sersic_prec : float
            Of no effect: there is no Sersic index to round.
        rng : galsim.BaseDeviate, optional
            To choose the index with; a fresh one by default.
        n_random : int, optional
            How many to choose; 1 by default.
        gsparams : galsim.GSParams, optional
        exptime, area : float, optional
            Instead of the catalogue's own.
        **pins : float
            ``flux``, ``half_light_radius``, or ``mag`` with ``zeropoint``: those of
            `GenerativeGalaxy`, before any scaling.

        Returns
        -------
        galsim.GSObject or galsim.ChromaticObject, or list of them
            A list if `index` is an array or `n_random` above 1. Each has its row as ``index``.

        Raises
        ------
        CatalogError
            If an index is out of range, or an argument makes no sense.
        PinError
            If a pin makes no sense.
        RandomDeviateError
            If `rng` is no GalSim deviate.
        """
        fixed = Pins.from_options(**pins)
        check_choice("gal_type", gal_type, _GAL_TYPES)
        check_positive(exptime=exptime, area=area)
        if deep:
            galsim.errors.galsim_warn("deep has no effect: limit the conditions by max_mag.")
        if index is not None and n_random is not None:
            raise CatalogError("Give index or n_random, not both.", "n_random", n_random)
        if index is None:
            index = self.selectRandomIndex(1 if n_random is None else n_random, rng)
        is_single = np.ndim(index) == 0
        indices = [check_index(each, self.nobjects) for each in np.atleast_1d(index).tolist()]
        galaxies: list[Any] = list(self._generate(indices, fixed, gsparams))
        if chromatic:
            galaxies = [apply_spiral_sed(galaxy, self._model.spec) for galaxy in galaxies]
        scaling = self._flux_scaling(exptime, area)
        if scaling != 1.0:
            galaxies = [galaxy * scaling for galaxy in galaxies]
        for galaxy, row in zip(galaxies, self._orig_index[indices].tolist(), strict=True):
            galaxy.index = getattr(galaxy, "original", galaxy).index = row
        return galaxies[0] if is_single else galaxies

    def recipe(self, index: int) -> Recipe:
        """Tell what determines the galaxy of an index."""
        index = check_index(index, self.nobjects)
        return Recipe(tuple(self._conditions[index].tolist()), self._seed_of(index))

    def _generate(
        self, indices: Sequence[int], pins: Pins, gsparams: galsim.GSParams | None
    ) -> list[GenerativeGalaxy]:
        recipes = [self.recipe(index) for index in indices]
        stamps: Iterable[NDArray[np.float32] | None] = [None] * len(indices)
        if len(indices) > 1:
            seeds = [recipe.seed or 0 for recipe in recipes]
            stamps = self._model.generate(self._conditions[indices], seeds)
        return [
            GenerativeGalaxy.from_stamp(self._model, recipe, stamp, pins=pins, gsparams=gsparams)
            for recipe, stamp in zip(recipes, stamps, strict=True)
        ]

    def _seed_of(self, index: int) -> int:
        row = int(self._orig_index[index])
        if "obj_id" not in self._table.colnames:
            return seed_from_id((self._seed, row))
        obj_id = self._table["obj_id"][row]
        return seed_from_id(obj_id.item() if isinstance(obj_id, np.generic) else obj_id)

    def _flux_scaling(self, exptime: float | None, area: float | None) -> float:
        exptime = self.exptime if exptime is None else exptime
        area = self.area if area is None else area
        scaling = 1.0 if exptime is None else exptime / self.orig_exptime
        return float(scaling if area is None else scaling * area / self.orig_area)

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, GenerativeCatalog)
            and self._identity == other._identity
            and np.array_equal(self._conditions, other._conditions)
            and np.array_equal(self._weight, other._weight)  # None is equal to None
        )

    __hash__ = None  # type: ignore[assignment]  # as COSMOSCatalog: too much to hash

    @property
    def _identity(self) -> tuple[Any, ...]:
        scaling = (self.exptime, self.area, self.orig_exptime, self.orig_area)
        return self._model, scaling, [self._seed_of(i) for i in range(self.nobjects)]

    def __repr__(self) -> str:
        return f"<galsim.hub.GenerativeCatalog of {self.nobjects} galaxies by {self._model!r}>"
