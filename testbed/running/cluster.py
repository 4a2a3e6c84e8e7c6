"""Run cells on dask: on workers of this machine, of a cluster, or in jobs of a queueing system.

Cells run in processes that dask's workers start, as those of the executor `processes` do: with the
same bits, time limits and second tries. Dask carries pickled cells there and results back.
"""

from __future__ import annotations

import math
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING, Any

from testbed.contract.cells import WORKER_DIED, Cell, CellResult, Compute, Dask
from testbed.errors import TestbedError
from testbed.planning.agreement import Agreement, OtherCodeError
from testbed.running.cluster_worker import Processes, run_job
from testbed.running.executors import Workplace, groups_of, worker_count
from testbed.running.guarded import failed
from testbed.running.interrupts import expect_none
from testbed.running.jobs import Job, job_of

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 0.5  # seconds between looks at interrupts and at the number of workers
CONNECTING = 20.0  # seconds to wait for a scheduler
PRIVATE = "127.0.0.1:0"  # where dask shows its state: no port that others see or have taken
ALONE = 60.0  # seconds without a worker after which the run says so
ATTEMPTS = 5  # to reach all workers before cells are sent
AHEAD = 2  # cells sent for each thread, so that no worker waits for the next one

Returned = tuple[str, bytes]
"""The address of the worker, and the pickled result."""
Groups = Sequence[Sequence[Cell]]


def clustered(
    cells: Sequence[Cell], place: Workplace, agreement: Agreement
) -> Iterator[CellResult]:
    """The results of all cells as they come. A cell that ends its worker fails; the others run.

    OtherCodeError if a worker has other code or libraries than this process.
    """
    shared, alone = groups_of(cells)
    jobs = cells[0].compute.dask
    with connected(place, cells[0].compute) as client:
        name = f"testbed-{uuid.uuid4().hex[:12]}"
        _prepare(client, Processes(agreement), name)
        dispatch = Dispatch(client, name, jobs.jobs * jobs.cores if jobs else 1, place.tell)
        try:
            yield from dispatch.results(shared)
            yield from dispatch.results(alone, most=1)
            suspects = [[cell] for cell in dispatch.suspects]
            yield from dispatch.results(suspects, most=1, last=True)
        finally:
            dispatch.cancel()
            with suppress(Exception):  # the cluster may be gone
                client.unregister_worker_plugin(name)


def _prepare(client: Client, processes: Processes, name: str) -> None:
    """Give every worker, also those to come, what it needs. A worker may be lost meanwhile."""
    for attempt in range(ATTEMPTS):
        try:
            client.register_plugin(processes, name=name)
        except OSError as error:
            lost = error
            time.sleep(attempt)
        else:
            return
    raise TestbedError(
        f"found that the workers of the dask scheduler do not answer ({lost}), expected workers "
        "that stay. Look at their logs"
    )


# --- clusters -----------------------------------------------------------------------------------


@contextmanager
def connected(place: Workplace, compute: Compute) -> Iterator[Client]:
    """A client of the scheduler asked for, of jobs of a queueing system, or of local workers."""
    import dask
    from distributed import Client

    settings = {
        "distributed.worker.daemon": False,
        "distributed.admin.large-graph-warning-threshold": "1GB",
    }
    with ExitStack() as stack:
        stack.enter_context(dask.config.set(settings))
        if place.scheduler:
            address: Any = place.scheduler
        else:
            workers = place.workers if compute.device == "cpu" else 1  # one process per device
            cluster = _queued(compute.dask, place) if compute.dask else _local(workers)
            address = stack.enter_context(cluster)
        try:
            client = stack.enter_context(Client(address, timeout=CONNECTING, set_as_default=False))
        except (OSError, ValueError) as error:
            raise TestbedError(
                f"found no dask scheduler at {address} ({error}), expected one; start it with "
                "`dask scheduler`, or leave --scheduler away"
            ) from None
        if place.scheduler and not client.nthreads():
            raise TestbedError(
                f"found no worker at the dask scheduler {address}, expected at least one; start "
                f"some with `dask worker {address}`"
            )
        yield client


def _local(workers: int | None) -> Any:
    """Workers of dask in this process; each starts a process for the cells that it runs."""
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=worker_count(workers),
        threads_per_worker=1,
        processes=False,
        dashboard_address=PRIVATE,
        worker_dashboard_address=PRIVATE,
        memory_limit=0,
        silence_logs=50,
    )


@contextmanager
def _queued(jobs: Dask, place: Workplace) -> Iterator[Any]:
    """Workers in jobs of a queueing system, which are cancelled at the end."""
    try:
        import dask_jobqueue
    except ImportError:
        raise TestbedError(
            "found no package dask-jobqueue, which [compute.dask] needs; install it with "
            '`pip install "theory-testbed[cluster]"`'
        ) from None
    logs = place.folder / "jobs"
    logs.mkdir(parents=True, exist_ok=True)
    kind = getattr(dask_jobqueue, _CLUSTERS[jobs.system])
    quiet = {"dashboard_address": PRIVATE}
    settings = _settings(jobs) | {"log_directory": str(logs), "scheduler_options": quiet}
    with kind(**settings) as cluster:
        cluster.scale(jobs=jobs.jobs)
        yield cluster


