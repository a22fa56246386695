"""Probes of a trace."""

from __future__ import annotations

import numpy as np
import pytest

from galsim_hub.score.ode import trace_probes


def neighbours_of(images):
    """Return three times each pixel and what lies within two of it, fainter with the distance."""
    out = 3.0 * images
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            if dy or dx:
                out = out + np.roll(images, (dy, dx), (-2, -1)) / np.hypot(dy, dx)
    return out


@pytest.mark.parametrize("n_probes", [2, 3, 4, 5, 8, 9, 16])
def test_every_pixel_is_seen_by_one_probe(n_probes):
    probes = trace_probes((12, 10), n_probes, seed=1)
    np.testing.assert_array_equal(np.count_nonzero(probes, axis=0), 1)
    np.testing.assert_allclose(np.mean(probes**2, axis=0), 1.0, rtol=1e-6)


def test_vectors_are_seen_by_all_probes():
    np.testing.assert_array_equal(np.abs(trace_probes((5,), 4, seed=1)), 1.0)


def test_the_trace_of_few_numbers_is_exact(rng):
    jacobian = rng.standard_normal((3, 3))
    probes = trace_probes((3,), 4, seed=1)
    traces = np.einsum("pi,ij,pj->p", probes, jacobian, probes)
    assert np.mean(traces) == pytest.approx(np.trace(jacobian), rel=1e-5)


def test_pixels_that_know_of_near_ones_alone_have_an_exact_trace():
    probes = trace_probes((36, 36), 9, seed=2)
    trace = np.mean(np.sum(probes * neighbours_of(probes), axis=(1, 2)))
    np.testing.assert_allclose(trace, 3.0 * 36**2, rtol=1e-6)


def test_a_trace_has_no_bias():
    probes = np.stack([trace_probes((8, 8), 2, seed) for seed in range(4000)], axis=1)
    traces = np.mean(np.sum(probes * neighbours_of(probes), axis=(2, 3)), axis=0)
    error = np.std(traces) / np.sqrt(len(traces))
    assert error > 0
    assert abs(np.mean(traces) - 3.0 * 64) < 4 * error
