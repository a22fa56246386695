"""The report of a module: every part that was measured, judged by the module's bars."""

import dataclasses
import pathlib

from .part import Bar, Part, passed, rows

TITLES = {
    "population": "Population",
    "latents": "Latents and memorisation",
    "conditions": "Law of the conditions",
    "real": "Real stamps",
    "isotropy": "Isotropy",
    "shear": "Shear",
}


@dataclasses.dataclass(frozen=True)
class Report:
    """The parts of a module's validation, in the order of `TITLES`, and its bars."""

    label: str
    parts: dict[str, Part]
    bars: dict[str, Bar]

    @property
    def ordered(self) -> dict[str, Part]:
        """The parts in their order."""
        return {name: self.parts[name] for name in TITLES if name in self.parts}

    @property
    def rows(self) -> list[dict[str, str]]:
        """Lines of the fidelity table."""
        return rows(self.ordered, self.bars)

    @property
    def protocol(self) -> str:
        """How each part was measured."""
        return " ".join(f"{TITLES[n]}: {p.protocol}" for n, p in self.ordered.items())

    @property
    def verdict(self) -> str:
        """Whether the bars hold, in words."""
        if not self.bars:
            return f"There are no bars for {self.label} (training/validation/bars.yaml)."
        return "The bars hold." if passed(self.parts, self.bars) else "The bars DO NOT hold."


def markdown(report: Report, folder: pathlib.Path) -> str:
    """Return the report as Markdown: the table, then each part's protocol, tables and pictures."""
    lines = [f"# Validation of {report.label}", "", report.verdict, "", *table(report.rows)]
    for name, part in report.ordered.items():
        lines += ["", f"## {TITLES[name]}", "", part.protocol]
        if part.details:
            lines += ["", part.details.rstrip()]
        for picture in sorted(folder.glob(f"{name}-*.png")):
            lines += ["", f"![{picture.stem.replace('-', ' ')}]({picture.name})"]
    return "\n".join(lines) + "\n"


def table(lines: list[dict[str, str]]) -> list[str]:
    """Return the lines of the fidelity table in Markdown."""
    head = ["| quantity | measured | Sersic fits | bar |", "| --- | --- | --- | --- |"]
    return head + [
        f"| {r['quantity']} | {r['value']} | {r.get('sersic', '')} | {r['bar']} |" for r in lines
    ]


def write_report(report: Report, folder: pathlib.Path) -> str:
    """Save report.md and return its text."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(report, folder)
    (folder / "report.md").write_text(text)
    return text
