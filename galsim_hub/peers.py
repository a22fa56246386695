"""The processes of a run over many hosts: who they are, from the environment of each.

Two ways lead to the same list. `galsim-hub launch` and scripts for plain hosts set
``GALSIM_HUB_PEERS`` (addresses, host:port, separated by commas) and ``GALSIM_HUB_TASK`` (which of
them this process is). Under Slurm's `srun` the variables ``SLURM_*`` say it.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping

from .errors import PeerError

__all__ = ["Peers"]

ADDRESSES, TASK = "GALSIM_HUB_PEERS", "GALSIM_HUB_TASK"
FIRST_PORT, N_PORTS = 20000, 30000  # below those that systems give to outgoing connections


@dataclasses.dataclass(frozen=True)
class Peers:
    """The processes of a run, this one among them.

    Attributes
    ----------
    addresses : tuple of str
        host:port of each process.
    task : int
        Which of them this process is.

    Raises
    ------
    PeerError
        If an address has no port, or this process is none of them.

    Examples
    --------
    >>> Peers(("node1:2000", "node2:2000"), task=1).environment()["GALSIM_HUB_TASK"]
    '1'
    """

    addresses: tuple[str, ...]
    task: int

    def __post_init__(self) -> None:
        wrong = [a for a in self.addresses if not re.fullmatch(r"[^,\s]+:\d{1,5}", a)]
        if wrong or not self.addresses:
            raise PeerError(
                f"The addresses of processes {list(wrong or self.addresses)} are not host:port. "
                f"Set {ADDRESSES}=host1:port,host2:port.",
                self.task,
            )
        if not 0 <= self.task < len(self.addresses):
            raise PeerError(
                f"This process is said to be number {self.task} of {len(self.addresses)}. Give "
                f"each process its own {TASK}, from 0 to {len(self.addresses) - 1}.",
                self.task,
            )

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a process of this.

        Returns
        -------
        dict of str
        """
        return {ADDRESSES: ",".join(self.addresses), TASK: str(self.task)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Peers | None:
        """Return the processes that this process' environment names.

        Parameters
        ----------
        environment : mapping of str
            Its variables.

        Returns
        -------
        Peers or None
            None for a process alone.

        Raises
        ------
        PeerError
            If the variables contradict each other or cannot be read.
        """
        if ADDRESSES in environment:
            addresses = tuple(environment[ADDRESSES].split(","))
            return cls(addresses, _number(environment, TASK))
        if (
            "SLURM_STEP_NUM_TASKS" in environment
            and _number(environment, "SLURM_STEP_NUM_TASKS") > 1
        ):
            return cls._from_slurm(environment)
        return None

    @classmethod
    def _from_slurm(cls, environment: Mapping[str, str]) -> Peers:
        task = _number(environment, "SLURM_PROCID")
        port = FIRST_PORT + _number(environment, "SLURM_JOB_ID") % N_PORTS
        hosts = _expand_hosts(environment.get("SLURM_STEP_NODELIST", ""), task)
        counts = _expand_counts(environment.get("SLURM_STEP_TASKS_PER_NODE", ""), task)
        n_tasks = _number(environment, "SLURM_STEP_NUM_TASKS")
        if len(hosts) != len(counts) or sum(counts) != n_tasks:
            raise PeerError(
                f"Slurm names the hosts {hosts} with {counts} tasks each, for {n_tasks} tasks. "
                f"Set {ADDRESSES} and {TASK} yourself.",
                task,
            )
        places = [(h, i) for h, n in zip(hosts, counts, strict=True) for i in range(n)]
        here = environment.get("SLURMD_NODENAME", places[task][0])
        if here != places[task][0]:
            raise PeerError(
                f"Task {task} runs on {here} and was expected on {places[task][0]}. Start tasks "
                "host by host: srun --distribution=block.",
                task,
            )
        return cls(tuple(f"{host}:{port + i}" for host, i in places), task)


def _number(environment: Mapping[str, str], name: str) -> int:
    value = environment.get(name, "")
    if not value.isdecimal():
        raise PeerError(f"The variable {name} is {value!r}; set it to a whole number.", -1)
    return int(value)


def _expand_hosts(text: str, task: int) -> list[str]:
    """Turn 'n[1-2,08],m5' into n1, n2, n08, m5."""
    hosts = []
    for name in re.findall(r"(?:\[[^\]]*\]|[^,\[\]])+", text):
        found = re.fullmatch(r"([^\[]*)(?:\[([\d,-]+)\])?", name)
        if found is None:
            raise PeerError(
                f"The hosts {text!r} of SLURM_STEP_NODELIST cannot be read. Set {ADDRESSES} and "
                f"{TASK} yourself.",
                task,
            )
        stem, numbers = found.groups()
        hosts += [stem + number for number in _expand_numbers(numbers)]
    return hosts


def _expand_numbers(text: str | None) -> list[str]:
    if text is None:
        return [""]
    numbers = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        numbers += [str(i).zfill(len(first)) for i in range(int(first), int(last or first) + 1)]
    return numbers


def _expand_counts(text: str, task: int) -> list[int]:
    """Turn '2(x3),1' into 2, 2, 2, 1."""
    counts = []
    for part in text.split(","):
        found = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if found is None:
            raise PeerError(
                f"The counts {text!r} of SLURM_STEP_TASKS_PER_NODE cannot be read. Set {ADDRESSES} "
                f"and {TASK} yourself.",
                task,
            )
        counts += [int(found[1])] * int(found[2] or 1)
    return counts
