"""Tables for the command line: rich on a terminal, aligned columns of plain text elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
from attrs import field, frozen

from testbed.errors import printable

if TYPE_CHECKING:
    from rich.console import Console


def _rows(rows: Iterable[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(printable(str(cell)) for cell in row) for row in rows)


@frozen
class Table:
    """Rows of words under a title; `header` may be empty."""

    title: str
    rows: tuple[tuple[str, ...], ...] = field(converter=_rows)
    header: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Aligned columns; rows stand indented below the title."""
        lines = [self.title] if self.title else []
        table = [self.header, *self.rows] if self.header else [*self.rows]
        if not self.rows:
            return "\n".join([*lines, "  (none)"])
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        indent = "  " if self.title else ""
        for row in table:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            lines.append((indent + "  ".join(cells)).rstrip())
        return "\n".join(lines)


def show(parts: Sequence[str | Table], console: Console | None = None) -> None:
    """Print paragraphs and tables, one empty line between them; tables fit a terminal's width."""
    if console is None and not sys.stdout.isatty():
        click.echo("\n\n".join(str(part) for part in parts))
        return
    from rich.console import Console

    console = console or Console(highlight=False)
    for position, part in enumerate(parts):
        if position:
            console.print()
        if isinstance(part, Table) and part.rows:
            _draw(part, console)
        else:
            console.print(str(part), markup=False, soft_wrap=True)


def _draw(table: Table, console: Console) -> None:
    """A table whose first column is never broken."""
    from rich import box
    from rich.table import Table as Drawn
    from rich.text import Text

    drawn = Drawn(
        title=table.title or None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        show_header=bool(table.header),
        pad_edge=False,
    )
    columns = table.header or ("",) * len(table.rows[0])
    for position, name in enumerate(columns):
        drawn.add_column(name, no_wrap=position == 0, overflow="fold")
    for row in table.rows:
        drawn.add_row(*map(Text, row))
    console.print(drawn)
