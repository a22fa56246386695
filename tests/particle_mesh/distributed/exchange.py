"""Exchange known arrays on meshes of devices, and write what arrived: a script for the tests.

exchange.py FILE
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.errors import HaloError
from galsim_hub.particle_mesh import distributed
from galsim_hub.particle_mesh.distributed.solver import BlockSolver, fold_halo, pad_halo

SHAPE, CELL = (24, 12, 24), 10.0  # [Mpc/h]
MESHES = [(4, 1), (2, 2), (3, 1), (1, 2)]
WIDTH = 2
HALO = 4  # of the force: half a cell's displacement needs two cells, and its difference two more


def whole():
    """Return the array that the ranks have blocks of."""
    rng = np.random.default_rng(8)
    return rng.normal(size=SHAPE) + 1j * rng.normal(size=SHAPE)


def block(array, mesh, coordinates):
    """Cut the first two axes of an array."""
    return np.split(np.split(array, mesh[0], 0)[coordinates[0]], mesh[1], 1)[coordinates[1]]


def exchange(communicator):
    """Return what this rank receives, and figures that adjoints have to agree on."""
    mine = tf.constant(block(whole(), communicator.mesh, communicator.coordinates))
    widths = (*(WIDTH * (n > 1) for n in communicator.mesh), 0)
    field = tf.math.real(mine)[None]
    padded = pad_halo(field, widths, communicator)
    other = tf.sin(padded + communicator.rank)
    parameter = tf.constant(2.0, tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([field, parameter])
        swapped = communicator.transpose(field, 0, -3)
        share = tf.reduce_sum(tf.sin(swapped) * communicator.replicate(parameter))
        total = communicator.sum(share)
    by_field, by_parameter = tape.gradient(total, [field, parameter])
    box = pm.Box(SHAPE, [CELL * n for n in SHAPE])
    solver = BlockSolver(box, box, communicator, 0.5 * CELL, tf.float64)
    halo = [(0, 0), *((HALO * (n > 1),) * 2 for n in communicator.mesh), (0, 0)]
    return {
        "potential": solver.solve(tf.pad(field, halo))[0],
        "transposed_0": communicator.transpose(mine, 0, -3),
        "transposed_1": communicator.transpose(mine, 1, -2),
        "padded": padded[0],
        "sum": communicator.sum(tf.constant([1.0, communicator.rank])),
        "padded_product": communicator.sum(tf.reduce_sum(other * padded)),
        "folded_product": communicator.sum(
            tf.reduce_sum(field * fold_halo(other, widths, communicator))
        ),
        "total": total,
        "by_parameter": by_parameter,
        "by_field": by_field[0],
    }


def overflow(communicator):
    """Move one particle of the last rank too far, or to nowhere."""
    box = pm.Box(SHAPE, [CELL * n for n in SHAPE])
    share = distributed.DistributedBox(box, communicator, largest_displacement=5.0)
    seen = []
    for place in (5.01, np.nan):
        x = np.zeros((3, *share.cells.shape))
        x[0, 1, 1, 1] = place if communicator.rank == communicator.n_ranks - 1 else 0.0
        try:
            share.density(tf.constant(x))
            seen.append(0.0)
        except HaloError as error:
            seen.append(error.displacement)
    return seen


def main(path):
    """Write a file with an entry a mesh, a figure and a rank."""
    results = {}
    for mesh in MESHES:
        for rank, received in enumerate(distributed.launch(exchange, mesh, timeout=60.0)):
            for name, value in received.items():
                results[f"{mesh[0]}x{mesh[1]} {name} {rank}"] = value.numpy()
    results["overflow"] = distributed.launch(overflow, (2, 1), timeout=60.0)
    np.savez(path, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
