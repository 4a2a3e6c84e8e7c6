"""Whether results.nc still is what a run would write, so that a run with nothing to do reads it.

Results follow from the scenario, the finished cells, the code of testbed and of all plugins, the
published numbers, and the libraries. `results_state` is a digest of all of these: files by place,
time and size, since reading them all would take longer than the rest of such a run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from testbed.planning.code import LIBRARIES, library_version, plugin_packages
from testbed.planning.plan import Plan
from testbed.planning.source import file_of, locations, state_of
from testbed.results.provenance import WRITERS, machine


def results_state(
    plan: Plan, cells: Iterable[Mapping[str, str]], published: Iterable[Path] = ()
) -> str:
    """A digest of everything that results.nc depends on; `cells` says which are finished, stale and
    failed, by key."""
    parts: list[object] = [plan.scenario.text, plan.scenario.path, machine()]
    parts += [sorted(mapping.items()) for mapping in cells]
    parts += [(name, library_version(name)) for name in (*LIBRARIES, *WRITERS)]
    parts += [(str(file), state_of(file)) for file in (*_code_files(), *published)]
    return hashlib.sha256(repr(parts).encode("utf-8", "surrogatepass")).hexdigest()


def _code_files() -> Iterator[Path]:
    """The files of testbed and of all plugins, with the tables that lie beside them."""
    for top in ("testbed", *sorted(plugin_packages())):
        folders = locations(top)
        for folder in folders:
            yield from sorted(file for file in folder.rglob("*") if file.suffix != ".pyc")
        file = None if folders else file_of(top)
        if file is not None:
            yield file
