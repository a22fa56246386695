"""The command ``galsim-hub``: one verb, one file.

A verb is a module with ``add_arguments(parser)`` and ``run(args) -> int``; its docstring's
first line is its help. What a verb finds goes to stdout, what happens meanwhile to stderr.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Sequence

import galsim

from ..errors import GalSimHubError
from . import (
    cache,
    check,
    cite,
    download,
    index,
    info,
    launch,
    list,
    massmap,
    new,
    sample,
    validate,
    verify,
)
from .text import say

__all__ = ["FAULT_FOUND", "INTERRUPTED", "UNABLE", "main"]

FAULT_FOUND = 1
UNABLE = 3
INTERRUPTED = 130  # as of a shell's own
_EXIT_CODES = f"""exit codes:
  0  done, and what was looked at is sound
  {FAULT_FOUND}  done, and a fault was found (verify, validate, check, index --check), or a process
     failed (launch)
  2  the command line cannot be understood
  {UNABLE}  it cannot be done: no such module, bad condition, no network ...; stderr says why
  {INTERRUPTED}  interrupted
"""
_VERBS = (
    list,
    info,
    download,
    verify,
    sample,
    massmap,
    validate,
    cite,
    new,
    check,
    index,
    cache,
    launch,
)
# Packages that are not installed with galsim_hub itself.
_OPTIONAL = ("matplotlib",)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; errors made for people are printed without a traceback.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments, those of the process by default.

    Returns
    -------
    int
        The exit code.
    """
    _settle_streams()
    args = _parse(argv)
    with warnings.catch_warnings():
        warnings.simplefilter("always", galsim.GalSimWarning)
        warnings.showwarning = _show_warning
        try:
            code = int(args.run(args))
            sys.stdout.flush()  # here, where a reader that has gone is no error
            return code
        except (GalSimHubError, OSError) as error:
            return _explain(error)
        except ModuleNotFoundError as error:
            if error.name not in _OPTIONAL:
                raise
            say(f"error: this needs {error.name}; install it: pip install {error.name}")
            return UNABLE
        except KeyboardInterrupt:
            return INTERRUPTED


def _settle_streams() -> None:
    """Make sure that what is printed goes somewhere, and is no error of its own."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for the whole process)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows ASCII alone


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    args, rest = parser.parse_known_args(argv)
    # argparse takes a verb's loose words up to the first option only; conditions may follow one.
    if rest and (not hasattr(args, "conditions") or any(word[0] == "-" for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.conditions += rest
    return args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="galsim-hub",
        description="Learned galaxies for GalSim: find, check, draw and contribute modules.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in _VERBS:
        name = verb.__name__.rpartition(".")[2]
        summary = (verb.__doc__ or "").splitlines()[0]
        sub = verbs.add_parser(name, help=summary, description=verb.__doc__)
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        verb.add_arguments(sub)
        sub.set_defaults(run=verb.run)
    return parser


def _explain(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):
        # The reader has seen enough (`| head`); Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    say(f"error: {error}")
    return UNABLE


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    say(f"warning: {message}")
