"""Non-parametric morphology of a stamp by statmorph: Gini, M20, M, I, D, C and A.

Source: Lotz et al. 2004 (Gini, M20), Freeman et al. 2013 (M, I, D), Conselice 2003 (C, A), as
implemented by statmorph (Rodriguez-Gomez et al. 2019, MNRAS 483, 4140). Measured on the central 64
pixels, as in Lanusse et al. 2021.
"""

import functools
import importlib.util
import warnings

import galsim
import numpy as np

from ..data.noise import noise_covariance
from ..errors import MissingExtraError

SIDE = 64  # [pixel] of the central part that is measured
SMOOTHING = 5  # [pixel] side of the boxcar that the threshold is set on
THRESHOLD = 1.5  # in standard deviations of the smoothed noise
MIN_AREA = 5  # [pixel] below which nothing counts as detected
FIELDS = {
    "gini": "gini",
    "m20": "m20",
    "M": "multimode",
    "I": "intensity",
    "D": "deviation",
    "C": "concentration",
    "A": "asymmetry",
}
NOTHING = dict.fromkeys(FIELDS, np.nan)


def require_statmorph() -> None:
    """Raise `MissingExtraError` unless statmorph is installed."""
    if importlib.util.find_spec("statmorph") is None:
        raise MissingExtraError(
            "Morphology needs statmorph: install the extra with pip install '.[validate]', or go "
            "without by --morphology-count 0."
        )


def measure(image: np.ndarray, noise_variance: float) -> dict[str, float]:
    """Return the morphology of a stamp, NaNs where nothing is detected or statmorph fails.

    A result that statmorph flags as bad (2 or more) is a failure; a suspect one (1) counts.
    """
    import statmorph

    stamp = np.asarray(central(image), dtype=float)
    segment = segmentation(stamp, noise_variance)
    if segment is None:
        return NOTHING
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # flags say the same
        try:
            found = statmorph.SourceMorphology(
                stamp,
                segment.astype(int),
                1,
                weightmap=np.full(stamp.shape, np.sqrt(noise_variance)),
                cutout_extent=10.0,  # the stamp is cut already
                sersic_fitting_args={"maxiter": 1},  # its own fit is not used
            )
        except Exception:  # noqa: BLE001 - it fails in many ways, all of them counted
            return NOTHING
    if found.flag >= 2:
        return NOTHING
    values = {name: float(getattr(found, field)) for name, field in FIELDS.items()}
    return values if found.gini > 0 else NOTHING


def central(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Return the central (side, side) pixels."""
    low = (len(image) - side) // 2
    return image[low : low + side, low : low + side]


def segmentation(image: np.ndarray, noise_variance: float) -> np.ndarray | None:
    """Return which pixels are the galaxy's, None if it is not detected.

    They are those where the boxcar-smoothed image is above `THRESHOLD` standard deviations of the
    smoothed correlated noise, connected with the brightest of them within a quarter of the side
    from the centre.
    """
    import scipy.ndimage

    smooth = scipy.ndimage.uniform_filter(image, SMOOTHING, mode="constant")
    above = smooth > THRESHOLD * np.sqrt(noise_variance * smoothed_noise_share())
    labels, _ = scipy.ndimage.label(above)
    quarter = len(image) // 4
    inner = np.full(image.shape, -np.inf)
    inner[quarter:-quarter, quarter:-quarter] = smooth[quarter:-quarter, quarter:-quarter]
    label = labels.flat[np.argmax(inner)]
    segment = labels == label
    return segment if label and segment.sum() >= MIN_AREA else None


@functools.cache
def smoothed_noise_share() -> float:
    """Return the variance of COSMOS noise after the boxcar, relative to that before."""
    correlation = noise_covariance(galsim.getCOSMOSNoise(), SMOOTHING, 0.03)
    pairs = SMOOTHING - np.abs(np.arange(1 - SMOOTHING, SMOOTHING))
    return float(np.sum(correlation * np.outer(pairs, pairs)) / SMOOTHING**4)
