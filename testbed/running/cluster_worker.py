"""What runs in a worker of dask: it hands cells to processes of its own and returns their results.

A cell may end its process, take all its time or change its settings; the worker of dask stays.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Sequence
from multiprocessing.connection import wait

from distributed import Worker as DaskWorker, get_worker
from distributed.diagnostics.plugin import WorkerPlugin

from testbed.planning.agreement import Agreement, OtherCodeError
from testbed.running.jobs import Job
from testbed.running.workers import Worker

PATIENCE = 0.2  # seconds between looks at time limits


class Processes(WorkerPlugin):
    """The processes of one worker of dask: one for each of its threads."""

    def __init__(self, agreement: Agreement) -> None:
        self.agreement = agreement

    def setup(self, worker: DaskWorker) -> None:
        """Called by dask when the worker starts, or when a run begins."""
        self._address = worker.address
        self._lock = threading.Lock()
        self._idle: list[Worker] = []
        self._all: list[Worker] = []
        self._closed = False

    def teardown(self, worker: DaskWorker) -> None:
        """Called by dask when the worker or the run ends."""
        with self._lock:
            self._closed = True
            processes, self._all = self._all, []
        for process in processes:
            process.retire()

    def __getstate__(self) -> dict[str, object]:
        return {"agreement": self.agreement}

    def run(self, job: Job) -> bytes:
        """The pickled result of a job."""
        process = self._process()
        process.take(job)
        try:
            while (result := process.outcome()) is None:
                wait([process.pipe], timeout=PATIENCE)
                if self._closed:
                    raise RuntimeError("the run has ended")
        except OtherCodeError as error:
            raise OtherCodeError(f"the dask worker at {self._address}: {error}") from None
        with self._lock:
            self._idle.append(process)
        return pickle.dumps(result)

    def _process(self) -> Worker:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if self._closed:
                raise RuntimeError("the run has ended")
            process = Worker(self.agreement, elsewhere=True)
            self._all.append(process)
        return process


def run_jobs(name: str, jobs: Sequence[Job]) -> tuple[str, list[bytes]]:
    """Run jobs in a process of this worker: the worker's address, and the pickled results."""
    worker = get_worker()
    processes = worker.plugins[name]
    assert isinstance(processes, Processes)
    return worker.address, [processes.run(job) for job in jobs]
