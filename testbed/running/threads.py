"""The number of threads for the numerics of a cell.

It depends on the cell alone, never on the number of workers: one, unless the model's class says
`threads = "all"`. So the bits of a result do not depend on the executor.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


@contextmanager
def threads_of(threads: str) -> Iterator[None]:
    """Whether a model's cells run on "one" thread or on "all" threads of the machine."""
    import torch

    count = (os.cpu_count() or 1) if threads == "all" else 1
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
