"""The border between arrays and labels: results of cells become an xarray.DataTree.

One group per estimator, with dims (sweep…, replicate, time, own…); the root holds attributes only.
`docs/analysis.md` describes what a reader finds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from testbed.contract.cells import STATUS, Cell, CellResult, comment_of, variable_of
from testbed.contract.components import Variable
from testbed.planning.fitting import foreign_kernels
from testbed.planning.plan import Plan, PlannedEstimator
from testbed.results import provenance

TIME = {"long_name": "training time τ asked for", "units": "1"}
REACHED = {"long_name": "training time reached in whole steps", "units": "1"}


def record(
    plan: Plan, results: Iterable[CellResult], distributions: Iterable[str] = ()
) -> xr.DataTree:
    """The results of a plan's cells as a labelled tree; cells without a result are `not_run`."""
    known = {result.key: result for result in results}
    groups = {}
    for estimator in plan.estimators:
        cells = [cell for cell in plan.cells if cell.estimator == estimator.name]
        groups[f"/{estimator.name}"] = _Group(plan, estimator, cells, known).dataset()
    root = xr.Dataset(attrs=_root_attributes(plan, distributions))
    return xr.DataTree.from_dict({"/": root, **groups})


def _root_attributes(plan: Plan, distributions: Iterable[str]) -> dict[str, Any]:
    scenario = plan.scenario
    attributes = {
        "title": scenario.title,
        "Conventions": "CF-1.11",
        "history": provenance.history(scenario.name),
        "source": provenance.versions(distributions),
        "machine": provenance.machine(),
        "references": ", ".join(scenario.references),
        "comment": scenario.description,
        "scenario": scenario.text,
        "scenario_sha256": provenance.digest(scenario.text),
        "seed": scenario.seed,
    }
    texts: dict[str, list[str]] = {}
    for design in {id(cell.design): cell.design for cell in plan.cells}.values():
        for name, text in design.attributes().items():
            texts.setdefault(f"data_{name}", []).append(text)
    attributes |= {name: _joined(several) for name, several in texts.items()}
    return {name: value for name, value in attributes.items() if value != ""}


def _joined(texts: Iterable[str]) -> str:
    """Several texts as one, each once: they may hold what stands between them."""
    return "; ".join(dict.fromkeys(filter(None, texts)))


