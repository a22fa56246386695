"""Lagrangian perturbation theory by numpy's full transforms: other code, another layout."""

from __future__ import annotations

import numpy as np


def displacements(field, box):
    """Return psi1 and psi2 [Mpc/h] of a linear density, each (3, nx, ny, nz)."""
    axes = [2 * np.pi * np.fft.fftfreq(n, h) for n, h in zip(box.shape, box.cell, strict=True)]
    k = [np.where(np.arange(len(x)) == len(x) // 2, 0.0, x) for x in axes]
    k = np.stack(np.meshgrid(*k, indexing="ij"))
    square = sum(x**2 for x in np.meshgrid(*axes, indexing="ij"))
    square[0, 0, 0] = 1.0

    def inverse(modes):
        return np.fft.ifftn(modes).real

    phi = -np.fft.fftn(field) / square
    hessian = np.array([[inverse(-k[i] * k[j] * phi) for j in range(3)] for i in range(3)])
    trace = hessian.trace()
    source = 0.5 * (trace**2 - np.einsum("ij...,ji...", hessian, hessian))
    phi2 = -np.fft.fftn(source) / square
    return [np.stack([inverse(sign * 1j * x * f) for x in k]) for sign, f in ((-1, phi), (1, phi2))]
