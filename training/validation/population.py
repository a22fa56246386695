"""The paper's protocol: three populations of stamps at the same conditions, PSFs and noise levels.

Source: Lanusse et al. 2021 (arXiv:2008.03833), section 5.
"""

import functools

import numpy as np

from ..data.pipeline import flux_of
from . import distances
from .bias import BiasCurve, bias_curve
from .measure import BORDER, Table
from .part import Part, Quantity

EDGES = {
    "mag_auto": np.array([20.0, 20.5, 21.5, 22.5, 23.0, 23.5, 24.0, 24.5, 25.0]),
    "flux_radius": np.array([4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 16.0]),
    "zphot": np.array([0.05, 0.3, 0.5, 0.7, 0.9, 1.2, 1.6, 2.4, 4.0]),
}
WORST_FROM = {"mag_auto": 20.5, "flux_radius": 4.0}  # brighter, a bin holds too few to judge
UNITS = {"mag_auto": "", "flux_radius": " px", "zphot": ""}
DISTANCES = ("flux", "g", "sigma", "rho4", "M", "I", "D", "gini", "m20", "C", "A")
GINI_M20_RANGES = ((0.3, 0.7), (-2.8, -0.5))
SIZE_BINS = 20  # quantiles of flux_radius in which the scatter of size is taken


def population_part(data: Table, generated: Table, sersic: Table, split: str) -> Part:
    """Compare generated and Sersic stamps with the data's."""
    quantities = [
        *_bias_quantities(data, generated, sersic),
        *(_ks_quantity(name, data, generated, sersic) for name in DISTANCES),
        _gini_m20(data, generated, sersic),
        Quantity(
            "size_scatter",
            "scatter of size at fixed condition",
            size_scatter(generated),
            sersic=size_scatter(sersic),
            style=".1%",
        ),
        Quantity(
            "border",
            f"largest share of flux within {BORDER} px of the border",
            float(np.nanmax(generated["border"])),
            style=".4%",
        ),
        *_failures(data, generated, sersic),
    ]
    protocol = _protocol(data, sersic, split)
    return Part("population", protocol, quantities, _details(data, generated, sersic))


def column(table: Table, name: str) -> np.ndarray:
    """Return a measured column, or the ellipticity |g|."""
    return np.hypot(table["g1"], table["g2"]) if name == "g" else table[name]


def curves(data: Table, table: Table) -> dict[tuple[str, str], BiasCurve]:
    """Return the bias curves of flux and size against every condition, by (quantity, condition).

    Flux is taken relative to what the magnitude says and size (HSM sigma) relative to flux_radius.
    """
    relative = {
        "flux": lambda t: t["flux"] / flux_of(t["mag_auto"]).numpy(),
        "size": lambda t: t["sigma"] / t["flux_radius"],
    }
    return {
        (name, condition): bias_curve(ratio(table), ratio(data), data[condition], edges)
        for name, ratio in relative.items()
        for condition, edges in EDGES.items()
    }


def size_scatter(table: Table) -> float:
    """Return the scatter of size at fixed condition, as a robust standard deviation of a logarithm.

    Size is the half-light radius of the noiseless stamp behind the PSF, which is what flux_radius
    measures on real images. In each of 20 quantile bins of flux_radius the spread of ln(size /
    flux_radius) is half the interval from the 16th to the 84th percentile; the figure is the mean
    of the bins, weighted by their galaxies.
    """
    good = np.isfinite(table["half_light_radius"]) & (table["half_light_radius"] > 0)
    ratio = np.log(table["half_light_radius"][good] / table["flux_radius"][good])
    order = np.argsort(table["flux_radius"][good])
    bins = [b for b in np.array_split(ratio[order], SIZE_BINS) if len(b) > 1]
    if not bins:
        return np.nan
    spreads = [0.5 * np.subtract(*np.percentile(b, [84.13, 15.87])) for b in bins]
    return float(np.average(spreads, weights=[len(b) for b in bins]))


def _bias_quantities(data: Table, generated: Table, sersic: Table) -> list[Quantity]:
    mine, rival = curves(data, generated), curves(data, sersic)
    quantities = []
    for name, condition in (("flux", "mag_auto"), ("size", "flux_radius")):
        key, edges = (name, condition), EDGES[condition]
        first = WORST_FROM[condition]
        worst = [curve[key].worst(first) for curve in (mine, rival)]
        whole = [curve[key].whole for curve in (mine, rival)]
        for kind, pick, low, (found, other) in (
            ("worst", "worst bin", first, worst),
            ("whole", "all galaxies", edges[0], whole),
        ):
            where = f"{condition} {low:g}-{edges[-1]:g}{UNITS[condition]}"
            quantities.append(
                Quantity(
                    f"{name}_bias_{kind}",
                    f"median {name} bias, {pick}, {where}",
                    found.value,
                    found.error,
                    other.value,
                    "+.1%",
                )
            )
    return quantities


