"""Kept states in the folder `states` of a run: one netCDF file for each path, with a checksum.

A file is written aside and renamed before the journal takes its cell, so that a killed run leaves
whole files only. Its name is the key of what was trained: `request.code`. A reader needs xarray
alone: parameters have the dims (replicate, time, …).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import frozen

from testbed.contract.states import KeptPath
from testbed.errors import ResultError
from testbed.planning.keys import request_of
from testbed.planning.origin import Origin, origin_from
from testbed.results import checksum
from testbed.results.files import ASIDE, NETCDF, remove_leftovers, write_aside

if TYPE_CHECKING:
    import netCDF4

STATES = "states"
_END = ".nc"
_GROUPS = ("arrays", "prepared", "records")  # the fields of KeptPath that hold arrays


class StateFolder:
    """The kept states of one run folder. The folder is made when the first file is written."""

    def __init__(self, folder: Path):
        self.path = folder / STATES
        self._sizes: dict[str, int] = {}
        self._requests: dict[str, str] = {}
        if self.path.is_dir():
            remove_leftovers(self.path)
            for file in self.path.glob(f"*{_END}"):
                self._add(file.name.removesuffix(_END))

    def _add(self, key: str) -> None:
        with suppress(OSError):
            self._sizes[key] = self.file(key).stat().st_size
            self._requests[request_of(key)] = key

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(self._sizes.values())

    def sizes(self) -> dict[str, int]:
        """The size of every file in bytes, by key."""
        return dict(self._sizes)

    def of_request(self, request: str) -> str | None:
        """The key of the states of a request, whichever code made them; None if there are none."""
        return self._requests.get(request)

    def file(self, key: str) -> Path:
        """The file of a key, which need not be there."""
        return self.path / f"{key}{_END}"

    def write(self, key: str, path: KeptPath, origin: Origin, about: Mapping[str, str]) -> None:
        """Keep the states of a path, and drop those that other code made of the same request."""
        attributes = {**about, "layout": path.layout, "origin": origin.text()}

        def write(file: Path) -> None:
            _write(file, path, attributes)

        write_aside(self.file(key), write, size=_size(path), synced=False)
        old = self.of_request(request_of(key))
        self._add(key)
        if old not in (None, key):
            self.remove([str(old)])

    def is_whole(self, key: str) -> bool:
        """Whether the file of a key is there, as it was written."""
        file = self.file(key)
        try:
            return file.is_file() and bool(checksum.verified(file))
        except OSError:
            return False

    def origin(self, key: str) -> Origin | None:
        """The code that made the states of a key; None if the file does not say."""
        import netCDF4

        try:
            with NETCDF, netCDF4.Dataset(self.file(key)) as dataset:
                return origin_from(dataset.getncattr("origin"))
        except (OSError, RuntimeError, ValueError, AttributeError):
            return None

    def copy_from(self, folder: StateFolder) -> int:
        """Copy the files that this folder lacks, if they are whole; their number."""
        copied = 0
        for key in folder.sizes():
            if key not in self._sizes and folder.is_whole(key):
                self.path.mkdir(exist_ok=True)
                aside = self.path / f"{ASIDE}{key}"
                try:
                    shutil.copyfile(folder.file(key), aside)
                    os.replace(aside, self.file(key))
                except OSError as error:
                    raise ResultError(
                        f"{self.file(key)}: found that the states cannot be written "
                        f"({error.strerror}), expected room on a writable disk"
                    ) from None
                self._add(key)
                copied += 1
        return copied

    def remove(self, keys: Iterable[str]) -> int:
        """Drop files; the bytes that are free now."""
        freed = 0
        for key in list(keys):
            with suppress(OSError):
                self.file(key).unlink(missing_ok=True)
                freed += self._sizes.pop(key, 0)
            if self.of_request(request_of(key)) == key:
                del self._requests[request_of(key)]
        return freed


@frozen
class StateFiles:
    """The kept paths of one cell, read when they are asked for: files by the path's name."""

    files: Mapping[str, Path]

    def load(self) -> dict[str, KeptPath]:
        return {name: read_path(file) for name, file in self.files.items()}


def read_path(file: Path) -> KeptPath:
    """The states in a file; ResultError if it cannot be read."""
    import netCDF4

    try:
        with NETCDF, netCDF4.Dataset(file) as dataset:
            dataset.set_auto_maskandscale(False)
            members = json.loads(dataset.getncattr("members"))
            groups = {
                group: {
                    name: _restored(np.asarray(dataset[stored][...]), dtype, shape)
                    if stored
                    else np.empty(shape, dtype)
                    for name, (stored, dtype, shape) in members[group].items()
                }
                for group in _GROUPS
            }
            times = tuple(dataset["time"][...].tolist())
            return KeptPath(times, dataset.getncattr("layout"), **groups)
    except (OSError, RuntimeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise ResultError(
            f"{file}: found states that cannot be read ({error}), expected a file that testbed "
            "wrote. Remove it and run the scenario again"
        ) from None


def _restored(stored: np.ndarray, dtype: str, shape: list[int]) -> np.ndarray:
    """An array as it was before `_plain`."""
    plain = np.ascontiguousarray(stored)
    kind = np.dtype(dtype)
    array = plain.view(kind) if kind.kind in "cb" else plain.astype(kind, copy=False)
    return array.reshape(shape)


def _plain(array: np.ndarray) -> np.ndarray:
    """Numbers as netCDF has them: complex ones as pairs, truth values as bytes."""
    array = np.ascontiguousarray(array)
    if array.dtype.kind == "c":
        return array.view(array.real.dtype).reshape(*array.shape, 2)
    return array.view(np.int8) if array.dtype.kind == "b" else array


def _size(path: KeptPath) -> int:
    """The bytes of all arrays."""
    return sum(array.nbytes for group in _GROUPS for array in getattr(path, group).values())


def _write(file: Path, path: KeptPath, attributes: Mapping[str, str]) -> None:
    """Write the arrays with named dims; empty ones, which netCDF lacks, by their shape alone."""
    import netCDF4

    members: dict[str, dict[str, tuple[str, str, tuple[int, ...]]]] = {}
    with netCDF4.Dataset(file, "w") as dataset:
        dataset.createDimension("time", len(path.times))
        dataset.createVariable("time", "f8", ("time",))[...] = np.asarray(path.times)
        for group in _GROUPS:
            members[group] = {}
            for name, array in getattr(path, group).items():
                stored = "" if not array.size else f"record_{name}" if group == "records" else name
                members[group][name] = (stored, array.dtype.str, array.shape)
                if stored:
                    leading = ("replicate",) if group == "prepared" else ("replicate", "time")
                    _write_array(dataset, stored, _plain(array), leading)
        for name, text in {**attributes, "members": json.dumps(members)}.items():
            dataset.setncattr_string(name, text)


def _write_array(
    dataset: netCDF4.Dataset, name: str, array: np.ndarray, leading: tuple[str, ...]
) -> None:
    dims = list(leading)
    for axis in range(len(leading), array.ndim):
        same = array.shape[len(leading) : axis].count(array.shape[axis])
        dims.append(f"size_{array.shape[axis]}" + (f"_{same + 1}" if same else ""))
    for dim, length in zip(dims, array.shape, strict=True):
        if dim not in dataset.dimensions:
            dataset.createDimension(dim, length)
    dataset.createVariable(name, array.dtype, tuple(dims))[...] = array
