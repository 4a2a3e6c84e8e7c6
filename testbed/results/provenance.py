"""Where numbers come from: the code and the libraries that made them, machine and time."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping

from attrs import field, frozen

import testbed
from testbed.contract.cells import Cell
from testbed.planning.code import DISTRIBUTION
from testbed.planning.keys import origin_of_cell
from testbed.planning.origin import Origin

WRITERS = ("xarray", "netCDF4")  # what writes the file; numbers do not depend on it


@frozen
class Made:
    """What made the numbers of a result.

    `stale` holds the keys of cells whose code has changed since, each with what changed.
    """

    origins: tuple[Origin, ...] = ()
    stale: Mapping[str, str] = field(factory=dict, hash=False)

    def source(self) -> str:
        """Versions of Python, the distributions whose code made the numbers, and the libraries
        below. A name with several versions has made some numbers with each."""
        versions: dict[str, dict[str, None]] = {}
        for origin in self.origins:
            for name, version in {**origin.distributions, **origin.libraries}.items():
                versions.setdefault(name, {})[version] = None
        versions.setdefault("python", {platform.python_version(): None})
        core = versions.pop(DISTRIBUTION, {testbed.__version__: None})
        told = [("python", versions.pop("python")), ("testbed", core), *sorted(versions.items())]
        texts = [f"{name} {' and '.join(several)}" for name, several in told]
        return ", ".join(texts + [f"{name} {_version(name)}" for name in WRITERS])

    def stale_text(self) -> str:
        """How many cells are stale, and what changed; empty if none is."""
        if not self.stale:
            return ""
        changes = "; ".join(dict.fromkeys(self.stale.values()))
        return f"{len(self.stale)} cells come from code that has changed since: {changes}"


def made_here(cells: Iterable[Cell]) -> Made:
    """What makes these cells in this process."""
    origins = {origin.digest(): origin for origin in map(origin_of_cell, cells)}
    return Made(tuple(origins.values()))


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def machine() -> str:
    """Kind of machine, without names of hosts or people."""
    return f"{platform.system()} {platform.machine()}, byte order {sys.byteorder}"


def digest(text: str) -> str:
    """SHA-256 of a scenario's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def history(scenario: str) -> str:
    """A line for the CF attribute `history`."""
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{now}: testbed run {scenario}"
