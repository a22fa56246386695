"""Simulate a box on a mesh of devices, and write what came of it: a script for the tests.

simulate.py FOLDER DTYPE MESH [MESH ...], each MESH such as 2x1; 0x0 is the code of one device.
"""

from __future__ import annotations

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm
from galsim_hub.particle_mesh import distributed

SHAPE, SIZE = (32, 32, 16), (320.0, 320.0, 160.0)
STAGES = np.geomspace(0.1, 1.0, 4)


class Alone:
    """The functions of one device, under the names of a share."""

    communicator = distributed.SerialCommunicator()

    def __init__(self, box):
        self.box = box

    def linear_field(self, power, seed, dtype):
        return pm.linear_field(self.box, power, seed, dtype=dtype)

    def start(self, linear, growth, a):
        return pm.start(linear, self.box, growth, a)

    def evolve(self, particles, growth, stages):
        return pm.evolve(particles, self.box, growth, stages)

    def density(self, displacement):
        return pm.density(displacement, self.box)

    def gather(self, field):
        return field


def simulate(share, weights, dtype):
    """Return density, gradients by the linear field and by Omega_c, all whole."""
    omega_c = tf.constant(0.26, tf.float64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(omega_c)
        cosmology = pm.Planck15(Omega_c=share.communicator.replicate(omega_c))
        growth = pm.Growth(cosmology)
        linear = share.linear_field(pm.EisensteinHu(cosmology), seed=3, dtype=dtype)
        particles = share.start(linear, growth, STAGES[0])
        end = share.evolve(particles, growth, STAGES).displacement
        density = share.density(end)
        figure = share.communicator.sum(tf.reduce_sum(weights * density))
    by_field, by_omega = tape.gradient(figure, [linear, omega_c])
    return [
        share.gather(density).numpy(),
        share.gather(by_field).numpy(),
        by_omega.numpy(),
        share.gather(linear).numpy(),
        figure.numpy(),
    ]


def main(folder, dtype, *meshes):
    """Write a file a mesh."""
    box, dtype = pm.Box(SHAPE, SIZE), tf.as_dtype(dtype)
    weights = np.random.default_rng(1).normal(size=SHAPE)

    def on_rank(communicator):
        share = distributed.DistributedBox(box, communicator, largest_displacement=50.0)
        mine = weights
        for axis in (0, 1):
            pieces = np.split(mine, communicator.mesh[axis], axis)
            mine = pieces[communicator.coordinates[axis]]
        return simulate(share, tf.constant(mine, dtype), dtype)

    for mesh in meshes:
        sides = tuple(int(n) for n in mesh.split("x"))
        if sides == (0, 0):
            results = [simulate(Alone(box), tf.constant(weights, dtype), dtype)]
        else:
            results = distributed.launch(on_rank, sides, timeout=60.0)
        names = ("density", "by_field", "by_omega", "linear", "figure")
        task = os.environ.get("GALSIM_HUB_TASK", "0")
        np.savez(f"{folder}/{mesh}_{task}.npz", **dict(zip(names, results[-1], strict=True)))


if __name__ == "__main__":
    main(*sys.argv[1:])
