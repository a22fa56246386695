"""How like haloes a field is, scale by scale, over several boxes."""

import typing
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from galsim_hub import particle_mesh as pm


class Comparison(typing.NamedTuple):
    """Correlation and transfer function in shells of `k` [h/Mpc], from `n_modes` each."""

    k: np.ndarray
    correlation: np.ndarray
    transfer: np.ndarray
    n_modes: np.ndarray


def compare(fields: Sequence[np.ndarray], truths: Sequence[np.ndarray], box: pm.Box) -> Comparison:
    """Compare fields with true ones, the spectra of all boxes summed before they are divided."""
    field, truth = tf.constant(np.stack(fields)), tf.constant(np.stack(truths))
    spectra = [
        pm.power_spectrum(*pair).power.numpy().sum(axis=0)
        for pair in ((field, box, truth), (field, box), (truth, box))
    ]
    cross, found, true = spectra
    k, _, n_modes = pm.power_spectrum(truth, box)
    return Comparison(
        k, cross / np.sqrt(found * true), np.sqrt(found / true), n_modes * len(fields)
    )
