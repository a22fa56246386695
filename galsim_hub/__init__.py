"""Learned galaxies for GalSim: published generative models, drawn like any GSObject.

``import galsim_hub`` makes the package known as ``galsim.hub`` and teaches GalSim's
configuration files the input ``generative_model`` and the object
``GenerativeModelGalaxy``. It starts no inference engine and opens no file: the network of
a model is loaded when its first galaxy is drawn.

`GenerativeGalaxyModel`
    A model of galaxies, by name: ``GenerativeGalaxyModel("hub:cosmos")``.
`GenerativeGalaxy`
    One of its galaxies, a `galsim.GSObject`.
`load`
    Any module by name, as the class that its kind asks for.
`errors`
    Everything that galsim_hub raises.
"""

from __future__ import annotations

import sys

import galsim

from . import errors
from .config import register
from .model import GenerativeGalaxyModel
from .modules import load
from .profile import GenerativeGalaxy

__all__ = ["GenerativeGalaxy", "GenerativeGalaxyModel", "__version__", "errors", "load"]

__version__ = "1.0.0"

galsim.hub = sys.modules["galsim.hub"] = sys.modules[__name__]
register()
