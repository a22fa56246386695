"""Patches of a wide field say together what the whole prior would."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from galsim_hub import score
from galsim_hub.errors import FieldError


class Local:
    """A prior whose network looks at a pixel's neighbours, as convolutions do, on a torus."""

    std, sigma_range = 1.0, (0.01, 10.0)

    def __init__(self, power):
        self._power = power

    def gaussian(self, event_shape):
        return score.GaussianPrior(self._power, event_shape)

    def denoise(self, x, sigma):
        shifted = sum(tf.roll(x, step, [1, 2]) for step in ((1, 0), (0, 2), (-2, 1)))
        return self.gaussian(tuple(x.shape[1:])).denoise(x, sigma) + tf.tanh(shifted)

    def score(self, x, sigma):
        return (self.denoise(x, sigma) - x) / sigma**2


@pytest.fixture
def field():
    return np.random.default_rng(1).standard_normal((2, 40, 72)).astype(np.float32)


def test_patches_of_a_gaussian_are_the_gaussian(red_power, field):
    class Anywhere(Local):
        def denoise(self, x, sigma):
            return self.gaussian(tuple(x.shape[1:])).denoise(x, sigma)

    patched = score.PatchedPrior(Anywhere(red_power), 24, 8)
    whole = score.GaussianPrior(red_power, field.shape[1:])
    np.testing.assert_allclose(
        patched.score(field, 0.5), whole.score(field, 0.5), rtol=1e-3, atol=1e-4
    )


def test_patches_of_a_local_network_are_the_whole_network(red_power, field):
    patched = score.PatchedPrior(Local(red_power), 24, 10)
    np.testing.assert_allclose(
        patched.denoise(field, 0.5), Local(red_power).denoise(field, 0.5), atol=1e-4
    )
    level = np.array([0.5, 2.0], np.float32)
    expected = [Local(red_power).score(field[i : i + 1], level[i])[0] for i in range(2)]
    np.testing.assert_allclose(patched.score(field, level), expected, atol=1e-3)


def test_edges_of_patches_leave_no_seam(red_power, field):
    class Edgy(Local):
        def denoise(self, x, sigma):
            """Go wrong at the edges, where a network trained on squares sees the other side."""
            clean = super().denoise(x, sigma)
            ny, nx = x.shape[1:]
            inside = np.zeros((ny, nx), np.float32)
            inside[2:-2, 2:-2] = 1.0
            return clean + 100.0 * (1.0 - inside)

    patched = score.PatchedPrior(Edgy(red_power), 24, 10)
    np.testing.assert_allclose(
        patched.denoise(field, 0.5), Local(red_power).denoise(field, 0.5), atol=1e-4
    )


@pytest.mark.parametrize("side", [104, 136])
def test_patches_begin_between_the_cells_of_a_coarse_grid(red_power, side):
    class Coarse(Local):
        def denoise(self, x, sigma):
            """Average over cells of 8 pixels, as a network that halves its grid three times."""
            ny, nx = x.shape[1] // 8 * 8, x.shape[2] // 8 * 8
            cells = tf.reduce_mean(tf.reshape(x[:, :ny, :nx], [-1, ny // 8, 8, nx // 8, 8]), [2, 4])
            means = tf.repeat(tf.repeat(cells, 8, axis=1), 8, axis=2)
            rest = [[0, 0], [0, x.shape[1] - ny], [0, x.shape[2] - nx]]
            return self.gaussian(tuple(x.shape[1:])).denoise(x, sigma) + tf.pad(means, rest)

    field = np.random.default_rng(2).standard_normal((1, 48, side)).astype(np.float32)
    patched = score.PatchedPrior(Coarse(red_power), 48, 16)
    whole = Coarse(red_power).denoise(field, 0.5)
    np.testing.assert_allclose(patched.denoise(field, 0.5), whole, atol=1e-4)


def test_field_of_one_patch_is_the_prior_itself(red_power, field):
    patched = score.PatchedPrior(Local(red_power), 80, 16)
    np.testing.assert_allclose(
        patched.denoise(field, 0.5), Local(red_power).denoise(field, 0.5), atol=1e-5
    )


def test_samplers_take_it(red_power):
    prior = score.PatchedPrior(Local(lambda k: red_power(k) / 5.0), 24, 8)
    likelihood = score.GaussianLikelihood(score.Identity(), np.zeros((32, 40)), 0.5)
    found = score.noise_splitting(
        prior, likelihood, np.zeros((2, 32, 40)), seed=1, n_steps=2, n_warmup=1
    )
    assert found.samples.shape == (2, 32, 40)


@pytest.mark.parametrize(("size", "overlap"), [(24, 12), (24, 2)])
def test_overlap_that_makes_no_sense_is_refused(red_power, size, overlap):
    with pytest.raises(FieldError, match="overlap"):
        score.PatchedPrior(Local(red_power), size, overlap)
