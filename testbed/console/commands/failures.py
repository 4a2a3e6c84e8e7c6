"""Failed cells in a terminal: what was raised, at which line, and a debugger at that place."""

from __future__ import annotations

import linecache
import pdb
import re
import traceback
from collections import Counter
from typing import TYPE_CHECKING

import click

from testbed.contract.cells import STATUS
from testbed.errors import printable_lines

if TYPE_CHECKING:
    import xarray as xr

    from testbed.contract.cells import Cell
    from testbed.runs import Outcome

MOST = 3  # different errors that are shown
ENDING = "__error"  # of the variables that say what a component did wrong
_PLACE = re.compile(r"\((?:at )?(?P<file>[^()]+):(?P<line>\d+), in [^()]+\)$")


def show_failures(outcome: Outcome, full: bool = False, debugger: bool = False) -> None:
    """Print where the errors of cells arose, each once, with the plugin's line of code.

    `full` runs the first cell of each error again and prints its traceback; `debugger` does so and
    stops where the error is raised.
    """
    groups: dict[str, list[Cell]] = {}
    for cell, error in outcome.failed:
        groups.setdefault(error, []).append(cell)
    for error, cells in list(groups.items())[:MOST]:
        line = _source_line(error)
        if line:
            count = _cells(len(cells))
            click.echo(printable_lines(f"{count} failed at {line}"), err=True)
        if full or debugger:
            _show_traceback(cells[0], debugger)
    if len(groups) > MOST:
        click.echo(f"… and {len(groups) - MOST} more errors", err=True)
    text = f"{_counted(outcome)}; their errors are in the results"
    text += "; stopped at the first, as asked" if outcome.stopped else ""
    text += "" if full or debugger else "; --traceback shows more, --pdb stops there"
    click.echo(text, err=True)


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"


def _counted(outcome: Outcome) -> str:
    """How many cells failed, and how many lack variables only: `8 cells without effective_rank`."""
    lost: Counter[tuple[str, ...]] = Counter()
    for cell, _ in outcome.failed:
        lost[_lost_variables(outcome.tree, cell)] += 1
    parts = [
        f"{_cells(count)} without {', '.join(names)}" if names else f"{_cells(count)} failed"
        for names, count in sorted(lost.items())
    ]
    return ", ".join(parts)


def _lost_variables(tree: xr.DataTree, cell: Cell) -> tuple[str, ...]:
    """The variables that a cell lacks because their component failed; none if the cell failed."""
    group = tree[cell.estimator].to_dataset()
    dims = [dim for dim in group["status"].dims if dim != "replicate"]
    there = dict(zip(dims, cell.index, strict=True))
    statuses = group["status"].isel(there).isel(replicate=list(cell.replicates))
    if (statuses == STATUS["failed"]).any():
        return ()
    errors = {
        str(name).removesuffix(ENDING): str(values.isel(there, missing_dims="ignore").values)
        for name, values in group.data_vars.items()
        if str(name).endswith(ENDING)
    }
    return tuple(sorted(name for name, text in errors.items() if text))


def _source_line(error: str) -> str:
    """The place that an error names, and its line of code; empty if that cannot be read."""
    place = _PLACE.search(error)
    line = linecache.getline(place["file"], int(place["line"])).strip() if place else ""
    return f"{place['file']}:{place['line']}\n    {line}" if place and line else ""


def _show_traceback(cell: Cell, debugger: bool) -> None:
    """Run a cell again in this process, print what is raised, and stop there if asked to."""
    from testbed.contract.border import ComponentFault, witnessed
    from testbed.running.execute import execute_openly

    raised: list[BaseException] = []

    def tell(error: BaseException) -> None:
        raised.append(error)
        click.echo("".join(traceback.format_exception(error)), err=True)
        if debugger:
            pdb.post_mortem(error.__traceback__)

    with witnessed(tell):
        try:
            execute_openly(cell)
        except ComponentFault:
            pass  # told already
        except Exception as error:
            tell(error)
    if not raised:
        click.echo("it raised nothing when it ran again by itself", err=True)
