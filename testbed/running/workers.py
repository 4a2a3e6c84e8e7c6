"""Worker processes: cells in, results out. A worker that dies costs one try of its cell."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait

import numpy as np

from testbed.contract.cells import STATUS, WORKER_DIED, Cell, CellResult
from testbed.running.guarded import failed, guarded
from testbed.running.interrupts import expect_none

TRIES = 2  # a cell whose worker died runs once more, in a new worker
BEGUN = b"begun"
PATIENCE = 0.2  # seconds between looks at time limits
_PDEATHSIG = 1  # of prctl: the signal to get when the parent dies


def crew(waiting: deque[list[Cell]], count: int) -> Iterator[CellResult]:
    """The results of all waiting cells, as `count` worker processes finish them."""
    tries: dict[str, int] = {}
    workers = [Worker() for _ in range(count)]
    try:
        while True:
            for worker in workers:
                if not worker.todo and waiting:
                    worker.take(waiting.popleft())
            busy = [worker for worker in workers if worker.todo]
            if not busy:
                return
            wait([worker.pipe for worker in busy], timeout=PATIENCE)
            expect_none()
            for worker in busy:
                result = _outcome(worker, tries)
                if result is not None:
                    yield result
                    worker.take(worker.todo[1:])
    finally:
        for worker in workers:
            worker.end()


def _outcome(worker: Worker, tries: dict[str, int]) -> CellResult | None:
    """The result of a worker's cell, if it is ready; a dead worker is replaced."""
    cell = worker.todo[0]
    outcome = worker.outcome()
    if not isinstance(outcome, str):
        return outcome
    tries[cell.key] = tries.get(cell.key, 0) + 1
    again = tries[cell.key] < TRIES and not worker.overdue()
    seconds = worker.seconds()
    worker.replace()
    if not again:
        return failed(cell, outcome, seconds)
    worker.take(worker.todo)
    return None


class Worker:
    """A spawned process with a pipe, and the cells of its group that are not done."""

    def __init__(self) -> None:
        self.todo: list[Cell] = []
        self._begun: float | None = None
        self._refused: CellResult | None = None
        self._hire()

    def _hire(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, end = context.Pipe()
        main = threading.current_thread() is threading.main_thread()
        self._process = context.Process(target=work, args=(end, main), daemon=True)
        with _interrupts_ignored(main):
            self._process.start()
        end.close()

    def take(self, cells: list[Cell]) -> None:
        """Send the first cell; a cell that cannot be pickled fails."""
        self.todo, self._begun, self._refused = cells, None, None
        if not cells:
            return
        cell = cells[0]
        try:
            content = pickle.dumps((cell.key, cell.replicates, pickle.dumps(cell)))
        except Exception as error:  # components may raise anything
            reason = f"{type(error).__name__}: {error}"
            self._refused = failed(cell, f"the cell cannot be sent to a worker: {reason}")
            return
        try:
            self.pipe.send_bytes(content)
        except OSError:
            self.pipe.close()  # the worker has died: `outcome` will say so

    def outcome(self) -> CellResult | str | None:
        """The result of the current cell, the reason why there is none, or None while it runs."""
        if self._refused is not None:
            return self._refused
        try:
            while self.pipe.poll():
                content = self.pipe.recv_bytes()
                if content != BEGUN:
                    result: CellResult = pickle.loads(content)
                    return result
                self._begun = time.monotonic()
        except (EOFError, OSError):
            self._process.join(1)
            return f"{WORKER_DIED}: the worker process ended with code {self._process.exitcode}"
        if self.overdue():
            return f"TimeoutError: the cell took more than {self.todo[0].compute.time_limit:g} s"
        return None

    def seconds(self) -> float:
        """How long the current cell has been running."""
        return time.monotonic() - self._begun if self._begun is not None else 0.0

    def overdue(self) -> bool:
        """Whether the current cell has exceeded its time limit, without its worker's start."""
        limit = self.todo[0].compute.time_limit
        return limit is not None and self.seconds() > limit

    def replace(self) -> None:
        """End the process and start a fresh one; the cells stay."""
        self.end()
        self._hire()

    def end(self) -> None:
        """End the process."""
        self.pipe.close()
        self._process.kill()
        self._process.join()


@contextmanager
def _interrupts_ignored(main: bool) -> Iterator[None]:
    """Processes started here never see Ctrl-C: the main process ends them."""
    if not main:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


# --- what runs in a worker ----------------------------------------------------------------------


def work(pipe: Connection, main: bool) -> None:
    """What a worker does: cells in, results out, until the pipe is closed or the parent gone."""
    die_with_parent(main)
    from testbed.running.execute import PreparationCache

    cache = PreparationCache()
    cold = True
    while True:
        try:
            key, replicates, content = pickle.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        cell = _unpickled(key, replicates, content)
        if cold and isinstance(cell, Cell) and cell.compute.time_limit is not None:
            _warm_up()
            cold = False
        with suppress(OSError):
            pipe.send_bytes(BEGUN)
            result = guarded(cell, cache) if isinstance(cell, Cell) else cell
            pipe.send_bytes(pickle.dumps(result))


def _unpickled(key: str, replicates: tuple[int, ...], content: bytes) -> Cell | CellResult:
    """A pickled cell; if it cannot be unpickled, its failure."""
    try:
        cell: Cell = pickle.loads(content)
        return cell
    except Exception as error:  # components may raise anything
        reason = f"{type(error).__name__}: {error}"
        status = np.full(len(replicates), STATUS["failed"], dtype=np.int8)
        return CellResult(key, status, error=f"the cell cannot be read by a worker: {reason}")


def _warm_up() -> None:
    """Load the modules that the first gradient needs, for seconds, before time limits count."""
    import torch

    torch.func.grad(torch.sin)(torch.zeros(()))


def die_with_parent(main: bool) -> None:
    """End this process when its parent is gone, even in the middle of a cell.

    A thread waits for the parent. Where Linux can, a signal comes as well, which reaches code that
    never lets threads run; it would come too early if a thread other than the main one had started
    this process.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()
    if main and sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
