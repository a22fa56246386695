"""Start the ranks of a run: one thread a device, in one process or in one on each host."""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...arguments import is_count
from ...errors import DeviceMeshError, PeerError
from ...peers import Peers
from .collective import CollectiveCommunicator
from .communicator import Communicator, SerialCommunicator

__all__ = ["launch"]

GRACE = 5.0  # [s] for other threads to end, once one has failed or a peer died
PERIOD = 2.0  # [s] between two looks at the peers
PAUSE = 0.02  # [s] between two looks at the threads

_connected: list[tuple[Peers, int]] = []  # TensorFlow joins a cluster once in a process' life


def launch(
    function: Callable[[Communicator], Any],
    mesh: int | Sequence[int],
    *,
    peers: Peers | None = None,
    timeout: float = 600.0,
) -> list[Any]:
    """Run a function on every rank of a mesh of CPU devices.

    Every process of the run calls this, before TensorFlow has computed anything: devices and peers
    cannot be changed later. So build cosmologies and fields inside of the function.

    Parameters
    ----------
    function : function
        Of this rank's `Communicator`. Each rank of this process calls it from a thread of its own.
    mesh : int or sequence of 2 int
        Devices along the first side of the box, or along its first two: slabs or pencils.
    peers : Peers, optional
        The processes that share the mesh, each with the same number of devices; by default those
        that the environment names, and else this one alone.
    timeout : float
        Seconds to wait for other ranks in an exchange, more than one computes between two.

    Returns
    -------
    list
        What `function` returned on the ranks of this process.

    Raises
    ------
    DeviceMeshError
        If processes cannot share the mesh equally, or TensorFlow was started with fewer devices.
    PeerError
        If a process cannot be reached, or one that could dies or does not answer in time.

    Examples
    --------
    >>> launch(lambda communicator: communicator.n_ranks, mesh=1)
    [1]
    """
    sides = _sides(mesh)
    n_ranks = math.prod(sides)
    peers = peers or Peers.from_environment() or Peers(("localhost:0",), 0)
    n_local, rest = divmod(n_ranks, len(peers.addresses))
    if rest or n_ranks == 0:
        raise DeviceMeshError(
            f"{len(peers.addresses)} processes cannot have equal shares of a mesh of {sides} "
            "devices. Start as many as divide their number.",
            sides,
        )
    if n_ranks == 1:
        return [function(SerialCommunicator())]
    _start_devices(n_local, peers, sides)
    ranks = range(peers.task * n_local, (peers.task + 1) * n_local)
    return _run_threads(function, sides, ranks, peers, timeout)


def _sides(mesh: int | Sequence[int]) -> tuple[int, int]:
    sides = tuple(mesh) if isinstance(mesh, Sequence) else (mesh, 1)
    if len(sides) != 2 or not all(is_count(n) for n in sides):
        raise DeviceMeshError(
            f"A mesh of devices is one or two whole numbers above 0, not {mesh!r}.", tuple(sides)
        )
    return int(sides[0]), int(sides[1])


def _start_devices(n_local: int, peers: Peers, mesh: tuple[int, int]) -> None:
    """Split this process' CPU into devices, and join the other processes."""
    if (peers, n_local) in _connected:
        return
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * n_local
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
        if len(peers.addresses) > 1:
            _join(peers)
    except (RuntimeError, ValueError) as error:
        # Started before: good enough for a run of this process alone, if it has the devices.
        if len(peers.addresses) > 1 or len(tf.config.list_logical_devices("CPU")) < n_local:
            raise DeviceMeshError(
                f"TensorFlow was started before launch could give it {n_local} devices and "
                f"{len(peers.addresses)} processes: {error} Call launch first, and compute inside "
                "of its function.",
                mesh,
            ) from error
    if len(peers.addresses) > 1:
        _connected.append((peers, n_local))


def _join(peers: Peers) -> None:
    os.environ["DTENSOR_JOB_NAME"] = "worker"
    os.environ["DTENSOR_JOBS"] = ",".join(peers.addresses)
    os.environ["DTENSOR_NUM_CLIENTS"] = str(len(peers.addresses))
    os.environ["DTENSOR_CLIENT_ID"] = str(peers.task)
    # Without its coordination service, which ends a process that loses another before an error
    # can be raised.
    tf.experimental.dtensor.initialize_accelerator_system("CPU", enable_coordination_service=False)


def _run_threads(
    function: Callable[[Communicator], Any],
    mesh: tuple[int, int],
    ranks: range,
    peers: Peers,
    timeout: float,
) -> list[Any]:
    results: list[Any] = [None] * len(ranks)
    errors: list[BaseException] = []
    has_met = threading.Event()

    def work(device: int, rank: int) -> None:
        try:
            with tf.device(f"/CPU:{device}"):
                communicator = CollectiveCommunicator(mesh, rank, timeout)
                communicator.sum(tf.constant(1.0))  # all are there, or this says that not
                has_met.set()
                results[device] = function(communicator)
                communicator.sum(tf.constant(1.0))  # nobody leaves while another still works
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that launched
            errors.append(error)

    # Daemons: those that wait for a rank that failed must not keep the process from ending.
    threads = [
        threading.Thread(target=work, args=place, name=f"rank {place[1]}", daemon=True)
        for place in enumerate(ranks)
    ]
    for thread in threads:
        thread.start()
    dead = _wait(threads, errors, peers, has_met)
    # A lost peer is often another thread's failure: that one tells more. And who died tells more
    # than that an exchange broke, whichever of the two is noticed first.
    for error in errors:
        if not isinstance(error, PeerError):
            raise error
    dead = _wait_for_dead(peers) if dead is None and errors else dead
    if dead is not None:
        raise PeerError(
            f"Process {peers.task} lost process {dead} at {peers.addresses[dead]}: nothing listens "
            "there any more. Look for its last words, and start the run again; it goes on from its "
            "checkpoints.",
            peers.task,
        ) from next(iter(errors), None)
    for error in errors:
        raise error
    return results


def _wait(
    threads: list[threading.Thread],
    errors: list[BaseException],
    peers: Peers,
    has_met: threading.Event,
) -> int | None:
    """Return when all threads have ended, or soon after one failed or a peer died: that peer."""
    end, next_look = math.inf, time.monotonic() + PERIOD
    dead = None
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        if dead is None and has_met.is_set() and time.monotonic() > next_look:
            dead = _find_dead(peers)
            next_look = time.monotonic() + PERIOD
        if end == math.inf and (errors or dead is not None):
            end = time.monotonic() + GRACE
        for thread in threads:
            thread.join(PAUSE)
    return dead if any(thread.is_alive() for thread in threads) else None


def _wait_for_dead(peers: Peers) -> int | None:
    """Return the process whose end broke an exchange, if it was an end.

    A process that is killed closes its connections one by one: an exchange breaks before its server
    has gone.
    """
    end = time.monotonic() + GRACE
    dead = _find_dead(peers)
    while dead is None and time.monotonic() < end:
        time.sleep(PAUSE)
        dead = _find_dead(peers)
    return dead


def _find_dead(peers: Peers) -> int | None:
    """Return a process whose server has gone, if there is one."""
    for task, address in enumerate(peers.addresses):
        host, _, port = address.rpartition(":")
        if task != peers.task:
            try:
                socket.create_connection((host.strip("[]"), int(port)), timeout=PERIOD).close()
            except ConnectionRefusedError:
                return task
            except OSError:  # a busy host or network; exchanges have their timeout
                continue
    return None
