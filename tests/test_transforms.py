"""A stamp's transform is what its definition says, wherever an image asks for it."""

from __future__ import annotations

import os
import subprocess
import sys

import galsim
import numpy as np
import pytest

from galsim_hub.transforms import draw_transform, is_along_axes

SCALE = 0.03
DRAW = """
import hashlib, galsim, numpy as np
from galsim_hub.trimming import StampProfile
light = np.exp(-np.hypot(*np.mgrid[-63.5:64, -63.5:64]) / 8).astype(np.float32)
image = galsim.ImageCD(galsim.BoundsI(0, 64, -64, 64), scale=1.6)
StampProfile(light, 0.03, None, galsim.GSParams()).draw_k(image, None)
print(hashlib.sha256(image.array.tobytes()).hexdigest())
"""


@pytest.mark.parametrize("jac", [None, np.diag([0.8, 0.8]), np.diag([-1.1, 0.9])])
@pytest.mark.parametrize("side", [30, 31, 140])
def test_it_is_the_sum_of_waves_times_the_interpolants_transform(side, jac):
    pixels = np.random.default_rng(side).random((side, side))
    image = galsim.ImageCD(galsim.BoundsI(-3, 30, -31, 20), scale=3.7)
    draw_transform(pixels, SCALE, galsim.GSParams(), image, jac)
    quintic, position = galsim.Quintic(), SCALE * (np.arange(side) - (side - 1) / 2)
    stretch = (1.0, 1.0) if jac is None else np.diag(jac)
    for x, y in ((0, 0), (-3, 20), (17, -11), (30, 3), (2, -31)):
        kx, ky = 3.7 * x * stretch[0], 3.7 * y * stretch[1]
        waves = np.exp(-1j * (kx * position[None, :] + ky * position[:, None]))
        expected = (pixels * waves).sum() * quintic.kval(kx * SCALE) * quintic.kval(ky * SCALE)
        assert abs(image(x, y) - expected) < 1e-12 * pixels.sum()


def test_a_sheared_grid_is_not_along_the_axes():
    assert not is_along_axes(np.array([[1.0, 0.1], [0.0, 1.0]]))
    assert not is_along_axes(galsim.Shear(g2=0.1).getMatrix())
    assert is_along_axes(galsim.Shear(g1=0.1).getMatrix())


def test_its_bits_do_not_depend_on_the_number_of_threads_of_blas():
    digests = {
        subprocess.run(
            [sys.executable, "-c", DRAW],
            env={**os.environ, "OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            check=True,
            text=True,
            timeout=120,
        ).stdout
        for n in ("1", "2")
    }
    assert len(digests) == 1
