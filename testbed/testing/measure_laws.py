"""Laws of metrics and of theories."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
from attrs import evolve

from testbed.contract.cells import CellResult, PlannedTheory
from testbed.contract.components import Metric, Theory, Variable
from testbed.contract.names import RESERVED_OWN_DIMS, RESERVED_VARIABLES
from testbed.contract.needs import alternatives
from testbed.errors import did_you_mean
from testbed.loading import load_registry
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing.cases import Case, one_by_one, planned, recast
from testbed.testing.laws import ROUNDING, KitWarning, Law, close, finite

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
    hint = "; measure returns tensors, without .item()" if ".item()" in result.failure else ""
    assert not result.failure, f"found the error {result.failure}, expected numbers{hint}"
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


def measures_a_time_alone(case: Case) -> None:
    """A time alone has the numbers that it has among others."""
    together = measured(case)
    declared = _declared(case)
    middle = len(case.times) // 2
    if case.optimizer.facts().times_per_replicate:
        return
    alone = measured(evolve(case, times=(case.times[middle],))).variables
    for name, values in together.variables.items():
        if name in declared and declared[name].time:
            close(alone[name][:, 0], values[:, middle], 1e-6, f"{name} at a time alone")


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
    Law(measures_a_time_alone),
    Law(measures_one_by_one, lambda case: _metric(case).facts().batching == "vmap"),
)

# --- theories -------------------------------------------------------------------------------------


def _predicted(
    case: Case, times: tuple[float, ...] | None = None, replicate: int = 0
) -> dict[str, np.ndarray]:
    theory: Any = case.component
    cell = evolve(case.cell, times=times or case.times)
    problem = draw_problem(cell, replicate) if theory.facts().conditional else None
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
    for position, moment in enumerate(case.times):
        for name, values in _predicted(case, (moment,)).items():
            if theory.variables[name].time:
                close(values[0], together[name][position], ROUNDING, f"{name} at time {moment:g}")


def theory_runs_in_a_cell(case: Case) -> None:
    """Core evaluates the theory, with simulated replicates if it is conditional, else without."""
    theory = _theory(case)
    names = {name: name for name in theory.variables}
    replicates = case.replicates if theory.facts().conditional else ()
    cell = evolve(case.cell, replicates=replicates, theories=(PlannedTheory(theory, names),))
    result = execute_cell(cell)
    assert not result.failure, f"found the error {result.failure}, expected predictions"
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


OFF = 0.08  # share of the mean by which a theory may be off, unless it states another accuracy
PRECISE = 0.1  # six standard errors, as a share of the mean: with OFF, a fifth is caught
LEAST, MOST = 64, 2048  # replicates
BUDGET = 10.0  # seconds of the processor in which a law adds replicates


def theory_is_near_the_simulation(case: Case) -> None:
    """A prediction is within 8% (or the accuracy that it states) and six standard errors of
    the mean over simulated replicates, at the case's times and far before and after them; a bound
    lies on its side. From 64 on, replicates are added until one that is off by a fifth is caught;
    the kit warns where ten seconds do not suffice."""
    theory, names = _theory(case), _comparable(case)
    case = _with_far_times(case)
    for name in names:
        variable = theory.variables[name]
        values, predicted = _beside(case, name, BUDGET / len(names))
        mean = values.mean(0)
        slack = max(OFF, variable.accuracy) * np.abs(mean) + 6 * _error(predicted - values)
        gap = predicted.mean(0) - mean
        wrong = np.where(
            gap > 0, variable.states != "upper bound", variable.states != "lower bound"
        )
        over = np.where(wrong, np.abs(gap) - slack, -np.inf)
        worst = int(np.nan_to_num(over, nan=-np.inf).argmax())
        assert not over[worst] > 0, (
            f"found the prediction {predicted.mean(0)[worst]:.4g} of {name} at time "
            f"{case.times[worst]:g}, expected {mean[worst]:.4g} ± {slack[worst]:.2g}, the mean of "
            f"{variable.predicts} over {len(values)} replicates and the deviation allowed; an "
            "asymptotic theory states its accuracy, Variable(…, accuracy=0.3), or names this law "
            "in `breaks` of its example, with the reason"
        )
        _tell_power(case, variable, values, slack)


def _tell_power(case: Case, variable: Variable, values: np.ndarray, slack: np.ndarray) -> None:
    """Warn if a prediction has to be further off than it should to be caught."""
    needed = slack / np.abs(values.mean(0))
    worst = int(np.nan_to_num(needed).argmax())
    if needed[worst] > max(OFF, variable.accuracy) + PRECISE + 1e-9:
        share = f"{100 * needed[worst]:.0f}% at time {case.times[worst]:g}"
        text = (
            f"theory_is_near_the_simulation: with {len(values)} replicates, for which there is "
            f"time, a prediction of {variable.predicts} by {case.component.name} is caught only "
            f"if it is off by {share}; make its example smaller, or less random"
        )
        warnings.warn(text, KitWarning, stacklevel=2)


def _error(values: np.ndarray) -> np.ndarray:
    """The standard error of the mean over the first axis."""
    return np.asarray(values.std(0, ddof=1) / len(values) ** 0.5)


def _with_far_times(case: Case) -> Case:
    """The case with a time far before its own and one far after them, where the theory applies."""
    first, last = min(t for t in case.times if t > 0), case.times[-1]
    more = evolve(case, times=(first / 10, *(t for t in case.times if t > 0), 10 * last))
    try:
        _predicted(more)
    except Exception:  # it does not apply there, or another law says what is wrong
        return case
    return more


def _beside(case: Case, name: str, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """What a theory's variable predicts as it is simulated, and the predictions, (replicates,
    times) each, for as many replicates as tell a prediction that is off by a fifth, within bounds
    of their number and of time. A conditional theory predicts each replicate."""
    theory = _theory(case)
    told = str(theory.variables[name].predicts)
    metric = _metric_of(told, case)
    assert metric is not None  # _comparable has found it
    conditional = theory.facts().conditional
    shared = None if conditional else _predicted(case)[name]  # one prediction for all replicates
    began = time.process_time()
    simulated: list[np.ndarray] = []
    predicted: list[np.ndarray] = []
    while len(simulated) * LEAST < MOST:
        block = tuple(range(len(simulated) * LEAST, (len(simulated) + 1) * LEAST))
        result = measured(evolve(case, component=metric, replicates=block))
        simulated.append(result.variables[told])
        rows = shared
        if rows is None:
            rows = np.stack([_predicted(case, replicate=replicate)[name] for replicate in block])
        predicted.append(np.broadcast_to(rows, simulated[-1].shape))
        values, expected = np.concatenate(simulated), np.concatenate(predicted)
        precise = 6 * _error(expected - values) <= PRECISE * np.abs(values.mean(0))
        spent = time.process_time() - began
        if precise.all() or spent * (1 + 1 / len(simulated)) > seconds:
            break
    return np.concatenate(simulated), np.concatenate(predicted)


def _comparable(case: Case) -> list[str]:
    """The theory's variables that predict one number at each time, which a metric measures here."""
    return [
        name
        for name, variable in _theory(case).variables.items()
        if variable.predicts
        and variable.time
        and not variable.dims
        and variable.states != "limit"
        and _metric_of(variable.predicts, case) is not None
    ]


@lru_cache(maxsize=32)
def _metric_of(name: str, case: Case) -> Metric | None:
    """A metric that measures the variable of this name on the case, with its default parameters."""
    for offer in load_registry().offers.values():
        if offer.component.kind != "metric":
            continue
        try:
            metric: Any = offer.component()
            fits = name in metric.declared() and not metric.applies(case.cell)
            if fits and not planned(evolve(case, component=metric))[1]:
                return metric
        except Exception:  # a metric of another plugin that cannot be made or asked here
            continue
    return None


SIMULATION_LAWS = (Law(theory_is_near_the_simulation, lambda case: bool(_comparable(case))),)
THEORY_LAWS = (
    Law(predicts_a_known_variable),
    Law(predictions_are_declared),
    Law(predictions_are_finite),
    Law(predicted_times_stack),
    Law(theory_runs_in_a_cell),
)
