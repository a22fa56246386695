"""Hand GalSim's workers objects in blocks, so that what a worker makes ahead it draws itself.

With several processes GalSim gives each object to whichever worker is free. A galaxy made ahead
would then be made by one worker and drawn by another, which makes it again. So an input whose
galaxies are made ahead turns the stamp type ``Basic`` of its configuration into one that differs in
this alone.
"""

from __future__ import annotations

from typing import Any

from galsim.config import InputLoader, ParseValue, RegisterStampType, StampBuilder
from galsim.config.util import UpdateNProc

from .lookahead import MAX_AHEAD

__all__ = ["AheadLoader", "register"]

_STAMP_TYPE = "BasicInBlocks"


class AheadLoader(InputLoader):  # type: ignore[misc, unused-ignore]
    """Load an input whose galaxies are made ahead."""

    def initialize(
        self, input_objs: list[Any], num: int, base: dict[str, Any], logger: Any
    ) -> None:
        """Let the stamps of a configuration be built in blocks, unless their type is not Basic."""
        stamp = base.setdefault("stamp", {})
        if isinstance(stamp, dict) and stamp.get("type", "Basic") == "Basic":
            stamp["type"] = _STAMP_TYPE


class _BlockBuilder(StampBuilder):  # type: ignore[misc, unused-ignore]
    """Build Basic stamps, those of consecutive objects in one process."""

    def makeTasks(  # noqa: N802 (GalSim's name)
        self, config: dict[str, Any], base: dict[str, Any], jobs: list[Any], logger: Any
    ) -> list[list[tuple[Any, int]]]:
        """Join jobs to tasks of as many as are made at once, if there are enough for everyone."""
        nproc = 1
        if "nproc" in base.get("image", {}):
            nproc = ParseValue(base["image"], "nproc", base, int)[0]
        nproc = UpdateNProc(nproc, len(jobs), base, logger)
        # Fewer tasks than processes would leave one waiting: GalSim's queue has a place a task.
        size = min(MAX_AHEAD + 1, len(jobs) // nproc)
        numbered = [(job, k) for k, job in enumerate(jobs)]
        return [numbered[start : start + size] for start in range(0, len(jobs), size)]


def register() -> None:
    """Teach GalSim's configuration files the stamp type."""
    RegisterStampType(_STAMP_TYPE, _BlockBuilder())
