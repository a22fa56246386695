"""The processes of a run are read from the environment of plain hosts and of Slurm."""

from __future__ import annotations

import pytest

from galsim_hub.errors import PeerError
from galsim_hub.peers import Peers

SLURM = {
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_PROCID": "3",
    "SLURM_JOB_ID": "1234567",
    "SLURM_STEP_NODELIST": "gpu[08-09],login1",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURMD_NODENAME": "gpu09",
}


def test_a_process_alone_has_no_peers():
    assert Peers.from_environment({}) is None
    assert Peers.from_environment({"SLURM_STEP_NUM_TASKS": "1"}) is None


def test_the_environment_of_a_process_makes_its_peers_again():
    peers = Peers(("node1:2000", "[::1]:2001"), 1)
    assert Peers.from_environment(peers.environment()) == peers


def test_slurm_names_hosts_and_tasks():
    port = 20000 + 1234567 % 30000
    expected = [("gpu08", 0), ("gpu08", 1), ("gpu09", 0), ("gpu09", 1), ("login1", 0)]
    peers = Peers.from_environment(SLURM)
    assert peers == Peers(tuple(f"{host}:{port + i}" for host, i in expected), 3)


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ("n1", ["n1"]),
        ("n1,m2", ["n1", "m2"]),
        ("n[1,3-4],m[09-11]", ["n1", "n3", "n4", "m09", "m10", "m11"]),
    ],
)
def test_lists_of_hosts_are_expanded(nodes, expected):
    changes = {
        "SLURM_STEP_NODELIST": nodes,
        "SLURM_STEP_TASKS_PER_NODE": f"2(x{len(expected)})",
        "SLURM_STEP_NUM_TASKS": str(2 * len(expected)),
        "SLURM_PROCID": "0",
        "SLURMD_NODENAME": expected[0],
    }
    peers = Peers.from_environment({**SLURM, **changes})
    assert [address.split(":")[0] for address in peers.addresses[::2]] == expected


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"SLURM_PROCID": "x"}, "SLURM_PROCID"),
        ({"SLURM_STEP_NODELIST": "n[1-2"}, "yourself"),
        ({"SLURM_STEP_NODELIST": "n[a-b]"}, "yourself"),
        ({"SLURM_STEP_TASKS_PER_NODE": "two"}, "yourself"),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x3)"}, "yourself"),
        ({"SLURMD_NODENAME": "gpu08"}, "distribution=block"),
        ({"GALSIM_HUB_PEERS": "n1:1,n2:2"}, "GALSIM_HUB_TASK"),
        ({"GALSIM_HUB_PEERS": "n1:1,n2:2", "GALSIM_HUB_TASK": "2"}, "from 0 to 1"),
        ({"GALSIM_HUB_PEERS": "n1,n2", "GALSIM_HUB_TASK": "0"}, "host1:port"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(changes, remedy):
    with pytest.raises(PeerError, match=remedy):
        Peers.from_environment({**SLURM, **changes})
