"""Run cells in this process, or in worker processes that may die without ending the run.

All executors give the same numbers, bit for bit.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby

from testbed.contract.cells import Cell, CellResult
from testbed.running.guarded import failed, guarded
from testbed.running.interrupts import expect_none
from testbed.running.postponed import load_postponed
from testbed.running.workers import crew

__all__ = ["EXECUTORS", "failed", "processes", "results_of", "serial"]

EXECUTORS = ("serial", "processes")
Note = Callable[[str], None]
"""Called with the key of the cell that begins in this process, and with "" after the last one."""


def results_of(
    cells: Sequence[Cell],
    executor: str = "serial",
    workers: int | None = None,
    *,
    isolated: frozenset[str] = frozenset(),
    note: Note = lambda key: None,
) -> Iterator[CellResult]:
    """Run cells on an executor and yield each result as it comes. Cells whose keys are in
    `isolated` run in a worker, since they may have ended an earlier process."""
    if executor == "processes":
        yield from processes(cells, workers or os.cpu_count() or 1)
        return
    yield from processes([cell for cell in cells if cell.key in isolated], 1)
    yield from serial([cell for cell in cells if cell.key not in isolated], note)


def serial(cells: Sequence[Cell], note: Note = lambda key: None) -> Iterator[CellResult]:
    """Run cells one after another in this process. Cells with a time limit run in one worker, since
    nothing can end a cell that runs in this process."""
    if any(cell.compute.time_limit is not None for cell in cells):
        yield from processes(cells, 1)
        return
    if not cells:
        return
    load_postponed()
    import torch

    from testbed.running.execute import PreparationCache

    cache = PreparationCache()
    threads = torch.get_num_threads()
    try:
        for cell in cells:
            note(cell.key)
            result = guarded(cell, cache)
            expect_none()
            yield result
        note("")
    finally:
        torch.set_num_threads(threads)


def processes(cells: Sequence[Cell], workers: int) -> Iterator[CellResult]:
    """Run cells on worker processes, group by group, yielding each result as it comes.

    A worker that dies (kill −9, out of memory) costs one try of the cell it had; a cell that
    exceeds its time limit is ended with its worker and recorded as failed. Cells whose model takes
    all threads run while no other does.
    """
    groups = [list(group) for _, group in groupby(cells, key=lambda cell: cell.group)]
    alone = [group for group in groups if group[0].model.facts().threads == "all"]
    shared = [group for group in groups if group[0].model.facts().threads != "all"]
    for part, count in ((shared, workers), (alone, 1)):
        if part:
            yield from crew(deque(part), min(count, len(part)))
