"""One estimator's dataset, filled cell by cell."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from attrs import define, field

from testbed.contract.cells import STATUS, Cell, CellResult, comment_of, variable_of
from testbed.contract.components import Variable
from testbed.planning.fitting import foreign_kernels
from testbed.planning.plan import Plan, PlannedEstimator
from testbed.results.coordinates import coordinates_of

WHY = {
    "applies": "why the theory does not apply; empty where it does",
    "error": "what a component did wrong; empty where it did nothing wrong",
}
"""What the variables `NAME__applies` and `NAME__error` say where NAME is missing."""
MADE_BY_OTHER_CODE = {
    "long_name": "whether the code that made the replicate has changed since",
    "flag_values": np.array([0, 1], dtype=np.int8),
    "flag_meanings": "current stale",
}


def joined(texts: Iterable[str]) -> str:
    """Several texts joined into one, each once; a text may itself be such a joined text."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


@define
class _Array:
    """A variable of the result while it is filled."""

    variable: Variable
    dims: tuple[str, ...]
    mean: bool  # sums over replicates are added up, and divided by how many there were
    counted: bool  # has a variable of its own that says how many replicates hold a value
    comments: dict[str, None] = field(factory=dict)
    values: np.ndarray = field(factory=lambda: np.zeros(0))
    counts: np.ndarray = field(factory=lambda: np.zeros(0, dtype=np.int32))


