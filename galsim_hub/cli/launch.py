"""start a script as several processes that find each other.

galsim-hub launch --tasks 4 simulate.py           four processes on this machine
galsim-hub launch --tasks 4 simulate.py --seed 3  the rest is the script's

For more than one machine start the script on each with GALSIM_HUB_PEERS and GALSIM_HUB_TASK, or
with Slurm's srun.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import socket
import subprocess
import sys
import time

from ..peers import Peers
from .text import positive, say

__all__ = ["add_arguments", "run"]

PAUSE = 0.1  # [s] between two looks at the processes
FAILED = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument(
        "--tasks", type=positive, required=True, metavar="N", help="processes to start"
    )
    parser.add_argument(
        "--grace",
        type=_seconds,
        default=10.0,
        metavar="SECONDS",
        help="for the others to end by themselves when one fails (default: 10)",
    )
    parser.add_argument("script", help="Python script that every process runs")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="its arguments")


def run(args: argparse.Namespace) -> int:
    """Start the processes and wait for them; when one fails, end the others.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        0 if all of them succeeded.
    """
    addresses = _free_addresses(args.tasks)
    command = [sys.executable, args.script, *args.arguments]
    processes = [
        subprocess.Popen(command, env={**os.environ, **Peers(addresses, task).environment()})
        for task in range(args.tasks)
    ]
    try:
        return _watch(processes, args.grace)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"expected 0 or more seconds, got {text!r}")
    return seconds


def _free_addresses(n_tasks: int) -> tuple[str, ...]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(n_tasks)]
    addresses = tuple(f"127.0.0.1:{s.getsockname()[1]}" for s in sockets)
    for open_socket in sockets:
        open_socket.close()
    return addresses


def _watch(processes: list[subprocess.Popen[bytes]], grace: float) -> int:
    while True:
        codes = [process.poll() for process in processes]
        failed = [(task, code) for task, code in enumerate(codes) if code]
        if failed:
            break
        if None not in codes:
            return 0
        time.sleep(PAUSE)
    for task, code in failed:
        say(f"error: task {task} {_describe(code)}; the others have {grace:g} s to end")
    end = time.monotonic() + grace
    while time.monotonic() < end and any(process.poll() is None for process in processes):
        time.sleep(PAUSE)
    return FAILED


def _describe(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"failed with exit code {code}"
