"""YAML runs of several processes and pieces draw the same bits as one."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import galsim
import numpy as np
import pytest
import yaml

from galsim_hub import GenerativeGalaxyModel, lookahead

N_OBJECTS = 6


def _write(base, path, **changes):
    """Write a configuration of two files of images, with some sections extended."""
    config = copy.deepcopy(base)
    config["output"] = {
        "nfiles": 2,
        "dir": str(path.parent),
        "file_name": {
            "type": "FormattedStr",
            "format": f"{path.stem}_%d.fits",
            "items": ["@file_num"],
        },
    }
    for section, entries in changes.items():
        config[section].update(entries)
    path.write_text(yaml.safe_dump(config))
    return config


def _pixels(path):
    return [galsim.fits.read(str(path.parent / f"{path.stem}_{i}.fits")).array for i in range(2)]


@pytest.mark.parametrize("section", ["image", "output"])
def test_the_galsim_executable_draws_the_same_bits_with_two_processes(base, tmp_path, section):
    single, double = tmp_path / "single.yaml", tmp_path / "double.yaml"
    galsim.config.Process(_write(base, single))
    _write(base, double, **{section: {"nproc": 2}})
    executable = Path(sys.executable).with_name("galsim")
    subprocess.run([executable, "-v", "1", double], check=True, timeout=120)
    for one, two in zip(_pixels(single), _pixels(double), strict=True):
        assert one.tobytes() == two.tobytes()
        assert np.isfinite(one).all()
        assert one.sum() > N_OBJECTS


def test_the_slurm_script_of_the_manual_draws_the_same_bits(base, tmp_path):
    manual = Path(__file__).parents[1] / "docs" / "how_to" / "many_galaxies.md"
    script = re.search(r"```bash\n(#!/bin/bash\n.*?)```", manual.read_text(), re.DOTALL)[1]
    whole, pieces = tmp_path / "whole.yaml", tmp_path / "sky.yaml"
    galsim.config.Process(_write(base, whole))
    _write(base, pieces)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for piece in ("2", "1"):
        job = {"PATH": path, "SLURM_ARRAY_TASK_ID": piece, "SLURM_CPUS_PER_TASK": "2"}
        command = ["bash", "-ec", script.replace("PIECES=100", "PIECES=2")]
        environment = {**os.environ, **job}
        subprocess.run(command, check=True, timeout=120, cwd=tmp_path, env=environment)
    for one, two in zip(_pixels(whole), _pixels(pieces), strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize("module", ["analytic", "hub:cosmos@2"])
def test_pieces_of_a_job_and_four_processes_draw_the_same_bits(base, tmp_path, module):
    if module != "analytic":
        base["input"]["generative_model"]["file_name"] = module
    whole, pieces = tmp_path / "whole.yaml", tmp_path / "pieces.yaml"
    galsim.config.Process(_write(base, whole))
    _write(base, pieces, image={"nproc": 4})
    executable = Path(sys.executable).with_name("galsim")
    for piece in (2, 1):
        command = [executable, "-v", "1", "-n", "2", "-j", str(piece), pieces]
        subprocess.run(command, check=True, timeout=120)
    for one, two in zip(_pixels(whole), _pixels(pieces), strict=True):
        assert one.tobytes() == two.tobytes()


def test_processes_make_no_galaxy_twice(base, gal, tmp_path, monkeypatch):
    gal.update(flux_radius=8, mag_auto=22, zphot=0.7, seed={"type": "Sequence"})
    base["image"].update(nx_tiles=8, ny_tiles=8, nproc=2)
    (tmp_path / "made").touch()

    def count(self, conditions, seeds, generate=GenerativeGalaxyModel.generate):
        with (tmp_path / "made").open("a") as made:  # by all processes
            made.write("".join(f"{seed}\n" for seed in seeds))
        return generate(self, conditions, seeds)

    monkeypatch.setattr(GenerativeGalaxyModel, "generate", count)
    galsim.config.BuildImage(base)
    made = (tmp_path / "made").read_text().split()
    assert sorted(seed for seed in map(int, made) if seed < 64) == list(range(64))
    assert len(made) - 64 <= lookahead.MAX_AHEAD  # past the image's end


@pytest.mark.parametrize(("n_objects", "nproc", "sizes"), [(20, 2, [8, 8, 4]), (6, 4, [1] * 6)])
def test_workers_get_as_many_objects_at_once_as_are_made_at_once(base, n_objects, nproc, sizes):
    base["image"]["nproc"] = nproc
    galsim.config.ProcessInput(base)
    jobs = [{"obj_num": k} for k in range(n_objects)]
    tasks = galsim.config.MakeStampTasks(base, jobs, galsim.config.LoggerWrapper(None))
    assert [len(task) for task in tasks] == sizes
    assert [job for task in tasks for job in task] == [(job, k) for k, job in enumerate(jobs)]


def test_a_stamp_type_that_is_not_basic_stays(base):
    base["stamp"] = {"type": "Ring", "num": 2}
    galsim.config.ProcessInput(base)
    assert base["stamp"]["type"] == "Ring"
