"""What each part of a validation leaves: numbers with a protocol, judged by the module's bars."""

import dataclasses
import json
import pathlib

import numpy as np
import yaml

from ..errors import ConfigError

BARS = pathlib.Path(__file__).with_name("bars.yaml")


@dataclasses.dataclass(frozen=True)
class Quantity:
    """One measured number: its key, what it is, its error, and the same of single-Sersic stamps.

    `style` is the format specification of all three, such as ``.3f`` or ``.1%``.
    """

    key: str
    text: str
    value: float
    error: float | None = None
    sersic: float | None = None
    style: str = ".3f"

    @property
    def measured(self) -> str:
        """Value and error as text."""
        shown = format(self.value, self.style)
        if self.error is None:
            return shown
        return f"{shown} ± {format(self.error, self.style.lstrip('+'))}"

    @property
    def rival(self) -> str:
        """The Sersic stamps' value as text, empty where there is none."""
        return "" if self.sersic is None else format(self.sersic, self.style)


@dataclasses.dataclass(frozen=True)
class Part:
    """A part's name, how it was measured, its numbers, and further tables as Markdown."""

    name: str
    protocol: str
    quantities: list[Quantity]
    details: str = ""

    def save(self, folder: pathlib.Path, identity: dict) -> None:
        """Write ``NAME.json``, marked by what was measured."""
        folder.mkdir(parents=True, exist_ok=True)
        tree = {"identity": identity, "part": dataclasses.asdict(self)}
        (folder / f"{self.name}.json").write_text(json.dumps(tree, indent=1))


def load_parts(folder: pathlib.Path, identity: dict) -> dict[str, Part]:
    """Return the parts in a folder that were measured of the same module and split, by name."""
    parts = {}
    for path in sorted(folder.glob("*.json")):
        tree = json.loads(path.read_text())
        if tree["identity"] == identity:
            part = tree["part"]
            quantities = [Quantity(**q) for q in part.pop("quantities")]
            parts[part["name"]] = Part(quantities=quantities, **part)
    return parts


@dataclasses.dataclass(frozen=True)
class Bar:
    """A limit on a quantity: on its value (`at_most`) or on its absolute value (`within`)."""

    at_most: float | None = None
    within: float | None = None

    def holds(self, value: float) -> bool:
        """Whether a value reaches the bar; NaN never does."""
        if self.within is not None:
            return bool(abs(value) <= self.within)
        return bool(value <= self.at_most)

    def describe(self, style: str) -> str:
        """Spell the limit."""
        if self.within is not None:
            return f"within ±{_short(self.within, style)}"
        return f"at most {_short(self.at_most, style)}"


def load_bars(label: str, path: pathlib.Path = BARS) -> dict[str, Bar]:
    """Return the bars of a module (``NAME@VERSION``), empty if it has none.

    Raises
    ------
    ConfigError
        If an entry is not one limit.
    """
    entries = yaml.safe_load(path.read_text()).get(label, {})
    bars = {}
    for key, limit in entries.items():
        if not isinstance(limit, dict) or len(limit) != 1 or set(limit) - {"at_most", "within"}:
            raise ConfigError(f"{path}: bar {key} of {label} must be at_most or within one number.")
        bars[key] = Bar(**limit)
    return bars


def _short(value: float, style: str) -> str:
    return f"{100 * value:g}%" if style.endswith("%") else f"{value:g}"


def rows(parts: dict[str, Part], bars: dict[str, Bar]) -> list[dict[str, str]]:
    """Return the lines of the card's table, with whether each bar holds."""
    lines, seen = [], set()
    for quantity in (q for part in parts.values() for q in part.quantities):
        bar, verdict = bars.get(quantity.key), ""
        if bar:
            held = "held" if bar.holds(quantity.value) else "MISSED"
            verdict = f"{bar.describe(quantity.style)}: {held}"
        lines.append(
            {
                "quantity": quantity.text,
                "value": quantity.measured,
                "sersic": quantity.rival,
                "bar": verdict,
            }
        )
        seen.add(quantity.key)
    for key in sorted(set(bars) - seen):
        bar = bars[key].describe("g")
        lines.append({"quantity": key, "value": "not measured", "sersic": "", "bar": bar})
    return lines


def passed(parts: dict[str, Part], bars: dict[str, Bar]) -> bool:
    """Whether every bar was measured and holds."""
    values = {q.key: q.value for part in parts.values() for q in part.quantities}
    return all(bar.holds(values.get(key, np.nan)) for key, bar in bars.items())
