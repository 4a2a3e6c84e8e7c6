"""Worker processes and clusters of a run, which stay between its rounds.

Starting a process takes seconds, and jobs of a queueing system may wait for hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from testbed.planning.agreement import Agreement
from testbed.running.admission import SHARE, free_memory
from testbed.running.workers import Worker

if TYPE_CHECKING:
    from testbed.running.cluster import Cluster


class Pool:
    """Lends worker processes, and ends them when it is closed."""

    def __init__(self) -> None:
        self.capacity = SHARE * free_memory()
        """The bytes that cells may take together; measured before there are workers."""
        self.cluster: Cluster | None = None
        self._clusters = ExitStack()
        self._idle: list[Worker] = []
        self._closed = False

    def __enter__(self) -> Pool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closed = True
        for worker in self._idle:
            worker.retire()
        self._idle.clear()
        self._clusters.__exit__(kind, error, trace)

    def connect(self, cluster: AbstractContextManager[Cluster]) -> Cluster:
        """Enter a cluster, which is left when the pool is closed, in place of the one before."""
        self._clusters.close()
        self.cluster = self._clusters.enter_context(cluster)
        return self.cluster

    @contextmanager
    def lent(
        self, agreement: Agreement, environments: Sequence[Mapping[str, str]]
    ) -> Iterator[list[Worker]]:
        """A worker for each of the environments, for as long as the context lasts. Those that are
        then in the middle of a job are ended."""
        workers: list[Worker] = []
        try:
            for variables in environments:
                workers.append(self._hired(agreement, variables))
            yield workers
        finally:
            for worker in workers:
                if worker.job is not None or self._closed:
                    worker.retire()
                else:
                    self._idle.append(worker)

    def _hired(self, agreement: Agreement, environment: Mapping[str, str]) -> Worker:
        """An idle worker that has agreed to the same code, or else a new one."""
        for worker in [idle for idle in self._idle if idle.environment == environment]:
            self._idle.remove(worker)
            if worker.agreement.covers(agreement):
                return worker
            worker.retire()
        return Worker(agreement, environment=environment)
