"""The examples run as they are, but for the module, here the analytic one, and a smaller box."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

EXAMPLES = Path(__file__).parents[1] / "examples"
GALSIM = Path(sys.executable).with_name("galsim")
MOST_LINES = 80
SMALLER = {"N_CELLS": 16, "N_ITERATIONS": 16, "N_FRAMES": 3, "N_SAMPLES": 20, "N_MAPS": 12}
SMALLER |= {"N_GALAXIES": 1, "N_CHAINS": 2, "N_SWEEPS": 2}


@pytest.fixture
def workdir(tmp_path, monkeypatch, module_folder):
    """Stand in an empty folder with the examples, where hub:cosmos is the analytic module."""
    copy = shutil.copytree(EXAMPLES, tmp_path / "examples")
    for path in copy.glob("[0-9]*.py"):
        text = path.read_text().replace("hub:cosmos", str(module_folder))
        for name, value in SMALLER.items():
            text = re.sub(rf"^{name} = \d+$", f"{name} = {value}", text, flags=re.MULTILINE)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_yaml(name, module_folder, **changes):
    """Run a configuration as a user would: in a process of its own, which can start workers."""
    changes["input.generative_model.file_name"] = module_folder
    command = [GALSIM, f"examples/{name}", *(f"{key}={value}" for key, value in changes.items())]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr


FILES = sorted(path for path in EXAMPLES.rglob("*.*") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_example_is_short(path):
    assert len(path.read_text().splitlines()) < MOST_LINES


def test_demo_writes_galaxies_then_their_truth_and_a_picture(workdir, module_folder):
    run_yaml("demo.yaml", module_folder, **{"output.nimages": 3, "output.truth.hdu": 3})
    with fits.open("output/demo.fits") as extensions:
        assert [extension.is_image for extension in extensions] == [True, True, True, False]
        assert extensions[0].data.shape == (128, 128)
        assert extensions[-1].columns.names == ["flux_radius", "mag_auto", "zphot"]
    draw = runpy.run_path("examples/contact_sheet.py")["main"]
    draw(Path("output/demo.fits"), Path("output/demo.png"))
    assert Path("output/demo.png").read_bytes().startswith(b"\x89PNG")


def test_catalogue_gives_the_same_pixels_on_one_process(workdir, module_folder):
    run_yaml("02_catalogue.yaml", module_folder)
    two = fits.getdata("output/catalogue.fits")
    run_yaml("02_catalogue.yaml", module_folder, **{"image.nproc": 1})
    np.testing.assert_array_equal(fits.getdata("output/catalogue.fits"), two)


@pytest.mark.parametrize(
    ("script", "output"),
    [
        ("01_python.py", "python.fits"),
        ("03_same_galaxy.py", "same_galaxy.png"),
        ("04_particle_mesh.py", "particle_mesh.png"),
        ("05_initial_conditions.py", "initial_conditions.png"),
        ("07_evolving_box.py", "evolving_box.gif"),
        ("08_two_moons.py", "two_moons.png"),
        ("09_power_ratio.py", "power_ratio.png"),
        ("10_convergence_prior.py", "convergence_prior.png"),
        ("11_masked_fourier.py", "masked_fourier.png"),
    ],
)
def test_script_runs(workdir, script, output):
    runpy.run_path(f"examples/{script}")
    assert (workdir / "output" / output).stat().st_size > 0


def test_the_fisher_matrix_of_gradients_is_that_of_finite_differences(workdir, capsys):
    runpy.run_path("examples/06_fisher_matrix.py")
    lines = capsys.readouterr().out.splitlines()
    (difference,) = (line.split()[-1] for line in lines if line.startswith("largest relative"))
    assert float(difference) < 1e-4
