"""Send cells to the workers of a dask cluster, and gather what they return."""

from __future__ import annotations

import math
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, Queue
from typing import TYPE_CHECKING

from attrs import frozen

from testbed.contract.cells import WORKER_DIED, Cell, CellResult
from testbed.errors import TestbedError
from testbed.planning.agreement import OtherCodeError
from testbed.running.cluster_worker import run_jobs
from testbed.running.guarded import failed
from testbed.running.interrupts import expect_none
from testbed.running.jobs import Job, job_of

if TYPE_CHECKING:
    from distributed import Client, Future

PATIENCE = 0.5  # seconds between looks at interrupts and at the number of workers
ALONE = 60.0  # seconds without a worker after which the run says so
AHEAD = 2  # tasks sent for each thread, so that no worker waits for the next one
TASK = 0.2  # seconds that the cells of a task take together, at most, unless it is one cell
LARGEST_TASK = 20  # cells

Answer = tuple[str, list[bytes]]
"""The address of the worker, and the pickled results."""
Groups = Sequence[Sequence[Cell]]


@frozen
class Sent:
    """The cells of a task, and the cells of their group that follow it on the same worker."""

    cells: tuple[Cell, ...]
    following: deque[Cell]


class Dispatch:
    """Keeps the workers of a cluster busy.

    Cells of a group follow one another on one worker as long as it lives. Short cells go together
    in one task, since dask takes some milliseconds for each. `suspects` are cells whose dask worker
    was lost again and again: they, or a cell beside them, may have ended it.
    """

    def __init__(
        self, client: Client, name: str, expected: int, tell: Callable[[str], None]
    ) -> None:
        self._client, self._name, self._tell = client, name, tell
        self._last_worker = time.monotonic()  # when there was a worker
        self._sent: dict[Future[Answer], Sent] = {}
        self._done: Queue[Future[Answer]] = Queue()
        self._expected = expected
        self._slots, self._counted = 0, -math.inf
        self._seconds = math.inf  # of a cell, as those that came last took
        self.suspects: list[Cell] = []

    def results(
        self, groups: Groups, most: int | None = None, last: bool = False
    ) -> Iterator[CellResult]:
        """The results of groups of cells, at most so many tasks at a time. If this is the `last`
        chance, cells run one by one, and a cell whose worker is lost has failed."""
        waiting = deque(deque(group) for group in groups)
        most = 1 if last else most
        while waiting or self._sent:
            while waiting and len(self._sent) < (most or self._wanted()):
                yield from self._send(waiting, 1 if last else self._size(len(waiting)))
            expect_none()
            futures = self._finished()
            if not futures:
                self._wanted()
                self._expect_scheduler()
            for future, answer in zip(futures, self._answers(futures), strict=True):
                yield from self._received(future, answer, last)

    def _received(
        self, future: Future[Answer], answer: Answer | None, last: bool
    ) -> Iterator[CellResult]:
        """Send the cells that follow a task; then the results of the task."""
        sent = self._sent.pop(future)
        lost = [] if answer else self._lost(future, sent.cells, last)
        if sent.following:
            size = 1 if last else self._size(len(sent.following))
            yield from self._send(deque([sent.following]), size, answer[0] if answer else None)
        yield from lost
        for content in answer[1] if answer else ():
            result: CellResult = pickle.loads(content)
            self._seconds = result.seconds
            yield result

    # --- tasks --------------------------------------------------------------------------------

    def _size(self, waiting: int) -> int:
        """How many cells to send in one task; fewer where each worker would get but few tasks."""
        fitting = TASK / self._seconds if self._seconds > 0 else LARGEST_TASK
        share = waiting / max(1, AHEAD * max(self._expected, self._slots))
        return max(1, int(min(fitting, share, LARGEST_TASK)))

    def _send(
        self, waiting: deque[deque[Cell]], size: int, worker: str | None = None
    ) -> Iterator[CellResult]:
        """Send the next cells in one task; the failures of those that cannot be sent."""
        cells: list[Cell] = []
        jobs: list[Job] = []
        group: deque[Cell] = deque()
        while len(jobs) < size and (group or waiting):
            group = group or waiting.popleft()
            job = job_of(group[0])
            if isinstance(job, Job):
                cells.append(group.popleft())
                jobs.append(job)
            else:
                group.popleft()
                yield job
        if not jobs:
            return
        future = self._client.submit(
            run_jobs,
            self._name,
            jobs,
            key=f"{cells[0].estimator}-{uuid.uuid4().hex}",
            workers=[worker] if worker else None,
            allow_other_workers=bool(worker),
            pure=False,
        )
        self._sent[future] = Sent(tuple(cells), group)
        future.add_done_callback(self._done.put)

    def _wanted(self) -> int:
        """How many tasks to have sent: somewhat more than there are threads."""
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

    # --- answers ------------------------------------------------------------------------------

    def _finished(self) -> list[Future[Answer]]:
        """The tasks that have ended since the last look; waits a moment for the first."""
        futures: list[Future[Answer]] = []
        with suppress(Empty):
            futures.append(self._done.get(timeout=PATIENCE if self._sent else 0.0))
            while True:
                futures.append(self._done.get_nowait())
        return futures

    def _answers(self, futures: Sequence[Future[Answer]]) -> list[Answer | None]:
        """What tasks returned, fetched together; None for those that were lost."""
        finished = [future for future in futures if future.status == "finished"]
        answers = self._client.gather(finished) if finished else []
        fetched = dict(zip(finished, answers, strict=True))
        return [fetched.get(future) for future in futures]

    def _lost(self, future: Future[Answer], cells: Sequence[Cell], last: bool) -> list[CellResult]:
        """The failures of the cells of a lost task; none if they are to be tried alone."""
        from distributed.scheduler import KilledWorker

        if future.status in ("cancelled", "lost"):
            raise _gone()
        error = future.exception()
        if isinstance(error, KilledWorker):
            if last:
                reason = f"{WORKER_DIED}: every dask worker that ran the cell was lost"
                return [failed(cell, reason) for cell in cells]
            self.suspects.extend(cells)
            return []
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
            self._client.cancel(list(self._sent), force=True)
        self._sent.clear()


def _gone() -> TestbedError:
    return TestbedError(
        "found that the dask scheduler is gone, expected it to stay until the run ends. Run the "
        "same command again: the finished cells are kept"
    )
