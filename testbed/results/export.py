"""Results as tidy tables: one row for each combination of coordinates, one column a variable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from testbed.errors import ResultError
from testbed.results.files import read_tree
from testbed.results.groups import estimators

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Format = Literal["csv", "parquet"]


def export(path: str | Path, folder: Path, kind: Format) -> list[Path]:
    """Write one table for each estimator and each set of dims; the files."""
    tree = read_tree(path)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, group in estimators(tree).items():
        for dims, table in tables(group.to_dataset()):
            file = folder / f"{'-'.join([name, *dims])}.{kind}"
            _write(table, file, kind)
            written.append(file)
    return written


def tables(dataset: xr.Dataset) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The dims of each table, and the table. Fixed parameters are columns of every table."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        groups.setdefault(tuple(map(str, variable.dims)), []).append(str(name))
    for dims, names in groups.items():
        if dims:
            frame = dataset[names].to_dataframe(dim_order=list(dims)).reset_index()
            yield dims, frame


def _write(table: pd.DataFrame, file: Path, kind: Format) -> None:
    if kind == "csv":
        table.to_csv(file, index=False)
        return
    try:
        table.to_parquet(file, index=False)
    except ImportError:
        raise ResultError(
            "found no package that writes Parquet, expected pyarrow. Install it with "
            "`pip install pyarrow`, or export CSV"
        ) from None
