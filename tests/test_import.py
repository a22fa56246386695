"""Importing galsim_hub is cheap and makes `galsim.hub`."""

from __future__ import annotations

import subprocess
import sys

import pytest

import galsim_hub

FORBIDDEN = (
    "tensorflow",
    "onnxruntime",
    "keras",
    "requests",
    "matplotlib",
    "jsonschema",
    "dask",
    "distributed",
    "pandas",
    "pyarrow",
    "zarr",
    "galsim_hub.particle_mesh",
    "galsim_hub.score",
)


def _run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize(
    "names", [["load", "errors"], ["GenerativeGalaxyModel", "GenerativeGalaxy"]]
)
def test_the_import_loads_nothing_heavy(names):
    code = (
        f"import sys; from galsim_hub import {', '.join(names)};"
        f"print([name for name in {FORBIDDEN} if name in sys.modules])"
    )
    assert _run(code).strip() == "[]"


def test_the_import_of_scale_loads_nothing_heavy():
    code = (
        f"import sys, galsim_hub.scale;print([name for name in {FORBIDDEN} if name in sys.modules])"
    )
    assert _run(code).strip() == "[]"


def test_a_model_is_built_and_pickled_without_an_engine(module_folder):
    code = (
        "import pickle, sys, galsim_hub;"
        f"model = galsim_hub.GenerativeGalaxyModel({str(module_folder)!r});"
        "gal = galsim_hub.GenerativeGalaxy(model, flux_radius=8, mag_auto=23, zphot=1, seed=1);"
        "pickle.loads(pickle.dumps(gal)); repr(gal); hash(gal);"
        "print('tensorflow' in sys.modules)"
    )
    assert _run(code).strip() == "False"


@pytest.mark.parametrize("name", ["particle_mesh", "score"])
def test_a_companion_without_tensorflow_says_what_to_install(name):
    code = (
        "import sys; sys.modules['tensorflow'] = None  # as if it were not installed\n"
        "import galsim_hub\n"
        f"try: import galsim_hub.{name}\n"
        "except galsim_hub.errors.EngineError as error: print(error)"
    )
    assert "pip install 'galsim-hub[tensorflow]'" in _run(code)


def test_a_process_that_draws_leaves_nothing_at_home(module_folder, tmp_path, monkeypatch):
    monkeypatch.delenv("ORT_DISABLE_TELEMETRY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "GALSIM_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    code = (
        f"import galsim_hub; model = galsim_hub.GenerativeGalaxyModel({str(module_folder)!r});"
        "conditions = {'flux_radius': 8.0, 'mag_auto': 23.0, 'zphot': 1.0};"
        "print(model.sample_images(conditions, obj_ids=[1]).shape)"
    )
    assert _run(code).strip() == "(1, 128, 128)"
    # ONNX Runtime would keep an id of the machine there, for reports of its use.
    assert list(tmp_path.rglob("*")) == []


def test_the_package_is_known_as_galsim_hub():
    import galsim.hub

    assert galsim.hub is galsim_hub
    assert sys.modules["galsim.hub"] is galsim_hub


def test_every_public_name_is_there():
    assert all(hasattr(galsim_hub, name) for name in galsim_hub.__all__)
