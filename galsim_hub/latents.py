"""From a galaxy's seed to the standard normals that its generator takes.

A galaxy is determined by (module, conditions, seed), bit for bit, on one machine after
another. So the way from seed to normals is fixed here, and uses only parts whose streams
never change: blake2b and the raw 64-bit output of the counter-based generator Philox
(numpy's NEP 19 fixes the streams of bit generators, not those of `numpy.random.Generator`).

The order, for ever:

1. seed: two consecutive ``raw()`` calls of the GalSim deviate a galaxy, the first call
   giving the upper 32 bits; or the hash of an object's id.
2. key: blake2b of the seed's 8 little-endian bytes, so that seeds 1, 2, 3 ... give
   unrelated galaxies.
3. uniforms: the upper 53 bits of each Philox output, in order.
4. normals: Box-Muller on consecutive pairs (u1, u2): first r cos, then r sin, in float64,
   rounded to float32.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import operator
import uuid
import zlib
from collections.abc import Hashable, Iterable

import galsim
import numpy as np
from numpy.typing import NDArray

from .errors import RandomDeviateError, SeedError

__all__ = [
    "check_rng",
    "check_seed",
    "draw_seed",
    "generator",
    "seed_from_id",
    "standard_normals",
]

_SEED_LIMIT = 1 << 64
_PERSON_ID = b"galsim_hub.id"
_PERSON_KEY = b"galsim_hub.key"


def check_rng(rng: galsim.BaseDeviate | None) -> galsim.BaseDeviate:
    """Return a deviate to draw from, a fresh one if none is given.

    Parameters
    ----------
    rng : galsim.BaseDeviate or None

    Returns
    -------
    galsim.BaseDeviate

    Raises
    ------
    RandomDeviateError
        If `rng` is anything else, such as a numpy generator.
    """
    if rng is None:
        return galsim.BaseDeviate()
    if not isinstance(rng, galsim.BaseDeviate):
        got = f"{type(rng).__module__}.{type(rng).__qualname__}"
        raise RandomDeviateError(
            f"rng must be a galsim.BaseDeviate, got {got}. Use rng=galsim.BaseDeviate(1234), or "
            "seeds=[...] to give each galaxy's seed.",
            got,
        )
    return rng


def check_seed(seed: object, advice: str = "Galaxies take names and other ids as obj_id=.") -> int:
    """Return a seed as a Python int.

    Parameters
    ----------
    seed : int
        Any integer type, 0 <= seed < 2**64.
    advice : str
        What the error says to do.

    Returns
    -------
    int

    Raises
    ------
    SeedError
        If it is no integer or out of range.
    """
    try:
        value = operator.index(seed)  # type: ignore[arg-type]
    except TypeError:
        value = -1
    if isinstance(seed, bool) or not 0 <= value < _SEED_LIMIT:
        raise SeedError(
            f"A seed must be an integer from 0 to 2**64 - 1, got {seed!r}. {advice}",
            seed,
        )
    return value


def generator(purpose: str, seed: object, *numbers: int) -> np.random.Generator:
    """Return the random numbers of one purpose.

    They are independent of those of other purposes, and of ``numpy.random.default_rng(seed)``,
    with which somebody may have made the noise of the very data that a sample is conditioned on.

    Parameters
    ----------
    purpose : str
    seed : int
        Any integer type, 0 <= seed < 2**64.
    *numbers : int
        From 0 on: those of one seed are independent of each other.

    Returns
    -------
    numpy.random.Generator

    Raises
    ------
    SeedError
        If the seed is no integer or out of range.
    """
    key = (zlib.crc32(purpose.encode()), *numbers)
    return np.random.default_rng(np.random.SeedSequence(check_seed(seed), spawn_key=key))


def draw_seed(rng: galsim.BaseDeviate) -> int:
    """Draw one galaxy's seed: exactly two raw 32-bit numbers, the upper half first.

    Parameters
    ----------
    rng : galsim.BaseDeviate

    Returns
    -------
    int
        0 <= seed < 2**64.
    """
    upper, lower = rng.raw(), rng.raw()
    return int(upper << 32 | lower)


def seed_from_id(obj_id: Hashable) -> int:
    """Hash an object's id to its seed: the same in every band, visit, process and machine.

    Parameters
    ----------
    obj_id : int, str, bytes, float, UUID, date, or tuple or frozenset of those
        What Python calls equal is the same object (2, 2.0 and numpy's 2), and bytes (as FITS
        readers give them) equal the text they encode.

    Returns
    -------
    int
        0 <= seed < 2**64.

    Raises
    ------
    SeedError
        If the id is of another type, whose hash may differ from process to process, or no number.

    Examples
    --------
    >>> seed_from_id(("tract", 3828, 17)) == seed_from_id(("tract", 3828, 17))
    True
    """
    digest = hashlib.blake2b(_encode_id(obj_id), digest_size=8, person=_PERSON_ID)
    return int.from_bytes(digest.digest(), "little")


def _encode_id(obj_id: object) -> bytes:
    # Tag, length, content: no two different ids share an encoding.
    if isinstance(obj_id, tuple):
        tag, content = b"t", b"".join(map(_encode_id, obj_id))
    elif isinstance(obj_id, frozenset):
        tag, content = b"z", b"".join(sorted(map(_encode_id, obj_id)))
    elif isinstance(obj_id, str):
        tag, content = b"s", obj_id.encode(errors="surrogatepass")
    elif isinstance(obj_id, bytes):
        tag, content = b"s", obj_id
    elif isinstance(obj_id, uuid.UUID | datetime.date):
        tag, content = b"o", f"{type(obj_id).__name__} {obj_id}".encode()
    elif isinstance(obj_id, float | np.floating) and math.isfinite(obj_id):
        number = float(obj_id)
        if number.is_integer():
            return _encode_id(int(number))
        tag, content = b"f", number.hex().encode()
    else:
        tag, content = b"i", str(_id_number(obj_id)).encode()
    return tag + str(len(content)).encode() + b":" + content


def _id_number(obj_id: object) -> int:
    try:
        return operator.index(obj_id)  # type: ignore[arg-type]
    except TypeError:
        raise SeedError(
            f"obj_id must be an int, str, float, UUID, date or tuple of those, got {obj_id!r} of "
            f"type {type(obj_id).__name__}. Convert it to an int or a str.",
            obj_id,
        ) from None


def standard_normals(seeds: Iterable[int], size: int) -> NDArray[np.float32]:
    """Turn seeds into standard normals.

    Parameters
    ----------
    seeds : iterable of int
        One a galaxy.
    size : int
        Normals a galaxy.

    Returns
    -------
    ndarray of float32, shape (n, size)
    """
    # Row by row on arrays of one shape: vectorised log, cos and sin may round
    # differently at another length or alignment.
    rows = [_normals_of_one(seed, size) for seed in seeds]
    return np.array(rows, dtype=np.float32).reshape(-1, size)


def _normals_of_one(seed: int, size: int) -> NDArray[np.float32]:
    digest = hashlib.blake2b(seed.to_bytes(8, "little"), digest_size=16, person=_PERSON_KEY)
    stream = np.random.Philox(key=int.from_bytes(digest.digest(), "little"))
    n_pairs = (size + 1) // 2
    uniform = (stream.random_raw(2 * n_pairs) >> np.uint64(11)) * 2.0**-53
    radius = np.sqrt(-2.0 * np.log1p(-uniform[0::2]))
    angle = 2.0 * np.pi * uniform[1::2]
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return pairs.ravel()[:size].astype(np.float32)
