"""Failed cells in a terminal: what was raised, at which line, and a debugger at that place."""

from __future__ import annotations

import linecache
import pdb
import re
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from testbed.errors import printable_lines

if TYPE_CHECKING:
    from testbed.contract.cells import Cell

MOST = 3  # different errors that are shown
_PLACE = re.compile(r"\((?:at )?(?P<file>[^()]+):(?P<line>\d+), in [^()]+\)$")


def show_failures(
    failed: Sequence[tuple[Cell, str]], stopped: bool, full: bool = False, debugger: bool = False
) -> None:
    """Print where the errors of cells arose, each once, with the plugin's line of code.

    `full` runs the first cell of each error again and prints its traceback; `debugger` does so and
    stops where the error is raised.
    """
    groups: dict[str, list[Cell]] = {}
    for cell, error in failed:
        groups.setdefault(error, []).append(cell)
    for error, cells in list(groups.items())[:MOST]:
        line = _source_line(error)
        if line:
            count = f"{len(cells)} cell{'' if len(cells) == 1 else 's'}"
            click.echo(printable_lines(f"{count} failed at {line}"), err=True)
        if full or debugger:
            _show_traceback(cells[0], debugger)
    if len(groups) > MOST:
        click.echo(f"… and {len(groups) - MOST} more errors", err=True)
    text = (
        f"{len(failed)} cells failed, in training or in a metric; their errors are in the results"
    )
    text += "; stopped at the first, as asked" if stopped else ""
    text += "" if full or debugger else "; --traceback shows more, --pdb stops at the first"
    click.echo(text, err=True)


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
