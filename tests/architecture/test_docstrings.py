"""The docstring check of `make lint` reads its settings and notices a wrong docstring."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NUMPYDOC = Path(sys.executable).with_name("numpydoc")
SOURCE = '''"""Hold a function."""


def halve(length):
    """{summary}

    Parameters
    ----------
    {parameter} : float
        Side [arcsec].
    """
    return length / 2
'''


@pytest.mark.parametrize(
    ("summary", "parameter", "problem"),
    [
        ("Halve a length.", "length", None),
        ("Halves a length.", "length", "SS05"),
        ("Halve a length.", "width", "PR02"),
    ],
)
def test_docstring_is_judged(tmp_path, summary, parameter, problem):
    path = tmp_path / "halving.py"
    path.write_text(SOURCE.format(summary=summary, parameter=parameter))
    result = subprocess.run(
        [NUMPYDOC, "lint", "--config", ROOT, path], capture_output=True, text=True, check=False
    )
    assert result.returncode == (problem is not None)
    assert (problem or "") in result.stdout + result.stderr
