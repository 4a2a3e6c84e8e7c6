"""The result file: written completely or not at all, and checked when it is read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import ResultError
from testbed.results import checksum

if TYPE_CHECKING:
    import xarray as xr

RESULTS = "results.nc"
NETCDF = threading.Lock()
"""netCDF4 is not thread-safe, even on distinct files."""
SMALL = 2**25  # bytes of results, before compression, that are written in memory first
MEMORY = Path("/dev/shm")  # a disk in memory, which Linux has
IN_MEMORY = "testbed-writing-"  # begins the names of folders there
ABANDONED = 600.0  # seconds after which nobody writes there any more
PATIENCE = 60.0  # seconds that reading a file without a checksum may take
_READ = "import sys, xarray; xarray.open_datatree(sys.argv[1], engine='netcdf4').load()"
ASIDE = ".writing-"  # begins the name of a folder in which a file is written before it is moved


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a tree to a temporary file, sync and rename it: `path` never holds part of a file."""

    def write(file: Path) -> None:
        tree.to_netcdf(file, engine="netcdf4", encoding=_encoding(tree))

    write_aside(path, write, size=tree.nbytes, synced=True)


def write_aside(path: Path, write: Callable[[Path], None], size: int, synced: bool) -> None:
    """Let `write` make a netCDF file, give it a checksum, and move it to `path`. `size`: the bytes
    of its arrays. `synced` files survive a loss of power, others the end of this process."""
    try:
        path.parent.mkdir(exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        file = aside / path.name
        with NETCDF:
            _make(file, write, size)
        checksum.seal(file)
        if synced:
            with open(file, "rb+") as stream:
                os.fsync(stream.fileno())
        os.replace(file, path)
    except (OSError, RuntimeError) as error:  # netCDF4 raises RuntimeError for HDF5's failures
        raise _unwritable(path, error) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _unwritable(path: Path, error: Exception) -> ResultError:
    return ResultError(
        f"{path}: found that the results cannot be written ({error}), expected room on a "
        "writable disk. The finished cells are safe in the journal: make room and run the same "
        "command again"
    )


def _make(file: Path, write: Callable[[Path], None], size: int) -> None:
    """Write a file with the place for its checksum.

    netCDF's libraries may end the process where the disk fills up while they write. Small files are
    therefore written to the system's disk in memory, if it has one, and copied; others are written
    only where there is room for them.
    """
    if size <= SMALL and MEMORY.is_dir() and _free(MEMORY) > 2 * SMALL:
        _remove_abandoned()
        with tempfile.TemporaryDirectory(prefix=IN_MEMORY, dir=MEMORY) as folder:
            made = Path(folder, file.name)
            write(made)
            _mark(made)
            file.write_bytes(made.read_bytes())
    else:
        _expect_room(file, size)
        write(file)
        _mark(file)


def _remove_abandoned() -> None:
    """Remove from memory what runs have left that were killed while they wrote."""
    for place in MEMORY.glob(f"{IN_MEMORY}*"):
        with suppress(OSError):
            if time.time() - place.stat().st_mtime > ABANDONED:
                shutil.rmtree(place, ignore_errors=True)


def _mark(file: Path) -> None:
    """Put the place for the checksum into a file."""
    import netCDF4

    with netCDF4.Dataset(file, "a") as dataset:
        dataset.setncattr_string(checksum.ATTRIBUTE, checksum.placeholder())


def _expect_room(file: Path, needed: int) -> None:
    free = _free(file.parent)
    if free < needed:
        raise OSError(f"{free} bytes are free, and up to {needed} are needed")


def _free(folder: Path) -> int:
    """The bytes that may still be written in a folder."""
    return shutil.disk_usage(folder).free


def _encoding(tree: xr.DataTree) -> dict[str, dict[str, dict[str, object]]]:
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


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of a run that was killed while it wrote."""
    for place in (*folder.glob(f"{ASIDE}*"), *folder.glob(f".{RESULTS}.*")):
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


def result_file(path: str | Path) -> Path:
    """The result file of a path that names it or its run folder; ResultError if there is none."""
    file = Path(path)
    file = file / RESULTS if file.is_dir() else file
    if not file.exists():
        inside = sorted(str(place.parent) for place in file.parent.glob(f"*/{RESULTS}"))
        raise ResultError(
            f"{file}: found no file, expected results. "
            + (f"There are some in {', '.join(inside[:5])}" if inside else "Run the scenario first")
        )
    if not file.is_file():
        raise ResultError(f"{file}: found a device or a pipe, expected a file of results")
    return file


def read_tree(path: str | Path) -> xr.DataTree:
    """Open a result file (or the one in a run folder) into memory.

    Raises ResultError for a file that is missing, damaged, cut short or not a result of testbed.
    """
    file = result_file(path)
    intact = _intact(file)
    if intact is False:
        raise damaged(file)
    if intact is None and (problem := reading_problem(file)):
        raise _unreadable(file, problem)
    tree = load_tree(file)
    if intact is None and checksum.ATTRIBUTE in tree.attrs:
        raise damaged(file)
    tree.attrs.pop(checksum.ATTRIBUTE, None)
    if intact is None:
        _expect_times(file, tree)
    return tree


def load_tree(file: Path) -> xr.DataTree:
    """The content of a result file, whatever it says; ResultError if it cannot be read."""
    import xarray as xr

    try:
        with NETCDF, xr.open_datatree(file, engine="netcdf4") as lazy:
            return lazy.load()
    except (OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise _unreadable(file, error) from None


def _intact(file: Path) -> bool | None:
    """Whether a file agrees with its checksum; None if it holds none."""
    try:
        return checksum.verified(file) if file.stat().st_size else None
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from None


def reading_problem(file: Path) -> str:
    """Why a file without a checksum cannot be read, found in a process that can be ended: damage
    may make netCDF's libraries loop for ever, or crash."""
    if _is_cut(file):
        return "it ends before the end that it states"
    try:
        command = [sys.executable, "-c", _READ, str(file)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"reading did not end within {PATIENCE:g} s"
    words = done.stderr.strip().splitlines() or [f"reading ended with code {done.returncode}"]
    return words[-1] if done.returncode else ""


def _is_cut(file: Path) -> bool:
    """Whether a file is shorter than HDF5's first block says, or has no such block."""
    with file.open("rb") as stream:
        head = stream.read(52).ljust(52, b"\0")
    if not head.startswith(b"\x89HDF\r\n\x1a\n"):
        return True
    start = {0: 40, 1: 44}.get(head[8], 28)  # of the end's address, by the version of the block
    return file.stat().st_size < int.from_bytes(head[start : start + 8], "little")


def _expect_times(file: Path, tree: xr.DataTree) -> None:
    """ResultError for times that are NaN, which testbed never writes."""
    for node in tree.subtree:
        if "time" in node.coords and bool(node["time"].isnull().any()):
            raise _unreadable(file, f"times of {node.name!r} are NaN")


def _unreadable(file: Path, problem: object) -> ResultError:
    return ResultError(
        f"{file}: found a file that cannot be read ({problem}), expected whole netCDF results; "
        "it may have been cut short. Run the scenario again: finished cells are in the journal"
    )


def damaged(file: Path) -> ResultError:
    """The error for a file whose content is not what its checksum says."""
    return ResultError(
        f"{file}: found a file that does not agree with its checksum, expected it as testbed wrote "
        "it: it is damaged, or another program has changed it. Run the scenario again: finished "
        "cells are in the journal; if you changed it on purpose, open it with xarray, drop the "
        f"attribute {checksum.ATTRIBUTE!r} and save it again"
    )
