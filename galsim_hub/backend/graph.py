"""Look through a SavedModel before TensorFlow runs it: a SavedModel is a program.

Its graph may read and write any file of the user, open connections and call Python. So every node
of the graph and of its functions must be one that computes (`galsim_hub.backend.ops`). The nodes
that save and restore variables are the exception, where nothing but saving and restoring reaches
them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import CorruptedModuleError, EngineError, UnsafeModuleError
from .ops import ALLOWED, RESTORING, SAVING

__all__ = ["check_graph", "scan"]

_GRAPH = "saved_model.pb"
_INIT_COLLECTIONS = ("saved_model_main_op", "legacy_init_op")


def check_graph(folder: Path) -> None:
    """Refuse a SavedModel that could do more than compute.

    Parameters
    ----------
    folder : pathlib.Path
        The SavedModel's folder.

    Raises
    ------
    CorruptedModuleError
        If its graph cannot be read.
    UnsafeModuleError
        If it holds an operation that is not allowed, or assets.
    """
    found = scan(folder)
    if found:
        raise UnsafeModuleError(
            f"The network in {folder} is refused: it holds {', '.join(found)}. A module may only "
            "compute, so do not use this one; if you are its author, export it without them.",
            str(folder),
            found,
        )


def scan(folder: Path) -> list[str]:
    """Name what a SavedModel holds and must not; nothing of it is run.

    Parameters
    ----------
    folder : pathlib.Path
        The SavedModel's folder.

    Returns
    -------
    list of str
        Operations and asset files, in alphabetical order; empty for a module that only
        computes.

    Raises
    ------
    CorruptedModuleError
        If its graph cannot be read.
    """
    found = {
        f"the asset {path.relative_to(folder).as_posix()}"
        for assets in ("assets", "assets.extra")
        for path in (folder / assets).rglob("*")
        if path.is_file()
    }
    for meta_graph in _read(folder / _GRAPH).meta_graphs:
        found |= _Scan(meta_graph).refused() | set(_assets(meta_graph))
    return sorted(found)


class _Scan:
    """Look through one graph, with its functions."""

    def __init__(self, meta_graph: Any) -> None:
        self._meta_graph = meta_graph
        self._nodes = {node.name: node for node in meta_graph.graph_def.node}
        # All of those of one name: which of them would run is TensorFlow's secret.
        self._functions: dict[str, list[Any]] = {}
        for function in meta_graph.graph_def.library.function:
            self._functions.setdefault(function.signature.name, []).append(function)

    def refused(self) -> set[str]:
        """Name the operations that are not allowed where they stand."""
        saver = self._meta_graph.saver_def
        running = self._reach(self._outputs(), self._meta_graph.object_graph_def.concrete_functions)
        restoring = self._reach([saver.restore_op_name])
        saving = self._reach([saver.save_tensor_name])
        may_restore = (restoring | saving) - running
        may_save = saving - running - restoring
        allowed = ALLOWED | _callable_names(self._functions)
        return {
            node.op
            for place, node in self._places()
            if not (
                node.op in allowed
                or (node.op in RESTORING and place in may_restore)
                or (node.op in SAVING and place in may_save)
            )
        }

    def _places(self) -> Iterator[tuple[tuple[str, str], Any]]:
        """Yield every node, with the node or function of the graph that it belongs to."""
        for node in self._meta_graph.graph_def.node:
            yield ("node", node.name), node
        for name, functions in self._functions.items():
            for function in functions:
                for node in function.node_def:
                    yield ("function", name), node

    def _outputs(self) -> Iterator[str]:
        """Name what runs when a signature is called or the model is loaded."""
        for signature in self._meta_graph.signature_def.values():
            for tensor in (*signature.outputs.values(), *signature.inputs.values()):
                yield tensor.name
                yield from (component.name for component in tensor.composite_tensor.components)
        for name in _INIT_COLLECTIONS:
            yield from self._meta_graph.collection_def[name].node_list.value

    def _reach(self, tensors: Iterable[str], functions: Iterable[str] = ()) -> set[tuple[str, str]]:
        """Follow inputs and calls, back from tensors of the graph and down from functions."""
        todo = [("node", _node_name(tensor)) for tensor in tensors]
        todo += [("function", name) for name in functions]
        reached: set[tuple[str, str]] = set()
        while todo:
            place = todo.pop()
            if place not in reached:
                reached.add(place)
                todo.extend(self._next(*place))
        return reached

    def _next(self, kind: str, name: str) -> Iterator[tuple[str, str]]:
        if kind == "node":
            nodes = [self._nodes[name]] if name in self._nodes else []
            yield from (("node", _node_name(tensor)) for node in nodes for tensor in node.input)
        else:
            nodes = [
                node for function in self._functions.get(name, ()) for node in function.node_def
            ]
        for node in nodes:
            yield from (("function", called) for called in _calls(node))


def _callable_names(functions: Iterable[str]) -> set[str]:
    """Choose the functions that no operation of TensorFlow can be mistaken for."""
    import tensorflow as tf  # here: it takes seconds

    return {
        name
        for name in functions
        if name.startswith("__") or not (name.startswith("_") or hasattr(tf.raw_ops, name))
    }


def _calls(node: Any) -> Iterator[str]:
    yield node.op  # a function may be called by its name
    for value in node.attr.values():
        if value.HasField("func"):
            yield value.func.name
        yield from (function.name for function in value.list.func)


def _node_name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _assets(meta_graph: Any) -> Iterator[str]:
    for asset in meta_graph.asset_file_def:
        yield f"the asset {asset.filename}"
    if "saved_model_assets" in meta_graph.collection_def:
        yield "assets"
    if any(node.HasField("asset") for node in meta_graph.object_graph_def.nodes):
        yield "assets"


def _read(path: Path) -> Any:
    try:
        from google.protobuf.message import DecodeError  # here: they come with TensorFlow
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    except ImportError as error:
        raise EngineError(
            f"Looking through {path} takes TensorFlow: {error}. Install it with "
            "pip install 'galsim-hub[tensorflow]'.",
            "tensorflow",
        ) from error

    saved_model = SavedModel()
    try:
        saved_model.ParseFromString(path.read_bytes())
    except (OSError, DecodeError) as error:
        raise CorruptedModuleError(
            f"The graph {path} cannot be read: {error}. Fetch the module again.", str(path)
        ) from error
    return saved_model
