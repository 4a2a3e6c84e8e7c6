"""Digests of files and folders, so that a cell's key covers the data and not their location."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path


def contents(place: str | Path) -> str:
    """A digest of what a file holds, or of all files under a folder; empty if there is none.

    Pipes and devices count as missing, since they cannot be read twice.
    """
    path = Path(place)
    try:
        facts = path.stat()
    except (OSError, ValueError):  # ValueError: a null character in the name
        return ""
    if stat.S_ISREG(facts.st_mode):
        return _file_digest(path, facts)
    if not stat.S_ISDIR(facts.st_mode):
        return ""
    listed = [(name, _file_digest(file, file.stat())) for name, file in _files(path)]
    return hashlib.sha256(repr(listed).encode()).hexdigest() if listed else ""


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The regular files under a folder, by their path in it, sorted."""
    files = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [Path(place, name) for name in names]
    for file in sorted(files):
        if file.is_file():
            yield str(file.relative_to(folder)), file


def _file_digest(path: Path, facts: os.stat_result) -> str:
    return _digest(path, facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)


@lru_cache(maxsize=4096)
def _digest(path: Path, node: int, written: int, changed: int, size: int) -> str:
    """The digest of a file, read once per process for each state; the arguments are the state."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
