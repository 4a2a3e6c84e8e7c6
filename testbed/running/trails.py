"""A path's states at all recorded times: trained block by block as they are asked for, or restored.

Blocks of training follow from the path alone, so that no metric changes what is trained. Blocks of
measuring lie within them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from testbed.contract.states import KeptPath
from testbed.errors import UnsuitableError
from testbed.running.kept import Keeper, Restored
from testbed.running.paths import Path, States

Note = Callable[[Mapping[str, object], int], None]
"""Called with what the optimizer noted in a block, and the number of its times."""


class Trail:
    """The states of one path at the times that training reaches.

    A cell's own path is asked for its `times`, and `note` takes what the optimizer notes. A
    companion follows the times that this path reaches, which long steps may make equal.
    """

    def __init__(
        self,
        path: Path,
        times: Sequence[float],
        length: int,
        *,
        restored: Restored | None = None,
        note: Note | None = None,
    ):
        self.path, self.restored = path, restored
        self._times, self._length, self._note = tuple(times), length, note
        self._first = -1
        self._block: States | None = None
        self._keeper: Keeper | None = None
        self.unkept = ""  # why the states cannot be kept

    def keep(self) -> None:
        """Keep the states that are trained from here on; restored ones are kept already."""
        if self.restored is not None:
            return
        fit = self.path.fit
        learned = self.path.model.facts().learns == "preparation"
        try:
            self._keeper = Keeper(len(fit.problem.train.weight), fit.prepared if learned else None)
        except UnsuitableError as error:
            self.unkept = str(error)

    def end(self, start: int) -> int:
        """The end of the block of training that holds a position."""
        return min((start // self._length + 1) * self._length, len(self._times))

    def states(self, positions: range) -> States:
        """The states at some positions of one block of training; blocks are asked for in order."""
        first = positions.start // self._length * self._length
        if self._block is None or first != self._first:
            self._block, self._first = self._made(range(first, self.end(first))), first
        return self._block.part(tuple(position - first for position in positions))

    def _made(self, positions: range) -> States:
        times = self._times[positions.start : positions.stop]
        if self.restored is not None:
            return States(self.path, self.restored.params(positions), times)
        if self._note is None:
            states = self.path.follow(times)
        else:
            states, record = self.path.advance(times)
            self._note(record, len(times))
        if self._keeper is not None:
            try:
                self._keeper.add(positions.start, states.params)
            except UnsuitableError as error:
                self._keeper, self.unkept = None, str(error)
        return states

    def kept(self, reached: Sequence[float], records: Mapping[str, np.ndarray]) -> KeptPath | None:
        """The path as it was trained; None unless all of it was, and was to be kept."""
        complete = self._first + self._length >= len(self._times) and self._first >= 0
        return self._keeper.path(reached, records) if self._keeper and complete else None
