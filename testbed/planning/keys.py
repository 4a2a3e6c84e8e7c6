"""Fingerprints: what a cell's numbers depend on, as one short string."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import attrs
import numpy as np
from attrs import evolve

from testbed.contract.cells import Cell
from testbed.contract.grids import Grid

NUMBERS = 2  # raised whenever the same scenario would give other numbers than before


def describe(value: Any) -> Any:
    """A value as plain data: attrs classes by their name and fields, numbers by their repr."""
    if isinstance(value, float | int | str):
        return repr(value)
    if isinstance(value, Grid):
        return _grid(value.values)
    if attrs.has(type(value)):
        fields = {
            attribute.name: describe(getattr(value, attribute.name))
            for attribute in attrs.fields(type(value))
        }
        if isinstance(fields.get("path"), str):  # a component that reads a file
            fields["path"] = [fields["path"], contents(value.path)]
        return [type(value).__module__, type(value).__qualname__, fields]
    if isinstance(value, np.ndarray):
        bytes_ = np.ascontiguousarray(value).tobytes()
        return [str(value.dtype), list(value.shape), hashlib.sha256(bytes_).hexdigest()]
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return repr(value)


def contents(place: Any) -> str:
    """A digest of what a file holds, or of the sizes of a folder's files; empty if there is none.

    It makes a result of other data another result, though the path is the same.
    """
    path = Path(str(place))
    if path.is_file():
        facts = path.stat()
        return _digest(path, facts.st_mtime_ns, facts.st_size)
    files = sorted(file for file in path.glob("*") if file.is_file()) if path.is_dir() else []
    text = repr([(file.name, file.stat().st_size) for file in files])
    return hashlib.sha256(text.encode()).hexdigest() if files else ""


@lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def _grid(values: tuple[float, ...]) -> str:
    """A grid of times as a digest, found once: most of what a cell holds are its times."""
    return hashlib.sha256(repr(values).encode()).hexdigest()


def cell_key(cell: Cell) -> str:
    """Identifies everything that a cell's numbers depend on; bounds of time and results do not."""
    compute = evolve(cell.compute, time_limit=None, results=0.0)
    bare = evolve(cell, compute=compute, times=(), key="", group="")
    return fingerprint(bare, _grid(cell.times))


def preparation_key(cell: Cell) -> str:
    """Identifies the preparation of a model that reads inputs only.

    A design's parameter `noise` changes the observations alone, so that all noise levels of a
    sweep share a preparation.
    """
    module, name, fields = describe(cell.design)
    inputs = {key: value for key, value in fields.items() if key != "noise"}
    return fingerprint([module, name, inputs], cell.shared_design, cell.model, cell.replicates)


def fingerprint(*values: Any) -> str:
    """A hexadecimal digest of values, the same in every process and version of Python."""
    text = json.dumps([NUMBERS, *map(describe, values)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
