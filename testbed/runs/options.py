"""What a run is asked for, who watches it, and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from testbed.contract.cells import Cell, CellResult
from testbed.planning.plan import Plan

if TYPE_CHECKING:
    import xarray as xr


class RunWarning(UserWarning):
    """Something about a run that its user should know: damage, cells that run again."""


class Watcher(Protocol):
    """An observer of the progress of a run."""

    def started(self, plan: Plan, missing: Mapping[str, float]) -> None:
        """The run begins; `missing` holds the cells to run, with the seconds expected of each."""

    def extended(self, count: int, missing: Mapping[str, float]) -> None:
        """An adaptive run adds `count` cells; `missing` holds those of them to run."""

    def finished(self, cell: Cell, result: CellResult) -> None: ...

    def noted(self, text: str) -> None: ...


@frozen
class Options:
    """The options of a run; no number depends on them."""

    executor: str = "serial"
    workers: int | None = None
    scheduler: str = ""  # the address of a dask scheduler
    fresh: bool = False  # forget the finished cells of the folder
    mix_versions: bool = False  # keep cells that other versions of libraries made
    keep_stale: bool = False  # keep cells whose code has changed since, and mark them
    keep_failed: bool = False  # do not try failed cells again
    fail_fast: bool = False  # stop at the first cell that fails
    record_only: bool = False  # compute nothing: what is missing stays missing
    measure_only: bool = False  # train nothing: measure kept states, or refuse


@frozen
class Outcome:
    """The outcome of a run."""

    folder: Path
    tree: xr.DataTree
    plan: Plan
    failed: tuple[tuple[Cell, str], ...]  # cells that failed, with their errors
    reused: int  # cells that were in the journal before
    stopped: bool = False  # whether `fail_fast` stopped it
    measured: int = 0  # cells that were measured from kept states, and not trained
