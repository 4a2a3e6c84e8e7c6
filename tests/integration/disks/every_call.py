"""Run a scenario with a disk that fails at the k-th call that changes a file, for every k.

For every k one line of JSON says what the failing run and the run after it were like. Started by
`tests/integration/test_disks.py`, with the library made from `full.c` in LD_PRELOAD.
"""

from __future__ import annotations

import ctypes
import errno
import json
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import xarray as xr

from testbed.errors import TestbedError
from testbed.planning.files import load_scenario
from testbed.results.files import read_tree
from testbed.runs import execute_run

BEFORE = "before"  # a folder that holds a finished run of a smaller scenario


class Disk:
    """The library that lets calls fail."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder).encode()
        self._library = ctypes.CDLL(None)

    def fails_from(self, call: int, error: int) -> None:
        """From now on this call and all later ones fail; 0: none does."""
        self._library.disk_fails(self._folder, ctypes.c_long(call), error)

    def calls(self) -> int:
        """The calls since then."""
        self._library.disk_calls.restype = ctypes.c_long
        return int(self._library.disk_calls())


def numbers(tree: xr.DataTree) -> xr.Dataset:
    """What a run computed, without what depends on the clock."""
    return tree["fixed"].to_dataset().drop_vars("duration")


class Trial:
    """A run that meets the failing disk in a folder that holds the results of a smaller run."""

    def __init__(self, base: Path) -> None:
        self.base, self.disk = base, Disk(base / "run")
        self.scenario = load_scenario(base / "scenario.toml")
        smaller = load_scenario(base / "scenario.toml", ["design.n={ values = [50] }"])
        execute_run(smaller, base / BEFORE)
        self.old = (base / BEFORE / "results.nc").read_bytes()
        self.new = numbers(execute_run(self.scenario, base / "reference").tree)

    def outcome(self, call: int, error: int) -> dict[str, object]:
        """What this k leads to."""
        folder = self.base / "run" / str(call)
        folder.parent.mkdir(exist_ok=True)
        shutil.copytree(self.base / BEFORE, folder)
        self.disk.fails_from(call, error)
        told, kind = told_by(lambda: execute_run(self.scenario, folder))
        struck = self.disk.calls() >= call
        self.disk.fails_from(0, error)
        state = self.state_of(folder)
        again = execute_run(self.scenario, folder)
        result = {
            "call": call,
            "struck": struck,
            "kind": kind,
            "told": told,
            "state": state,
            "reused": again.reused,
            "same": numbers(again.tree).identical(self.new),
            "left": sorted(place.name for place in folder.glob(".writing*")),
        }
        shutil.rmtree(folder)
        return result

    def state_of(self, folder: Path) -> str:
        """What results.nc holds: the old results, also if they were moved away, or the new ones."""
        file, earlier = folder / "results.nc", folder / "earlier" / "results.nc"
        if not file.exists():
            return "old" if earlier.read_bytes() == self.old else "lost"
        if file.read_bytes() == self.old:
            return "old"
        return "new" if numbers(read_tree(file)).identical(self.new) else "garbage"


def told_by(action: Callable[[], object]) -> tuple[str, str]:
    """What an action says that meets the failing disk, and the kind of its error; "" if it ends."""
    try:
        action()
    except TestbedError as error:
        return str(error), "testbed"
    except Exception as error:
        return repr(error), type(error).__name__
    return "", ""


def outcomes(base: Path, error: int, step: int) -> Iterator[dict[str, object]]:
    """What every k leads to, up to the first that no call reaches; with a `step`, every such k."""
    trial, call, struck = Trial(base), 1, True
    while struck:
        outcome = trial.outcome(call, error)
        yield outcome
        struck, call = bool(outcome["struck"]), call + step


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    base, word, step = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    for outcome in outcomes(base, getattr(errno, word), step):
        print(json.dumps(outcome), flush=True)
