"""Compute a point of a result again from the file alone, and compare it bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from attrs import frozen

from testbed.contract.cells import Cell, CellResult
from testbed.errors import ResultError, did_you_mean
from testbed.planning.dimensions import Dimension
from testbed.planning.plan import Plan
from testbed.results import provenance
from testbed.results.files import read_tree
from testbed.results.record import record
from testbed.results.status import plan_of_text

UNCOMPARED = ("duration", "error", "stale")


@frozen
class Difference:
    """A variable whose numbers differ: how many, and by how much at most."""

    variable: str
    count: int
    largest: float


@frozen
class Replay:
    """The outcome of recomputing. `origin` lists what has changed since the file was made."""

    cells: tuple[Cell, ...]
    differences: tuple[Difference, ...]
    origin: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether every number is the same to the bit."""
        return not self.differences


def replay(
    path: str | Path, point: str, execute: Callable[[Sequence[Cell]], Iterator[CellResult]]
) -> Replay:
    """Compute one point of a result again; `point` is like `adaptive, n=100, depth=1`, with
    `replicate=3` for the block of one replicate alone."""
    tree = read_tree(path)
    plan = plan_of_text(str(tree.attrs.get("scenario", "")), str(path))
    estimator, wanted = parse(point)
    cells = _chosen(plan, estimator, wanted)
    again = record(plan, list(execute(cells)))
    blocks = [cell for cell in plan.cells if cell.index == cells[0].index]
    complete = {cell.key for cell in blocks if cell.estimator == estimator} == {
        c.key for c in cells
    }
    pair = [_with_cells(node[estimator].to_dataset(), cells, complete) for node in (tree, again)]
    origin = provenance.differences(tree.attrs, provenance.made_here(cells))
    return Replay(tuple(cells), tuple(_differences(*pair)), tuple(origin))


def parse(point: str) -> tuple[str, dict[str, str]]:
    """`adaptive, n=100` as an estimator and values by dimension."""
    name, *parts = [part.strip() for part in point.split(",")]
    wanted = {}
    for part in parts:
        dim, equals, value = part.partition("=")
        if not equals:
            raise ResultError(
                f"--cell: found {part!r}, expected DIM=VALUE, as in --cell 'adaptive, n=100'"
            )
        wanted[dim.strip()] = value.strip()
    return name, wanted


def _chosen(plan: Plan, estimator: str, wanted: Mapping[str, str]) -> list[Cell]:
    """The cells of the one point that is asked for."""
    names = [planned.name for planned in plan.estimators]
    if estimator not in names:
        hint = did_you_mean(estimator, names)
        raise ResultError(f"--cell: found no estimator {estimator!r}; {hint}")
    cells = [cell for cell in plan.cells if cell.estimator == estimator]
    for dim, value in wanted.items():
        cells = [cell for cell in cells if _matches(cell, dim, value)]
    points = {cell.index: cell for cell in cells}
    if len(points) != 1:
        dims = ", ".join(f"{d.name}={d.coordinate[0]}" for d in _dims(plan, estimator))
        raise ResultError(
            f"--cell: found {len(points)} points for {dict(wanted)}, expected one, such as "
            f"--cell '{estimator}{', ' if dims else ''}{dims}'"
        )
    return cells


def _dims(plan: Plan, estimator: str) -> tuple[Dimension, ...]:
    return next(planned.dims for planned in plan.estimators if planned.name == estimator)


def _matches(cell: Cell, dim: str, value: str) -> bool:
    if dim == "replicate":
        return value.isdecimal() and int(value) in cell.replicates
    if dim not in cell.point:
        advice = did_you_mean(dim, [*cell.point, "replicate"])
        raise ResultError(f"--cell: found no dimension {dim!r} of {cell.estimator!r}; {advice}")
    here = cell.point[dim]
    if isinstance(here, str):
        return here == value
    try:
        return bool(np.isclose(float(here), float(value), rtol=1e-9, atol=0.0))
    except ValueError:
        return False


def _with_cells(dataset: xr.Dataset, cells: Sequence[Cell], complete: bool) -> xr.Dataset:
    """The dataset at the cells' point; variables without replicates only if all replicates ran."""
    sweep = [str(dim) for dim in dataset["status"].dims if dim != "replicate"]
    here = dataset.isel(dict(zip(sweep, cells[0].index, strict=True)))
    here = here.drop_vars(UNCOMPARED, errors="ignore")
    if complete:
        return here
    replicates = [replicate for cell in cells for replicate in cell.replicates]
    names = [str(name) for name in here.data_vars if "replicate" in here[name].dims]
    return here[names].sel(replicate=replicates)


def _differences(before: xr.Dataset, after: xr.Dataset) -> Iterator[Difference]:
    for name in sorted({*map(str, before.data_vars), *map(str, after.data_vars)}):
        if name not in before or name not in after or before[name].shape != after[name].shape:
            yield Difference(name, 0, float("nan"))
            continue
        first, second = before[name].values, after[name].values
        if first.dtype.kind not in "fiu":
            count = int((first.astype(str) != second.astype(str)).sum())
            if count:
                yield Difference(name, count, float("nan"))
        elif not np.array_equal(first, second, equal_nan=True):
            differing = ~((first == second) | (np.isnan(first) & np.isnan(second)))
            gap = np.abs(first.astype(float) - second.astype(float))[differing]
            yield Difference(name, int(differing.sum()), float(np.nanmax(gap, initial=0.0)))