class GroupRecord:
    """The dataset of one estimator: `survey` every result, then `fill` in every result."""

    def __init__(
        self,
        plan: Plan,
        estimator: PlannedEstimator,
        cells: Sequence[Cell],
        stale: Collection[str] = (),
    ):
        self.plan, self.estimator, self.cells, self.stale = plan, estimator, cells, stale
        self.sweep = tuple(dim.name for dim in estimator.dims)
        self.shape = tuple(len(dim) for dim in estimator.dims)
        self.replicates = plan.replicates
        self._arrays: dict[str, _Array] = {}
        self._parts: dict[str, dict[bytes, np.ndarray]] = {}
        self._coordinates: dict[str, np.ndarray] | None = None
        self._reasons: dict[str, np.ndarray] = {}
        self._begin_statuses()

    # --- sizes --------------------------------------------------------------------------------

    def survey(self, cell: Cell, result: CellResult) -> None:
        """Note the variables of a result and the coordinates of their dims."""
        for name in result.variables:
            array = self._arrays.get(name) or self._noted(cell, result, name)
            comment = comment_of(cell, name)
            if comment:
                array.comments[comment] = None
        for (_, dim), values in result.coordinates.items():
            parts = self._parts.setdefault(dim, {})
            if values.tobytes() not in parts:
                parts[values.tobytes()] = values.copy()  # a view would hold the whole result

    def _noted(self, cell: Cell, result: CellResult, name: str) -> _Array:
        variable = variable_of(cell, name)
        mean = name in result.counts
        replicated = bool(cell.replicates) and not mean
        kept = (*(("replicate",) if replicated else ()), *(("time",) if variable.time else ()))
        counted = bool(cell.replicates) and name not in cell.optimizer.declared()
        self._arrays[name] = _Array(variable, (*self.sweep, *kept, *variable.dims), mean, counted)
        return self._arrays[name]

    def _allocate(self) -> dict[str, np.ndarray]:
        """Make the arrays, now that every size is known; the coordinates of the own dims.

        Coordinates that differ between cells become their union.
        """
        if self._coordinates is None:
            self._coordinates = {
                dim: np.unique(np.concatenate(list(parts.values())))
                for dim, parts in self._parts.items()
            }
            sizes = {
                **dict(zip(self.sweep, self.shape, strict=True)),
                "replicate": self.replicates,
                "time": len(self.estimator.times),
                **{dim: len(values) for dim, values in self._coordinates.items()},
            }
            for array in self._arrays.values():
                shape = [sizes[dim] for dim in array.dims]
                array.values = np.full(shape, 0.0 if array.mean else np.nan)
                array.counts = np.zeros(shape if array.mean else 0, dtype=np.int32)
        return self._coordinates

    # --- variables ----------------------------------------------------------------------------

    def fill(self, cell: Cell, result: CellResult) -> None:
        """Copy a result's arrays to the cell's place."""
        labels = self._allocate()
        for name, values in result.variables.items():
            array = self._arrays[name]
            place = self._place(cell, result, name, array, labels)
            if array.mean:
                array.values[place] += values
                array.counts[place] += result.counts[name].astype(np.int32)
            else:
                array.values[place] = values
        for ending, reasons in (("applies", result.omitted), ("error", result.faults)):
            for name, reason in reasons.items():
                empty = np.full(self.shape, "", dtype=object)
                self._reasons.setdefault(f"{name}__{ending}", empty)[cell.index] = reason
        self._fill_statuses(cell, result)

    def _place(
        self,
        cell: Cell,
        result: CellResult,
        name: str,
        array: _Array,
        labels: dict[str, np.ndarray],
    ) -> Any:
        """The place of a cell's array in the full array."""
        axes: list[slice | np.ndarray] = []
        for dim in array.dims[len(cell.index) :]:
            if dim == "replicate":
                axes.append(_as_slice(np.array(cell.replicates)))
            elif dim == "time":
                axes.append(slice(0, len(self.estimator.times)))
            else:
                axes.append(_as_slice(np.searchsorted(labels[dim], result.coordinates[name, dim])))
        if all(isinstance(axis, slice) for axis in axes):
            return (*cell.index, *axes)
        spread = [np.arange(a.start, a.stop) if isinstance(a, slice) else a for a in axes]
        return (*cell.index, *np.ix_(*spread))

    def _variable(self, array: _Array) -> xr.Variable:
        values, variable = array.values, array.variable
        if array.mean:
            np.divide(values, array.counts, out=values, where=array.counts > 0)
            values[array.counts == 0] = np.nan
        attributes = {"long_name": variable.long_name, "units": variable.units, **variable.attrs}
        comment = joined(array.comments)
        if comment:
            attributes["comment"] = comment
        if variable.predicts:
            attributes["predicts"] = variable.predicts
            attributes |= {"states": variable.states, "accuracy": variable.accuracy}
        return xr.Variable(array.dims, values, attributes)

    def _count(self, array: _Array, full: xr.Variable) -> xr.Variable:
        """The number of replicates in a mean over `replicate`: those that are not NaN."""
        if array.mean:
            number = xr.Variable(full.dims, array.counts)
            number = number.max(array.variable.dims) if array.variable.dims else number
        else:
            number = full.notnull().any(array.variable.dims).sum("replicate")
        labels = {"long_name": "number of replicates with a value", "units": "1"}
        return xr.Variable(number.dims, number.values.astype(np.int32), labels)

    # --- statuses -----------------------------------------------------------------------------

    def _begin_statuses(self) -> None:
        shape = (*self.shape, self.replicates)
        self._status = np.full(shape, STATUS["theory_only"], dtype=np.int8)
        self._error = np.full(shape, "", dtype=object)
        self._duration = np.full(shape, np.nan)
        self._memory = 0.0  # bytes of the largest process
        self._seconds = 0.0  # of all cells, those of theories included
        self._diverged = np.full(shape, np.nan)
        self._stale = np.zeros(shape, dtype=np.int8)
        for cell in self.cells:
            if cell.replicates:
                self._status[cell.index] = STATUS["not_run"]

    def _replicates(self, cell: Cell) -> Any:
        return (*cell.index, _as_slice(np.array(cell.replicates)))

    def _fill_statuses(self, cell: Cell, result: CellResult) -> None:
        """status, error, duration, diverged_at and stale of a cell's replicates."""
        self._memory = max(self._memory, result.memory)
        self._seconds += result.seconds
        if not cell.replicates:
            if result.error:
                self._error[cell.index] = f"theory: {result.error}"
            return
        place = self._replicates(cell)
        self._status[place] = result.status
        self._error[place] = result.error
        self._duration[place] = result.seconds
        self._stale[place] = result.key in self.stale
        if result.diverged_at is not None:
            self._diverged[place] = result.diverged_at

    def _statuses(self) -> dict[str, xr.Variable]:
        dims = (*self.sweep, "replicate")
        flags: dict[str, object] = {
            "long_name": "what became of the replicate",
            "flag_values": np.array(list(STATUS.values()), dtype=np.int8),
            "flag_meanings": " ".join(STATUS),
            "looks": self.plan.scenario.looks,
        }
        duration: dict[str, object] = {
            "long_name": "time that the replicate's cell took",
            "units": "s",
            "measured_seconds": self._seconds,
            "measured_memory": self._memory,
        }
        statuses = {
            "status": xr.Variable(dims, self._status, flags),
            "error": xr.Variable(dims, self._error, {"long_name": "what a failed cell raised"}),
            "duration": xr.Variable(dims, self._duration, duration),
        }
        if np.isfinite(self._diverged).any():
            labels = {"long_name": "first recorded time that is not finite", "units": "1"}
            statuses["diverged_at"] = xr.Variable(dims, self._diverged, labels)
        if self._stale.any():
            statuses["stale"] = xr.Variable(dims, self._stale, dict(MADE_BY_OTHER_CODE))
        return statuses

    # --- the dataset --------------------------------------------------------------------------

    def dataset(self) -> xr.Dataset:
        """The group: variables, their counts, statuses and all the coordinates they use."""
        allocated = self._allocate()
        coordinates = coordinates_of(self.plan, self.estimator, self.cells)
        for dim, values in allocated.items():
            labels = {"long_name": dim.replace("_", " "), "units": "1"}
            coordinates[dim] = (dim, values, labels)
        data: dict[str, xr.Variable] = {}
        for name, array in self._arrays.items():
            data[name] = self._variable(array)
            if array.counted:
                data[f"{name}__ok_count"] = self._count(array, data[name])
        if "time_reached" in data:  # recorded by optimizers whose replicates have different steps
            coordinates["time_reached"] = data.pop("time_reached")
        for name, reasons in self._reasons.items():
            label = WHY[name.rpartition("__")[2]]
            data[name] = xr.Variable(self.sweep, reasons, {"long_name": label})
        return xr.Dataset(data | self._statuses(), coordinates, self._attributes())

    def _attributes(self) -> dict[str, str]:
        """What was requested and is not measured, with the reason, and which kernels of targets are
        not the model's; one line each."""
        omitted = [
            f"{omission.what}: {omission.reason}"
            for omission in self.plan.omissions
            if omission.estimator == self.estimator.name
        ]
        lines = {"omitted": omitted, "target_kernel": foreign_kernels(self.cells)}
        return {name: "\n".join(several) for name, several in lines.items() if several}


def _as_slice(positions: np.ndarray) -> slice | np.ndarray:
    """Positions that follow one another as a slice, which NumPy indexes faster."""
    first, count = int(positions[0]) if len(positions) else 0, len(positions)
    if (positions == np.arange(first, first + count)).all():
        return slice(first, first + count)
    return positions
