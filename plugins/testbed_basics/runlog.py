"""A log of every run, beside its results: one JSON object a line in `run.jsonl`.

Who wonders afterwards which cells took long, or when a run was resumed, finds it here; the numbers
themselves are in results.nc alone.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from testbed import Cell, CellResult, Plan, name_with_source

NAME = "run.jsonl"


class RunLog:
    """Appends lines to the log of the run at hand."""

    def __init__(self) -> None:
        self._path: Path | None = None

    def started(self, plan: Plan, folder: Path) -> None:
        """A run begins, or goes on."""
        self._path = folder / NAME
        self._line(event="started", scenario=plan.scenario.name, cells=len(plan.cells))

    def cell(self, cell: Cell, result: CellResult) -> None:
        """A cell is in the journal."""
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
        """results.nc is in place."""
        self._line(event="finished")

    def _line(self, **record: Any) -> None:
        if self._path is None:
            return
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"time": stamp, **record}) + "\n")
