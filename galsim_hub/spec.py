"""What a module promises: its card, read, checked and frozen.

A module is a folder; its ``card.md`` starts with YAML front matter that names the
module's kind, inputs (units, trained ranges), stamp, pixel size and the sha256 of every
file that decides its output. Reach for `read_spec` to learn what a module is without
starting an inference engine.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
import importlib.resources
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import CardError, CorruptedModuleError, UnsupportedModuleError
from .hashing import hash_file
from .safety import is_safe_path

__all__ = ["CARD_NAME", "SPEC_VERSION", "InputSpec", "ModuleSpec", "read_spec"]

CARD_NAME = "card.md"
SPEC_VERSION = 1
_MOST_BYTES = 1 << 20
_REMEDY = "Fetch the module again; 'galsim-hub cache prune' deletes a damaged one from the cache."
_FRONT_MATTER = re.compile(r"---\n(?P<yaml>.*?\n)---\s*(\n|$)", re.DOTALL)


@dataclass(frozen=True)
class InputSpec:
    """Describe one condition of a module.

    Attributes
    ----------
    name, unit, description : str
        The condition; an empty unit means dimensionless.
    minimum, maximum : float
        The range it was trained on [unit].
    """

    name: str
    unit: str
    minimum: float
    maximum: float
    description: str = ""

    @property
    def range_text(self) -> str:
        """Spell the trained range with its unit, for messages."""
        return f"{self.minimum:g} to {self.maximum:g} {self.unit}".rstrip()

    def at(self, fraction: float) -> float:
        """Give the value at a fraction of the trained range.

        Parameters
        ----------
        fraction : float
            From 0, the minimum, to 1, the maximum.

        Returns
        -------
        float
            Counted in the logarithm where the range is positive and spans a factor of 4.

        Examples
        --------
        >>> InputSpec("size", "pixel", 1.0, 100.0).at(0.5)
        10.0
        >>> InputSpec("magnitude", "mag", 20.0, 24.0).at(0.5)
        22.0
        """
        if self.minimum > 0 and self.maximum > 4 * self.minimum:
            return float(self.minimum * (self.maximum / self.minimum) ** fraction)
        return self.minimum + fraction * (self.maximum - self.minimum)


@dataclass(frozen=True)
class ModuleSpec:
    """Hold what a module's card promises.

    Attributes
    ----------
    name, kind, summary, licence, created : str
        Who the module is; `kind` decides which class can use it.
    version : int
        The module's version; a released version never changes.
    inputs : tuple of InputSpec
        The conditions, in the order in which they identify a galaxy.
    random_name : str or None
        The input that takes standard normals, None for a deterministic module.
    random_size : int
        How many normals one galaxy takes.
    latent_size : int or None
        The length of a latent code, None without ``encode`` and ``decode``.
    stamp_size, psf_size : int or None
        Sides of the square images and PSFs [pixels].
    bands : tuple of str
        What the last axis of an image counts; empty if it has none.
    pixel_size : float or None
        Side of a pixel [arcsec].
    signatures : tuple of str
        What the module can be asked to compute.
    files : mapping of str to str
        The sha256 of every file that decides the module's output.
    light : mapping of str to tuple of str
        For the signatures that run without TensorFlow: their files, in order.
    prior : mapping
        What a score prior takes: event_shape, std and sigma, and where there are any multiple_of,
        power, smoothing and density_sigma.
    flux, golden, training, fidelity : mapping
        The card's free-form parts.
    """

    name: str
    version: int
    kind: str
    summary: str
    licence: str
    created: str
    authors: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    random_name: str | None
    random_size: int
    signatures: tuple[str, ...]
    files: Mapping[str, str]
    latent_size: int | None = None
    stamp_size: int | None = None
    pixel_size: float | None = None
    psf_size: int | None = None
    bands: tuple[str, ...] = ()
    cite: tuple[str, ...] = ()
    light: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    prior: Mapping[str, Any] = field(default_factory=dict)
    flux: Mapping[str, Any] = field(default_factory=dict)
    golden: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    fidelity: Mapping[str, Any] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """Name the module and its version, ``cosmos@1``."""
        return f"{self.name}@{self.version}"

    @property
    def quantities(self) -> tuple[str, ...]:
        """Name the conditions, in order."""
        return tuple(condition.name for condition in self.inputs)

    @functools.cached_property
    def sha256(self) -> str:
        """Identify the module by the content of its files.

        The sha256 of the canonical JSON (sorted keys, no spaces) of `files`.
        """
        canonical = json.dumps(dict(self.files), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def without(self, names: Iterable[str]) -> ModuleSpec:
        """Leave out conditions that are not asked for.

        Parameters
        ----------
        names : iterable of str

        Returns
        -------
        ModuleSpec
        """
        left_out = set(names)
        asked = tuple(condition for condition in self.inputs if condition.name not in left_out)
        return dataclasses.replace(self, inputs=asked) if left_out else self

    def require_kind(self, kind: str, address: str) -> None:
        """Check that a class can use the module.

        Parameters
        ----------
        kind : str
            What the class is for.
        address : str
            Where the module is from, for the message.

        Raises
        ------
        UnsupportedModuleError
            If the module is of another kind.
        """
        if self.kind != kind:
            raise UnsupportedModuleError(
                f"Module {address} is of kind {self.kind!r}, expected {kind!r}. "
                "Use galsim_hub.load, which picks the class by the kind.",
                address,
                kind,
            )

    def verify(self, folder: Path) -> None:
        """Check that a folder holds the files that the card describes, unchanged.

        Parameters
        ----------
        folder : pathlib.Path
            The module's folder.

        Raises
        ------
        CorruptedModuleError
            If a file is missing or its sha256 differs.
        """
        for name, expected in self.files.items():
            _verify_file(folder / name, expected)


def _verify_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise CorruptedModuleError(
            f"Module file {path} is missing. Expected a file of sha256 {expected}. {_REMEDY}",
            str(path),
            expected,
        )
    got = hash_file(path)
    if got != expected:
        raise CorruptedModuleError(
            f"Module file {path} is truncated or changed: its sha256 is {got}, the card "
            f"promises {expected}. {_REMEDY}",
            str(path),
            expected,
            got,
        )


def read_spec(folder: Path) -> ModuleSpec:
    """Read and check the card of the module in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        The module's folder.

    Returns
    -------
    ModuleSpec

    Raises
    ------
    CardError
        If the card is missing, is not valid, or is of a newer specification.
    """
    path = Path(folder) / CARD_NAME
    if not path.is_file():
        raise CardError(
            f"Folder {folder} has no {CARD_NAME}, so it is not a hub module. Expected the card "
            "beside saved_model.pb; give the folder of one version, such as "
            "hub_modules/cosmos/1.",
            str(path),
        )
    status = path.stat()
    return _read_card(path, status.st_mtime_ns, status.st_size)


# Unpickling a galaxy reads its module's card: the time stamp keeps that cheap and safe.
@functools.lru_cache(maxsize=64)
def _read_card(path: Path, mtime_ns: int, size: int) -> ModuleSpec:
    card = _front_matter(path)
    _check_spec_version(card, path)
    _check_schema(card, path)
    _check_paths(card, path)
    return _from_card(card)


class _CardLoader(yaml.SafeLoader):
    """Refuse references: a few of them can spell more text than fits into memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it holds a reference ('*'); write things out")
        return super().compose_node(parent, index)


