"""The page of an ablation: prose by hand, and between two lines what the figures say.

The figures lie beside the page as JSON, so that the page can be checked where nothing was trained.
"""

import json
import pathlib

from ..config import AblationConfig, VariantConfig
from ..errors import ConfigError
from ..validation.distances import ks_critical
from .variants import chosen, identity_of

BEGIN, END = "<!-- figures: written by training ablate -->", "<!-- end of figures -->"
COLUMNS = {
    "ks_flux": "flux",
    "ks_g": "g",
    "ks_sigma": "sigma",
    "ks_rho4": "rho4",
    "loss": "loss [nat]",
    "memorisation": "memorisation",
}
STYLES = {"loss": ".2f", "memorisation": "+.3f", "own_half": "+.3f", "own_half_held_out": "+.3f"}


def write_page(config: AblationConfig, figures: dict) -> None:
    """Write the figures beside the page and what they say into it.

    Raises
    ------
    ConfigError
        If there is no page, or it lacks the two lines.
    """
    page = pathlib.Path(config.page)
    text = with_block(config, read_page(page), figures)
    figures_file(page).write_text(json.dumps(figures, indent=1) + "\n")
    page.write_text(text)


def check_page(config: AblationConfig) -> None:
    """Compare the page with its figures, and the figures with the recipe.

    Raises
    ------
    ConfigError
        If the page is stale or not there.
    """
    page = pathlib.Path(config.page)
    chosen(config, None)
    if not figures_file(page).is_file():
        raise ConfigError(f"No figures at {figures_file(page)}: run 'python -m training ablate'.")
    figures = json.loads(figures_file(page).read_text())
    mine = {variant.name: identity_of(config, variant) for variant in config.variants}
    stale = sorted(
        name for name, row in figures["variants"].items() if row["identity"] != mine.get(name)
    )
    if stale:
        raise ConfigError(
            f"The figures in {figures_file(page)} of {stale} are of another recipe: run "
            "'python -m training ablate'."
        )
    text = read_page(page)
    if with_block(config, text, figures) != text:
        raise ConfigError(
            f"{page} does not say what {figures_file(page)} does: run 'python -m training ablate'."
        )


def figures_file(page: pathlib.Path) -> pathlib.Path:
    """Return where the figures of a page lie."""
    return page.with_suffix(".json")


def read_page(page: pathlib.Path) -> str:
    """Return the text of a page that has a place for figures."""
    text = page.read_text() if page.is_file() else ""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ConfigError(f"{page} must be a page with the lines {BEGIN!r} and then {END!r}.")
    return text


def with_block(config: AblationConfig, text: str, figures: dict) -> str:
    """Return a page with what the figures say between the two lines."""
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    lines = [BEGIN, "", *protocol(config, figures), "", *table(config, figures)]
    if figures["pairs"]:
        lines += ["", *pair_table(figures)]
    if halves := half_table(figures):
        lines += ["", *halves]
    return before + "\n".join([*lines, "", END]) + after


def protocol(config: AblationConfig, figures: dict) -> list[str]:
    """Say how small it all is."""
    base, count = config.base, figures["validation"]
    rows = figures["variants"].values()
    failures = max((row["failures"] for row in rows), default=0.0)
    trained = max((row["train"] for row in rows), default=0)
    critical = ks_critical(count, config.draws * count)
    return [
        f"Each variant: {base.fit_vae.steps:,} steps of {base.fit_vae.batch} for the auto-encoder, "
        f"{base.fit_flow.steps:,} of {base.fit_flow.batch} for the flow, on {trained:,} galaxies "
        f"of {base.data.stamp_size} x {base.data.stamp_size} pixels, if nothing else is said; "
        f"measured at the conditions of {count:,} validation galaxies, {config.draws} galaxies "
        f"drawn at each. HSM failed on {failures:.1%} of the generated stamps at most. Two samples "
        f"of these sizes of one population exceed a KS distance of {critical:.3f} in 5% of cases."
    ]


def table(config: AblationConfig, figures: dict) -> list[str]:
    """Return a line for each variant, of those too that are not measured yet."""
    lines = [
        f"| variant | what differs | {' | '.join(COLUMNS.values())} |",
        "| --- " * (len(COLUMNS) + 2) + "|",
    ]
    return lines + [
        f"| {variant.name} | {variant.text} | {' | '.join(cells(variant, figures))} |"
        for variant in config.variants
    ]


def cells(variant: VariantConfig, figures: dict) -> list[str]:
    """Return the cells of a variant."""
    row = figures["variants"].get(variant.name)
    if row is None:
        return ["not measured yet", *[""] * (len(COLUMNS) - 1)]
    return [shown(key, row["values"][key]) for key in COLUMNS]


def pair_table(figures: dict) -> list[str]:
    """Return the KS distances between variants that should generate one population."""
    names = [key for key in COLUMNS if key.startswith("ks_")]
    lines = [
        f"| between | {' | '.join(COLUMNS[name] for name in names)} |",
        "| --- " * (len(names) + 1) + "|",
    ]
    for pair, values in figures["pairs"].items():
        lines.append(f"| {pair} | {' | '.join(shown(n, values[n]) for n in names)} |")
    return lines


def half_table(figures: dict) -> list[str]:
    """Return how much nearer each half's model is to its own half than to the other."""
    halves = {n: row for n, row in figures["variants"].items() if "own_half" in row["values"]}
    if not halves:
        return []
    lines = ["| trained on | galaxies | generated | held out |", "| --- | --- | --- | --- |"]
    for name, row in halves.items():
        found = [shown(key, row["values"][key]) for key in ("own_half", "own_half_held_out")]
        lines.append(f"| {name} | {row['train']:,} | {' | '.join(found)} |")
    return lines


def shown(key: str, value: tuple[float, float]) -> str:
    """Return a value and its error as text."""
    style = STYLES.get(key, ".3f")
    return f"{value[0]:{style}} ± {value[1]:{style.lstrip('+')}}"
