"""The number of threads for the numerics of a cell.

It depends on the cell alone, never on the number of workers, so that the bits of a result do not
depend on the executor: one, unless the model says `threads = "all"` and the observations are many.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from testbed.contract.cells import Cell
from testbed.contract.components import sample_size

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

SMALL = 1024
"""Observations up to which a cell has one thread. Small factorisations gain little from more, lose
much while other programs want the cores, and would keep other cells waiting."""


def takes_all_threads(cell: Cell) -> bool:
    """Whether a cell runs on all threads of the machine, while no other cell runs."""
    return cell.model.facts().threads == "all" and sample_size(cell.design) > SMALL


@contextmanager
def threads_of(cell: Cell) -> Iterator[None]:
    """The numerical libraries with the threads that a cell has."""
    with limited_threads((os.cpu_count() or 1) if takes_all_threads(cell) else 1):
        yield


@contextmanager
def limited_threads(count: int) -> Iterator[None]:
    """The numerical libraries with so many threads."""
    import torch

    if torch.get_num_threads() != count:
        torch.set_num_threads(count)
    with _libraries(len(sys.modules)).limit(limits=count, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    """The process's thread pools. Looking for them takes 4 ms, more than a small cell: it is done
    again only when modules, and with them perhaps libraries, have been loaded since.
    """
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
