"""Run tasks in separate threads, where threads inside single products would wait."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

T = TypeVar("T")


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The return values of tasks, run by as many threads as torch has, each on one core.

    Of small products most of the time goes into bringing threads together; independent tasks need
    that once. The products of NumPy, SciPy and torch let other threads run meanwhile. With one
    thread, as in cells that run in parallel with others, the tasks are done in turn.

    >>> side_by_side([lambda: 1, lambda: 2])
    [1, 2]
    """
    threads = torch.get_num_threads()
    count = min(len(tasks), threads)
    if count <= 1:
        return [task() for task in tasks]
    try:
        with _controller().limit(limits=1), _pool(count) as pool:
            return list(pool.map(lambda task: task(), tasks))
    finally:
        torch.set_num_threads(threads)  # torch keeps some of its counts for all threads together


@contextmanager
def one_thread() -> Iterator[None]:
    """torch on one thread meanwhile."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pool(count: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))


@functools.cache
def _controller() -> ThreadpoolController:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
