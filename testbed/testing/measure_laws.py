"""Laws of metrics and of theories."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import evolve

from testbed.contract.cells import CellResult, PlannedTheory
from testbed.contract.components import Metric, Theory, Variable
from testbed.contract.names import RESERVED_OWN_DIMS, RESERVED_VARIABLES
from testbed.contract.needs import NEEDS, alternatives
from testbed.errors import did_you_mean
from testbed.loading import load_registry
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing.cases import Case, one_by_one, planned, recast
from testbed.testing.laws import ROUNDING, Law, close, finite

# --- metrics --------------------------------------------------------------------------------------


UNITS = re.compile(r"1|[A-Za-z%°µ]+(\^?-?\d+)?([ */][A-Za-z%°µ]+(\^?-?\d+)?)*")


def _metric(case: Case) -> Metric:
    assert isinstance(case.component, Metric)
    return case.component


@lru_cache(maxsize=32)  # most laws look at the same undisturbed measurement
def measured(case: Case, metric: Any = None) -> CellResult:
    """The metric's variables on the case, as a cell returns them."""
    plan, _ = planned(case)
    cell = evolve(case.cell, metrics=(evolve(plan, metric=metric or plan.metric),))
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
    """`measure` returns the declared variables except the concluded ones, which do not change over
    time; each has its declared dims and coordinates."""
    metric: Any = case.component
    returned: set[str] = set()

    def measure(self: Metric, *problem: object, **needs: object) -> Any:
        values = metric.measure(*problem, **needs)
        returned.update(values)
        return values

    result = measured(case, recast(metric, measure=measure))
    declared = _declared(case)
    expected = set(declared) - set(metric.concluded)
    assert returned == expected, (
        f"found the variables {sorted(returned)}, expected those declared: {sorted(expected)}"
    )
    moving = [name for name in metric.concluded if declared[name].time]
    assert not moving, f"found {moving} concluded, expected time=False"
    assert not set(declared) & RESERVED_VARIABLES, "found a reserved name among the variables"
    for name, variable in declared.items():
        _words_are_sound(name, variable)
    for name, variable in declared.items():
        lengths = tuple(len(result.coordinates[name, dim]) for dim in variable.dims)
        times = (len(case.times),) if variable.time else ()
        shape = result.variables[name].shape
        assert shape == (len(case.replicates), *times, *lengths), (
            f"found {name} of shape {shape[1:]} for a replicate, expected {(*times, *lengths)}"
        )


def _words_are_sound(name: str, variable: Variable) -> None:
    """A variable has a long name, units that can be read, and dims that no other part uses."""
    assert variable.long_name.strip(), f"found {name} without a long name, expected words"
    assert UNITS.fullmatch(variable.units), (
        f"found the units {variable.units!r} of {name}, expected 1, or units with whole exponents "
        'such as "m s^-2"'
    )
    taken = sorted(set(variable.dims) & RESERVED_OWN_DIMS)
    assert not taken, (
        f"found {name} with a dim {taken[0]!r}, which every result has already, expected another "
        "name for it"
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
    together, separate = (
        measured(case).variables,
        measured(case, one_by_one(case.component)).variables,
    )
    for name, values in together.items():
        close(separate[name], values, ROUNDING, f"{name} one by one")


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
        lengths = tuple(len(coordinates[dim]) for dim in variable.dims)
        expected = (*((len(case.times),) if variable.time else ()), *lengths)
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
    """Core evaluates the theory, with simulated replicates if it is conditional, else without."""
    theory = _theory(case)
    names = {name: name for name in theory.variables}
    replicates = case.replicates if theory.facts().conditional else ()
    cell = evolve(case.cell, replicates=replicates, theories=(PlannedTheory(theory, names),))
    result = execute_cell(cell)
    assert not result.error, f"found the error {result.error}, expected predictions"
    assert set(result.variables) >= set(names), "found predictions missing from the result"


def predicts_a_known_variable(case: Case) -> None:
    """`predicts` names a variable that some metric measures."""
    measurable = {name for metric in _metrics(Metric) for name in getattr(metric, "variables", {})}
    measurable |= {name for offer in load_registry().offers.values() for name in _measured(offer)}
    for name, variable in _theory(case).variables.items():
        told = variable.predicts
        assert told is None or told in measurable, (
            f"found Variable(predicts={told!r}) of {name}, expected the variable of a metric; "
            f"{did_you_mean(str(told), measurable)}"
        )


def _metrics(base: type) -> Iterator[type]:
    metric: type
    for metric in base.__subclasses__():
        yield metric
        yield from _metrics(metric)


def _measured(offer: Any) -> Iterator[str]:
    if offer.component.kind == "metric":
        yield from getattr(offer.component, "variables", {})


def theory_is_near_the_simulation(case: Case) -> None:
    """The predicted excess risk is within a quarter, and six standard errors, of the mean over 64
    simulated replicates."""
    predicted = _predicted(case)["excess_risk"]
    simulation = evolve(case, replicates=tuple(range(64)))
    states = simulation.walk()[0]
    data = states.path.fit.problem.test
    residual = states.need(NEEDS["predictions"]).detach() - data.truth[:, None]
    risks = (data.weight[:, None] * residual**2).sum(-1).double().numpy()  # (replicates, times)
    mean, error = risks.mean(0), risks.std(0, ddof=1) / 8
    gap = np.abs(predicted - mean)
    worst = int((gap - 0.25 * mean - 6 * error).argmax())
    assert (gap <= 0.25 * mean + 6 * error).all(), (
        f"found the prediction {predicted[worst]:.4g} at time {case.times[worst]:g}, expected "
        f"{mean[worst]:.4g} ± {6 * error[worst]:.2g}, the mean excess risk of 64 replicates; an "
        "asymptotic theory or a bound names this law in `expected`, with the reason"
    )


def _predicts_risks(case: Case) -> bool:
    variable = _theory(case).variables.get("excess_risk")
    return variable is not None and variable.time and not variable.dims


SIMULATION_LAWS = (Law(theory_is_near_the_simulation, _predicts_risks),)
THEORY_LAWS = (
    Law(predicts_a_known_variable),
    Law(predictions_are_declared),
    Law(predictions_are_finite),
    Law(predicted_times_stack),
    Law(theory_runs_in_a_cell),
)
