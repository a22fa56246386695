"""Find haloes by friends of friends (Davis et al. 1985, ApJ 292, 371)."""

import typing

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

LEAST_FRIENDS = 20  # particles of a halo; fewer are often chance


class Haloes(typing.NamedTuple):
    """A catalogue: centres of mass [length of the positions] (n, 3), and numbers of particles."""

    centres: np.ndarray
    counts: np.ndarray


def find_haloes(positions: np.ndarray, size: float, linking_length: float) -> Haloes:
    """Join all particles that are friends of friends, in a periodic cube.

    Parameters
    ----------
    positions : ndarray
        Shape (particle, 3), from 0 to `size`.
    size : float
        Side of the cube, in the unit of the positions.
    linking_length : float
        How near friends are, in the same unit.

    Returns
    -------
    Haloes
        Those of `LEAST_FRIENDS` particles or more, the heaviest first.
    """
    n = len(positions)
    pairs = cKDTree(positions, boxsize=size).query_pairs(linking_length, output_type="ndarray")
    graph = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels = connected_components(graph, directed=False)[1]
    counts = np.bincount(labels)
    # Seen from one of its members a halo does not wrap around.
    origin = np.zeros((len(counts), 3))
    origin[labels] = positions
    offset = (positions - origin[labels] + size / 2) % size - size / 2
    sums = np.stack([np.bincount(labels, offset[:, i]) for i in range(3)], axis=-1)
    centres = (origin + sums / counts[:, None]) % size
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] >= LEAST_FRIENDS]
    return Haloes(centres[order], counts[order])
