"""A folder of figures: keep those that are up to date, remove those of earlier results.

The folder's `index.json` holds, for each table, a digest of the data, of the table's settings and
of the code that draws, with the files that were made. Matplotlib is imported only when something
has to be drawn.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from attrs import asdict, frozen

from testbed.figures.drawing import FilledFigure, Table, fill, one_line, table_problems, tables_of
from testbed.results.groups import estimators

if TYPE_CHECKING:
    import xarray as xr

    from testbed.scenario.figure import Figure, FigureSpec

INDEX = "index.json"
UNSEEN = ("duration", "error", "seed")  # no figure shows them


class FigureFiles(NamedTuple):
    """The files of the requested figures, and the problems in drawing them."""

    paths: list[Path]  # the PNG files, whether drawn now or before
    problems: list[str]  # a line for each figure that could not be drawn


@frozen
class Entry:
    """A figure of the index; a kind without data has no files."""

    digest: str
    name: str
    files: tuple[str, ...]
    caption: str
    code: str


def draw_figures(
    tree: xr.DataTree, folder: str | Path, specs: Iterable[Figure | FigureSpec] = ()
) -> FigureFiles:
    """Draw a result's figures into a folder, as SVG and PNG, those for columns also as PDF.

    `specs` are the scenario's `[[figure]]` tables; without any, every kind that the result has data
    for is drawn. Figures whose data and settings have not changed are not drawn again; files that
    the folder's index lists and that are no figures of these results are removed. A figure that
    fails does not stop the others: its line is in `problems`.
    """
    folder, tables = Path(folder), tables_of(specs)
    earlier, data = _read_index(folder), _data_digest(tree)
    entries: list[Entry] = []
    problems: list[str] = []
    for table in tables:
        digest = _table_digest(table, data)
        kept = [entry for entry in earlier if entry.digest == digest]
        if kept and all((folder / file).is_file() for entry in kept for file in entry.files):
            entries += kept
        else:
            _draw(tree, table, digest, folder, entries, problems)
    _replace_index(folder, earlier, entries)
    return FigureFiles(
        [folder / file for e in entries for file in e.files if file.endswith(".png")], problems
    )


def stored_figures(tree: xr.DataTree, folder: str | Path, table: Table) -> list[FilledFigure]:
    """The figures of a table as a folder holds them, if they are of these results; else none."""
    folder = Path(folder)
    digest = _table_digest(table, _data_digest(tree))
    entries = [entry for entry in _read_index(folder) if entry.digest == digest and entry.files]
    try:
        return [
            FilledFigure(
                entry.name,
                "",
                entry.caption,
                entry.code,
                {Path(f).suffix[1:]: (folder / f).read_bytes() for f in entry.files},
            )
            for entry in entries
        ]
    except OSError:
        return []


def remove_stale_figures(
    tree: xr.DataTree, folder: str | Path, specs: Iterable[Figure | FigureSpec] = ()
) -> None:
    """Remove the figures of earlier results without drawing new ones."""
    folder = Path(folder)
    earlier = _read_index(folder)
    if earlier:
        data = _data_digest(tree)
        current = {_table_digest(table, data) for table in tables_of(specs)}
        _replace_index(folder, earlier, [entry for entry in earlier if entry.digest in current])


def _draw(
    tree: xr.DataTree,
    table: Table,
    digest: str,
    folder: Path,
    entries: list[Entry],
    problems: list[str],
) -> None:
    """Draw a table's figures; note their entries, or in one line why there are none."""
    unsuited = table_problems(tree, table)
    problems += unsuited
    if unsuited:
        return
    before = len(entries)
    try:
        for figure in fill(tree, table):
            folder.mkdir(parents=True, exist_ok=True)
            stem = table.stem(figure.name)
            for suffix, content in figure.contents.items():
                (folder / f"{stem}.{suffix}").write_bytes(content)
            files = tuple(f"{stem}.{suffix}" for suffix in figure.contents)
            entries.append(Entry(digest, figure.name, files, figure.caption, figure.code))
    except Exception as error:  # an error in a figure does not stop the others
        problems.append(f"{table.named()} could not be drawn: {one_line(error)}")
        return
    if table.position and len(entries) == before:
        problems.append(f"{table.named()} has nothing to show: no cell has the values it needs")
    elif len(entries) == before:
        entries.append(Entry(digest, table.kind, (), "", ""))  # so that it is not tried again


# --- the index -------------------------------------------------------------------------------


def _read_index(folder: Path) -> list[Entry]:
    """The entries of the folder's index; none if there is no index that can be read."""
    try:
        rows = json.loads((folder / INDEX).read_text(encoding="utf-8"))["figures"]
        entries = [Entry(**{**row, "files": tuple(row["files"])}) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [entry for entry in entries if all(_plain_name(file) for file in entry.files)]


def _plain_name(file: object) -> bool:
    """Whether a file that an index lists can be one of ours, in the same folder."""
    if not isinstance(file, str) or Path(file).name != file:
        return False
    return Path(file).suffix in (".svg", ".png", ".pdf")


def _replace_index(folder: Path, earlier: Iterable[Entry], entries: Iterable[Entry]) -> None:
    """Write the index, and remove files that the earlier one lists and the new one does not."""
    entries = list(entries)
    current = {file for entry in entries for file in entry.files}
    for file in {file for entry in earlier for file in entry.files} - current:
        (folder / file).unlink(missing_ok=True)
    if entries:
        text = json.dumps({"figures": [asdict(entry) for entry in entries]}, indent=1)
        if not (folder / INDEX).is_file() or (folder / INDEX).read_text(encoding="utf-8") != text:
            (folder / INDEX).write_text(text, encoding="utf-8")
    else:
        (folder / INDEX).unlink(missing_ok=True)


# --- digests ---------------------------------------------------------------------------------


def _table_digest(table: Table, data: str) -> str:
    settings = json.dumps([table.kind, table.position, _plain(table.options)], sort_keys=True)
    return hashlib.sha256(f"{data} {_code_digest()} {settings}".encode()).hexdigest()


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool)) else repr(value)


@cache
def _code_digest() -> str:
    """A digest of the code that draws, as this process found it: this package, the analysis,
    matplotlib's version."""
    total = hashlib.sha256(metadata.version("matplotlib").encode())
    here = Path(__file__).parent
    for folder in (here, here.with_name("analysis")):
        for path in sorted(folder.glob("*.py")) + sorted(folder.glob("*.mplstyle")):
            total.update(path.read_bytes())
    return total.hexdigest()


def _data_digest(tree: xr.DataTree) -> str:
    """A digest of everything that a figure can show of a result, the same for a result in memory
    and for its file."""
    total = hashlib.blake2b(str(tree.attrs.get("title", "")).encode(), digest_size=32)
    for name, group in estimators(tree).items():
        total.update(name.encode())
        for variable, values in sorted(
            group.to_dataset().variables.items(), key=lambda v: str(v[0])
        ):
            if variable in UNSEEN:
                continue
            attributes = {key: np.asarray(value).tolist() for key, value in values.attrs.items()}
            labels = f"{variable} {values.dims} {values.shape} {values.dtype} {attributes}"
            total.update(labels.encode())
            total.update(_bytes(values.values))
    return total.hexdigest()


def _bytes(values: np.ndarray) -> bytes:
    if values.dtype.kind in "OUS":
        return repr(values.tolist()).encode()
    return np.ascontiguousarray(values).tobytes()
