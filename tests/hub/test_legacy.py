"""Modules of 2020 load and draw, from a folder, an archive or a server."""

from __future__ import annotations

import hashlib
import pickle
import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest

import galsim_hub
from galsim_hub.errors import (
    CardError,
    CorruptedModuleError,
    RegistryWarning,
    UnsafeModuleError,
    UnverifiedWarning,
)
from galsim_hub.legacy import describe
from galsim_hub.safety import pack

SCRIPT = Path(__file__).with_name("make_legacy.py")
CATALOG = {"flux_radius": [2.0, 3.0, 4.0], "mag_auto": [24.0, 23.0, 22.0]}


def make(folder, rank=4, op=""):
    subprocess.run([sys.executable, SCRIPT, folder, str(rank), op], check=True, timeout=120)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make(tmp_path_factory.mktemp("legacy") / "model")


def test_its_graph_says_what_it_is_without_tensorflow(folder):
    code = (
        "import sys; from pathlib import Path; from galsim_hub.legacy import describe;"
        "spec = describe(Path(sys.argv[1])); assert 'tensorflow' not in sys.modules;"
        "print(spec.quantities, spec.stamp_size, spec.random_name, spec.random_size)"
    )
    command = [sys.executable, "-c", code, folder]
    got = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert got.strip() == "('flux_radius', 'mag_auto') 24 random_normal 5"
    assert describe(folder).pixel_size == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize("rank", [3, 4])
def test_it_draws_galaxies_of_the_asked_size_and_flux(folder, rank, tmp_path):
    model = galsim_hub.GenerativeGalaxyModel(folder if rank == 4 else make(tmp_path / "m", rank=3))
    galaxies = model.sample(CATALOG, seeds=[1, 2, 3])
    assert model.sample_images(CATALOG, seeds=[1, 2, 3]).shape == (3, 24, 24)
    for galaxy, mag in zip(galaxies, CATALOG["mag_auto"], strict=True):
        # float32 sums of 576 pixels
        assert galaxy.flux == pytest.approx(10 ** (-0.4 * (mag - 25.94)), rel=1e-5)


def test_its_galaxies_are_those_of_their_seeds(folder):
    model = pickle.loads(pickle.dumps(galsim_hub.GenerativeGalaxyModel(folder)))
    images = model.sample_images(CATALOG, rng=galsim.BaseDeviate(5))
    again = model.sample_images(CATALOG, rng=galsim.BaseDeviate(5))
    assert images.tobytes() == again.tobytes()
    assert not np.array_equal(images, model.sample_images(CATALOG, rng=galsim.BaseDeviate(6)))


def test_it_loads_from_an_archive_and_a_server(folder, server, published):
    pack(folder, published / "m.tar.gz")
    expected = galsim_hub.GenerativeGalaxyModel(folder).sha256
    assert galsim_hub.GenerativeGalaxyModel(published / "m.tar.gz").sha256 == expected
    sha256 = hashlib.sha256((published / "m.tar.gz").read_bytes()).hexdigest()
    pinned = f"{server[0]}/m.tar.gz#sha256={sha256}"
    model = galsim_hub.GenerativeGalaxyModel(pinned)
    assert (model.sha256, model.file_name) == (expected, pinned)
    assert pickle.loads(pickle.dumps(model)) == model


def test_an_address_without_a_sha256_is_taken_on_demand_only(folder, server, published):
    pack(folder, published / "m.tar.gz")
    address = f"{server[0]}/m.tar.gz"
    with pytest.raises(UnsafeModuleError, match="allow_unverified=True"):
        galsim_hub.GenerativeGalaxyModel(address)
    with pytest.warns(UnverifiedWarning, match="#sha256="):
        model = galsim_hub.GenerativeGalaxyModel(address, allow_unverified=True)
    assert eval(repr(model)) == model  # pinned by now


def test_a_hostile_one_is_refused_with_the_op_named(tmp_path):
    model = galsim_hub.GenerativeGalaxyModel(make(tmp_path / "m", op="ReadFile"))
    with pytest.raises(UnsafeModuleError, match="ReadFile"):
        model.sample_images(CATALOG)


def test_a_graph_that_says_too_little_is_no_module(folder, tmp_path):
    content = (folder / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content.replace(b"pixel_size", b"pixel_sise"))
    with pytest.raises(CardError, match="no attached pixel_size"):
        galsim_hub.GenerativeGalaxyModel(tmp_path)


def test_a_truncated_graph_is_noticed(folder, tmp_path):
    content = (folder / "saved_model.pb").read_bytes()
    (tmp_path / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(CorruptedModuleError, match="cannot be read"):
        galsim_hub.GenerativeGalaxyModel(tmp_path)


def test_a_yaml_file_of_2020_runs_unchanged(tmp_path):
    config = {
        "modules": ["galsim_hub"],
        "psf": {"type": "Gaussian", "sigma": 0.06},
        "gal": {
            "type": "GenerativeModelGalaxy",
            "flux_radius": {"type": "Random", "min": 5, "max": 10},
            "mag_auto": {"type": "Random", "min": 24.0, "max": 25.0},
        },
        "image": {"type": "Tiled", "nx_tiles": 2, "ny_tiles": 1, "stamp_size": 64,
                  "pixel_scale": 0.03, "random_seed": 1, "noise": {"type": "COSMOS"}},
        "output": {"dir": str(tmp_path), "file_name": "demo14.fits"},
        "input": {"generative_model": {"file_name": "hub:cosmos_size_mag"}},
    }  # fmt: skip
    with pytest.warns(RegistryWarning, match="hub:cosmos@2, with zphot = 0.91"):
        galsim.config.Process(config)
    assert galsim.fits.read(str(tmp_path / "demo14.fits")).array.shape == (64, 128)


def test_an_old_name_gives_the_galaxies_of_its_fixed_conditions():
    with pytest.warns(RegistryWarning):
        old = galsim_hub.GenerativeGalaxyModel("hub:cosmos_size_mag")
    new = galsim_hub.GenerativeGalaxyModel("hub:cosmos")
    catalog = {"flux_radius": [8.0], "mag_auto": [23.5]}
    expected = new.sample_images({**catalog, "zphot": 0.91}, seeds=[3])
    assert old.quantities == ("flux_radius", "mag_auto")
    assert old.sample_images(catalog, seeds=[3]).tobytes() == expected.tobytes()
    assert old != new
    assert pickle.loads(pickle.dumps(old)) == old == eval(repr(old))
