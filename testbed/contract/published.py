"""Numbers that others have published: labelled CSV files, and the keys by which claims name them.

A file holds one table or figure. Lines that start with `#` state its labels, `# source: …`; then
comes a header, then a row for each point. The label `coordinates` names the columns that say where
a row belongs; every other column holds published numbers, and its key is `FILE/column`, where FILE
is the file's name without its ending.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

from testbed.errors import TestbedError

REQUIRED = ("source", "kind", "settings")
KINDS = ("printed", "digitised", "released", "computed", "independent")
_LABEL = re.compile(r"#\s*([A-Za-z][\w-]*)\s*:\s*(.*)")

Column = tuple[float, ...] | tuple[str, ...]


@frozen
class PublishedTable:
    """A table of published numbers: its labels, the names of its coordinates, and its columns."""

    name: str
    labels: Mapping[str, str]
    coordinates: tuple[str, ...]
    columns: Mapping[str, Column]

    @property
    def quantities(self) -> tuple[str, ...]:
        """The columns that hold published numbers."""
        return tuple(name for name in self.columns if name not in self.coordinates)

    def words(self, column: str) -> str:
        """The description of a column; its name where the file has none."""
        return self.labels.get(column, column.replace("_", " "))

    @property
    def number_keys(self) -> tuple[str, ...]:
        """The keys of all published numbers of the file."""
        return tuple(f"{self.name}/{column}" for column in self.quantities)


def read_published(path: Path) -> PublishedTable:
    """Read a file; TestbedError in one line where it is not such a table."""
    lines = path.read_text(encoding="utf-8").splitlines()
    labels = _labels(line for line in lines if line.startswith("#"))
    missing = [name for name in REQUIRED if not labels.get(name)]
    if missing:
        raise TestbedError(f"{path}: found no line `# {missing[0]}: …`, which is required")
    if labels["kind"].split(",")[0] not in KINDS:
        expected = f"expected one of {', '.join(KINDS)}"
        raise TestbedError(f"{path}: found the kind {labels['kind']!r}, {expected}")
    rows = list(csv.reader(line for line in lines if line and not line.startswith("#")))
    header, body = rows[0], rows[1:]
    ragged = next((row for row in body if len(row) != len(header)), None)
    if ragged is not None or not body:
        problem = "no row" if ragged is None else f"a row of {len(ragged)} values"
        raise TestbedError(f"{path}: found {problem}, expected rows of {len(header)} values")
    columns = {name: _column([row[i] for row in body]) for i, name in enumerate(header)}
    coordinates = tuple(labels.get("coordinates", "").replace(",", " ").split())
    unknown = [name for name in coordinates if name not in columns]
    if unknown:
        raise TestbedError(f"{path}: found the coordinate {unknown[0]!r}, expected a column")
    return PublishedTable(path.stem, labels, coordinates, columns)


def _labels(lines: Iterator[str]) -> dict[str, str]:
    """The labels by name; a line without a name continues the one before."""
    labels: dict[str, str] = {}
    name = ""
    for line in lines:
        match = _LABEL.match(line)
        if match:
            name = match[1]
            labels[name] = match[2].strip()
        elif name:
            labels[name] = f"{labels[name]} {line.lstrip('#').strip()}".strip()
    return labels


def _column(texts: list[str]) -> Column:
    """Numbers where all entries are numbers or empty, else words."""
    try:
        return tuple(float(text) if text.strip() else float("nan") for text in texts)
    except ValueError:
        return tuple(text.strip() for text in texts)
