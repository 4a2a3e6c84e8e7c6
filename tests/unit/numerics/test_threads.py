"""Tasks side by side: all are done, in order, each on one thread, and nothing is left changed."""

from __future__ import annotations

import functools
import threading

import pytest
import torch

from testbed.numerics.threads import side_by_side


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield 2
    torch.set_num_threads(before)


def test_tasks_run_together_on_one_thread_each(threads):
    meeting = threading.Barrier(threads, timeout=60)  # passed only if two tasks are under way

    def task(number: int) -> tuple[int, int]:
        if number < threads:
            meeting.wait()
        return number, torch.get_num_threads()

    result = side_by_side([functools.partial(task, number) for number in range(5)])
    assert result == [(number, 1) for number in range(5)]
    assert torch.get_num_threads() == threads


def test_what_a_task_raises_arrives_and_threads_are_given_back(threads):
    def broken() -> None:
        raise ValueError("broken task")

    with pytest.raises(ValueError, match="broken task"):
        side_by_side([broken, lambda: None])
    assert torch.get_num_threads() == threads


def test_one_thread_or_one_task_stays_where_it_is(threads):
    assert side_by_side([threading.get_ident]) == [threading.get_ident()]
    torch.set_num_threads(1)
    assert side_by_side([threading.get_ident] * 3) == [threading.get_ident()] * 3
