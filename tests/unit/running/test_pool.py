"""Worker processes stay from one round of cells to the next, and end with the run."""

from __future__ import annotations

import multiprocessing

import pytest
from attrs import evolve

from testbed.planning.agreement import agreement_of
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.executors import processes
from testbed.running.jobs import job_of
from testbed.running.pool import Pool
from tests.unit.running.test_calibration import SCENARIO


@pytest.fixture(scope="module")
def cells():
    return make_plan(read_scenario(SCENARIO)).cells[:3]


def children():
    return {process.pid for process in multiprocessing.active_children()}


def test_later_rounds_run_on_the_workers_of_the_first(cells):
    before = children()
    with Pool() as pool:
        first = list(processes(cells[:2], 1, pool))
        hired = children() - before
        second = list(processes(cells[2:], 1, pool))
        assert len(hired) == 1 and children() - before == hired
    assert [result.key for result in (*first, *second)] == [cell.key for cell in cells]
    assert not any(result.error for result in (*first, *second))
    assert children() == before


def test_a_worker_that_is_given_back_in_the_middle_of_a_cell_ends(cells):
    before = children()
    with Pool() as pool:
        with pool.lent(agreement_of(cells), [{}, {}]) as (busy, idle):
            busy.take(job_of(cells[0]))
        (left,) = children() - before
        with pool.lent(agreement_of(cells), [{}]) as (worker,):
            assert worker is idle
            assert children() - before == {left}
    assert children() == before


def test_other_code_asks_for_another_worker(cells):
    agreement = agreement_of(cells)
    module = next(iter(agreement.code))
    changed = evolve(agreement, code={**agreement.code, module: "changed"})
    part = evolve(agreement, code={module: agreement.code[module]})
    assert agreement.covers(part) and not part.covers(agreement)
    with Pool() as pool:
        with pool.lent(agreement, [{}]) as (worker,):
            pass
        with pool.lent(part, [{}]) as (same,):
            assert same is worker
        with pool.lent(part, [{"CUDA_VISIBLE_DEVICES": "0"}]) as (elsewhere,):
            assert elsewhere is not worker
        with pool.lent(changed, [{}]) as (replaced,):
            assert replaced is not worker
