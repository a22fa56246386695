"""A box whose particles and cells are cut among ranks, and its evolution."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from ...errors import BoxError
from ..box import Box
from ..growth import Growth
from ..lpt import Particles, check_particles, displacements, move
from ..modes import linear_modes, white_modes
from ..nbody import advance, dot, retreat, run
from ..power import PowerFunction
from ..steps import Schedule, schedule
from .blocks import CellBlock, check_division, halo_widths
from .checkpoint import Checkpoints
from .communicator import Communicator
from .solver import BlockSolver
from .transform import BlockTransform

__all__ = ["DistributedBox"]

Tensor = Any


class DistributedBox:
    """One rank's share of a box, with the methods that simulate the whole.

    Each method is that of the same name in `galsim_hub.particle_mesh`, gives the same result, and
    has to be called by every rank.

    Parameters
    ----------
    box : Box
        The whole box.
    communicator : Communicator
        To the other ranks; its mesh cuts the first two sides.
    largest_displacement : float
        How far a particle may move from where it began along a side that is cut [Mpc/h]. The halo
        of each block is that and three cells wide.
    resolution : int
        Force mesh cells along a particle cell.

    Attributes
    ----------
    cells : CellBlock
        This rank's share.

    Raises
    ------
    DeviceMeshError
        If the mesh of ranks does not divide the box, or halos are wider than blocks.
    BoxError
        If the largest displacement is not positive.

    Examples
    --------
    >>> from galsim_hub import particle_mesh as pm
    >>> from galsim_hub.particle_mesh.distributed import DistributedBox, SerialCommunicator
    >>> share = DistributedBox(pm.Box(8, 50.0), SerialCommunicator(), largest_displacement=10.0)
    >>> growth = pm.Growth(pm.Planck15())
    >>> linear = share.linear_field(pm.EisensteinHu(growth.cosmology), seed=1)
    >>> share.start(linear, growth, 0.1).displacement.shape
    TensorShape([3, 8, 8, 8])
    """

    def __init__(
        self,
        box: Box,
        communicator: Communicator,
        *,
        largest_displacement: float,
        resolution: int = 1,
    ) -> None:
        if not (math.isfinite(largest_displacement) and largest_displacement > 0):
            raise BoxError(
                f"The largest displacement is {largest_displacement!r} Mpc/h. Give a positive, "
                "finite length.",
                largest_displacement,
            )
        check_division(box, communicator.mesh)
        self.box = box
        self.communicator = communicator
        self.cells = CellBlock(box, communicator.mesh)
        self._grid = box.refined(resolution)
        self._largest = largest_displacement
        halo_widths(self._grid, communicator.mesh, largest_displacement)  # refuses early
        self._transform = BlockTransform(box, communicator)
        self._solvers: dict[Any, BlockSolver] = {}  # compiled once a precision

    def linear_field(
        self, power: PowerFunction, seed: int = 0, *, dtype: Any = tf.float32
    ) -> Tensor:
        """Draw the linear density contrast today on this rank's cells.

        Parameters
        ----------
        power : function
            Power today [(Mpc/h)^3] of wavenumbers [h/Mpc].
        seed : int
            The same on every rank.
        dtype : dtype
            float32 or float64.

        Returns
        -------
        tensor
            Shape of `cells`.
        """
        modes = self._transform.modes
        white = linear_modes(modes, power, white_modes(modes, seed))
        return tf.cast(self._transform.to_field(white), dtype)

    def start(
        self,
        linear: Tensor,
        growth: Growth,
        a: float | Tensor,
        *,
        order: int = 2,
        gradient: str = "spectral",
    ) -> Particles:
        """Move particles from the grid to where perturbation theory puts them.

        Parameters
        ----------
        linear : tensor
            Linear density contrast today on this rank's cells.
        growth : Growth
            Of the cosmology. Gradients flow to its parameters, and are whole where these went
            through `Communicator.replicate`.
        a : float or tensor
            Scale factor to start at.
        order : int
            1 (Zel'dovich) or 2.
        gradient : str
            ``"spectral"`` or ``"four_point"``.

        Returns
        -------
        Particles
            Those that began in this rank's cells.
        """
        linear = tf.convert_to_tensor(linear)
        self.cells.check_field(linear.shape)
        fields = displacements(
            linear,
            self._transform.modes,
            order=order,
            gradient=gradient,
            transform=self._transform,
        )
        return move(fields, growth, a)

    def evolve(
        self,
        particles: Particles,
        growth: Growth,
        stages: Any,
        *,
        scheme: str = "fastpm",
        checkpoints: str | Path | None = None,
    ) -> Particles:
        """Carry particles from the first scale factor to the last.

        Parameters
        ----------
        particles : Particles
            Those of this rank at the first scale factor.
        growth : Growth
            Of the cosmology.
        stages : sequence of float
            Ascending scale factors.
        scheme : str
            ``"fastpm"`` or ``"bullfrog"``.
        checkpoints : str or path, optional
            Folder to write the state to after each step, and to go on from, where it has an earlier
            attempt at this very run.

        Returns
        -------
        Particles
            At the last scale factor, with gradients as those of `galsim_hub.particle_mesh.evolve`.

        Raises
        ------
        HaloError
            If a particle moves further than the largest displacement.
        CheckpointError
            If the folder has checkpoints of another run.
        """
        x, p = check_particles(particles, self.cells)
        plan = Schedule(*(tf.cast(f, x.dtype) for f in schedule(growth, stages, scheme)))
        solver = self._solver(x.dtype)
        flat = [tf.reshape(field, [-1, 3, *self.cells.shape]) for field in (x, p)]
        kept = None
        if checkpoints is not None:
            kept = self._checkpoints(checkpoints, (*flat, *plan))

        def forward(x: Tensor, p: Tensor, drift: Tensor, stages: Tensor) -> tuple[Tensor, Tensor]:
            rows = tf.unstack(stages)
            state = None if kept is None else kept.load(len(rows))
            done, x, p = (0, x + drift * p, p) if state is None else state
            for i in range(done, len(rows)):
                x, p = advance(solver, rows[i], x, p)
                if kept is not None:
                    kept.save(i + 1, x, p)
            return x, p

        def backward(end: Sequence[Tensor], bars: Sequence[Tensor], plan: Schedule) -> Any:
            state, rows_bar = [*end, *bars], []
            for row in reversed(tf.unstack(plan.stages)):
                *state, row_bar = retreat(solver, row, *state)
                rows_bar.append(row_bar)
            _, p, x_bar, p_bar = state
            return x_bar, p_bar + plan.drift * x_bar, dot(x_bar, p), tf.stack(rows_bar[::-1])

        x_end, p_end = run(flat[0], flat[1], plan, forward, backward)
        return Particles(tf.reshape(x_end, x.shape), tf.reshape(p_end, x.shape))

    def density(self, displacement: Tensor) -> Tensor:
        """Paint the density of particles onto this rank's cells of the force mesh.

        Parameters
        ----------
        displacement : tensor
            Of this rank's particles [Mpc/h], shape (..., 3, nx, ny, nz).

        Returns
        -------
        tensor
            1 + delta. Differentiable.

        Raises
        ------
        HaloError
            If a particle of any rank is beyond the largest displacement.
        """
        displacement = tf.convert_to_tensor(displacement)
        self.cells.check_field(displacement.shape, components=3)
        x = tf.reshape(displacement, [-1, 3, *self.cells.shape])
        painted = self._solver(x.dtype).density(x)
        return tf.reshape(painted, [*displacement.shape[:-4], *painted.shape[1:]])

    def gather(self, field: Tensor) -> Tensor:
        """Return the whole of a field on every rank, where there is memory for it.

        Parameters
        ----------
        field : tensor
            This rank's block, shape (..., nx, ny, nz).

        Returns
        -------
        tensor
            The blocks of all ranks.
        """
        field = tf.convert_to_tensor(field)
        paddings = [[0, 0] for _ in field.shape]
        for axis, n, place in zip(
            (-3, -2), self.communicator.mesh, self.communicator.coordinates, strict=True
        ):
            length = field.shape[axis]
            paddings[axis] = [place * length, (n - 1 - place) * length]
        return self.communicator.sum(tf.pad(field, paddings))

    def _solver(self, dtype: Any) -> BlockSolver:
        if dtype not in self._solvers:
            self._solvers[dtype] = BlockSolver(
                self.box, self._grid, self.communicator, self._largest, dtype
            )
        return self._solvers[dtype]

    def _checkpoints(self, folder: str | Path, tensors: Sequence[Tensor]) -> Checkpoints:
        geometry = self.box.shape, self.box.size, self._grid.shape, self.communicator.mesh
        digest = hashlib.sha256(repr(geometry).encode())
        for tensor in tensors:
            digest.update(np.ascontiguousarray(tensor).data)
        return Checkpoints(folder, self.communicator, digest.hexdigest())