def _front_matter(path: Path) -> dict[str, Any]:
    match = _FRONT_MATTER.match(_read_text(path))
    if match is None:
        raise CardError(
            f"Card {path} has no YAML front matter. Expected it to start with a line '---', "
            "then YAML, then another line '---'.",
            str(path),
        )
    try:
        card = yaml.load(match["yaml"], _CardLoader)
    # The constructors of dates and numbers raise what they like.
    except (yaml.YAMLError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise CardError(
            f"Card {path} is not valid YAML: {error}. Correct it.", str(path)
        ) from error
    if not isinstance(card, dict):
        raise CardError(f"Card {path} is not a YAML mapping: got {card!r:.200}.", str(path))
    if isinstance(card.get("created"), dt.date):
        card["created"] = card["created"].isoformat()
    return card


def _read_text(path: Path) -> str:
    if path.stat().st_size > _MOST_BYTES:
        raise CardError(f"Card {path} has more than {_MOST_BYTES} bytes. Shorten it.", str(path))
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise CardError(f"Card {path} is not UTF-8: {error}. Save it so.", str(path)) from error


def _check_spec_version(card: Mapping[str, Any], path: Path) -> None:
    version = card.get("spec_version")
    if isinstance(version, int) and SPEC_VERSION < version < 1 << 64:  # beyond: too long to print
        raise CardError(
            f"Card {path} is of specification {version}; this galsim_hub reads up to "
            f"{SPEC_VERSION}. Update galsim_hub, or choose an older version of the module.",
            str(path),
            "spec_version",
        )


def _check_schema(card: Mapping[str, Any], path: Path) -> None:
    import jsonschema  # here: 0.1 s that `import galsim_hub` must not take

    errors = jsonschema.Draft202012Validator(_schema()).iter_errors(card)
    try:
        error = jsonschema.exceptions.best_match(errors)
    except (TypeError, ValueError) as strange:  # a name that is no text, a number of 5,000 digits
        raise CardError(
            f"Card {path} cannot be checked ({str(strange)[:200]}): write names as texts, and "
            "numbers short.",
            str(path),
        ) from strange
    if error is not None:
        place = ".".join(map(str, error.absolute_path)) or "(top level)"
        raise CardError(
            f"Card {path} is not valid at {place}: {error.message:.500}. Correct the card; "
            f"galsim_hub/schema/card-{SPEC_VERSION}.json lists what it must hold.",
            str(path),
            place,
        )


def _check_paths(card: Mapping[str, Any], path: Path) -> None:
    golden = card.get("golden", {})
    for name in (*card["files"], *([golden["file"]] if golden else [])):
        if not is_safe_path(name):
            raise CardError(
                f"Card {path} names the file {name!r}, outside its folder or oddly named. Use "
                "letters, digits and '_.+-', with forward slashes between folders.",
                str(path),
                "files",
            )


@functools.cache
def _schema() -> dict[str, Any]:
    schemas = importlib.resources.files(__package__) / "schema"
    text = (schemas / f"card-{SPEC_VERSION}.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


def _from_card(card: Mapping[str, Any]) -> ModuleSpec:
    random_input = card["random_input"] or {"name": None, "size": 0}
    return ModuleSpec(
        name=card["name"],
        version=card["version"],
        kind=card["kind"],
        summary=card["summary"],
        licence=card["licence"],
        created=card["created"],
        authors=tuple(card["authors"]),
        cite=tuple(card.get("cite", ())),
        inputs=tuple(InputSpec(**condition) for condition in card["inputs"]),
        random_name=random_input["name"],
        random_size=random_input["size"],
        latent_size=card.get("latent_size"),
        stamp_size=card.get("stamp_size"),
        pixel_size=card.get("pixel_size"),
        psf_size=card.get("psf_size"),
        bands=tuple(card.get("bands", ())),
        signatures=tuple(card["signatures"]),
        files=card["files"],
        light={name: tuple(chain) for name, chain in card.get("light", {}).items()},
        prior=card.get("prior", {}),
        flux=card.get("flux") or {},
        golden=card.get("golden", {}),
        training=card.get("training", {}),
        fidelity=card.get("fidelity", {}),
    )
