"""Maps of mass from the shear of galaxies.

From a catalogue to convergence, in steps that can be used on their own:

>>> import numpy as np
>>> from galsim_hub import mass_mapping
>>> rng = np.random.default_rng(1)
>>> place = rng.uniform(-0.2, 0.2, (2, 5000))
>>> shapes = 0.3 * rng.standard_normal((2, 5000))
>>> catalogue = mass_mapping.ShearCatalogue(*place, *shapes, np.ones(5000))
>>> field = mass_mapping.field_around(catalogue, pixel_scale=1.0)
>>> shear_map = mass_mapping.make_shear_map(catalogue, field)
>>> direct = mass_mapping.kaiser_squires(shear_map, smoothing=2.0)
>>> power = mass_mapping.read_spectrum().of_modes(field)
>>> posterior = mass_mapping.GaussianPosterior(shear_map, power)
>>> posterior.mean().shape == posterior.sample(seed=1).shape == direct.convergence.shape
True

Nothing here needs TensorFlow, but for posteriors of a learned prior.
"""

from __future__ import annotations

from .catalogue import ShearCatalogue, read_catalogue
from .field import Field, field_around
from .kaiser_squires import DirectMap, kaiser_squires
from .maps import MassMaps, map_mass
from .peaks import find_peaks
from .shear_map import ShearMap, make_shear_map
from .spectrum import SpectrumTable, read_spectrum
from .wiener import GaussianPosterior

__all__ = [
    "DirectMap",
    "Field",
    "GaussianPosterior",
    "MassMaps",
    "ShearCatalogue",
    "ShearMap",
    "SpectrumTable",
    "field_around",
    "find_peaks",
    "kaiser_squires",
    "make_shear_map",
    "map_mass",
    "read_catalogue",
    "read_spectrum",
]
