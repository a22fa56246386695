"""Modules of 2020: in TensorFlow 1's hub format, without a card.

They say what they are in their graph: the inputs of the signature ``default`` by name, and the
attached messages ``stamp_size`` and ``pixel_size``. `describe` reads that without TensorFlow, so
that a model of one can be built, pickled and forked like any other.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CardError, CorruptedModuleError
from .hashing import hash_file
from .protobuf import read_fields, read_varint
from .spec import CARD_NAME, InputSpec, ModuleSpec, read_spec

__all__ = ["describe", "is_legacy"]

_GRAPH = "saved_model.pb"
_SIGNATURE = "default"
_RANDOM = "random_normal"
_ATTACHMENTS = "hub_module_attachments"
_UNITS = {"flux_radius": "pixel", "mag_auto": "mag"}

# What a protocol buffer's number of a field means, in the messages of TensorFlow.
_META_GRAPHS = 2  # of SavedModel
_META_INFO, _COLLECTIONS, _SIGNATURES = 1, 4, 5  # of MetaGraphDef
_TAGS = 4  # of MetaInfoDef
_INPUTS = 1  # of SignatureDef
_BYTES_LIST = 2  # of CollectionDef
_SHAPE, _DIMENSIONS, _DIMENSION_SIZE = 3, 2, 1  # of TensorInfo, TensorShapeProto, Dim
_KEY, _VALUE = 1, 2  # of every map, and of ModuleAttachment


def is_legacy(folder: Path) -> bool:
    """Tell whether a folder holds a module without a card.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    bool
    """
    return (folder / _GRAPH).is_file() and not (folder / CARD_NAME).exists()


def describe(folder: Path) -> ModuleSpec:
    """Say what any module promises, from its card or, for one of 2020, from its graph.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    ModuleSpec
        One of 2020 has no trained ranges: its inputs may be any number.

    Raises
    ------
    CardError
        If there is neither a card nor a graph of 2020 that says enough.
    CorruptedModuleError
        If the graph cannot be read.
    """
    if not is_legacy(folder):
        return read_spec(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    kept = [path for path in files if not path.name.startswith(".")]
    stamps = tuple((path, path.stat().st_mtime_ns, path.stat().st_size) for path in kept)
    return _describe(folder, stamps)


# Unpickling a galaxy describes its module: the time stamps keep that cheap and safe.
@functools.lru_cache(maxsize=16)
def _describe(folder: Path, stamps: tuple[tuple[Path, int, int], ...]) -> ModuleSpec:
    path = folder / _GRAPH
    try:
        module = _read_graph(path.read_bytes())
    except (ValueError, IndexError, struct.error) as error:
        raise CorruptedModuleError(
            f"The graph {path} cannot be read: {error}. Fetch the module again.", str(path)
        ) from error
    missing = [name for name in ("stamp_size", "pixel_size") if name not in module.attachments]
    if module.inputs is None or missing:
        what = f"attached {' and '.join(missing)}" if missing else f"signature {_SIGNATURE!r}"
        raise CardError(
            f"Folder {folder} has no {CARD_NAME}, and its graph no {what}, so it is no hub module, "
            "neither of this format nor of that of 2020. Give the folder of one version of a "
            "module.",
            str(path),
        )
    # Scalar (n) and vector (n, 1) inputs alike take one number a galaxy.
    random = module.inputs.pop(_RANDOM, None)
    return ModuleSpec(
        name=folder.name[:12],
        version=1,
        kind="galaxy",
        summary="A module of 2020, without a card",
        licence="unknown",
        created="2020",
        authors=(),
        inputs=tuple(
            InputSpec(name, _UNITS.get(name, ""), -math.inf, math.inf)
            for name in sorted(module.inputs)
        ),
        random_name=None if random is None else _RANDOM,
        random_size=0 if random is None else math.prod(random[1:]),
        signatures=("generate",),
        files={path.relative_to(folder).as_posix(): hash_file(path) for path, _, _ in stamps},
        stamp_size=int(module.attachments["stamp_size"]),
        pixel_size=module.attachments["pixel_size"],
    )


@dataclass
class _Module:
    """Hold what a graph of 2020 says.

    Attributes
    ----------
    attachments : dict of str to float
    inputs : dict of str to list of int, or None
        The shape of every input of the signature, -1 for the batch.
    """

    attachments: dict[str, float]
    inputs: dict[str, list[int]] | None


def _read_graph(content: bytes) -> _Module:
    """Read the graph without tags, the one for use and not for training."""
    graphs = list(_values(content, _META_GRAPHS))
    untagged = [graph for graph in graphs if not any(_values(_one(graph, _META_INFO), _TAGS))]
    graph = (untagged or graphs)[0]
    collections = dict(_entries(graph, _COLLECTIONS))
    signatures = dict(_entries(graph, _SIGNATURES))
    messages = _values(_one(collections.get(_ATTACHMENTS, b""), _BYTES_LIST), 1)
    attachments = {
        _one(message, _KEY).decode(): _number(_one(message, _VALUE)) for message in messages
    }
    if _SIGNATURE not in signatures:
        return _Module(attachments, None)
    inputs = {name: _shape(info) for name, info in _entries(signatures[_SIGNATURE], _INPUTS)}
    return _Module(attachments, inputs)


def _shape(tensor_info: bytes) -> list[int]:
    dimensions = _values(_one(tensor_info, _SHAPE), _DIMENSIONS)
    sizes = [next(_values(dimension, _DIMENSION_SIZE), 0) for dimension in dimensions]
    return [size - (1 << 64) if size >> 63 else size for size in sizes]


def _number(message: bytes) -> float:
    """Read the first number of an Int64List or a FloatList, packed or not."""
    value = next(_values(message, 1))
    if isinstance(value, int):
        return value
    if len(value) == 4:  # a list of integers that long would hold no stamp size
        return float(struct.unpack("<f", value)[0])
    return read_varint(value, 0)[0]


def _entries(message: bytes, field: int) -> Iterator[tuple[str, bytes]]:
    """Yield the entries of a map from text to messages."""
    for entry in _values(message, field):
        yield _one(entry, _KEY).decode(), _one(entry, _VALUE)


def _one(message: bytes, field: int) -> bytes:
    value = next(_values(message, field), b"")
    if not isinstance(value, bytes):
        raise ValueError(f"field {field} is a number")
    return value


def _values(message: object, field: int) -> Iterator[Any]:
    """Yield the values of one field of a protocol buffer: a number, or bytes."""
    for number, value in read_fields(message):
        if number == field:
            yield value if isinstance(value, int) else bytes(value)
