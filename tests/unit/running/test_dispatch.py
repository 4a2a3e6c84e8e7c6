"""Dask's tasks: several short cells in one, each cell once, groups in order on one worker."""

from __future__ import annotations

import pickle
import threading
from contextlib import contextmanager

import numpy as np
import pytest
from attrs import evolve
from distributed import Client, LocalCluster

from testbed.contract.cells import CellResult
from testbed.planning.agreement import agreement_of
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.cluster_worker import Processes
from testbed.running.dispatch import LARGEST_TASK, Dispatch

SCENARIO = """
format = 1
name = "dispatch"
seed = 1
replicates = 1
[design]
use = "sequence.gaussian"
n = 10
modes = 1
[target]
use = "sequence.coefficients"
values = [1.0]
[[estimator]]
name = "fixed"
model = { use = "sequence.fixed", gamma = { linspace = [1.0, 2.0, 200] } }
optimizer = { use = "gradient-flow", times = [1.0] }
[[metric]]
use = "excess-risk"
"""
WORKERS = 2


class Answering(Processes):
    """A worker that answers at once; its cells claim to have taken so many seconds."""

    seconds = 0.0
    answered: list[tuple[str, str]] = []  # noqa: RUF012  (worker, cell)

    def run(self, job):
        self.answered.append((threading.current_thread().name, job.key))
        result = CellResult(job.key, np.zeros(1, np.int8), seconds=self.seconds)
        return pickle.dumps(result)


@contextmanager
def dispatching(cells, seconds):
    """A dispatch on a cluster in this process; also the sizes of the tasks that it sends."""
    Answering.seconds, Answering.answered[:] = seconds, []
    quiet = {"dashboard_address": None, "worker_dashboard_address": None}
    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=False, memory_limit=0, **quiet
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        client.register_plugin(Answering(agreement_of(cells)), name="answering")
        sizes = []
        submit = client.submit

        def counted(function, name, jobs, **options):
            sizes.append(len(jobs))
            return submit(function, name, jobs, **options)

        client.submit = counted
        yield Dispatch(client, "answering", 1, print), sizes


@pytest.fixture(scope="module")
def cells():
    return make_plan(read_scenario(SCENARIO)).cells


def test_short_cells_travel_together_and_each_comes_back_once(cells):
    with dispatching(cells, 0.001) as (dispatch, sizes):
        results = [result.key for result in dispatch.results([[cell] for cell in cells])]
    assert sorted(results) == sorted(cell.key for cell in cells)
    assert sum(sizes) == len(cells) and max(sizes) <= LARGEST_TASK
    assert len(sizes) < len(cells) / 4 and sizes[-1] < max(sizes)  # smaller where few are left


def test_long_cells_travel_alone(cells):
    with dispatching(cells, 1.0) as (dispatch, sizes):
        assert len(list(dispatch.results([[cell] for cell in cells[:30]]))) == 30
    assert sizes == [1] * 30


def test_cells_of_a_group_follow_one_another(cells):
    groups = [list(cells[start : start + 10]) for start in range(0, 100, 10)]
    with dispatching(cells, 0.01) as (dispatch, _):
        assert len(list(dispatch.results(groups))) == 100
    keys = [key for _, key in Answering.answered]
    for group in groups:
        places = [keys.index(cell.key) for cell in group]
        assert places == sorted(places)


def test_a_cell_that_cannot_be_sent_fails_and_leaves_the_others(cells):
    unsendable = evolve(cells[3], point={"lock": threading.Lock()})
    chosen = [*cells[:3], unsendable, *cells[4:9]]
    with dispatching(cells, 0.001) as (dispatch, _):
        results = {result.key: result for result in dispatch.results([chosen])}
    assert results.keys() == {cell.key for cell in chosen}
    assert "cannot be sent to a worker" in results[unsendable.key].error
    assert sum(bool(result.error) for result in results.values()) == 1