class _Group:
    """One estimator's dataset."""

    def __init__(
        self,
        plan: Plan,
        estimator: PlannedEstimator,
        cells: list[Cell],
        results: Mapping[str, CellResult],
    ):
        self.plan, self.estimator, self.cells = plan, estimator, cells
        self.results = results
        self.sweep = tuple(dim.name for dim in estimator.dims)
        self.shape = tuple(len(dim) for dim in estimator.dims)
        self.replicates = plan.scenario.replicates
        self.own = self._own()
        self.sizes = {
            **dict(zip(self.sweep, self.shape, strict=True)),
            "replicate": self.replicates,
            "time": len(estimator.times),
            **{dim: len(values) for dim, values in self.own.items()},
        }

    def dataset(self) -> xr.Dataset:
        """The group: variables, their counts, statuses and all the coordinates they use."""
        coordinates = self._coordinates()
        for dim, values in self.own.items():
            labels = {"long_name": dim.replace("_", " "), "units": "1"}
            coordinates[dim] = (dim, values, labels)
        data: dict[str, xr.Variable] = {}
        for name, owners in self._names().items():
            self._add(name, owners, data)
        if "time_reached" in data:  # optimizers whose replicates have steps of their own note it
            coordinates["time_reached"] = data.pop("time_reached")
        variables = data | self._reasons() | self._statuses()
        return xr.Dataset(variables, coords=coordinates, attrs=self._attributes())

    def _attributes(self) -> dict[str, str]:
        """What was asked for and is not measured here, and why; which kernels of targets are not
        the model's; a line each."""
        omitted = [
            f"{one.what}: {one.reason}"
            for one in self.plan.omissions
            if one.estimator == self.estimator.name
        ]
        lines = {"omitted": omitted, "target_kernel": foreign_kernels(self.cells)}
        return {name: "\n".join(several) for name, several in lines.items() if several}

    # --- coordinates --------------------------------------------------------------------------

    def _coordinates(self) -> dict[str, Any]:
        coordinates: dict[str, Any] = {
            "replicate": (
                "replicate",
                np.arange(self.replicates),
                {"long_name": "replicate", "units": "1"},
            ),
            "time": ("time", np.array(self.estimator.times), self._clock(TIME)),
        }
        for dim in self.estimator.dims:
            labels = {"long_name": dim.long_name or dim.name, "units": dim.units}
            coordinates[dim.name] = (dim.name, _array(dim.coordinate), labels)
            for name, values in dim.tied.items():
                coordinates[name] = (dim.name, _array(values), {"long_name": name, "units": "1"})
        for name, scalar in self.estimator.fixed.items():
            labels = {"long_name": scalar.long_name or name, "units": scalar.units}
            coordinates[name] = ((), scalar.value, labels)
        coordinates["seed"] = (
            (),
            self.plan.scenario.seed,
            {"long_name": "scenario's seed", "units": "1"},
        )
        return coordinates | self._auxiliary(coordinates)

    def _clock(self, labels: dict[str, str]) -> dict[str, str]:
        """The labels of a time, which say so where it is not that of gradient flow."""
        optimizer = self.cells[0].optimizer
        if optimizer.follows_flow:
            return labels
        other = f", on the clock of {optimizer.name}, which is not gradient flow's"
        return {**labels, "long_name": labels["long_name"] + other}

    def _auxiliary(self, taken: Mapping[str, Any]) -> dict[str, Any]:
        """Coordinates that follow from parameters: reached times, steps, derived sample sizes."""
        full = (*self.shape, len(self.estimator.times))
        reached = np.full(full, np.nan)
        along_time: dict[str, np.ndarray] = {}
        derived: dict[str, np.ndarray] = {}
        for cell in self.cells:
            if not cell.optimizer.own_times:
                reached[cell.index] = cell.reached
            for name, values in cell.optimizer.auxiliary(cell.times).items():
                along_time.setdefault(name, np.full(full, np.nan))[cell.index] = values
            for name, value in cell.design.derived().items():
                derived.setdefault(name, np.full(self.shape, np.nan))[cell.index] = value
        dims = (*self.sweep, "time")
        found: dict[str, Any] = {"time_reached": (dims, reached, self._clock(REACHED))}
        for name, array in along_time.items():
            found[name] = (dims, array, {"long_name": name.replace("_", " "), "units": "1"})
        for name, array in derived.items():
            free = name if name not in taken else f"derived_{name}"
            found[free] = (self.sweep, array, {"long_name": f"{name}, derived", "units": "1"})
        return found

    # --- variables ----------------------------------------------------------------------------

    def _names(self) -> dict[str, list[tuple[Cell, CellResult]]]:
        """Every variable of the group with the cells that hold it."""
        names: dict[str, list[tuple[Cell, CellResult]]] = {}
        for cell in self.cells:
            result = self.results.get(cell.key)
            for name in result.variables if result else ():
                names.setdefault(name, []).append((cell, self.results[cell.key]))
        return names

    def _own(self) -> dict[str, np.ndarray]:
        """Own dims of all variables; coordinates that differ between cells become their union."""
        parts: dict[str, list[np.ndarray]] = {}
        for cell in self.cells:
            result = self.results.get(cell.key)
            for (_, dim), values in result.coordinates.items() if result else ():
                parts.setdefault(dim, []).append(values)
        return {dim: np.unique(np.concatenate(arrays)) for dim, arrays in parts.items()}

    def _add(
        self, name: str, owners: list[tuple[Cell, CellResult]], data: dict[str, xr.Variable]
    ) -> None:
        """Put one variable together from its cells, with its count of replicates."""
        cell, first = owners[0]
        variable = variable_of(cell, name)
        mean = name in first.counts
        replicated = bool(cell.replicates) and not mean
        kept = (*(("replicate",) if replicated else ()), *(("time",) if variable.time else ()))
        dims = (*self.sweep, *kept, *variable.dims)
        shape = [self.sizes[dim] for dim in dims]
        full, counts = np.full(shape, 0.0 if mean else np.nan), np.zeros(shape)
        for cell, result in owners:
            place = self._place(cell, name, result, dims)
            array = result.variables[name][(None,) * len(cell.index)]
            if mean:
                full[place] += array
                counts[place] += result.counts[name][(None,) * len(cell.index)]
            else:
                full[place] = array
        if mean:
            full = np.where(counts > 0, full / np.maximum(counts, 1), np.nan)
        attributes = {"long_name": variable.long_name, "units": variable.units, **variable.attrs}
        comment = _joined(comment_of(cell, name) for cell, _ in owners)
        if comment:
            attributes["comment"] = comment
        if variable.predicts:
            attributes["predicts"] = variable.predicts
        data[name] = xr.Variable(dims, full, attributes)
        if cell.replicates and name not in cell.optimizer.variables:
            data[f"{name}__ok_count"] = self._count(data[name], counts if mean else None, variable)

    def _place(self, cell: Cell, name: str, result: CellResult, dims: tuple[str, ...]) -> Any:
        """Where a cell's array belongs in the full one."""
        axes: list[np.ndarray] = [np.array([position]) for position in cell.index]
        for dim in dims[len(cell.index) :]:
            if dim == "replicate":
                axes.append(np.array(cell.replicates))
            elif dim == "time":
                axes.append(np.arange(len(self.estimator.times)))
            else:
                axes.append(np.searchsorted(self.own[dim], result.coordinates[name, dim]))
        return np.ix_(*axes) if axes else ()

    def _count(
        self, full: xr.Variable, counts: np.ndarray | None, variable: Variable
    ) -> xr.Variable:
        """How many replicates a mean over `replicate` would hold: those that are not NaN."""
        if counts is None:
            number = full.notnull().any(variable.dims).sum("replicate")
        else:
            number = xr.Variable(full.dims, counts)
            number = number.max(variable.dims) if variable.dims else number
        labels = {"long_name": "number of replicates with a value", "units": "1"}
        return xr.Variable(number.dims, number.values.astype(np.int32), labels)

    def _reasons(self) -> dict[str, xr.Variable]:
        """Where a theory does not apply, and why: `NAME__applies`, empty where it does."""
        reasons: dict[str, np.ndarray] = {}
        for cell in self.cells:
            result = self.results.get(cell.key)
            for name, reason in result.omitted.items() if result else ():
                empty = np.full(self.shape, "", dtype=object)
                reasons.setdefault(name, empty)[cell.index] = reason
        labels = {"long_name": "why the theory does not apply; empty where it does"}
        return {
            f"{name}__applies": xr.Variable(self.sweep, array, labels)
            for name, array in reasons.items()
        }

    # --- statuses -----------------------------------------------------------------------------

    def _statuses(self) -> dict[str, xr.Variable]:
        """status, error, duration and diverged_at of every replicate."""
        shape = (*self.shape, self.replicates)
        status = np.full(shape, STATUS["theory_only"], dtype=np.int8)
        error = np.full(shape, "", dtype=object)
        duration, diverged = np.full(shape, np.nan), np.full(shape, np.nan)
        for cell in self.cells:
            result = self.results.get(cell.key)
            place: Any = (*cell.index, list(cell.replicates))
            if not cell.replicates:
                if result and result.error:
                    error[cell.index] = f"theory: {result.error}"
                continue
            status[place] = result.status if result else STATUS["not_run"]
            if result:
                error[place] = result.error
                duration[place] = result.seconds
                if result.diverged_at is not None:
                    diverged[place] = result.diverged_at
        dims = (*self.sweep, "replicate")
        flags: dict[str, Any] = {
            "long_name": "what became of the replicate",
            "flag_values": np.array(list(STATUS.values()), dtype=np.int8),
            "flag_meanings": " ".join(STATUS),
        }
        found = {
            "status": xr.Variable(dims, status, flags),
            "error": xr.Variable(dims, error, {"long_name": "what a failed cell raised"}),
            "duration": xr.Variable(
                dims, duration, {"long_name": "time that the replicate's cell took", "units": "s"}
            ),
        }
        if np.isfinite(diverged).any():
            labels = {"long_name": "first recorded time that is not finite", "units": "1"}
            found["diverged_at"] = xr.Variable(dims, diverged, labels)
        return found


def _array(values: tuple[Any, ...]) -> np.ndarray:
    """Coordinate values: numbers as they are, strings as objects (netCDF's variable length)."""
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    return np.array(values)
