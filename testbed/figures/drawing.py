"""Draw the figures of tables; a figure that cannot be drawn does not stop the others."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from testbed.contract.figure_rules import figure_mistakes
from testbed.contract.figures import KINDS
from testbed.figures.groups import shapes_of

if TYPE_CHECKING:
    import xarray as xr

    from testbed.figures.drawn import Drawn
    from testbed.scenario.figure import Figure, FigureSpec

FORMATS = ("svg", "png")


@frozen
class Table:
    """A `[[figure]]` table of a scenario, or a kind that is drawn by default."""

    kind: str
    options: Mapping[str, object]
    position: int = 0  # from 1 on; 0 for a table that no scenario holds

    @property
    def formats(self) -> tuple[str, ...]:
        """File types: figures for the columns of a paper are PDF as well."""
        return FORMATS if self.options.get("size", "screen") == "screen" else (*FORMATS, "pdf")

    def stem(self, name: str) -> str:
        """The name of a figure's files."""
        return f"{self.position}-{name}" if self.position else name

    def named(self) -> str:
        """The name of the table in messages."""
        return f"figure {self.position} ({self.kind})" if self.position else f"figure {self.kind}"


@frozen
class FilledFigure:
    """A figure's contents by file type, with its caption and the lines that select its data."""

    name: str
    title: str
    caption: str
    code: str
    contents: Mapping[str, bytes]


def tables_of(specs: Iterable[Figure | FigureSpec]) -> list[Table]:
    """The scenario's tables; without any, each kind that needs no settings."""
    requested = [
        Table(spec.kind, dict(spec.options), position)
        for position, spec in enumerate(specs, start=1)
    ]
    return requested or [Table(name, {}) for name, kind in KINDS.items() if not kind.required]


def table_problems(tree: xr.DataTree, table: Table) -> list[str]:
    """Why a table of a scenario cannot be drawn from these results, a line each."""
    if not table.position:
        return []
    words = {"kind": table.kind, **table.options}
    mistakes = figure_mistakes(words, shapes_of(tree), f"$.figure[{table.position - 1}]")
    return [str(mistake) for mistake in mistakes]


def fill(
    tree: xr.DataTree, table: Table, formats: Iterable[str] | None = None
) -> Iterator[FilledFigure]:
    """Draw a table's figures, one after the other, so that one at a time is held in memory."""
    from testbed.figures.canvas import styled
    from testbed.figures.kinds import DRAWINGS
    from testbed.running.postponed import hidden

    with styled(table.options.get("size", "screen")), hidden("torch"):
        for drawn in DRAWINGS[table.kind](tree, table.options):
            yield _filled(drawn, tuple(formats or table.formats))


def _filled(drawn: Drawn, formats: Iterable[str]) -> FilledFigure:
    suptitle = drawn.figure.get_suptitle().replace("\n", " ")
    contents = {}
    for suffix in formats:
        buffer = io.BytesIO()
        metadata = _metadata(suffix, suptitle, drawn.caption)
        drawn.figure.savefig(buffer, format=suffix, metadata=metadata)
        drawn.figure.set_layout_engine("none")  # one layout serves all file types
        contents[suffix] = buffer.getvalue()
    return FilledFigure(drawn.name, suptitle, drawn.caption, drawn.code, contents)


def _metadata(suffix: str, title: str, caption: str) -> dict[str, str | None]:
    """Title and caption in the file, and no date: equal figures are equal files."""
    if suffix == "svg":
        return {"Title": title, "Description": caption, "Creator": "testbed", "Date": None}
    if suffix == "pdf":
        return {"Title": title, "Subject": caption, "Creator": "testbed", "CreationDate": None}
    return {"Title": title, "Description": caption, "Software": "testbed"}


def one_line(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300]
