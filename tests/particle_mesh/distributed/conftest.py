"""Runs of scripts in processes of their own: devices are chosen before TensorFlow starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parent


@pytest.fixture(scope="session")
def run_script():
    """Give a function that runs a script, here or as several processes."""

    def run(script, *arguments, n_tasks=0):
        command = command_of(script, *arguments, n_tasks=n_tasks)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def command_of(script, *arguments, n_tasks):
    launcher = ["-m", "galsim_hub", "launch", "--grace", "30", "--tasks", str(n_tasks)]
    return [sys.executable, *(launcher if n_tasks else []), FOLDER / script, *arguments]


@pytest.fixture(scope="session")
def received(run_script, tmp_path_factory):
    """Give what four threads, each with a device, received of each other."""
    path = tmp_path_factory.mktemp("exchange") / "received.npz"
    result = run_script("exchange.py", path)
    assert result.returncode == 0, result.stderr
    return np.load(path)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """Give boxes simulated alone, on four devices of one process, and by two processes."""
    folder = tmp_path_factory.mktemp("simulated")
    return run_simulations(folder, "float64", {0: ["2x2", "0x0"], 2: ["2x1"]})


@pytest.fixture(scope="session")
def simulated_in_single_precision(tmp_path_factory):
    """Give boxes on one device, and on four in slabs and in pencils."""
    folder = tmp_path_factory.mktemp("simulated32")
    return run_simulations(folder, "float32", {0: ["4x1", "2x2", "1x1"]})


def run_simulations(folder, dtype, runs):
    """Return the boxes that so many processes simulated on some meshes, 0 being this process."""
    # Side by side: each spends its time compiling, most of it on one core.
    started = [
        subprocess.Popen(
            command_of("simulate.py", folder, dtype, *meshes, n_tasks=n_tasks),
            stderr=subprocess.PIPE,
            text=True,
        )
        for n_tasks, meshes in runs.items()
    ]
    for run, words in [(run, run.communicate()[1]) for run in started]:
        assert run.returncode == 0, words
    return {path.stem: np.load(path) for path in folder.iterdir()}
