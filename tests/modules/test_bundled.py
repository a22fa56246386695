"""Every module that the package carries does what its card says, on this machine."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from galsim_hub import GenerativeGalaxyModel
from galsim_hub.backend import load_engine
from galsim_hub.contribution import examine
from galsim_hub.registries import bundled_root
from galsim_hub.spec import read_spec

FOLDERS = sorted(card.parent for card in bundled_root().glob("*/*/card.md"))
NONE = pytest.param(None, marks=pytest.mark.skip(reason=f"no module in {bundled_root()} yet"))
BORDER = 2  # pixels
N_GALAXIES = 64
LIGHT_TOLERANCE = 1e-5  # of the peak, against the SavedModel


@pytest.fixture(
    scope="module",
    params=FOLDERS or [NONE],
    ids=lambda folder: f"{folder.parent.name}@{folder.name}" if folder else "none",
)
def folder(request):
    """Give each bundled module's folder."""
    return request.param


@pytest.fixture(scope="module")
def model(folder):
    """Give its model, if it is one of galaxies."""
    if read_spec(folder).kind != "galaxy":
        pytest.skip("not a galaxy module")
    return GenerativeGalaxyModel(folder)


@pytest.fixture(scope="module")
def catalog(model):
    """Give conditions as galaxies have them, from small and faint to large and bright."""
    size = np.random.default_rng(2021).uniform(0, 1, N_GALAXIES)
    typical = {
        "flux_radius": 4 + 12 * size,
        "mag_auto": 25 - 4.5 * size,
        "zphot": 1.5 - 1.2 * size,
    }
    return {
        condition.name: typical.get(condition.name, (condition.minimum + condition.maximum) / 2)
        for condition in model.spec.inputs
    }


@pytest.fixture(scope="module")
def images(model, catalog):
    """Give one galaxy a row, by the row's number as its seed."""
    return model.sample_images(catalog, seeds=range(N_GALAXIES))


def test_the_files_are_those_of_the_card(folder):
    read_spec(folder).verify(folder)


def test_the_checks_of_a_contribution_find_no_fault(folder):
    assert [finding for finding in examine(folder) if not finding.holds] == []


def test_the_folder_is_named_as_the_card_says(folder):
    assert read_spec(folder).label == f"{folder.parent.name}@{folder.name}"


def test_the_golden_outputs_are_reproduced(folder):
    spec = read_spec(folder)
    path = folder / spec.golden["file"]
    assert hashlib.sha256(path.read_bytes()).hexdigest() == spec.golden["sha256"]
    with np.load(path) as golden:
        arrays = dict(golden)
    assert {name.split("/")[0] for name in arrays} == set(spec.signatures)
    for signature in spec.signatures:
        _replay(load_engine(folder, spec), signature, arrays, spec.golden["relative_tolerance"])
    for signature in spec.light:
        _replay(load_engine(folder, spec, "light"), signature, arrays, LIGHT_TOLERANCE)


def _replay(engine, signature, arrays, tolerance):
    inputs, expected = (
        {name.split("/")[2]: array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in (f"{signature}/in/", f"{signature}/out/")
    )
    outputs = engine.run(signature, inputs)
    assert set(outputs) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(
            outputs[name], array, atol=tolerance * np.abs(array).max(), rtol=0
        )


def _take(catalog, rows):
    return {name: np.broadcast_to(column, N_GALAXIES)[rows] for name, column in catalog.items()}


@pytest.mark.parametrize("size", [1, 7, 64])
def test_pixels_do_not_depend_on_the_size_of_the_batch(model, catalog, images, size):
    for start in range(0, N_GALAXIES, size):
        rows = slice(start, start + size)
        part = _take(catalog, rows)
        seeds = range(N_GALAXIES)[rows]
        assert model.sample_images(part, seeds=seeds).tobytes() == images[rows].tobytes()


def test_pixels_do_not_depend_on_the_order(model, catalog, images):
    backwards = _take(catalog, slice(None, None, -1))
    reverse = model.sample_images(backwards, seeds=range(N_GALAXIES)[::-1])
    assert reverse[::-1].tobytes() == images.tobytes()


def test_pixels_do_not_depend_on_the_process(model, catalog, images, tmp_path):
    np.savez(tmp_path / "catalog.npz", **catalog)
    code = (
        "import sys, hashlib, numpy, galsim_hub;"
        "model = galsim_hub.GenerativeGalaxyModel(sys.argv[1]);"
        "catalog = dict(numpy.load(sys.argv[2]));"
        f"images = model.sample_images(catalog, seeds=range({N_GALAXIES}));"
        "print(hashlib.sha256(images.tobytes()).hexdigest())"
    )
    command = [sys.executable, "-c", code, model.file_name, str(tmp_path / "catalog.npz")]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout
    assert output.strip() == hashlib.sha256(images.tobytes()).hexdigest()


def test_galaxies_have_positive_flux_near_their_magnitude(model, catalog, images):
    flux = images.sum(axis=(1, 2), dtype=float)
    assert (flux > 0).all()
    if "mag_auto" in catalog and "zeropoint" in model.spec.flux:
        expected = 10 ** (-0.4 * (catalog["mag_auto"] - model.spec.flux["zeropoint"]))
        # A coarse check on 64 galaxies; training/validation measures the bias itself.
        assert np.median(flux / expected) == pytest.approx(1, abs=0.15)


def test_galaxies_sit_in_the_middle(model, images):
    # Plain moments: there is no noise, and adaptive ones need a PSF to converge on cuspy cores.
    axis = np.arange(model.stamp_size) - (model.stamp_size - 1) / 2
    flux = images.sum(axis=(1, 2), dtype=float)
    x, y = images.sum(axis=1) @ axis / flux, images.sum(axis=2) @ axis / flux
    # 3 pixels are 0.09 arcsec, the scatter of centres of COSMOS stamps.
    assert np.hypot(x, y).max() < 3


def test_borders_are_empty(images):
    inside = images[:, BORDER:-BORDER, BORDER:-BORDER].sum(dtype=float)
    total = images.sum(dtype=float)
    assert abs(total - inside) < 1e-3 * total
