"""The coordinates of one estimator's group: its sweep, times, replicates and fixed parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from testbed.contract.cells import Cell
from testbed.contract.components import derived_size
from testbed.planning.plan import Plan, PlannedEstimator

TIME = {"long_name": "training time τ asked for", "units": "1"}
REACHED = {"long_name": "training time reached in whole steps", "units": "1"}
Coordinates = dict[str, Any]
"""What `xarray.Dataset` takes as coordinates: name → (dims, values, attributes)."""


def coordinates_of(plan: Plan, estimator: PlannedEstimator, cells: Sequence[Cell]) -> Coordinates:
    """All coordinates but those of the variables' own dims."""
    replicates = np.arange(plan.replicates)
    coordinates: Coordinates = {
        "replicate": ("replicate", replicates, {"long_name": "replicate", "units": "1"}),
        "time": ("time", np.array(estimator.times), _clock(cells, TIME)),
    }
    for dim in estimator.dims:
        labels = {"long_name": dim.long_name or dim.name, "units": dim.units}
        coordinates[dim.name] = (dim.name, _array(dim.coordinate), labels)
        for name, values in dim.tied.items():
            coordinates[name] = (dim.name, _array(values), {"long_name": name, "units": "1"})
    for name, scalar in estimator.fixed.items():
        labels = {"long_name": scalar.long_name or name, "units": scalar.units}
        coordinates[name] = ((), scalar.value, labels)
    seed = {"long_name": "scenario's seed", "units": "1"}
    coordinates["seed"] = ((), plan.scenario.seed, seed)
    return coordinates | _auxiliary(estimator, cells, coordinates)


def _clock(cells: Sequence[Cell], labels: dict[str, str]) -> dict[str, str]:
    """The labels of a time, which say so where it is not that of gradient flow."""
    optimizer = cells[0].optimizer
    if optimizer.facts().clock == "flow":
        return labels
    clock = f", on the clock of {optimizer.name}, which is not gradient flow's"
    return {**labels, "long_name": labels["long_name"] + clock}


def _auxiliary(
    estimator: PlannedEstimator, cells: Sequence[Cell], taken: Mapping[str, object]
) -> Coordinates:
    """Coordinates that follow from parameters: reached times, steps, derived sample sizes."""
    shape = tuple(len(dim) for dim in estimator.dims)
    full = (*shape, len(estimator.times))
    reached = np.full(full, np.nan)
    along_time: dict[str, np.ndarray] = {}
    derived: dict[str, np.ndarray] = {}
    for cell in {cell.index: cell for cell in reversed(cells)}.values():
        if not cell.optimizer.facts().times_per_replicate:
            reached[cell.index] = cell.reached
        for name, values in cell.optimizer.auxiliary(cell.times).items():
            along_time.setdefault(name, np.full(full, np.nan))[cell.index] = values
        for name, value in derived_size(cell.design).items():
            derived.setdefault(name, np.full(shape, np.nan))[cell.index] = value
    sweep = tuple(dim.name for dim in estimator.dims)
    coordinates: Coordinates = {"time_reached": ((*sweep, "time"), reached, _clock(cells, REACHED))}
    for name, array in along_time.items():
        labels = {"long_name": name.replace("_", " "), "units": "1"}
        coordinates[name] = ((*sweep, "time"), array, labels)
    for name, array in derived.items():
        free = name if name not in taken else f"derived_{name}"
        coordinates[free] = (sweep, array, {"long_name": f"{name}, derived", "units": "1"})
    return coordinates


def _array(values: tuple[object, ...]) -> np.ndarray:
    """Coordinate values: numbers as they are, strings as objects (netCDF's variable length)."""
    if any(isinstance(value, str) for value in values):
        return np.array(values, dtype=object)
    return np.array(values)
