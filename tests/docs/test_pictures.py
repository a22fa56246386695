"""Pictures of the manual that examples draw are not older than the examples."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from PIL import Image

DRAWER = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "pictures.py"))


@pytest.mark.parametrize("name", DRAWER["EXAMPLES"])
def test_picture_is_as_old_as_its_example(name):
    with Image.open(DRAWER["picture_of"](name)) as picture:
        current = DRAWER["fingerprint"](name)
        assert picture.text["Source"] == current, f"run python docs/pictures.py {name}"
