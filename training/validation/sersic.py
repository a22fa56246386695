"""The rival: each galaxy as the best single-Sersic fit that the catalogue has of it."""

import functools

import galsim
import numpy as np

from ..config import DataConfig
from ..data.parametric import disk_geometry
from ..data.stamps import StampSource


class SersicFits:
    """Single-Sersic profiles by IDENT, whatever fit the catalogue prefers."""

    def __init__(self, config: DataConfig):
        self.source = StampSource(config)

    @functools.cached_property
    def _indices(self) -> dict[int, int]:
        return {int(ident): i for i, ident in enumerate(self.source.idents)}

    def profile(self, ident: int) -> galsim.GSObject | None:
        """Return the fitted profile without PSF, None where the fit is unusable."""
        record = dict(self.source.catalogue.getParametricRecord(self._indices[ident]))
        radius, flux = float(record["hlr"][0]), float(record["flux"][0])
        if not (np.isfinite(radius) and np.isfinite(flux) and radius > 0 and flux > 0):
            return None
        profile, axis_ratio, angle = disk_geometry(record | {"use_bulgefit": 0})
        if not 0 < axis_ratio <= 1:
            return None
        return profile.shear(q=axis_ratio, beta=angle)
