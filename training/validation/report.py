"""The first bars of a galaxy module: flux and size without bias, light inside the stamp."""

import dataclasses
import pathlib

import numpy as np
from matplotlib.figure import Figure

from galsim_hub import GenerativeGalaxyModel

from ..data.pipeline import StampSet
from .bias import BiasCurve, bias_curve
from .moments import Moments, measure_all
from .scenes import scenes

MAGNITUDES = np.array([20.5, 21.5, 22.5, 23.0, 23.5, 24.0, 24.5, 25.0])
SIZES = np.array([4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0])
BORDER = 2  # [pixel]


@dataclasses.dataclass(frozen=True)
class Report:
    """What validation measured; `rows` are the table's lines."""

    split: str
    count: int
    data: Moments
    generated: Moments
    flux: BiasCurve
    size: BiasCurve
    border: float

    @property
    def rows(self) -> list[dict[str, str]]:
        """Lines of the fidelity table: quantity, value, bar."""
        distances = {
            name: ks(getattr(self.generated, name), getattr(self.data, name))
            for name in ("flux", "sigma", "rho4")
        }
        distances["g"] = ks(ellipticity(self.generated), ellipticity(self.data))
        return [
            _row(
                "median flux bias, worst bin, mag_auto 20.5-25",
                f"{100 * self.flux.worst:.1f}%",
                "3%",
            ),
            _row(
                "median size bias, worst bin, flux_radius 4-16 px",
                f"{100 * self.size.worst:.1f}%",
                "6%",
            ),
            _row(
                f"largest share of flux within {BORDER} px of the border",
                f"{100 * self.border:.4f}%",
                "0.1%",
            ),
            *(
                _row(f"KS distance of HSM {k}", f"{v:.3f}", "")
                for k, v in sorted(distances.items())
            ),
            _row(
                "HSM failures, data / generated",
                f"{self.data.failures} / {self.generated.failures}",
                "",
            ),
        ]

    @property
    def protocol(self) -> str:
        """One sentence that says how it was measured."""
        return (
            f"{self.count:,} galaxies at the conditions of the {self.split} split, drawn with the "
            "same real PSFs and noise levels as the data; HSM adaptive moments on 128 px; bias is "
            "median(generated) / median(data) - 1."
        )

    @property
    def passed(self) -> bool:
        """Whether the three bars hold."""
        return self.flux.worst <= 0.03 and self.size.worst <= 0.06 and self.border < 1e-3


def validate(model: GenerativeGalaxyModel, stamps: StampSet, split: str, limit: int) -> Report:
    """Draw, measure and compare."""
    pairs = list(scenes(model, stamps, split, limit))
    conditions = np.array([p.conditions for p in pairs])
    data = measure_all(np.array([p.data for p in pairs]))
    generated = measure_all(np.array([p.generated for p in pairs]))
    columns = dict(zip(model.quantities, conditions.T, strict=True))
    return Report(
        split=split,
        count=len(pairs),
        data=data,
        generated=generated,
        flux=bias_curve(generated.flux, data.flux, columns["mag_auto"], MAGNITUDES),
        size=bias_curve(generated.sigma, data.sigma, columns["flux_radius"], SIZES),
        border=max(border_share(p.noiseless) for p in pairs),
    )


def border_share(image: np.ndarray) -> float:
    """Return the share of the flux within `BORDER` pixels of the stamp's edge."""
    inner = image[BORDER:-BORDER, BORDER:-BORDER]
    return float(1.0 - inner.sum(dtype=float) / image.sum(dtype=float))


def ellipticity(moments: Moments) -> np.ndarray:
    """Return |g|, (n,)."""
    return np.hypot(moments.g1, moments.g2)


def ks(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance of two samples, NaNs left out."""
    one, other = (np.sort(sample[np.isfinite(sample)]) for sample in (one, other))
    both = np.concatenate([one, other])
    shares = [np.searchsorted(sample, both, side="right") / len(sample) for sample in (one, other)]
    return float(np.max(np.abs(shares[0] - shares[1])))


def markdown(report: Report) -> str:
    """Return the report as Markdown: the table, then each bias curve with its counts."""
    lines = [report.protocol, "", "| quantity | measured | bar |", "| --- | --- | --- |"]
    lines += [f"| {r['quantity']} | {r['value']} | {r['bar']} |" for r in report.rows]
    for name, curve in (("flux by mag_auto", report.flux), ("sigma by flux_radius", report.size)):
        lines += ["", f"| {name} | bias | error | count |", "| --- | --- | --- | --- |"]
        for i, count in enumerate(curve.count):
            bin_name = f"{curve.edges[i]:g}-{curve.edges[i + 1]:g}"
            lines.append(f"| {bin_name} | {curve.bias[i]:+.2%} | {curve.error[i]:.2%} | {count} |")
    return "\n".join(lines) + "\n"


def bias_figure(report: Report) -> Figure:
    """Show both bias curves with their errors."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    panels = (
        ("mag_auto", "flux", report.flux, 3),
        ("flux_radius [pixel]", "sigma", report.size, 6),
    )
    for axis, (condition, name, curve, bar) in zip(figure.subplots(1, 2), panels, strict=True):
        centres = 0.5 * (curve.edges[:-1] + curve.edges[1:])
        axis.axhspan(-bar, bar, color="0.9")
        axis.errorbar(centres, 100 * curve.bias, 100 * curve.error, fmt="o-")
        axis.set(xlabel=condition, ylabel=f"bias of the median HSM {name} [%]")
    return figure


def write_report(report: Report, folder: pathlib.Path) -> None:
    """Save report.md and bias.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.md").write_text(markdown(report))
    bias_figure(report).savefig(folder / "bias.png", dpi=90)


def _row(quantity: str, value: str, bar: str) -> dict[str, str]:
    return {"quantity": quantity, "value": value, "bar": bar}
