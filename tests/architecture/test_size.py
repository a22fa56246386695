"""Files and functions stay small enough to be read at one sitting."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for package in ("galsim_hub", "training") for path in (ROOT / package).rglob("*.py")
)
MOST_LINES_IN_A_FILE = 400
MOST_LINES_IN_A_FUNCTION = 60  # without its docstring


def code_length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count the lines of a function without those of its docstring."""
    length = function.end_lineno - function.lineno + 1
    if ast.get_docstring(function) is not None:
        docstring = function.body[0]
        length -= docstring.end_lineno - docstring.lineno + 1
    return length


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_its_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MOST_LINES_IN_A_FILE
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    too_long = [node.name for node in functions if code_length(node) > MOST_LINES_IN_A_FUNCTION]
    assert not too_long
