"""Run cells in this process, in worker processes that may die without ending the run, or on dask.

All executors give the same numbers, bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path

from attrs import field, frozen

from testbed.contract.cells import Cell, CellResult
from testbed.errors import TestbedError
from testbed.planning.agreement import Witness, agreement_of
from testbed.running.admission import Admission
from testbed.running.crew import Crew
from testbed.running.devices import worker_environments
from testbed.running.guarded import failed, guarded
from testbed.running.interrupts import expect_none
from testbed.running.pool import Pool
from testbed.running.postponed import load_postponed
from testbed.running.threads import takes_all_threads

__all__ = ["EXECUTORS", "Workplace", "failed", "processes", "results_of", "serial"]

EXECUTORS = ("serial", "processes", "dask")
Note = Callable[[str], None]
"""Called with the key of the cell that begins in this process, and with "" after the last one."""


@frozen
class Workplace:
    """Where cells run; no number depends on it."""

    executor: str = "serial"
    workers: int | None = None
    scheduler: str = ""
    """The address of a running dask scheduler; by default the run starts its own workers."""
    folder: Path = field(default=Path("."))
    """Where jobs of a queueing system write their logs."""
    tell: Callable[[str], None] = lambda text: None
    """Called with what the user should know while the run goes on."""
    memory: Callable[[Cell], float | None] = lambda cell: None
    """The bytes of a process that runs a cell, as far as they are known."""
    pool: Pool | None = None
    """Processes that stay when these cells have run; by default they end then."""


def results_of(
    cells: Sequence[Cell],
    place: Workplace,
    *,
    isolated: frozenset[str] = frozenset(),
    note: Note = lambda key: None,
) -> Iterator[CellResult]:
    """Run cells on an executor and yield each result as it comes. Cells whose keys are in
    `isolated` run in a worker, since they may have ended an earlier process."""
    if not cells:
        return
    if place.executor == "dask":
        from testbed.running.cluster import clustered

        yield from clustered(cells, place, agreement_of(cells))
    elif place.executor == "processes":
        sizes = {cell.key: place.memory(cell) for cell in cells}
        expected = {key: size for key, size in sizes.items() if size is not None}
        # more processes than cores would take each other's caches, and start for seconds
        workers = min(worker_count(place.workers), os.cpu_count() or 1)
        yield from processes(cells, workers, place.pool, expected)
    else:
        yield from processes([cell for cell in cells if cell.key in isolated], 1, place.pool)
        usual = [cell for cell in cells if cell.key not in isolated]
        yield from serial(usual, note, place.pool)


def serial(
    cells: Sequence[Cell], note: Note = lambda key: None, pool: Pool | None = None
) -> Iterator[CellResult]:
    """Run cells one after another in this process. Cells with a time limit run in one worker, since
    nothing can end a cell that runs in this process."""
    if any(cell.compute.time_limit is not None for cell in cells):
        yield from processes(cells, 1, pool)
        return
    if not cells:
        return
    load_postponed()
    import torch

    from testbed.running.preparations import PreparationCache

    cache = PreparationCache()
    witness = Witness(agreement_of(cells))
    threads = torch.get_num_threads()
    try:
        for cell in cells:
            note(cell.key)
            result = guarded(cell, cache)
            expect_none()
            witness.expect_same_code()
            yield result
        note("")
    finally:
        torch.set_num_threads(threads)


def processes(
    cells: Sequence[Cell],
    workers: int,
    pool: Pool | None = None,
    memory: Mapping[str, float] | None = None,
) -> Iterator[CellResult]:
    """Run cells on worker processes, group by group, yielding each result as it comes.

    A worker that dies (kill −9, out of memory) costs one try of the cell it had; a cell that
    exceeds its time limit is ended with its worker and recorded as failed. Cells that take all
    threads run while no other does. `memory` holds the bytes of cells by key, where they are
    known.
    """
    if not cells:
        return
    agreement = agreement_of(cells)
    shared, alone = groups_of(cells)
    with Pool() if pool is None else nullcontext(pool) as lender:
        admission = Admission(lender.capacity, memory or {})
        for part, count in ((shared, workers), (alone, 1)):
            if part:
                device = part[0][0].compute.device
                environments = worker_environments(device, min(count, len(part)))
                with lender.lent(agreement, environments) as lent:
                    yield from Crew(part, admission, lent).results()


def groups_of(cells: Sequence[Cell]) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """Groups of cells that share preparations: those that run beside others, and those that take
    all threads."""
    groups = [list(group) for _, group in groupby(cells, key=lambda cell: cell.group)]
    alone = [group for group in groups if takes_all_threads(group[0])]
    shared = [group for group in groups if not takes_all_threads(group[0])]
    return shared, alone


def worker_count(number: int | None) -> int:
    """The number of workers that a run starts on this machine."""
    if number is not None and number < 1:
        raise TestbedError(f"found {number} workers, expected at least 1")
    return number or os.cpu_count() or 1
