"""The result file: written completely or not at all, and checked when it is read."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.errors import ResultError
from testbed.results import checksum

if TYPE_CHECKING:
    import xarray as xr

RESULTS = "results.nc"
NETCDF = threading.Lock()
"""netCDF4 is not thread-safe, even on distinct files."""
ASIDE = ".writing-"  # begins the name of a folder in which a file is written before it is moved


def write_tree(tree: xr.DataTree, path: Path) -> None:
    """Write a tree to a temporary file, sync and rename it: `path` never holds part of a file."""

    def write(file: Path) -> None:
        tree.to_netcdf(file, engine="netcdf4", encoding=_encoding(tree))

    write_aside(path, write, synced=True)


def write_aside(path: Path, write: Callable[[Path], None], synced: bool) -> None:
    """Let `write` make a netCDF file, give it a checksum, and move it to `path`. `synced` files
    survive a loss of power, others the end of this process."""
    try:
        aside = Path(tempfile.mkdtemp(prefix=ASIDE, dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        file = aside / path.name
        with NETCDF:
            write(file)
            _mark(file)
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


def _mark(file: Path) -> None:
    """Put the place for the checksum into a file."""
    import netCDF4

    with netCDF4.Dataset(file, "a") as dataset:
        dataset.setncattr_string(checksum.ATTRIBUTE, checksum.placeholder())


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
        raise ResultError(f"{file}: found no file, expected results. Run the scenario first")
    if not file.is_file():
        raise ResultError(f"{file}: found a device or a pipe, expected a file of results")
    return file


def read_tree(path: str | Path) -> xr.DataTree:
    """Open a result file (or the one in a run folder) into memory.

    Raises ResultError for a file that is missing, damaged, cut short or not a result of testbed.
    """
    import xarray as xr

    file = result_file(path)
    try:
        intact = checksum.verified(file) if file.stat().st_size else None
        if intact is False:
            raise damaged(file)
        with NETCDF, xr.open_datatree(file, engine="netcdf4") as lazy:
            tree = lazy.load()
    except (OSError, RuntimeError, ValueError, AttributeError, KeyError) as error:
        raise ResultError(
            f"{file}: found a file that cannot be read ({error}), expected whole netCDF results; "
            "it may have been cut short. Run the scenario again: finished cells are in the journal"
        ) from None
    if intact is None and checksum.ATTRIBUTE in tree.attrs:
        raise damaged(file)
    tree.attrs.pop(checksum.ATTRIBUTE, None)
    return tree


def damaged(file: Path) -> ResultError:
    """The error for a file whose content is not what its checksum says."""
    return ResultError(
        f"{file}: found a file that does not agree with its checksum, expected it as testbed wrote "
        "it: it is damaged, or another program has changed it. Run the scenario again: finished "
        "cells are in the journal; if you changed it on purpose, open it with xarray, drop the "
        f"attribute {checksum.ATTRIBUTE!r} and save it again"
    )
