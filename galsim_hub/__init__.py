"""Learned galaxies for GalSim: published generative models, drawn like any GSObject.

``import galsim_hub`` makes the package known as ``galsim.hub`` and teaches GalSim's
configuration files the inputs ``generative_model`` and ``generative_catalog``, their galaxies
and the value ``GenerativeTruth``. It starts no inference engine and opens no file: the network of
a model is loaded when its first galaxy is drawn.

`GenerativeGalaxyModel`
    A model of galaxies, by name: ``GenerativeGalaxyModel("hub:cosmos")``.
`GenerativeGalaxy`
    One of its galaxies, a `galsim.GSObject`.
`GenerativeCatalog`
    Its galaxies by index or at random, asked for like `galsim.COSMOSCatalog`.
`apply_sed`
    A galaxy with a redshifted spectrum.
`load`
    Any module by name, as the class that its kind asks for.
`errors`
    Everything that galsim_hub raises.
"""

from __future__ import annotations

import sys

import galsim

from . import catalog_config, config, errors, stamp_blocks, truth_config
from .catalog import GenerativeCatalog
from .chromatic import apply_sed
from .model import GenerativeGalaxyModel
from .modules import load
from .profile import GenerativeGalaxy

__all__ = [
    "GenerativeCatalog",
    "GenerativeGalaxy",
    "GenerativeGalaxyModel",
    "__version__",
    "apply_sed",
    "errors",
    "load",
]

__version__ = "1.0.0"

galsim.hub = sys.modules["galsim.hub"] = sys.modules[__name__]
stamp_blocks.register()
config.register()
catalog_config.register()
truth_config.register()