def _ks_quantity(name: str, data: Table, generated: Table, sersic: Table) -> Quantity:
    truth, mine = column(data, name), column(generated, name)
    return Quantity(
        f"ks_{name}",
        f"KS distance of {name}",
        distances.ks(mine, truth),
        distances.bootstrap_error(distances.ks, mine, truth),
        distances.ks(column(sersic, name), truth),
    )


def _gini_m20(data: Table, generated: Table, sersic: Table) -> Quantity:
    points = [np.stack([t["gini"], t["m20"]], axis=1) for t in (data, generated, sersic)]
    variation = functools.partial(distances.total_variation, ranges=GINI_M20_RANGES)
    floor = distances.noise_floor(variation, points[1], points[0])
    return Quantity(
        "gini_m20",
        f"total variation of Gini-M20, 32x32 bins (sampling noise alone {floor:.3f})",
        variation(points[1], points[0]),
        distances.bootstrap_error(variation, points[1], points[0]),
        variation(points[2], points[0]),
    )


def _failures(data: Table, generated: Table, sersic: Table) -> list[Quantity]:
    def rate(table: Table, name: str) -> float:
        tried = min(table["tried"][0], len(table["flux"])) if name == "gini" else len(table["flux"])
        return float(np.isnan(table[name][: int(tried)]).mean()) if tried else np.nan

    return [
        Quantity(
            f"failures_{method}",
            f"failure rate of {method} (data: {rate(data, name):.1%})",
            rate(generated, name),
            sersic=rate(sersic, name),
            style=".1%",
        )
        for method, name in (("HSM", "flux"), ("statmorph", "gini"))
    ]


def _protocol(data: Table, sersic: Table, split: str) -> str:
    count, tried, rival = len(data["flux"]), int(data["tried"][0]), int(sersic["tried"][0])
    critical = distances.ks_critical(tried, tried) if tried else np.nan
    morphology, noise = f"{tried:,} for morphology", f"{critical:.3f} for morphology"
    if rival < tried:
        morphology += f", {rival:,} of the Sersic fits"
    if 0 < rival < tried:
        noise += f", {distances.ks_critical(tried, rival):.3f} for that of the Sersic fits"
    return (
        f"{count:,} galaxies at the conditions of the {split} split ({morphology}); "
        "data, generated galaxies and single-Sersic fits with the same PSFs and noise levels. HSM "
        "adaptive moments on 128 px; statmorph on the central 64 px. Bias is that of the median of "
        "flux relative to the magnitude's, of HSM sigma relative to flux_radius. Errors by "
        f"bootstrap. Two samples of one population exceed a KS distance of "
        f"{distances.ks_critical(count, count):.3f} ({noise}) in 5% of cases."
    )


def _details(data: Table, generated: Table, sersic: Table) -> str:
    lines = ["| distribution | Wasserstein, generated | error | Wasserstein, Sersic |"]
    lines.append("| --- | --- | --- | --- |")
    for name in DISTANCES:
        mine, rival, truth = (column(t, name) for t in (generated, sersic, data))
        error = distances.bootstrap_error(distances.wasserstein, mine, truth)
        lines.append(
            f"| {name} | {distances.wasserstein(mine, truth):.3f} | {error:.3f} "
            f"| {distances.wasserstein(rival, truth):.3f} |"
        )
    lines += ["", "Wasserstein distances are in standard deviations of the data."]
    for (name, condition), curve in curves(data, generated).items():
        lines += [
            "",
            f"| {name} by {condition} | bias | error | count |",
            "| --- | --- | --- | --- |",
        ]
        for i, count in enumerate(curve.count):
            bin_name = f"{curve.edges[i]:g}-{curve.edges[i + 1]:g}"
            shown = f"{curve.bias[i]:+.2%} | {curve.error[i]:.2%}"
            lines.append(
                f"| {bin_name} | {shown if np.isfinite(curve.bias[i]) else ' | '} | {count} |"
            )
    return "\n".join(lines) + "\n"
