"""Read an ONNX file only if it is a network and nothing more.

A module comes from elsewhere, so its files are data to be distrusted. An ONNX file could name
operators that other libraries bring, define functions, or point to weights in other files of
this machine. None of our files does; such a file is refused before ONNX Runtime sees it. The
few fields that tell are read straight from the protobuf encoding (onnx.proto3 of ONNX 1.x).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..errors import CorruptedModuleError

__all__ = ["read_onnx"]

_DOMAINS = (b"", b"ai.onnx")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto3, by message: what leads to another message worth reading.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_TENSOR, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_EXTERNAL, _TENSOR_LOCATION = 13, 14
_SPARSE_TENSORS = (1, 2)


def read_onnx(path: Path) -> bytes:
    """Return the content of an ONNX file that has passed the checks.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    bytes

    Raises
    ------
    CorruptedModuleError
        If it is no ONNX file, needs operators beyond ONNX's own, defines functions, or points
        to other files.
    """
    content = path.read_bytes()
    try:
        _check_model(memoryview(content))
    except (ValueError, IndexError, RecursionError) as error:
        raise CorruptedModuleError(
            f"{path} is no light file that galsim_hub runs: {error}. Fetch the module again, "
            "from a source that you trust.",
            str(path),
        ) from error
    return content


def _check_model(model: memoryview) -> None:
    has_graph = False
    for field, value in _fields(model):
        if field == _MODEL_FUNCTIONS:
            raise ValueError("it defines functions of its own")
        if field == _MODEL_OPSET:
            for inner, name in _fields(value):
                if inner == _OPSET_DOMAIN:
                    _check_domain(name)
        elif field == _MODEL_GRAPH:
            has_graph = True
            _check_graph(value)
    if not has_graph:
        raise ValueError("it holds no graph")


def _check_graph(graph: memoryview) -> None:
    for field, value in _fields(graph):
        if field == _GRAPH_NODE:
            _check_node(value)
        elif field == _GRAPH_TENSOR:
            _check_tensor(value)
        elif field == _GRAPH_SPARSE:
            _check_sparse(value)


def _check_node(node: memoryview) -> None:
    for field, value in _fields(node):
        if field == _NODE_DOMAIN:
            _check_domain(value)
        elif field == _NODE_ATTRIBUTE:
            _check_attribute(value)


def _check_attribute(attribute: memoryview) -> None:
    for field, value in _fields(attribute):
        if field in _ATTRIBUTE_TENSORS:
            _check_tensor(value)
        elif field in _ATTRIBUTE_GRAPHS:
            _check_graph(value)
        elif field in _ATTRIBUTE_SPARSE:
            _check_sparse(value)


def _check_sparse(sparse: memoryview) -> None:
    for field, value in _fields(sparse):
        if field in _SPARSE_TENSORS:
            _check_tensor(value)


def _check_tensor(tensor: memoryview) -> None:
    for field, value in _fields(tensor):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and bytes(value) != b"\0"):
            raise ValueError("it points to weights in another file")


def _check_domain(name: memoryview) -> None:
    if bytes(name) not in _DOMAINS:
        raise ValueError(f"it needs operators of {bytes(name).decode(errors='replace')!r}")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield the number and the raw value of each field of a protobuf message."""
    position = 0
    while position < len(message):
        key, position = _read_varint(message, position)
        field, wire = key >> 3, key & 7
        start = position
        if wire == _VARINT:
            _, position = _read_varint(message, position)
        elif wire == _BYTES:
            length, start = _read_varint(message, position)
            position = start + length
        elif wire in (_FIXED64, _FIXED32):
            position += 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"it is not protobuf (wire type {wire})")
        if position > len(message):
            raise ValueError("it is truncated")
        yield field, message[start:position]


def _read_varint(message: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("it is not protobuf (a number too long)")
