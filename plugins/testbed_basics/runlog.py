"""A log of every run, next to its results: one JSON object a line in `run.jsonl`.

It says which cells took long and when a run was resumed; the numbers themselves are in results.nc
alone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from testbed import Cell, CellResult, Plan, name_with_source

NAME = "run.jsonl"


class RunLog:
    """Appends lines to the log of the current run."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def started(self, plan: Plan, folder: Path) -> None:
        """Note that a run begins or goes on."""
        self._path = folder / NAME
        self._line(event="started", scenario=plan.scenario.name, cells=len(plan.cells))

    def cell(self, cell: Cell, result: CellResult) -> None:
        """Note a cell, once it is in the journal."""
        self._line(
            event="cell",
            estimator=cell.estimator,
            design=name_with_source(cell.design),
            point={dim: str(value) for dim, value in cell.point.items()},
            replicates=list(cell.replicates),
            seconds=round(result.seconds, 3),
            error=result.error,
        )

    def finished(self, folder: Path) -> None:
        """Note the end of the run, once results.nc is in place."""
        self._line(event="finished")

    def _line(self, **record: Any) -> None:
        if self._path is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"time": stamp, **record}) + "\n")
