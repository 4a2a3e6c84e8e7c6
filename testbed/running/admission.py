"""How much memory parallel cells may take together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from attrs import field, frozen

from testbed.contract.cells import Cell

SHARE = 0.8  # of the memory that is free when a run begins
_MEMINFO = Path("/proc/meminfo")
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


@frozen
class Admission:
    """Lets cells begin while their memory together stays within `capacity` bytes.

    `expected` holds the bytes of cells by key, where they are known; other cells count with the
    bound that the scenario gives them. A cell that is larger than the machine runs alone.
    """

    capacity: float
    expected: Mapping[str, float] = field(factory=dict)

    def bytes_of(self, cell: Cell) -> float:
        """The memory that one cell may take."""
        return self.expected.get(cell.key, cell.compute.memory * 2**30)


def free_memory() -> float:
    """Bytes that this machine, or the container that the process runs in, has to spare."""
    limits = [number for number in map(_number, _LIMITS) if number is not None]
    return min([_available(), *limits])


def _available() -> float:
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return float(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return float("inf")


def _number(file: Path) -> float | None:
    try:
        return float(file.read_text())
    except (OSError, ValueError):  # no such file, or the word "max"
        return None
