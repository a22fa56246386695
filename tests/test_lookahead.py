"""What of a configuration is known for objects to come."""

from __future__ import annotations

import pytest

from galsim_hub import lookahead


@pytest.mark.parametrize(
    ("expression", "is_known"),
    [
        ("$a + math.sqrt(b)", True),
        ("$round(a) * obj_num", True),
        ("$a + c", False),
        ("$a + @image.pixel_scale", False),
        ("$np.random.uniform()", False),
        ("$galsim.UniformDeviate()()", False),
        ("$rng.raw() * a", False),
        ("$d", False),
        ("$max", False),
        ("$min(a, b)", True),
        ("$a +", False),
    ],
)
def test_an_expression_is_known_if_all_that_it_names_is(expression, is_known):
    variables = {
        "fa": {"type": "Catalog", "col": 1},
        "fb": "$a * 2",
        "fc": {"type": "Random", "min": 0, "max": 1},
        "fd": "$d + 1",
        "fmax": {"type": "Random", "min": 0, "max": 1},
    }
    assert lookahead.is_foreseeable(expression, variables) is is_known
    evaluated = {"type": "Eval", "str": expression[1:], "_fn": print, "current": (1, True)}
    assert lookahead.is_foreseeable(evaluated, variables) is is_known
