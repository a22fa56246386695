"""Pictures of a validation."""

import numpy as np
from matplotlib.figure import Figure

from .measure import Table
from .morphology import central
from .population import EDGES, GINI_M20_RANGES, UNITS, column, curves

PANELS = ("flux", "g", "sigma", "rho4", "M", "I", "D", "gini", "m20")
LOGARITHMIC = ("flux", "sigma")
KINDS = {"data": "black", "generated": "tab:blue", "sersic": "tab:orange"}


def bias_figure(data: Table, generated: Table, sersic: Table) -> Figure:
    """Show the bias of flux and size against each condition, with errors."""
    figure = Figure(figsize=(12, 6), layout="constrained")
    axes = figure.subplots(2, len(EDGES), sharey="row")
    for label, table in (("generated", generated), ("sersic", sersic)):
        found = curves(data, table)
        for axis, ((name, condition), curve) in zip(axes.flat, found.items(), strict=True):
            centres = 0.5 * (curve.edges[:-1] + curve.edges[1:])
            axis.axhline(0.0, color="0.8", zorder=0)
            axis.errorbar(
                centres,
                100 * curve.bias,
                100 * curve.error,
                fmt="o-",
                ms=3,
                color=KINDS[label],
                label=label,
            )
            axis.set(xlabel=condition + UNITS[condition].replace(" px", " [pixel]"))
            axis.set(ylabel=f"bias of the median {name} [%]")
    axes[0, 0].legend()
    return figure


def distribution_figure(data: Table, generated: Table, sersic: Table) -> Figure:
    """Show the distributions of the measured quantities."""
    figure = Figure(figsize=(12, 9), layout="constrained")
    tables = {"data": data, "generated": generated, "sersic": sersic}
    for axis, name in zip(figure.subplots(3, 3).flat, PANELS, strict=True):
        columns = {kind: column(table, name) for kind, table in tables.items()}
        if name in LOGARITHMIC:
            columns = {k: np.log10(np.where(v > 0, v, np.nan)) for k, v in columns.items()}
        columns = {k: v[np.isfinite(v)] for k, v in columns.items()}
        axis.set(xlabel=f"log10 {name}" if name in LOGARITHMIC else name)
        if not len(columns["data"]):
            continue
        bins = np.linspace(*np.percentile(columns["data"], [0.5, 99.5]), 31)
        for kind, values in columns.items():
            if len(values):
                weights = np.full(len(values), 1.0 / len(values))
                axis.hist(
                    values, bins, weights=weights, histtype="step", color=KINDS[kind], label=kind
                )
    figure.axes[0].legend()
    return figure


def gini_m20_figure(data: Table, generated: Table, sersic: Table) -> Figure:
    """Show the three populations in the Gini-M20 plane, in the bins of the total variation."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    tables = {"data": data, "generated": generated, "sersic": sersic}
    for axis, (kind, table) in zip(figure.subplots(1, 3), tables.items(), strict=True):
        axis.hist2d(table["m20"], table["gini"], bins=32, range=GINI_M20_RANGES[::-1], cmap="magma")
        axis.set(title=kind, xlabel="M20", ylabel="Gini")
        axis.invert_xaxis()
    return figure


def real_figure(results: list, rows: int = 10) -> Figure:
    """Show the first real stamps, the module's model of each, and every model's residual.

    Images are stretched by an asinh of the noise; residuals go from -5 to 5 of the data's scatter.
    """
    results = results[:rows]
    names = ("refined", "sersic", "bulge+disk")
    figure = Figure(figsize=(7.5, 1.5 * max(len(results), 1)), layout="constrained")
    axes = figure.subplots(max(len(results), 1), 5, squeeze=False)
    for line, result in zip(axes, results, strict=False):
        noise = 1.4826 * np.median(np.abs(result.image - np.median(result.image)))
        shown = [result.image, result.models["refined"]]
        residuals = [result.image - result.models[name] for name in names]
        for axis, image in zip(line[:2], shown, strict=True):
            axis.imshow(np.arcsinh(central(image) / (3 * noise)), cmap="gray", origin="lower")
        for axis, image, name in zip(line[2:], residuals, names, strict=True):
            axis.imshow(central(image) / noise, cmap="RdBu_r", vmin=-5, vmax=5, origin="lower")
            axis.set_xlabel(f"chi2 {result.chi2[name]:.2f}", fontsize=7)
        line[0].set_ylabel(str(result.ident), fontsize=7)
    for axis, title in zip(axes[0], ("data", "refined", *(f"- {n}" for n in names)), strict=True):
        axis.set_title(title, fontsize=8)
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    return figure
