"""Read an ONNX file only if it is a network and nothing more.

A module comes from elsewhere, so its files are data to be distrusted. An ONNX file could name
operators that other libraries bring, define functions, or point to weights in other files of
this machine. None of our files does; such a file is refused before ONNX Runtime sees it. The
few fields that tell are read straight from the protobuf encoding (onnx.proto3 of ONNX 1.x).
"""

from __future__ import annotations

from pathlib import Path

from ..errors import CorruptedModuleError
from ..protobuf import read_fields

__all__ = ["read_onnx"]

_DOMAINS = (b"", b"ai.onnx")

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
        _check_model(content)
    except (ValueError, IndexError, RecursionError) as error:
        raise CorruptedModuleError(
            f"{path} is no light file that galsim_hub runs: {error}. Fetch the module again, "
            "from a source that you trust.",
            str(path),
        ) from error
    return content


def _check_model(model: object) -> None:
    has_graph = False
    for field, value in read_fields(model):
        if field == _MODEL_FUNCTIONS:
            raise ValueError("it defines functions of its own")
        if field == _MODEL_OPSET:
            for inner, name in read_fields(value):
                if inner == _OPSET_DOMAIN:
                    _check_domain(name)
        elif field == _MODEL_GRAPH:
            has_graph = True
            _check_graph(value)
    if not has_graph:
        raise ValueError("it holds no graph")


def _check_graph(graph: object) -> None:
    for field, value in read_fields(graph):
        if field == _GRAPH_NODE:
            _check_node(value)
        elif field == _GRAPH_TENSOR:
            _check_tensor(value)
        elif field == _GRAPH_SPARSE:
            _check_sparse(value)


def _check_node(node: object) -> None:
    for field, value in read_fields(node):
        if field == _NODE_DOMAIN:
            _check_domain(value)
        elif field == _NODE_ATTRIBUTE:
            _check_attribute(value)


def _check_attribute(attribute: object) -> None:
    for field, value in read_fields(attribute):
        if field in _ATTRIBUTE_TENSORS:
            _check_tensor(value)
        elif field in _ATTRIBUTE_GRAPHS:
            _check_graph(value)
        elif field in _ATTRIBUTE_SPARSE:
            _check_sparse(value)


def _check_sparse(sparse: object) -> None:
    for field, value in read_fields(sparse):
        if field in _SPARSE_TENSORS:
            _check_tensor(value)


def _check_tensor(tensor: object) -> None:
    for field, value in read_fields(tensor):
        if field == _TENSOR_EXTERNAL or (field == _TENSOR_LOCATION and value != 0):
            raise ValueError("it points to weights in another file")


def _check_domain(name: object) -> None:
    if not isinstance(name, memoryview) or bytes(name) not in _DOMAINS:
        shown = bytes(name).decode(errors="replace") if isinstance(name, memoryview) else name
        raise ValueError(f"it needs operators of {shown!r}")
