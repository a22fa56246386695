"""A differentiable particle-mesh simulator of large-scale structure, in TensorFlow.

From a cosmology and a seed to the density of matter today, with gradients of everything: of the
initial field, of the cosmological parameters and of the steps.

>>> from galsim_hub import particle_mesh as pm
>>> box, cosmology = pm.Box(8, 50.0), pm.Planck15()
>>> growth = pm.Growth(cosmology)
>>> linear = pm.linear_field(box, pm.EisensteinHu(cosmology), seed=1)
>>> particles = pm.start(linear, box, growth, a=0.1)
>>> particles = pm.evolve(particles, box, growth, pm.scale_factors(0.1, 1.0, 3))
>>> pm.density(particles.displacement, box).shape
TensorShape([8, 8, 8])

Lengths are comoving, in Mpc/h, wavenumbers in h/Mpc, momenta a^2 E dx / d ln a in Mpc/h. Fields are
(batch, x, y, z) or (x, y, z). Importing this package starts TensorFlow; importing
``galsim_hub`` does not.
"""

from __future__ import annotations

from ..errors import EngineError

try:
    import tensorflow  # noqa: F401 - asked for here, so that its absence is said here
except ImportError as error:
    raise EngineError(
        f"The particle mesh runs on TensorFlow, which cannot be imported: {error}. Install it with "
        "pip install 'galsim-hub[tensorflow]'.",
        "tensorflow",
    ) from error

from .bias import Bias, biased_density
from .box import Box
from .cosmology import Cosmology, Planck15, Planck18
from .fourier import to_field, to_modes
from .gravity import acceleration, density
from .growth import Growth
from .halo_field import HaloField, halo_features, smooth
from .learned import LearnedSearch
from .light_cone import light_cone
from .lpt import Particles, start
from .modes import linear_field, linear_modes, white_modes
from .nbody import evolve, snapshots
from .paint import paint, read
from .planes import Plane, born_convergence, density_plane, slab_middles
from .posterior import Posterior, simulation
from .power import EisensteinHu, TabulatedPower, sigma
from .reconstruction import (
    Diagnosis,
    Reconstruction,
    Stage,
    anneal,
    diagnose,
    reconstruct,
)
from .sharpening import fit_sharpening, sharpen
from .simulator import Simulation, Simulator
from .spectrum import correlation, power_spectrum, transfer_function
from .steps import scale_factors

__all__ = [
    "Bias",
    "Box",
    "Cosmology",
    "Diagnosis",
    "EisensteinHu",
    "Growth",
    "HaloField",
    "LearnedSearch",
    "Particles",
    "Planck15",
    "Planck18",
    "Plane",
    "Posterior",
    "Reconstruction",
    "Simulation",
    "Simulator",
    "Stage",
    "TabulatedPower",
    "acceleration",
    "anneal",
    "biased_density",
    "born_convergence",
    "correlation",
    "density",
    "density_plane",
    "diagnose",
    "evolve",
    "fit_sharpening",
    "halo_features",
    "light_cone",
    "linear_field",
    "linear_modes",
    "paint",
    "power_spectrum",
    "read",
    "reconstruct",
    "scale_factors",
    "sharpen",
    "sigma",
    "simulation",
    "slab_middles",
    "smooth",
    "snapshots",
    "start",
    "to_field",
    "to_modes",
    "transfer_function",
    "white_modes",
]
