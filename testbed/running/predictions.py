"""Predictions of the theories of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve

from testbed.contract.answers import coordinates_of, expect_names, real_array
from testbed.contract.border import ComponentFault, calling
from testbed.contract.cells import Cell, CellResult, PlannedTheory
from testbed.contract.components import Theory
from testbed.contract.values import Problem
from testbed.errors import DoesNotApply
from testbed.numerics.trees import tree_map
from testbed.planning.fitting import clock_objection
from testbed.running.border import private

Arrays = dict[str, np.ndarray]


def predict(cell: Cell, problem: Problem | None = None) -> CellResult:
    """Evaluate the cell's theories: those given a drawn `problem`, or else the others."""
    variables: Arrays = {}
    coordinates: dict[tuple[str, str], np.ndarray] = {}
    omitted: dict[str, str] = {}
    faults: dict[str, str] = {}
    for planned in cell.theories:
        if planned.theory.facts().conditional != (problem is not None):
            continue
        names = planned.names.values()
        try:
            arrays, located = _prediction(planned, cell, problem)
        except DoesNotApply as reason:
            omitted |= dict.fromkeys(names, str(reason))
        except ComponentFault as fault:
            faults |= dict.fromkeys(names, str(fault))
        else:
            variables |= arrays
            coordinates |= located
    status = np.zeros(0, dtype=np.int8)
    return CellResult(cell.key, status, variables, coordinates, omitted=omitted, faults=faults)


def _prediction(
    planned: PlannedTheory, cell: Cell, problem: Problem | None
) -> tuple[Arrays, dict[tuple[str, str], np.ndarray]]:
    """A theory's variables and their coordinates, under the result's names."""
    theory = planned.theory
    labels = theory_coordinates(theory, cell)
    values = predicted(theory, cell, cell.reached, problem)
    arrays: Arrays = {}
    coordinates: dict[tuple[str, str], np.ndarray] = {}
    for variable, name in planned.names.items():
        declared = theory.variables[variable]
        times = (len(cell.times),) if declared.time else ()
        shape = (*times, *(len(labels[dim]) for dim in declared.dims))
        arrays[name] = real_array(theory, variable, values[variable], shape)
        coordinates |= {(name, dim): labels[dim] for dim in declared.dims}
    return arrays, coordinates


def theory_coordinates(theory: Theory, cell: Cell) -> dict[str, np.ndarray]:
    """The coordinates of a theory's own dims in a cell."""
    with calling(cell.design, "sizes"):
        sizes = cell.design.sizes()
    return coordinates_of(theory, theory.variables, sizes)


def predicted(
    theory: Theory, cell: Cell, times: Sequence[float], problem: Problem | None
) -> Mapping[str, Any]:
    """The predictions of a theory for a cell, by declared name. The theory gets copies of its
    arguments, so that it cannot change them."""
    reason = clock_objection(theory, cell)
    if reason:
        raise DoesNotApply(reason)
    with calling(theory, "predict"):
        values = theory.predict(cell, times, tree_map(private, problem))
    expect_names(theory, "predict", values, list(theory.variables))
    return values


def predict_given(cell: Cell, problems: Sequence[Problem]) -> CellResult:
    """Evaluate the theories that are given drawn problems, once for each replicate."""
    if not any(planned.theory.facts().conditional for planned in cell.theories):
        return CellResult(cell.key, np.zeros(0, dtype=np.int8))
    results = [predict(cell, problem) for problem in problems]
    faults = {name: text for result in reversed(results) for name, text in result.faults.items()}
    omitted = {name: text for result in reversed(results) for name, text in result.omitted.items()}
    kept = [name for name in results[0].variables if name not in faults and name not in omitted]
    variables = {name: np.stack([result.variables[name] for result in results]) for name in kept}
    return evolve(results[0], variables=variables, omitted=omitted, faults=faults)


def until_divergence(
    cell: Cell, predicted: Mapping[str, np.ndarray], diverged_at: np.ndarray
) -> Arrays:
    """Predictions given a replicate, NaN from the time at which that replicate diverged: from there
    on no simulated value can be compared with them."""
    moving = {
        name
        for planned in cell.theories
        for variable, name in planned.names.items()
        if planned.theory.variables[variable].time
    }
    gone = np.asarray(cell.reached) >= diverged_at[:, None]  # (replicates, times)

    def masked(values: np.ndarray) -> np.ndarray:
        return np.where(gone.reshape(*gone.shape, *(1,) * (values.ndim - 2)), np.nan, values)

    return {name: masked(v) if name in moving else v for name, v in predicted.items()}
