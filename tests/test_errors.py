"""Errors carry their values, say what to do, and travel between processes."""

from __future__ import annotations

import pickle

import galsim
import pytest

from galsim_hub import errors

EXAMPLES = [
    errors.GalSimHubError("what and what to do"),
    errors.UnknownModuleError("no such module", "hub:cosmso", ["hub:cosmos"]),
    errors.CardError("bad card", "/modules/card.md", "version"),
    errors.CorruptedModuleError("bad hash", "/modules/saved_model.pb", "aa", "bb"),
    errors.UnsupportedModuleError("wrong kind", "hub:kappa", "galaxy"),
    errors.EngineError("cannot start", "tensorflow"),
    errors.ConditionError("negative", "flux_radius", -1.0, 3),
    errors.SeedError("negative seed", -1),
    errors.RandomDeviateError("not GalSim's", "numpy.random.Generator"),
    errors.BandError("no such band", "z", ("g", "r")),
    errors.ContributionError("no program", "/modules/dwarfs/1"),
    errors.ImageError("wrong scale", 0.2),
    errors.LatentError("wrong shape", (3,)),
    errors.PinError("negative", "half_light_radius", -1.0),
    errors.CatalogError("no such file", "file_name", "a.fits"),
    errors.UnsafeModuleError("reads a file", "/modules/1", ["ReadFile"]),
    errors.RegistryError("bad index", "/index.json", "modules.0.name"),
    errors.DownloadError("no mirror", ["https://example.org/"]),
    errors.CacheError("disk full", "/cache"),
    errors.CosmologyError("negative", "h", -1.0),
    errors.BoxError("odd", (3, 4, 4)),
    errors.StepsError("not ascending", (1.0, 0.5)),
    errors.PowerSpectrumError("too short", 0.1, 1.0),
    errors.ReconstructionError("not positive", 0.0),
    errors.DeviceMeshError("does not divide", (3, 1)),
    errors.HaloError("too far", 7.0, 5.0),
    errors.PeerError("killed", 1),
    errors.CheckpointError("another run", "/run/step_0001_rank_0000.npz"),
    errors.FieldError("not finite", (3, 64, 64)),
    errors.MassMapError("all zero", "weight", 0.0),
    errors.ObservationError("all masked", "mask", (64, 64)),
    errors.SamplingError("no levels", "n_levels", 0),
    errors.TableError("no column", "/sky.fits"),
    errors.BadRowError("negative", 3, "a"),
    errors.OutputError("disk full", "/output"),
    errors.WorkerError("killed", 2),
    errors.MissingExtraError("not installed", "scale", "zarr"),
]
WARNINGS = [errors.ExtrapolationWarning, errors.RegistryWarning, errors.UnverifiedWarning]
STANDARD_CLASSES = [
    (errors.UnknownModuleError, LookupError),
    (errors.CardError, ValueError),
    (errors.UnsupportedModuleError, NotImplementedError),
    (errors.ConditionError, ValueError),
    (errors.SeedError, ValueError),
    (errors.RandomDeviateError, TypeError),
    (errors.BandError, ValueError),
    (errors.ImageError, ValueError),
    (errors.LatentError, ValueError),
    (errors.PinError, ValueError),
    (errors.CatalogError, ValueError),
    (errors.RegistryError, ValueError),
    (errors.CosmologyError, ValueError),
    (errors.BoxError, ValueError),
    (errors.StepsError, ValueError),
    (errors.PowerSpectrumError, ValueError),
    (errors.ReconstructionError, ValueError),
    (errors.DeviceMeshError, ValueError),
    (errors.HaloError, RuntimeError),
    (errors.PeerError, RuntimeError),
    (errors.CheckpointError, RuntimeError),
    (errors.FieldError, ValueError),
    (errors.ObservationError, ValueError),
    (errors.SamplingError, ValueError),
    (errors.TableError, ValueError),
    (errors.BadRowError, ValueError),
    (errors.OutputError, OSError),
    (errors.WorkerError, RuntimeError),
    (errors.MissingExtraError, ImportError),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_a_pickle_with_its_values(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)
    assert copy == error


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_is_one_of_ours_and_of_galsims(error):
    assert isinstance(error, errors.GalSimHubError)
    assert isinstance(error, galsim.GalSimError)


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_the_repr_of_an_error_makes_it_again(error):
    assert eval(repr(error)) == error


@pytest.mark.parametrize(("ours", "standard"), STANDARD_CLASSES)
def test_an_error_is_caught_as_the_standard_class_that_users_expect(ours, standard):
    assert issubclass(ours, standard)


def test_every_error_class_is_among_the_examples():
    public = {getattr(errors, name) for name in errors.__all__}
    assert public - {type(error) for error in EXAMPLES} == set(WARNINGS)


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_warning_is_one_of_galsims(warning):
    assert issubclass(warning, galsim.GalSimWarning)


def test_nothing_is_suggested_for_a_name_unlike_all_others():
    assert errors.suggest("xyz", ["cosmos"]) == ""
