"""The particle mesh over many devices and hosts.

The same simulation as `galsim_hub.particle_mesh`, cut into blocks: slabs along the first side of
the box, or pencils along the first two. Each rank, a thread with a device of its own, has a block
of cells, the particles that began there and a block of modes::

    from galsim_hub import particle_mesh as pm
    from galsim_hub.particle_mesh import distributed


    def simulate(communicator):
        box, growth = pm.Box(512, 1000.0), pm.Growth(pm.Planck15())
        share = distributed.DistributedBox(box, communicator, largest_displacement=30.0)
        linear = share.linear_field(pm.EisensteinHu(growth.cosmology), seed=1)
        stages = pm.scale_factors(0.1, 1.0, 10)
        particles = share.start(linear, growth, stages[0])
        return share.density(share.evolve(particles, growth, stages).displacement)


    blocks = distributed.launch(simulate, mesh=(4, 2))

As one process this needs nothing more. As many, start the script with ``galsim-hub launch`` or
Slurm's `srun`.
"""

from __future__ import annotations

from ...peers import Peers
from .communicator import Communicator, SerialCommunicator
from .launch import launch
from .simulation import DistributedBox

__all__ = ["Communicator", "DistributedBox", "Peers", "SerialCommunicator", "launch"]
