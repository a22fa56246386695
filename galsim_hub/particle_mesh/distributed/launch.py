"""Start the ranks of a run: one thread a device, in one process or in one on each host."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from ...errors import DeviceMeshError, PeerError
from ...peers import Peers
from .collective import CollectiveCommunicator
from .communicator import Communicator, SerialCommunicator

__all__ = ["launch"]

GRACE = 5.0  # [s] for the other threads to end, once one has failed

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
    return _run_threads(
        function, sides, range(peers.task * n_local, (peers.task + 1) * n_local), timeout
    )


def _sides(mesh: int | Sequence[int]) -> tuple[int, int]:
    sides = (mesh, 1) if isinstance(mesh, int) else tuple(mesh)
    if len(sides) != 2 or any(int(n) != n or n < 1 for n in sides):
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
    timeout: float,
) -> list[Any]:
    results: list[Any] = [None] * len(ranks)
    errors: list[BaseException] = []

    def work(device: int, rank: int) -> None:
        try:
            with tf.device(f"/CPU:{device}"):
                communicator = CollectiveCommunicator(mesh, rank, timeout)
                communicator.sum(tf.constant(1.0))  # all are there, or this says who is not
                results[device] = function(communicator)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that launched
            errors.append(error)

    # Daemons: those that wait for a rank that failed must not keep the process from ending.
    threads = [
        threading.Thread(target=work, args=place, name=f"rank {place[1]}", daemon=True)
        for place in enumerate(ranks)
    ]
    for thread in threads:
        thread.start()
    end = math.inf
    while any(thread.is_alive() for thread in threads) and time.monotonic() < end:
        if errors and end == math.inf:
            end = time.monotonic() + GRACE
        for thread in threads:
            thread.join(0.02)
    if errors:
        # A lost peer is often another thread's failure: that one tells more.
        raise next((e for e in errors if not isinstance(e, PeerError)), errors[0])
    return results