_CLUSTERS = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}
_PROJECTS = {"lsf": "project", "sge": "project", "oar": "project"}


def _settings(jobs: Dask) -> dict[str, object]:
    """The arguments of dask-jobqueue; what the scenario leaves open comes from dask's own files."""
    chosen: dict[str, object] = {
        "cores": jobs.cores,
        "processes": jobs.cores,  # one thread each, as cells have
        "memory": f"{jobs.memory:g}GiB",
        "queue": jobs.queue,
        _PROJECTS.get(jobs.system, "account"): jobs.account,
        "walltime": jobs.walltime,
        "interface": jobs.interface,
    }
    return {name: value for name, value in chosen.items() if value not in ("", None)}


# --- dispatch -----------------------------------------------------------------------------------


class Dispatch:
    """Keeps the workers of a cluster busy, and gathers what they return.

    Cells of a group follow one another on one worker as long as it lives. `suspects` are cells
    whose dask worker was lost again and again: they, or a cell beside them, may have ended it.
    """

    def __init__(
        self, client: Client, name: str, expected: int, tell: Callable[[str], None]
    ) -> None:
        self._client, self._name, self._tell = client, name, tell
        self._last_worker = time.monotonic()  # when there was a worker
        self._todo: dict[Future[Returned], deque[Cell]] = {}  # the first cell of each is running
        self._done: Queue[Future[Returned]] = Queue()
        self._expected = expected
        self._slots, self._counted = 0, -math.inf
        self.suspects: list[Cell] = []

    def results(
        self, groups: Groups, most: int | None = None, last: bool = False
    ) -> Iterator[CellResult]:
        """The results of groups of cells, at most so many at a time. If this is the `last` chance,
        a cell whose worker is lost has failed."""
        waiting = deque(deque(group) for group in groups)
        while waiting or self._todo:
            while waiting and len(self._todo) < (most or self._wanted()):
                yield from self._submit(waiting.popleft())
            expect_none()
            try:
                future = self._done.get(timeout=PATIENCE if self._todo else 0.0)
            except Empty:
                self._wanted()
                self._expect_scheduler()
                continue
            todo = self._todo.pop(future)
            result = self._result(future, todo.popleft(), last)
            worker = None if result is None else _address(future)
            yield from self._submit(todo, worker)
            if result is not None:
                yield result

    def _wanted(self) -> int:
        """How many cells to have sent: somewhat more than there are threads."""
        if time.monotonic() - self._counted > PATIENCE:
            self._slots = sum(self._client.nthreads().values())
            self._counted = time.monotonic()
            self._say_if_idle()
        return AHEAD * max(self._expected, self._slots)

    def _say_if_idle(self) -> None:
        """Say once in a while that there is no worker."""
        if self._slots:
            self._last_worker = self._counted
        elif self._counted - self._last_worker > ALONE:
            self._last_worker = self._counted
            self._tell(
                "no dask worker is there yet; if no job waits in the queue, look at the logs of "
                "those that ended"
            )

    def _submit(self, todo: deque[Cell], worker: str | None = None) -> Iterator[CellResult]:
        """Send the next cell of a group; the failures of those that cannot be sent."""
        while todo:
            job = job_of(todo[0])
            if isinstance(job, Job):
                future = self._client.submit(
                    run_job,
                    self._name,
                    job,
                    key=f"{todo[0].estimator}-{uuid.uuid4().hex}",
                    workers=[worker] if worker else None,
                    allow_other_workers=bool(worker),
                    pure=False,
                )
                self._todo[future] = todo
                future.add_done_callback(self._done.put)
                return
            yield job
            todo.popleft()

    def _result(self, future: Future[Returned], cell: Cell, last: bool) -> CellResult | None:
        """The result of a cell; None if its worker was lost, and it is to be tried alone."""
        from distributed.scheduler import KilledWorker

        if future.status == "finished":
            result: CellResult = pickle.loads(future.result()[1])
            return result
        if future.status in ("cancelled", "lost"):
            raise _gone()
        error = future.exception()
        if isinstance(error, KilledWorker):
            if last:
                return failed(cell, f"{WORKER_DIED}: every dask worker that ran the cell was lost")
            self.suspects.append(cell)
            return None
        if isinstance(error, OtherCodeError):
            raise error
        raise TestbedError(
            f"found that a dask worker cannot run cells ({type(error).__name__}: {error}), "
            "expected the same installation as here on every worker"
        )

    def _expect_scheduler(self) -> None:
        if self._client.status not in ("running", "connecting"):
            raise _gone()

    def cancel(self) -> None:
        """Give up what has not come back."""
        with suppress(Exception):  # the cluster may be gone
            self._client.cancel(list(self._todo), force=True)
        self._todo.clear()


def _gone() -> TestbedError:
    return TestbedError(
        "found that the dask scheduler is gone, expected it to stay until the run ends. Run the "
        "same command again: the finished cells are kept"
    )


def _address(future: Future[Returned]) -> str | None:
    """The worker that returned a result."""
    address: str = future.result()[0]
    return address
