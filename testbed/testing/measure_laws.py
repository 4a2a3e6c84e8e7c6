"""Laws of metrics and of theories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import evolve

from testbed.contract.cells import CellResult, PlannedTheory
from testbed.contract.components import Metric, Theory, Variable
from testbed.contract.names import RESERVED_VARIABLES
from testbed.contract.needs import alternatives
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing.cases import Case, one_by_one, planned, recast
from testbed.testing.laws import ROUNDING, Law, close, finite

# --- metrics --------------------------------------------------------------------------------------


def _metric(case: Case) -> Metric:
    assert isinstance(case.component, Metric)
    return case.component


def measured(case: Case, metric: Any = None) -> CellResult:
    """The metric's variables on the case, as a cell leaves them."""
    one, _ = planned(case)
    cell = evolve(case.cell, metrics=(evolve(one, metric=metric or one.metric),))
    result = execute_cell(cell)
    assert not result.error, f"found the error {result.error}, expected numbers"
    return result


def _declared(case: Case) -> Mapping[str, Variable]:
    metric: Any = case.component
    declared: Mapping[str, Variable] = metric.declared()
    return declared


def needs_are_known(case: Case) -> None:
    """`needs` lists only what core can compute."""
    metric: Any = case.component
    try:
        alternatives(metric.needed())
    except ValueError as error:
        raise AssertionError(str(error)) from None


def variables_are_declared(case: Case) -> None:
    """`measure` returns the declared variables but for the concluded ones, which do not change over
    time; each has its declared dims and coordinates."""
    metric: Any = case.component
    seen: set[str] = set()

    def measure(self: Metric, *problem: object, **needs: object) -> Any:
        values = metric.measure(*problem, **needs)
        seen.update(values)
        return values

    result = measured(case, recast(metric, measure=measure))
    declared = _declared(case)
    expected = set(declared) - set(metric.concluded)
    assert seen == expected, (
        f"found the variables {sorted(seen)}, expected those declared: {sorted(expected)}"
    )
    moving = [name for name in metric.concluded if declared[name].time]
    assert not moving, f"found {moving} concluded, expected time=False"
    assert not set(declared) & RESERVED_VARIABLES, "found a reserved name among the variables"
    for name, variable in declared.items():
        own = tuple(len(result.coordinates[name, dim]) for dim in variable.dims)
        times = (len(case.times),) if variable.time else ()
        shape = result.variables[name].shape
        assert shape == (len(case.replicates), *times, *own), (
            f"found {name} of shape {shape[1:]} for a replicate, expected {(*times, *own)}"
        )


def coordinates_increase(case: Case) -> None:
    """Coordinates of own dims are distinct, and increase where they are numbers."""
    for (name, dim), values in measured(case).coordinates.items():
        assert len(set(values.tolist())) == len(values), f"found {dim} of {name} with doubles"
        if values.dtype.kind in "fiu":
            assert (np.diff(values) > 0).all(), f"found {dim} of {name} out of order"


def values_are_finite(case: Case) -> None:
    """Every number is finite on a small problem."""
    for name, values in measured(case).variables.items():
        finite(values, name)


def measures_a_replicate_alone(case: Case) -> None:
    """A replicate alone has the numbers that it has in a batch."""
    together, last = measured(case).variables, len(case.replicates) - 1
    alone = measured(evolve(case, replicates=(case.replicates[last],))).variables
    for name, values in together.items():
        close(alone[name][0], values[last], ROUNDING, f"{name} of a replicate alone")


def measures_one_by_one(case: Case) -> None:
    """One replicate after the other gives what all at once give."""
    together, apart = measured(case).variables, measured(case, one_by_one(case.component)).variables
    for name, values in together.items():
        close(apart[name], values, ROUNDING, f"{name} one by one")


METRIC_LAWS = (
    Law(needs_are_known),
    Law(variables_are_declared),
    Law(coordinates_increase),
    Law(values_are_finite),
    Law(measures_a_replicate_alone),
    Law(measures_one_by_one, lambda case: _metric(case).facts().batching == "vmap"),
)

# --- theories -------------------------------------------------------------------------------------


def _predicted(case: Case, times: tuple[float, ...] | None = None) -> dict[str, np.ndarray]:
    theory: Any = case.component
    cell = evolve(case.cell, times=times or case.times)
    problem = draw_problem(cell, 0) if theory.facts().conditional else None
    values = theory.predict(cell, cell.reached, problem)
    return {name: np.asarray(array) for name, array in values.items()}


def _theory(case: Case) -> Theory:
    assert isinstance(case.component, Theory)
    return case.component


def predictions_are_declared(case: Case) -> None:
    """`predict` returns the declared variables, (times, own…) each, own dims with coordinates."""
    theory, values = _theory(case), _predicted(case)
    assert set(values) == set(theory.variables), (
        f"found the variables {sorted(values)}, expected {sorted(theory.variables)}"
    )
    coordinates = theory.coordinates(case.design.sizes())
    for name, variable in theory.variables.items():
        own = tuple(len(coordinates[dim]) for dim in variable.dims)
        expected = (*((len(case.times),) if variable.time else ()), *own)
        shape = values[name].shape
        assert shape == expected, f"found {name} of shape {shape}, expected {expected}"


def predictions_are_finite(case: Case) -> None:
    """Every prediction is finite where the theory applies."""
    for name, values in _predicted(case).items():
        finite(values, name)


def predicted_times_stack(case: Case) -> None:
    """A vector of times equals single times stacked."""
    theory, together = _theory(case), _predicted(case)
    for position, time in enumerate(case.times):
        for name, values in _predicted(case, (time,)).items():
            if theory.variables[name].time:
                close(values[0], together[name][position], ROUNDING, f"{name} at time {time:g}")


def theory_runs_in_a_cell(case: Case) -> None:
    """Core evaluates it, beside a simulation if it is conditional, and else without one."""
    theory = _theory(case)
    names = {name: name for name in theory.variables}
    replicates = case.replicates if theory.facts().conditional else ()
    cell = evolve(case.cell, replicates=replicates, theories=(PlannedTheory(theory, names),))
    result = execute_cell(cell)
    assert not result.error, f"found the error {result.error}, expected predictions"
    assert set(result.variables) >= set(names), "found predictions missing from the result"


THEORY_LAWS = (
    Law(predictions_are_declared),
    Law(predictions_are_finite),
    Law(predicted_times_stack),
    Law(theory_runs_in_a_cell),
)
