"""Processes find each other, and the death of one ends the run soon and in words."""

from __future__ import annotations

import importlib
import re
import socket
import threading
import time

import pytest

from galsim_hub.peers import Peers

# The package has a function of the same name.
launch = importlib.import_module("galsim_hub.particle_mesh.distributed.launch")

LONGEST = 60.0  # [s]: two seconds between looks, five of grace, and the end of two processes


def test_a_killed_process_ends_the_run_with_a_clear_error(run_script):
    result = run_script("die.py", n_tasks=2)
    (death,) = re.findall(r"dies at ([\d.]+)", result.stdout)
    assert time.time() - float(death) < LONGEST  # an exchange alone would wait for ten minutes
    assert result.returncode == 1
    assert "task 1 was ended by SIGKILL" in result.stderr
    assert "PeerError: Process 0 lost process 1" in result.stderr


def test_a_process_is_found_dead_though_its_server_outlives_its_connections():
    server = socket.create_server(("127.0.0.1", 0))
    peers = Peers(("127.0.0.1:1", f"127.0.0.1:{server.getsockname()[1]}"), task=0)
    threading.Timer(0.5, server.close).start()
    assert launch._wait_for_dead(peers) == 1


def test_a_process_on_an_address_of_version_6_is_found_dead():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    peers = Peers(("[::1]:1", f"[::1]:{server.getsockname()[1]}"), task=0)
    server.close()
    assert launch._find_dead(peers) == 1


def test_a_run_of_no_processes_is_refused(run_script):
    result = run_script("die.py", "--seed", "1", n_tasks=-1)
    assert result.returncode == 2
    assert "--tasks: expected 1 or more, got -1" in result.stderr


def test_a_script_that_fails_is_named(run_script, tmp_path):
    script = tmp_path / "fail.py"
    script.write_text("import os, sys; sys.exit(int(os.environ['GALSIM_HUB_TASK']) * 7)")
    result = run_script(script, n_tasks=2)
    assert result.returncode == 1
    assert "task 1 failed with exit code 7" in result.stderr


def test_every_process_gets_its_arguments_and_its_number(run_script, tmp_path):
    script = tmp_path / "tell.py"
    script.write_text(
        "import os, sys, pathlib\n"
        "pathlib.Path(sys.argv[1], os.environ['GALSIM_HUB_TASK']).write_text(sys.argv[2])"
    )
    result = run_script(script, tmp_path, "--seed=3", n_tasks=3)
    assert result.returncode == 0, result.stderr
    assert [(tmp_path / str(task)).read_text() for task in range(3)] == ["--seed=3"] * 3
