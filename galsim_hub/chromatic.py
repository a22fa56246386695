"""A generated galaxy with a spectrum."""

from __future__ import annotations

import functools
import math

import galsim

from .errors import CatalogError, ConditionError, PinError
from .profile import GenerativeGalaxy
from .spec import ModuleSpec

__all__ = ["REDSHIFTS", "apply_sed", "apply_spiral_sed", "find_generated", "find_redshift"]

# What a condition is called that is the galaxy's redshift.
REDSHIFTS = ("zphot", "redshift", "z")


def apply_sed(
    galaxy: galsim.GSObject,
    sed: galsim.SED,
    bandpass: galsim.Bandpass,
    *,
    redshift: float | None = None,
    flux: float | None = None,
) -> galsim.ChromaticObject:
    """Give a galaxy a spectrum, redshifted, of a known flux in one bandpass.

    By design the galaxy has one spectrum all over, with no gradient of colour: there is no bulge
    or disk with a spectrum of its own, for a module generates the light of one band. Galaxies
    whose shape changes with the band come from a module of several bands.

    Parameters
    ----------
    galaxy : galsim.GSObject
        A `GenerativeGalaxy`, or what was made of one.
    sed : galsim.SED
        The spectrum at rest, of any normalisation.
    bandpass : galsim.Bandpass
        Where the flux is `flux`: the band of the module's card, if that is left out.
    redshift : float, optional
        By default the galaxy's condition of the name zphot, redshift or z.
    flux : float, optional
        By default the galaxy's own.

    Returns
    -------
    galsim.ChromaticObject
        To be sheared, convolved with a PSF and drawn by its drawImage through any bandpass.

    Raises
    ------
    CatalogError
        If `galaxy` has a spectrum already, or an argument is of another type.
    ConditionError
        If no redshift is given and the galaxy has none, or it is no number above -1.
    PinError
        If the flux is no finite number, or the galaxy has none that a spectrum could scale.
    """
    _check_types(galaxy, sed, bandpass)
    redshift = find_redshift(galaxy) if redshift is None else _number(redshift)
    if not -1 < redshift < math.inf:
        message = (
            f"redshift must be a finite number above -1, got {redshift}. Mend or leave it out."
        )
        raise ConditionError(message, "redshift", redshift)
    total = galaxy.flux if flux is None else _number(flux)
    if not math.isfinite(total) or galaxy.flux == 0:
        raise PinError(
            f"A spectrum cannot scale a galaxy of flux {galaxy.flux} to {total}. Give a galaxy "
            "with light, and as flux a finite number or none.",
            "flux",
            total,
        )
    return galaxy.withFlux(1.0) * sed.atRedshift(redshift).withFlux(total, bandpass)


def _check_types(galaxy: object, sed: object, bandpass: object) -> None:
    if isinstance(galaxy, galsim.ChromaticObject):
        message = "The galaxy has a spectrum already. Give the one that it was made of."
        raise CatalogError(message, "galaxy", galaxy)
    given = {"galaxy": galaxy, "sed": sed, "bandpass": bandpass}
    wanted = {"galaxy": galsim.GSObject, "sed": galsim.SED, "bandpass": galsim.Bandpass}
    for name, value in given.items():
        if not isinstance(value, wanted[name]):
            raise CatalogError(
                f"{name} must be a galsim.{wanted[name].__name__}, got {value!r}. Build one first.",
                name,
                value,
            )


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]  # which is what is found out
    except (TypeError, ValueError):
        return math.nan


def apply_spiral_sed(galaxy: GenerativeGalaxy, spec: ModuleSpec) -> galsim.ChromaticObject:
    """Give a galaxy the redshifted spectrum of a spiral (CWW Sbc), with its flux in F814W.

    Parameters
    ----------
    galaxy : GenerativeGalaxy
    spec : ModuleSpec
        The card of its module.

    Returns
    -------
    galsim.ChromaticObject

    Raises
    ------
    CatalogError
        If the module's fluxes are those of another band.
    """
    band = spec.flux.get("band")
    if band != "F814W":
        raise CatalogError(
            f"chromatic=True knows the fluxes of F814W only, module {spec.label} has those of "
            f"{band}. Use galsim_hub.apply_sed with its bandpass.",
            "chromatic",
            band,
        )
    return apply_sed(galaxy, *_spiral())


@functools.cache
def _spiral() -> tuple[galsim.SED, galsim.Bandpass]:
    sed = galsim.SED("CWW_Sbc_ext_more.sed", wave_type="Ang", flux_type="flambda")
    return sed, galsim.Bandpass("ACS_wfc_F814W.dat", wave_type="nm")


def find_redshift(galaxy: object) -> float:
    """Return the redshift that a generated galaxy was asked for.

    Parameters
    ----------
    galaxy : galsim.GSObject or galsim.ChromaticObject

    Returns
    -------
    float

    Raises
    ------
    ConditionError
        If its model takes none.
    """
    generated = find_generated(galaxy)
    conditions = {} if generated is None else generated.conditions
    for name in REDSHIFTS:
        if name in conditions:
            return conditions[name]
    raise ConditionError(
        f"There is no redshift among the conditions ({', '.join(conditions) or 'none'}). Give "
        "redshift= to apply_sed.",
        None,
    )


def find_generated(galaxy: object) -> GenerativeGalaxy | None:
    """Find the generated galaxy inside what was made of it; the first of several.

    Parameters
    ----------
    galaxy : object
        A profile: transformed, convolved, summed or with a spectrum.

    Returns
    -------
    GenerativeGalaxy or None
        None if there is none.
    """
    if isinstance(galaxy, GenerativeGalaxy):
        return galaxy
    inner = (getattr(galaxy, name, galaxy) for name in ("original", "_original", "orig_obj"))
    parts = [*getattr(galaxy, "obj_list", ()), *(part for part in inner if part is not galaxy)]
    found = (find_generated(part) for part in parts)
    return next((each for each in found if each is not None), None)
