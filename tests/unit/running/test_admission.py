"""Parallel cells never take more memory than there is."""

from __future__ import annotations

from attrs import evolve

from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.running.admission import Admission, free_memory
from testbed.running.crew import Crew
from tests.unit.running.test_calibration import SCENARIO


class Idle:
    """Stands where a worker stands, without a process."""

    job = None


def crew(capacity, groups, expected):
    planned = Crew(groups, Admission(capacity, expected), [])
    return planned, [Idle() for _ in groups]


def test_a_group_waits_until_there_is_room_and_a_smaller_one_goes_before():
    first, second, third, *_ = make_plan(read_scenario(SCENARIO)).cells
    sizes = {first.key: 6.0, second.key: 6.0, third.key: 4.0}
    planned, workers = crew(10.0, [[first], [second], [third]], sizes)
    assert list(planned.next_group(workers[0])) == [first]
    assert list(planned.next_group(workers[1])) == [third]
    assert not planned.next_group(workers[2])
    assert list(planned.next_group(workers[0])) == [second]  # its first group is done


def test_a_cell_larger_than_the_machine_runs_alone():
    first, second, *_ = make_plan(read_scenario(SCENARIO)).cells
    planned, workers = crew(1.0, [[first], [second]], {})
    assert list(planned.next_group(workers[0])) == [first]
    assert not planned.next_group(workers[1])
    assert list(planned.next_group(workers[0])) == [second]


def test_a_cell_that_was_never_measured_counts_with_its_bound():
    cell = make_plan(read_scenario(SCENARIO)).cells[0]
    assert Admission(1.0).bytes_of(cell) == 2 * 2**30
    limited = evolve(cell, compute=evolve(cell.compute, memory=0.5))
    assert Admission(1.0).bytes_of(limited) == 2**29


def test_memory_that_is_free_is_more_than_nothing_and_less_than_a_petabyte():
    assert 2**20 < free_memory() < 2**50
