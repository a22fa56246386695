"""Whole catalogues of galaxies, drawn on as many machines as there are.

Reach for `draw` when a catalogue's stamps do not fit into memory, or one machine does not suffice.
The catalogue is cut into shards of consecutive rows. A shard is drawn by one task of a Dask cluster
and appears whole or not at all, so a run that was stopped goes on where it was. A galaxy is
determined by the module, its conditions and its id; neither the number of workers nor the
partitions of the catalogue change a bit of it.

Needs the extra ``galsim-hub[scale]``, which is loaded by the call, never by the import.
"""

from __future__ import annotations

from .job import BadRow, Summary
from .run import draw

__all__ = ["BadRow", "Summary", "draw"]
