"""Run cells on dask: on workers of this machine, of a cluster, or in jobs of a queueing system.

Cells run in processes that dask's workers start, as those of the executor `processes` do: with the
same bits, time limits and second tries. Dask carries pickled cells there and results back.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

from attrs import frozen

from testbed.contract.cells import Cell, CellResult, Compute, Dask
from testbed.errors import TestbedError
from testbed.planning.agreement import Agreement
from testbed.running.cluster_worker import Processes
from testbed.running.dispatch import Dispatch
from testbed.running.executors import Workplace, groups_of, worker_count
from testbed.running.pool import Pool

if TYPE_CHECKING:
    from distributed import Client

CONNECTING = 20.0  # seconds to wait for a scheduler
PRIVATE = "127.0.0.1:0"  # where dask shows its state: no port that others see or have taken
ATTEMPTS = 5  # to reach all workers before cells are sent


def clustered(
    cells: Sequence[Cell], place: Workplace, agreement: Agreement
) -> Iterator[CellResult]:
    """The results of all cells as they come. A cell that ends its worker fails; the others run.

    OtherCodeError if a worker has other code or libraries than this process.
    """
    shared, alone = groups_of(cells)
    jobs = cells[0].compute.dask
    with Pool() if place.pool is None else nullcontext(place.pool) as pool:
        cluster = pool.cluster
        if cluster is None or not cluster.agreement.covers(agreement):
            cluster = pool.connect(prepared(place, cells[0].compute, agreement))
        expected = jobs.jobs * jobs.cores if jobs else 1
        dispatch = Dispatch(cluster.client, cluster.name, expected, place.tell)
        try:
            yield from dispatch.results(shared)
            yield from dispatch.results(alone, most=1)
            suspects = [[cell] for cell in dispatch.suspects]
            yield from dispatch.results(suspects, last=True)
        finally:
            dispatch.cancel()


@frozen
class Cluster:
    """A client of a scheduler whose workers have processes for cells, and the name under which they
    have them."""

    client: Client
    name: str
    agreement: Agreement


@contextmanager
def prepared(place: Workplace, compute: Compute, agreement: Agreement) -> Iterator[Cluster]:
    """A cluster whose workers start processes, which end with the context."""
    with connected(place, compute) as client:
        name = f"testbed-{uuid.uuid4().hex[:12]}"
        _prepare(client, Processes(agreement), name)
        try:
            yield Cluster(client, name, agreement)
        finally:
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
        # what dask watches many times a second, for a dashboard that is not shown
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.interval": "1s",
        "distributed.admin.system-monitor.interval": "10s",
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
