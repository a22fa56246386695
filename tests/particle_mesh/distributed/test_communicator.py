"""Ranks receive what they should, and gradients take the way back."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub import particle_mesh as pm
from galsim_hub.particle_mesh.kernels import inverse_laplacian
from tests.particle_mesh.distributed.exchange import CELL, HALO, MESHES, WIDTH, block, whole

RANKS = [(mesh, rank) for mesh in MESHES for rank in range(mesh[0] * mesh[1])]


@pytest.fixture
def of_rank(received):
    """Give a function that returns what a rank received."""
    return lambda mesh, name, rank: received[f"{mesh[0]}x{mesh[1]} {name} {rank}"]


@pytest.mark.parametrize(("mesh", "rank"), RANKS)
@pytest.mark.parametrize(("axis", "order"), [(0, (2, 1, 0)), (1, (0, 2, 1))])
def test_a_transpose_swaps_the_last_axis_with_one_that_is_cut(of_rank, mesh, rank, axis, order):
    expected = block(whole().transpose(order), mesh, divmod(rank, mesh[1]))
    np.testing.assert_array_equal(of_rank(mesh, f"transposed_{axis}", rank), expected)


@pytest.mark.parametrize(("mesh", "rank"), RANKS)
def test_a_halo_holds_the_cells_of_the_neighbours_and_wraps_around(of_rank, mesh, rank):
    expected = with_halo(whole().real, mesh, rank, WIDTH)
    np.testing.assert_array_equal(of_rank(mesh, "padded", rank), expected)


def with_halo(array, mesh, rank, width):
    """Cut a rank's block and what is around it out of the whole."""
    places = []
    for n, cuts, place in zip(array.shape, mesh, divmod(rank, mesh[1]), strict=False):
        length, more = n // cuts, width * (cuts > 1)
        places.append(np.arange(place * length - more, (place + 1) * length + more) % n)
    return array[np.ix_(*places)]


@pytest.mark.parametrize(("mesh", "rank"), RANKS)
def test_the_potential_on_blocks_and_halos_is_that_of_the_whole_box(of_rank, mesh, rank):
    box = pm.Box(whole().shape, [CELL * n for n in whole().shape])
    modes = np.fft.rfftn(whole().real) * inverse_laplacian(box)
    expected = with_halo(np.fft.irfftn(modes, box.shape, (0, 1, 2)), mesh, rank, HALO)
    found = of_rank(mesh, "potential", rank)
    np.testing.assert_allclose(found, expected, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("mesh", MESHES)
def test_folding_a_halo_is_the_adjoint_of_filling_it(of_rank, mesh):
    products = [of_rank(mesh, f"{name}_product", 0) for name in ("padded", "folded")]
    assert products[0] == pytest.approx(products[1], rel=1e-12)


@pytest.mark.parametrize("mesh", MESHES)
def test_a_sum_is_the_same_on_every_rank(of_rank, mesh):
    n = mesh[0] * mesh[1]
    for rank in range(n):
        np.testing.assert_array_equal(of_rank(mesh, "sum", rank), [n, n * (n - 1) / 2])


@pytest.mark.parametrize("mesh", MESHES)
def test_a_replicated_value_has_the_sum_of_the_gradients(of_rank, mesh):
    total = np.sin(whole().real).sum()
    for rank in range(mesh[0] * mesh[1]):
        assert of_rank(mesh, "total", rank) == pytest.approx(2 * total, rel=1e-12)
        assert of_rank(mesh, "by_parameter", rank) == pytest.approx(total, rel=1e-12)


@pytest.mark.parametrize(("mesh", "rank"), RANKS)
def test_the_gradient_of_a_transpose_returns_to_the_rank_it_came_from(of_rank, mesh, rank):
    expected = 2 * np.cos(block(whole().real, mesh, divmod(rank, mesh[1])))
    np.testing.assert_allclose(of_rank(mesh, "by_field", rank), expected, rtol=1e-12)


def test_an_overflow_is_raised_on_every_rank(received):
    np.testing.assert_allclose(received["overflow"], [[5.01, np.nan], [5.01, np.nan]])
