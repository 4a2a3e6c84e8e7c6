"""Show the progress of a run: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from testbed.contract.components import name_with_source
from testbed.errors import printable

if TYPE_CHECKING:
    from testbed.contract.cells import Cell, CellResult
    from testbed.planning.plan import Plan

PLAIN_EVERY = 10.0  # seconds between plain lines
PACED_BY = 3  # cells that finish after the first before they say how fast the others will be
SHARE = 0.05  # of the expected work that is done by then, at least


class ProgressWatcher:
    """A Watcher that prints; use it as a context."""

    def __init__(self, console: Console):
        self.console = console
        self._bar: Progress | None = None
        self._task: Any = None
        self._total = self._done = 0
        self._expected: dict[str, float] = {}
        self._work = 0.0
        self._first = (0.0, 0.0)  # when the first cell had finished, and the work left then
        self._finished = 0
        self._printed = time.monotonic()

    def __enter__(self) -> ProgressWatcher:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()

    def started(self, plan: Plan, missing: Mapping[str, float]) -> None:
        """The run begins; `missing` holds the cells to run, with the seconds expected of each."""
        self._expected = dict(missing)
        self._work = sum(missing.values())
        self._finished, self._printed = 0, time.monotonic()
        self._total, self._done = len(plan.cells), len(plan.cells) - len(missing)
        done = self._done
        note = f" ({done} of them are in the journal already)" if done else ""
        adaptive = not isinstance(plan.scenario.replicates, int)
        what = f"{self._total} cells{' in the first round' if adaptive else ''}{note}"
        self.console.print(f"{plan.scenario.name}: {what}", highlight=False)
        if self.console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, TextColumn("{task.fields[left]}"), console=self.console)
            self._task = self._bar.add_task("cells", total=self._total, completed=done, left="")
            self._bar.start()

    def extended(self, count: int, missing: Mapping[str, float]) -> None:
        """An adaptive run adds cells where its results are not precise enough."""
        self._expected |= missing
        self._work += sum(missing.values())
        self._total += count
        self._done += count - len(missing)
        self.console.print(f"{count} more cells: {self._total} in all", highlight=False)
        if self._bar:
            self._bar.update(self._task, total=self._total, completed=self._done)

    def noted(self, text: str) -> None:
        """Something that the user should know."""
        self.console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)

    def finished(self, cell: Cell, result: CellResult) -> None:
        """Count a finished cell, and show the progress."""
        self._done += 1
        self._finished += 1
        self._expected.pop(cell.key, None)
        if self._finished == 1:
            self._first = (time.monotonic(), sum(self._expected.values()))
        if result.error:
            text = printable(f"failed: {_named(cell)}: {result.error}")
            self.console.print(text, style="red", highlight=False, markup=False, soft_wrap=True)
        if self._bar:
            self._bar.update(self._task, completed=self._done, left=self.time_left())
        elif time.monotonic() - self._printed > PLAIN_EVERY:
            self._printed = time.monotonic()
            texts = [f"{self._done}/{self._total} cells", self.time_left()]
            self.console.print(", ".join(filter(None, texts)))

    def time_left(self) -> str:
        """The time left: what the missing cells are expected to take, at the pace so far.

        The first cell does not count, since it loads libraries and starts workers; there is no
        answer before a few others have finished and a part of the work with them.
        """
        begun, work = self._first
        missing = sum(self._expected.values())
        finished = work - missing
        if self._finished <= PACED_BY or finished < SHARE * self._work:
            return ""
        pace = (time.monotonic() - begun) / finished
        return f"about {datetime.timedelta(seconds=round(pace * missing))} left"


def _named(cell: Cell) -> str:
    """A cell in words: `kernel(n=100) on dataset (data = "digits"), replicates 0 to 7`."""
    where = ", ".join(f"{dim}={value}" for dim, value in cell.point.items())
    text = f"{cell.estimator}({where}) on {name_with_source(cell.design)}"
    if not cell.replicates:
        return text
    first, last = min(cell.replicates), max(cell.replicates)
    return f"{text}, replicate{f' {first}' if first == last else f's {first} to {last}'}"
