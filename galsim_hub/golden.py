"""A module's golden sample: inputs and outputs that every machine must reproduce.

`replay` measures how far this machine is from it; `write_golden` makes it for a module that
is to be contributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .backend import Engine, load_engine
from .errors import CorruptedModuleError, UnsupportedModuleError
from .hashing import hash_file
from .latents import standard_normals
from .spec import ModuleSpec

__all__ = ["RELATIVE_TOLERANCE", "replay", "spread_conditions", "write_golden"]

# In units of an output's peak: ten times what instruction sets and thread counts were seen to do.
RELATIVE_TOLERANCE = 1e-4
_N_ROWS = 4
_NOISE_VARIANCE = 1e-5

Arrays = dict[str, NDArray[Any]]


def replay(folder: Path, spec: ModuleSpec) -> dict[str, float]:
    """Compute a module's golden sample anew.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.
    spec : ModuleSpec
        Its card.

    Returns
    -------
    dict of str to float
        For each signature the largest deviation from the golden output, in units of what
        the card tolerates; infinite if outputs are missing or of another shape. Empty if
        the module has no golden sample.

    Raises
    ------
    CorruptedModuleError
        If the golden file is missing or is not the card's.
    """
    if not spec.golden:
        return {}
    arrays = _read_golden(folder / spec.golden["file"], spec.golden["sha256"])
    engine = load_engine(folder, spec)
    tolerance = spec.golden["relative_tolerance"]
    return {
        signature: _deviation(engine, signature, arrays) / tolerance
        for signature in spec.signatures
    }


def write_golden(folder: Path, spec: ModuleSpec, path: Path) -> None:
    """Compute a golden sample of every signature, and save it.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder, whose card describes its program already.
    spec : ModuleSpec
        Its card.
    path : pathlib.Path
        The file to write, ``.npz``.

    Raises
    ------
    UnsupportedModuleError
        If inputs of a signature cannot be invented.
    """
    engine = load_engine(folder, spec)
    arrays: Arrays = {}
    # `generate` comes first: what it draws is what `encode` is given.
    for signature in sorted(spec.signatures, key=lambda name: name != "generate"):
        inputs = _invent_inputs(signature, spec, arrays)
        outputs = engine.run(signature, inputs)
        arrays |= {f"{signature}/in/{name}": values for name, values in inputs.items()}
        arrays |= {f"{signature}/out/{name}": values for name, values in outputs.items()}
    np.savez_compressed(path, **arrays)  # type: ignore[arg-type]


def spread_conditions(spec: ModuleSpec, n_rows: int) -> dict[str, NDArray[np.float64]]:
    """Spread rows evenly over the middle half of every condition's trained range.

    Parameters
    ----------
    spec : ModuleSpec
        The module's card.
    n_rows : int

    Returns
    -------
    dict of str to ndarray of float64, shape (n_rows,)

    Notes
    -----
    An additive recurrence with powers of the generalised golden ratio (Roberts 2018), so
    that a few rows cover several conditions.
    """
    ratio = 2.0
    for _ in range(32):  # the root of x**(d + 1) = x + 1, by fixed-point iteration
        ratio = (1.0 + ratio) ** (1.0 / (len(spec.inputs) + 1))
    columns = {}
    for power, condition in enumerate(spec.inputs, start=1):
        fractions = 0.25 + 0.5 * ((0.5 + np.arange(n_rows) * ratio**-power) % 1.0)
        columns[condition.name] = np.array([condition.at(fraction) for fraction in fractions])
    return columns


def _read_golden(path: Path, expected: str) -> Arrays:
    got = hash_file(path) if path.is_file() else None
    if got != expected:
        raise CorruptedModuleError(
            f"Golden sample {path} is {'changed' if got else 'missing'}: expected sha256 "
            f"{expected}, got {got}. Fetch the module again.",
            str(path),
            expected,
            got,
        )
    with np.load(path) as stored:
        return dict(stored)


def _deviation(engine: Engine, signature: str, arrays: Mapping[str, NDArray[Any]]) -> float:
    inputs, expected = (
        {name.split("/")[2]: array for name, array in arrays.items() if name.startswith(prefix)}
        for prefix in (f"{signature}/in/", f"{signature}/out/")
    )
    if not expected:
        return np.inf
    outputs = engine.run(signature, inputs)
    return max(_distance(outputs.get(name), array) for name, array in expected.items())


def _distance(got: NDArray[Any] | None, expected: NDArray[Any]) -> float:
    if got is None or got.shape != expected.shape:
        return np.inf
    largest = float(np.abs(got - expected).max())
    peak = float(np.abs(expected).max())
    # An output of zeros has no peak to measure by: any difference is too much.
    return largest / peak if peak else (np.inf if largest else 0.0)


def _invent_inputs(signature: str, spec: ModuleSpec, golden: Arrays) -> Arrays:
    columns: Arrays = {
        name: values.astype(np.float32) for name, values in spread_conditions(spec, _N_ROWS).items()
    }
    seeds = range(_N_ROWS)
    if signature == "generate":
        if spec.random_name is not None:
            columns[spec.random_name] = standard_normals(seeds, spec.random_size)
        return columns
    if signature == "decode" and spec.latent_size:
        return {"latents": standard_normals(seeds, spec.latent_size)}
    if signature == "latent_log_prob" and spec.latent_size:
        return {"latents": standard_normals(seeds, spec.latent_size)} | columns
    if signature == "encode" and spec.psf_size:
        return _invent_observation(golden["generate/out/image"], spec.psf_size)
    raise UnsupportedModuleError(
        f"No inputs can be invented for signature {signature!r} of module {spec.label}. Write its "
        "golden sample yourself, in the format of docs/reference/module_format.md.",
        spec.label,
        signature,
    )


def _invent_observation(images: NDArray[Any], psf_size: int) -> Arrays:
    normals = standard_normals(range(len(images)), images[0].size).reshape(images.shape)
    radius = np.hypot(*np.indices((psf_size, psf_size)) - psf_size // 2)
    psf = np.exp(-(radius**2) / 8.0)  # 2 pixels wide
    psfs = np.broadcast_to(psf / psf.sum(), (len(images), psf_size, psf_size))
    return {
        "image": images + np.float32(_NOISE_VARIANCE**0.5) * normals,
        "psf": psfs.astype(np.float32),
        "noise_variance": np.full(len(images), _NOISE_VARIANCE, np.float32),
    }
