"""say what to cite for a module.

galsim-hub cite hub:cosmos --bibtex >> paper.bib
"""

from __future__ import annotations

import argparse
import re

from ..legacy import describe
from ..registry import locate
from ..spec import ModuleSpec
from .text import print_json

__all__ = ["add_arguments", "run"]

_ARXIV = re.compile(r"arXiv:(?P<number>\d{4}\.\d{4,5})")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("module", help="hub:NAME, hub:NAME@VERSION, or a folder")
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--bibtex", action="store_true", help="print BibTeX entries")
    style.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print the module itself and what its card asks to be cited.

    Parameters
    ----------
    args : argparse.Namespace

    Returns
    -------
    int
        The exit code.
    """
    spec = describe(locate(args.module).folder)
    references = [_describe(spec), *spec.cite]
    if args.json:
        print_json(references)
    elif args.bibtex:
        print("\n\n".join(_bibtex(spec, number, text) for number, text in enumerate(references)))
    else:
        print("\n".join(references))
    return 0


def _describe(spec: ModuleSpec) -> str:
    authors = ", ".join(spec.authors)
    return (
        f"{authors} {spec.created[:4]}, {spec.label}: {spec.summary} (galsim_hub module, sha256 "
        f"{spec.sha256[:16]})"
    )


def _bibtex(spec: ModuleSpec, number: int, text: str) -> str:
    # A card's references are text for people, so they are notes, never guessed apart into fields.
    fields = {"note": text}
    if number == 0:
        authors = " and ".join(f"{{{author}}}" for author in spec.authors)
        fields = {"author": authors, "title": spec.summary, "year": spec.created[:4], **fields}
    arxiv = _ARXIV.search(text)
    if arxiv:
        fields |= {"eprint": arxiv["number"], "archivePrefix": "arXiv"}
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@misc{{{spec.name}_{spec.version}_{number},\n{lines}}}"
