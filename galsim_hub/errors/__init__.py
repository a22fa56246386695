"""Every error and warning that galsim_hub raises, and when to raise which.

======================== ==============================================================
`UnknownModuleError`     a name, version or folder leads to no module
`CardError`              a module's card is missing, invalid or of a newer specification
`CorruptedModuleError`   a module's files are not those that its card describes
`UnsafeModuleError`      an archive, address or graph does what a module must not do
`UnsupportedModuleError` a sound module cannot do what was asked of it
`RegistryError`          an index of modules or the user's configuration cannot be used
`DownloadError`          no mirror gives the bytes that were published, or it is offline
`CacheError`             the cache cannot be written to
`EngineError`            the inference engine cannot start, or returned nonsense
`ConditionError`         a condition is missing, not a number, negative, of wrong length
`SeedError`              a seed or object id cannot determine a galaxy
`RandomDeviateError`     an rng is not a `galsim.BaseDeviate`
`ContributionError`      a module to contribute cannot be scaffolded or completed
`BandError`              a band is not one of the module's, or has to be chosen
`ImageError`             an image, PSF or noise variance cannot be encoded
`PinError`               a flux, magnitude or size to pin makes no sense
`CatalogError`           a catalogue of galaxies cannot be read or asked that way
`LatentError`            an array of latent codes has the wrong shape or values
`CosmologyError`         a cosmological parameter or scale factor makes no sense
`BoxError`               a box, grid or field does not fit the simulation
`StepsError`             scale factors do not make a sequence of time steps
`PowerSpectrumError`     a power spectrum is invalid or does not cover the grid
`ReconstructionError`    an observed field or a search leads to no initial conditions
`DeviceMeshError`        a mesh of devices does not divide a box, or is not there
`HaloError`              particles have moved further than a block's halo holds
`PeerError`              other processes of a run are not found, died or do not answer
`CheckpointError`        checkpoints belong to another run
`FieldError`             a field or noise level is not one that a score prior takes
`ObservationError`       data, noise, mask and operator make no likelihood
`SamplingError`          a sampler cannot do what it was asked
`TableError`             a catalogue to draw cannot be read, or lacks a column
`BadRowError`            a row of a catalogue makes no galaxy
`OutputError`            an output folder is another run's, or its disk is full
`WorkerError`            workers died of a shard, or it was cancelled
`MassMapError`           shear, weights or a patch of sky give no map of mass
`MissingExtraError`      an extra of galsim_hub is not installed
`ExtrapolationWarning`   conditions lie outside the range a module was trained on
`RegistryWarning`        a name means something other than it may seem to
`UnverifiedWarning`      a module was downloaded without a promised sha256
======================== ==============================================================

Each carries the offending values as attributes, survives a pickle (GalSim sends
exceptions between processes), and ends its message with what to do.
"""

from __future__ import annotations

from .base import GalSimHubError
from .base import suggest as suggest  # for this package, not in __all__
from .galaxies import (
    BandError,
    CatalogError,
    ConditionError,
    EngineError,
    ExtrapolationWarning,
    ImageError,
    LatentError,
    PinError,
    RandomDeviateError,
    SeedError,
)
from .mass_mapping import MassMapError
from .modules import (
    CacheError,
    CardError,
    ContributionError,
    CorruptedModuleError,
    DownloadError,
    RegistryError,
    RegistryWarning,
    UnknownModuleError,
    UnsafeModuleError,
    UnsupportedModuleError,
    UnverifiedWarning,
)
from .particle_mesh import (
    BoxError,
    CheckpointError,
    CosmologyError,
    DeviceMeshError,
    HaloError,
    PeerError,
    PowerSpectrumError,
    ReconstructionError,
    StepsError,
)
from .scale import BadRowError, MissingExtraError, OutputError, TableError, WorkerError
from .score import FieldError, ObservationError, SamplingError

__all__ = [
    "BadRowError",
    "BandError",
    "BoxError",
    "CacheError",
    "CardError",
    "CatalogError",
    "CheckpointError",
    "ConditionError",
    "ContributionError",
    "CorruptedModuleError",
    "CosmologyError",
    "DeviceMeshError",
    "DownloadError",
    "EngineError",
    "ExtrapolationWarning",
    "FieldError",
    "GalSimHubError",
    "HaloError",
    "ImageError",
    "LatentError",
    "MassMapError",
    "MissingExtraError",
    "ObservationError",
    "OutputError",
    "PeerError",
    "PinError",
    "PowerSpectrumError",
    "RandomDeviateError",
    "ReconstructionError",
    "RegistryError",
    "RegistryWarning",
    "SamplingError",
    "SeedError",
    "StepsError",
    "TableError",
    "UnknownModuleError",
    "UnsafeModuleError",
    "UnsupportedModuleError",
    "UnverifiedWarning",
    "WorkerError",
]
