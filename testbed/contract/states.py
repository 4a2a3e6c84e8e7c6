"""Kept states: what training made of a cell, as plain arrays that a file can hold.

A state is what `Optimizer.advance` returns at a recorded time, and for models that learn in
`prepare` also what `prepare` returned. Problems, random draws and other preparations are made
again from the cell: they follow from its seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from attrs import field, frozen

MAIN = "main"
"""The name of a cell's own path; companions are named by their parameters."""


@frozen
class KeptPath:
    """The states of one path at recorded times, for all replicates of a cell."""

    times: tuple[float, ...]  # at which training stopped
    layout: str  # how arrays become trees of tensors, as JSON; only `running.kept` looks into it
    arrays: Mapping[str, np.ndarray] = field(hash=False)  # (replicates, times, …)
    prepared: Mapping[str, np.ndarray] = field(factory=dict, hash=False)  # (replicates, …)
    records: Mapping[str, np.ndarray] = field(factory=dict, hash=False)  # (replicates, times)

    @property
    def bytes(self) -> int:
        """The size of all arrays."""
        every = (*self.arrays.values(), *self.prepared.values(), *self.records.values())
        return sum(array.nbytes for array in every)


class StateSource(Protocol):
    """A place that holds the paths of one cell, such as files in the folder of a run."""

    def load(self) -> Mapping[str, KeptPath]:
        """The paths by name."""


@frozen
class Kept:
    """What earlier runs left of a cell: it measures what is missing, and trains what is not kept.

    `measured` are variables of the result that need not be measured again.
    """

    source: StateSource
    measured: frozenset[str] = frozenset()

    def loaded(self) -> Kept:
        """The same with the states in memory, for a process that cannot read the source."""
        return Kept(InMemory(self.source.load()), self.measured)


@frozen
class InMemory:
    """Paths that have been read."""

    paths: Mapping[str, KeptPath] = field(hash=False)

    def load(self) -> Mapping[str, KeptPath]:
        return self.paths
