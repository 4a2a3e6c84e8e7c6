"""The run folder: a journal of finished cells and results.nc, for one run at a time."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from testbed.contract.cells import CellResult
from testbed.errors import ResultError
from testbed.planning.origin import Origin
from testbed.results import checksum
from testbed.results.files import RESULTS, read_tree, remove_leftovers, write_tree
from testbed.results.journal import JOURNAL, Journal, Stored
from testbed.results.states import StateFolder

if TYPE_CHECKING:
    import xarray as xr

FIGURES = "figures"
RUNNING = ".running"  # names the cell that runs in the process of the run
WIDTH = 64  # characters of a key in that file, at least
STATE = "results"  # the fact of the journal: what results.nc was written from, and its checksum
REPORT = "report.html"  # where `testbed report` writes unless told otherwise
EARLIER = "earlier"  # results, figures and report of the scenario as it was before


class RunFolder:
    """A folder that belongs to one scenario (by name) and, while open, to one process."""

    def __init__(self, path: str | Path, name: str, fresh: bool = False):
        self.path = Path(path)
        self._lock = _locked(self.path)
        self._written = time.monotonic()
        self._running: int | None = None
        try:
            if fresh:
                self._clear()
            remove_leftovers(self.path)
            self.states = StateFolder(self.path)
            self.journal = Journal(self.path, name)
        except OSError as error:
            self._lock.release()
            raise _unwritable(self.path, error) from None
        except BaseException:
            self._lock.release()
            raise

    def _clear(self) -> None:
        """Forget the run in the folder: its journal and its states; results.nc stays until it is
        replaced."""
        states = StateFolder(self.path)
        states.remove(states.sizes())
        for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"):
            (self.path / name).unlink(missing_ok=True)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal and let other processes in, whatever the disk says."""
        try:
            if self._running is not None:  # no cell has killed the process, as it got here
                os.close(self._running)
                with suppress(OSError):
                    (self.path / RUNNING).unlink(missing_ok=True)
            self.journal.close()
        finally:
            self._lock.release()

    @property
    def notes(self) -> list[str]:
        """One line for each thing that was damaged and set aside."""
        return self.journal.notes

    def begin(self, text: str, file: str) -> list[str]:
        """Take the folder for a scenario's text, read from `file`; return what was moved away.

        Files made from another text (results.nc, figures, the report) move to the folder `earlier`.
        """
        moved = self._move_earlier() if self.journal.fact("text") not in ("", text) else []
        self.journal.set_facts({"text": text, "file": file})
        return moved

    def _move_earlier(self) -> list[str]:
        earlier = self.path / EARLIER
        there = [name for name in (RESULTS, FIGURES, REPORT) if (self.path / name).exists()]
        try:
            if there:
                earlier.mkdir(exist_ok=True)
            for name in there:
                if (earlier / name).is_dir():
                    shutil.rmtree(earlier / name)
                os.replace(self.path / name, earlier / name)
        except OSError as error:
            raise _unwritable(self.path, error) from None
        return there

    def running(self) -> str:
        """The key of the cell in which the last run of this folder ended; empty if in none."""
        try:
            return (self.path / RUNNING).read_text(encoding="ascii", errors="replace").strip()
        except OSError:
            return ""

    def note_running(self, key: str) -> None:
        """Note the cell that begins in this process, or with "" that none is running.

        The system holds the write in memory at once, so that it survives the end of this process.
        """
        try:
            if self._running is None:
                self._running = os.open(self.path / RUNNING, os.O_RDWR | os.O_CREAT, 0o644)
            os.pwrite(self._running, key.ljust(WIDTH).encode(), 0)
        except OSError as error:
            raise _unwritable(self.path, error) from None

    def add(self, result: CellResult, origin: Origin | None = None) -> None:
        """Commit a finished cell, with what made it."""
        self.journal.add(result, origin)

    def stored(self, keys: Iterable[str]) -> Iterator[Stored]:
        """The finished cells of these keys that the journal holds."""
        return self.journal.stored(keys)

    def write_results(self, tree: xr.DataTree, state: str = "") -> Path:
        """Write results.nc through a temporary file, and note the state that it is of."""
        path = self.path / RESULTS
        write_tree(tree, path)
        self._written = time.monotonic()
        with suppress(ResultError):  # without the note the next run records once more
            self.journal.set_facts({STATE: _stated(state, path) if state else ""})
        return path

    def results_of(self, state: str) -> xr.DataTree | None:
        """The results in the folder, if they are whole and were written in this state."""
        path = self.path / RESULTS
        if not path.is_file() or self.journal.fact(STATE) != _stated(state, path):
            return None
        try:
            return read_tree(path)
        except ResultError:
            return None

    def seconds_since_written(self) -> float:
        """The age of results.nc in seconds, or of the run if results.nc has not been written
        yet."""
        return time.monotonic() - self._written


def _stated(state: str, path: Path) -> str:
    """A state together with the file that was written in it."""
    return f"{state} {checksum.written(path) or ''}"


def _locked(path: Path) -> FileLock:
    """The folder, made if there is none, closed to other processes."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path / ".lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise ResultError(
            f"{path}: found another run at work in this folder, expected none. Wait "
            "for it, or choose another folder with -o"
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None
    return lock


def _unwritable(path: Path, error: OSError) -> ResultError:
    return ResultError(
        f"{path}: found no folder that can be written ({error.strerror or error}), expected room "
        "on a writable disk. Make room, or choose another folder with -o"
    )
