"""The origin of numbers: code, libraries, machine and time."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Hashable, Iterable, Mapping

from attrs import field, frozen

import testbed
from testbed.contract.cells import Cell
from testbed.planning.code import DISTRIBUTION
from testbed.planning.contents import contents
from testbed.planning.keys import files_of, origin_of_cell
from testbed.planning.origin import Origin

DIGITS = 16  # of a digest, in the attribute `code`
WRITERS = ("xarray", "netCDF4")  # what writes the file; numbers do not depend on it


@frozen
class Made:
    """The origins of the numbers of a result.

    `stale` holds the keys of cells whose code has changed since, each with what changed.
    """

    origins: tuple[Origin, ...] = ()
    files: Mapping[str, str] = field(factory=dict, hash=False)  # digests of data, by path
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

    def code_text(self) -> str:
        """A line `module digest` for each module that made numbers, and for each file of data."""
        lines: dict[str, dict[str, None]] = {}
        for origin in self.origins:
            for module, digest in origin.code.items():
                lines.setdefault(module, {})[digest[:DIGITS]] = None
        for path, digest in self.files.items():
            lines.setdefault(path, {})[digest[:DIGITS]] = None
        return "\n".join(f"{name} {'/'.join(several)}" for name, several in sorted(lines.items()))

    def stale_text(self) -> str:
        """The number of stale cells, and what changed; empty if no cell is stale."""
        if not self.stale:
            return ""
        changes = "; ".join(dict.fromkeys(self.stale.values()))
        return f"{len(self.stale)} cells come from code that has changed since: {changes}"


def made_here(cells: Iterable[Cell]) -> Made:
    """The origins of these cells if this process computed them."""
    cells = list(cells)
    origins = {origin.digest(): origin for origin in map(origin_of_cell, cells)}
    return Made(tuple(origins.values()), files_read(cells))


def files_read(cells: Iterable[Cell]) -> dict[str, str]:
    """Digests of the data that the cells' components read, by path."""
    parts = [part for c in cells for part in (c.design, c.target, c.model, c.optimizer)]
    distinct = {id(part): part for part in parts}
    places = dict.fromkeys(place for part in distinct.values() for place in files_of(part))
    return {str(place): contents(place) for place in places}


def differences(attributes: Mapping[Hashable, object], here: Made) -> list[str]:
    """Modules and data (by digest) and libraries (by version) of a result that differ from those
    here. Names that only one side has are left out: other cells may have needed them."""
    then, now = _lines(str(attributes.get("code", ""))), _lines(here.code_text())
    changed = [f"{name} has changed" for name in then if name in now and then[name] != now[name]]
    before, after = _versions(str(attributes.get("source", ""))), _versions(here.source())
    changed += [
        f"{name} was {before[name]}, here it is {after[name]}"
        for name in before
        if name in after and before[name] != after[name] and name not in WRITERS
    ]
    return changed


def _lines(text: str) -> dict[str, str]:
    pairs = (line.rpartition(" ") for line in text.splitlines())
    return {name: digest for name, _, digest in pairs}


def _versions(source: str) -> dict[str, str]:
    pairs = (part.partition(" ") for part in source.split(", ") if part)
    return {name: version for name, _, version in pairs}


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
