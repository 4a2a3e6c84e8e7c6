"""Run one cell so that no component can end the process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, Protocol

import numpy as np
from attrs import evolve

from testbed.contract.cells import STATUS, Cell, CellResult
from testbed.running.interrupts import Interrupted, watched
from testbed.running.memory import forget_peak, peak
from testbed.running.threads import threads_of

if TYPE_CHECKING:
    from testbed.running.execute import PreparationCache


class ProcessExit(SystemExit):
    """Raised where a component called `os._exit`."""


def guarded(cell: Cell, cache: PreparationCache) -> CellResult:
    """Run a cell; whatever it raises, or however it asks the process to end, becomes a failure."""
    from testbed.running.execute import execute_cell

    try:
        forget_peak()
        with _without_exit(), threads_of(cell):
            result = execute_cell(cell, cache)
        return evolve(result, memory=peak())
    except Interrupted:
        raise
    except KeyboardInterrupt:
        if not watched():
            raise
        return failed(cell, "KeyboardInterrupt: a component raised it")
    except (SystemExit, GeneratorExit) as error:
        kind = type(error).__name__
        return failed(cell, f"{kind}: a component asked the process to end ({error})")
    except Exception as error:  # an error whose text cannot be made
        raised = type(error.__context__ or error).__name__
        return failed(cell, f"{raised}: a component raised it, and its text cannot be made")


@contextmanager
def _without_exit() -> Iterator[None]:
    """Make `os._exit` raise in this process; processes that a component forks keep the real one."""
    process, leave = os.getpid(), os._exit

    def stop(status: int) -> NoReturn:
        if os.getpid() == process:
            raise ProcessExit(f"os._exit({status})")
        leave(status)

    os._exit = stop
    try:
        yield
    finally:
        os._exit = leave


class Named(Protocol):
    """A cell, or what is left of it when it cannot be read."""

    @property
    def key(self) -> str: ...

    @property
    def replicates(self) -> tuple[int, ...]: ...


def failed(cell: Named, error: str, seconds: float = 0.0) -> CellResult:
    """The result of a cell that did not finish."""
    status = np.full(len(cell.replicates), STATUS["failed"], dtype=np.int8)
    return CellResult(cell.key, status, error=error, seconds=seconds)
