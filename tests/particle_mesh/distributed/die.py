"""Meet the other process, then die: a script for the tests; task 0 goes on."""

from __future__ import annotations

import os
import signal
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from galsim_hub.particle_mesh import distributed


def meet(communicator):
    """Meet again and again; rank 1 is killed in between."""
    for i in range(100):
        if communicator.rank == 1 and i == 3:
            os.write(1, f"dies at {time.time()}\n".encode())  # nothing is left in a buffer
            os.kill(os.getpid(), signal.SIGKILL)
        communicator.sum(tf.constant(1.0))


if __name__ == "__main__":
    distributed.launch(meet, 2)
