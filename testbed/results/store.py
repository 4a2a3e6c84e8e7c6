"""The run folder: a crash-safe journal of finished cells, and results.nc, valid at all times."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout

from testbed.contract.cells import CellResult
from testbed.errors import ResultError

if TYPE_CHECKING:
    import xarray as xr

RESULTS = "results.nc"
JOURNAL = "journal.sqlite"
NETCDF = threading.Lock()
"""netCDF4 is not thread-safe, even on distinct files."""

_TABLES = """
CREATE TABLE IF NOT EXISTS run (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS cells (key TEXT PRIMARY KEY, header TEXT NOT NULL, arrays BLOB NOT NULL);
"""


class RunFolder:
    """A folder that belongs to one scenario (by name) and, while open, to one process.

    A finished cell is committed before the next begins, in SQLite's write-ahead log: it survives
    kill −9; a power loss may cost the last second.
    """

    def __init__(self, path: str | Path, name: str, fresh: bool = False):
        self.path = Path(path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResultError(
                f"{self.path}: found no folder that can be made ({error.strerror}), expected a "
                "writable place. Choose another with -o"
            ) from None
        self._written = time.monotonic()
        self._lock = FileLock(self.path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise ResultError(
                f"{self.path}: found another run at work in this folder, expected none. Wait "
                "for it, or choose another folder with -o"
            ) from None
        try:
            if fresh:
                self._clear()
            self._database = self._open(name)
        except BaseException:
            self._lock.release()
            raise

    def _clear(self) -> None:
        """Forget the run in the folder: its journal; results.nc stays until it is replaced."""
        for name in (JOURNAL, f"{JOURNAL}-wal", f"{JOURNAL}-shm"):
            (self.path / name).unlink(missing_ok=True)

    def _open(self, name: str) -> sqlite3.Connection:
        path = self.path / JOURNAL
        database = sqlite3.connect(path, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.executescript(_TABLES)
            row = database.execute("SELECT name FROM run").fetchone()
        except sqlite3.DatabaseError as error:
            database.close()
            raise ResultError(
                f"{path}: found a journal that cannot be read ({error}), expected one that testbed "
                "wrote. Move it away to compute everything anew; results.nc is not affected"
            ) from None
        if row is None:
            with database:
                database.execute("INSERT INTO run VALUES (?)", (name,))
        elif row[0] != name:
            database.close()
            raise ResultError(
                f"{self.path}: found the run of another scenario, {row[0]!r}, expected one of "
                f"{name!r}. Choose another folder with -o, or start anew with --fresh"
            )
        return database

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the journal and let other processes in."""
        self._database.close()
        self._lock.release()

    def add(self, result: CellResult) -> None:
        """Commit a finished cell."""
        header, arrays = encode(result)
        with self._database:
            self._database.execute(
                "INSERT OR REPLACE INTO cells VALUES (?, ?, ?)", (result.key, header, arrays)
            )

    def results(self, keys: Iterable[str]) -> Iterator[CellResult]:
        """The journaled results of these cells; a damaged row is dropped, to be computed again."""
        for key in keys:
            row = self._database.execute(
                "SELECT header, arrays FROM cells WHERE key = ?", (key,)
            ).fetchone()
            if row is not None:
                try:
                    yield decode(key, *row)
                except (ValueError, KeyError):
                    self.forget(key)

    def forget(self, key: str) -> None:
        """Drop a row, so that its cell is computed again."""
        with self._database:
            self._database.execute("DELETE FROM cells WHERE key = ?", (key,))

    def write_results(self, tree: xr.DataTree) -> Path:
        """Put results.nc in place: written aside, synced, renamed."""
        path = self.path / RESULTS
        write_tree(tree, path)
        self._written = time.monotonic()
        return path

    def seconds_since_written(self) -> float:
        """How old results.nc is, or the run if it has not been written yet."""
        return time.monotonic() - self._written


# --- cells as bytes -----------------------------------------------------------------------------


def encode(result: CellResult) -> tuple[str, bytes]:
    """A cell's result as a JSON header and an npz archive; nothing in it needs unpickling."""
    arrays: dict[str, np.ndarray] = {"status": result.status}
    if result.diverged_at is not None:
        arrays["diverged_at"] = result.diverged_at
    names: dict[str, list[Any]] = {"variables": [], "counts": [], "coordinates": []}
    groups: Mapping[str, Mapping[Any, np.ndarray]] = {
        "variables": result.variables,
        "counts": result.counts,
        "coordinates": result.coordinates,
    }
    for group, members in groups.items():
        for position, (name, array) in enumerate(members.items()):
            names[group].append(name)
            arrays[f"{group}{position}"] = array
    header = {
        **names,
        "omitted": dict(result.omitted),
        "error": result.error,
        "seconds": result.seconds,
    }
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return json.dumps(header), buffer.getvalue()


def decode(key: str, header: str, data: bytes) -> CellResult:
    """The inverse of `encode`; ValueError if the bytes are damaged."""
    about = json.loads(header)
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile and zlib raise many kinds for damaged bytes
        raise ValueError(f"damaged arrays of cell {key}: {error}") from None

    def members(group: str) -> dict[Any, np.ndarray]:
        names = [tuple(name) if isinstance(name, list) else name for name in about[group]]
        return {name: arrays[f"{group}{position}"] for position, name in enumerate(names)}

    return CellResult(
        key,
        arrays["status"],
        members("variables"),
        members("coordinates"),
        members("counts"),
        about["omitted"],
        about["error"],
        about["seconds"],
        arrays.get("diverged_at"),
    )


# --- results as a file --------------------------------------------------------------------------


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a tree so that `path` always holds a whole file: aside, synced, renamed."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with NETCDF:
            tree.to_netcdf(aside, engine="netcdf4", encoding=_encoding(tree))
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    except (OSError, RuntimeError) as error:  # netCDF4 raises RuntimeError for HDF5's failures
        raise ResultError(
            f"{path}: found that the results cannot be written ({error}), expected room on a "
            "writable disk. The finished cells are safe in the journal: make room and run the same "
            "command again"
        ) from None
    finally:
        aside.unlink(missing_ok=True)


def _encoding(tree: xr.DataTree) -> dict[str, dict[str, dict[str, Any]]]:
    """Compression and checksums for every numeric variable with a dimension."""
    packed = {"zlib": True, "complevel": 1, "shuffle": True, "fletcher32": True}
    return {
        node.path: {
            str(name): dict(packed)
            for name, variable in node.to_dataset(inherit=False).variables.items()
            if variable.ndim and variable.dtype.kind in "fiu"
        }
        for node in tree.subtree
    }


def read_tree(path: str | Path) -> xr.DataTree:
    """Open a result file (or the one in a run folder) into memory.

    Raises ResultError for a file that is missing, cut short or not a result of testbed.
    """
    import xarray as xr

    file = Path(path)
    file = file / RESULTS if file.is_dir() else file
    if not file.exists():
        raise ResultError(f"{file}: found no file, expected results. Run the scenario first")
    try:
        with NETCDF, xr.open_datatree(file, engine="netcdf4") as lazy:
            return lazy.load()
    except (OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise ResultError(
            f"{file}: found a file that cannot be read ({error}), expected whole netCDF results; "
            "it may have been cut short. Run the scenario again: finished cells are in the journal"
        ) from None
