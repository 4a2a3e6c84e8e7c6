"""Run groups of cells on the worker processes of this machine, within its memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait

from testbed.contract.cells import Cell, CellResult
from testbed.running.admission import Admission
from testbed.running.interrupts import expect_none
from testbed.running.jobs import Job, job_of
from testbed.running.workers import Worker

PATIENCE = 0.2  # seconds between looks at time limits


class Crew:
    """Worker processes that take groups of cells. Cells of a group, which share preparations, run
    one after another in one worker. A worker that has not finished when the results are given up
    still has its job."""

    def __init__(
        self,
        groups: Sequence[Sequence[Cell]],
        admission: Admission,
        workers: Sequence[Worker],
    ) -> None:
        self._waiting = deque(groups)
        self._admission = admission
        self._workers = workers
        self._todo: dict[Worker, deque[Cell]] = {}
        self._held: dict[Worker, float] = {}

    def results(self) -> Iterator[CellResult]:
        """The results of all cells as they come; OtherCodeError from a worker with other code."""
        while True:
            yield from self._hand_out()
            busy = [worker for worker in self._workers if worker.job is not None]
            if not busy:
                return
            wait([worker.pipe for worker in busy], timeout=PATIENCE)
            expect_none()
            for worker in busy:
                result = worker.outcome()
                if result is not None:
                    yield result

    def _hand_out(self) -> Iterator[CellResult]:
        """Give every idle worker its next cell; the failures of cells that cannot be sent."""
        for worker in self._workers:
            while worker.job is None:
                todo = self._todo.get(worker) or self.next_group(worker)
                if not todo:
                    break
                self._todo[worker] = todo
                job = job_of(todo.popleft())
                if isinstance(job, Job):
                    worker.take(job)
                else:
                    yield job

    def next_group(self, worker: Worker) -> deque[Cell]:
        """The first waiting group that memory has room for; none while there is no room."""
        self._held.pop(worker, None)
        for position, group in enumerate(self._waiting):
            needed = max(map(self._admission.bytes_of, group))
            if not self._held or sum(self._held.values()) + needed <= self._admission.capacity:
                del self._waiting[position]
                self._held[worker] = needed
                return deque(group)
        return deque()
