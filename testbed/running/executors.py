"""Running cells: in this process, or in worker processes that may die without taking the run along.

Threads follow from the cell alone, never from the number of workers: one, unless the model's class
says `threads = "all"`; so the bits do not depend on the executor.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import numpy as np

from testbed.contract.cells import STATUS, Cell, CellResult

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

TRIES = 2  # a cell whose worker died is tried once more, in a fresh one


def serial(cells: Sequence[Cell]) -> Iterator[CellResult]:
    """Run cells one after another in this process."""
    import torch

    from testbed.running.execute import PreparationCache

    cache = PreparationCache()
    threads = torch.get_num_threads()
    try:
        for cell in cells:
            yield _execute(cell, cache)
    finally:
        torch.set_num_threads(threads)


def _execute(cell: Cell, cache: Any) -> CellResult:
    from testbed.running.execute import execute_cell

    with threads_of(cell.model.threads):
        return execute_cell(cell, cache)


@contextmanager
def threads_of(threads: str) -> Iterator[None]:
    """The threads that a model's cells are given: "one", or "all" of the machine's."""
    import torch

    count = (os.cpu_count() or 1) if threads == "all" else 1
    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    with _libraries(len(sys.modules)).limit(limits=count, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The process's thread pools. Looking for them takes 4 ms, more than a small cell: it is done
    again only when modules, and with them perhaps libraries, have been loaded since.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def failed(cell: Cell, error: str, seconds: float) -> CellResult:
    """The result of a cell that could not be run to its end."""
    status = np.full(len(cell.replicates), STATUS["failed"], dtype=np.int8)
    return CellResult(cell.key, status, error=error, seconds=seconds)


# --- processes ----------------------------------------------------------------------------------


def processes(cells: Sequence[Cell], workers: int) -> Iterator[CellResult]:
    """Run cells on worker processes, group by group, results as they come.

    A worker that dies (kill −9, out of memory) costs one try of the cell it had; a cell that
    exceeds its time limit is ended with its worker and recorded as failed. Cells whose model takes
    all threads run while no other does.
    """
    groups = [list(group) for _, group in groupby(cells, key=lambda cell: cell.group)]
    alone = [group for group in groups if group[0].model.threads == "all"]
    shared = [group for group in groups if group[0].model.threads != "all"]
    for part, count in ((shared, workers), (alone, 1)):
        if part:
            yield from _crew(deque(part), min(count, len(part)))


def _crew(waiting: deque[list[Cell]], count: int) -> Iterator[CellResult]:
    """Work through the groups with `count` workers at once."""
    tries: dict[str, int] = {}
    crew = [_Worker() for _ in range(count)]
    try:
        while True:
            for worker in crew:
                if not worker.todo and waiting:
                    worker.take(waiting.popleft())
            busy = [worker for worker in crew if worker.todo]
            if not busy:
                return
            wait([worker.pipe for worker in busy], timeout=0.2)
            for worker in busy:
                cell = worker.todo[0]
                outcome = worker.outcome()
                if isinstance(outcome, str):
                    tries[cell.key] = tries.get(cell.key, 0) + 1
                    again = tries[cell.key] < TRIES and not worker.overdue()
                    seconds = worker.seconds()
                    worker.replace()
                    outcome = None if again else failed(cell, outcome, seconds)
                    if again:
                        worker.take(worker.todo)
                if outcome is not None:
                    yield outcome
                    worker.take(worker.todo[1:])
    finally:
        for worker in crew:
            worker.end()


class _Worker:
    """A spawned process with a pipe, and the cells of its group that are not done."""

    def __init__(self) -> None:
        self.todo: list[Cell] = []
        self._started = 0.0
        self._hire()

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self._process = context.Process(target=_work, args=(other,), daemon=True)
        self._process.start()
        other.close()

    def take(self, cells: list[Cell]) -> None:
        """Begin the first of these cells."""
        self.todo, self._started = cells, time.monotonic()
        if cells:
            try:
                self.pipe.send(cells[0])
            except OSError:
                self.pipe.close()  # the worker has died: `outcome` will say so

    def outcome(self) -> CellResult | str | None:
        """The result of the cell at hand, why there will be none, or None: not yet."""
        if self.overdue():
            return f"TimeoutError: the cell took more than {self.todo[0].compute.time_limit:g} s"
        try:
            if self.pipe.poll():
                result: CellResult = self.pipe.recv()
                return result
        except (EOFError, OSError):
            self._process.join(1)
            return f"WorkerDied: the worker process ended with code {self._process.exitcode}"
        return None

    def seconds(self) -> float:
        """How long the cell at hand has been running."""
        return time.monotonic() - self._started

    def overdue(self) -> bool:
        """Whether the cell at hand has exceeded its time limit."""
        limit = self.todo[0].compute.time_limit
        return limit is not None and self.seconds() > limit

    def replace(self) -> None:
        """End the process and start a fresh one; the cells stay."""
        self.end()
        self._hire()

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        self._process.terminate()
        self._process.join(5)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _work(pipe: Connection) -> None:
    """What a worker does: cells in, results out, until the pipe is closed."""

    from testbed.running.execute import PreparationCache

    cache = PreparationCache()
    while True:
        try:
            cell = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        pipe.send(_execute(cell, cache))
