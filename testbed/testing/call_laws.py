"""Laws of every call of every component: what it may change, and what it may remember."""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from attrs import evolve, fields, has

from testbed.contract.border import line_of
from testbed.contract.capabilities import lack
from testbed.contract.cells import PlannedTheory
from testbed.contract.needs import NEEDS
from testbed.contract.seeds import Streams
from testbed.contract.shape import shape_objection
from testbed.numerics.trees import index
from testbed.running.batching import Single
from testbed.running.execute import draw_problem, execute_cell
from testbed.running.paths import States
from testbed.testing.cases import Case, observed, planned
from testbed.testing.global_state import unusual_state
from testbed.testing.laws import KitWarning, Law, close
from testbed.testing.partners import FLOWS
from testbed.testing.snippets import PARTS
from testbed.testing.watching import Effect, watched

# --- calling every method -------------------------------------------------------------------------


@lru_cache(maxsize=4)
def effects_of(case: Case) -> tuple[Effect, ...]:
    """What the component's methods change, each called as core calls it in a run."""
    effects: list[Effect] = []
    twin = watched(case.component, effects)
    small = evolve(case, component=twin, replicates=case.replicates[:2])
    with unusual_state(), torch.no_grad(), suppress(Exception):  # other laws report errors
        for call in _CALLS[case.component.kind](small):
            with suppress(Exception):
                call()
    return tuple(dict.fromkeys(effects))


Calls = Iterator[Callable[[], object]]


def _of_a_design(case: Case) -> Calls:
    twin: Any = case.component
    yield lambda: twin.draw(Streams(case.seed, 0))
    yield twin.space
    yield twin.sizes


def _of_a_target(case: Case) -> Calls:
    twin: Any = case.component
    yield lambda: draw_problem(evolve(case, target=twin).cell, 0)


def _of_a_model(case: Case) -> Calls:
    twin: Any = case.component
    states: list[States] = []
    yield lambda: states.extend(evolve(case, model=twin).walk())
    for optimizer in FLOWS:
        fits = optimizer != case.optimizer and optimizer.accepts(twin) is None
        if fits and optimizer.name != "testing.numeric-flow":
            yield evolve(case, model=twin, optimizer=optimizer).walk
    untrained = evolve(case, model=twin).path()
    yield from _of_a_state(untrained.initial)
    if states:
        yield from _of_a_state(states[0])


def _of_a_state(states: States) -> Calls:
    """Every need that a method of the model computes, and the methods that no need names."""
    model: Any = Single(states.path.model.model)
    served = [
        need
        for need in NEEDS.values()
        if need.capability and not need.of_state and lack(model, need.capability) is None
    ]
    for need in served:
        for kernel in ("features", "tangent"):
            for points in ("train", "test"):
                options: Any = {"kernel": kernel, "points": points}
                yield functools.partial(states.need, need, options)
    fit = states.path.fit
    prepared, problem = index(fit.prepared, 0), index(fit.problem, 0)
    params = index(index(states.params, 0), len(states.times) // 2)
    yield lambda: model.gradient(prepared, params, problem, torch.arange(2))
    yield lambda: model.descend(prepared, params, problem, 1e-3, 2, 0.5)
    yield lambda: model.initial_covariance(problem)


def _of_an_optimizer(case: Case) -> Calls:
    twin: Any = case.component
    states: list[States] = []
    yield lambda: states.extend(evolve(case, optimizer=twin).walk())
    if states:
        yield lambda: states[0].need(NEEDS["leverage"])
        yield lambda: states[0].path.reached(case.times)


def _of_a_metric(case: Case) -> Calls:
    plan, _ = planned(case)
    metric: Any = case.component
    yield lambda: execute_cell(evolve(case.cell, metrics=(evolve(plan, metric=metric),)))


def _of_a_theory(case: Case) -> Calls:
    theory: Any = case.component
    names = {name: name for name in theory.variables}
    replicates = case.replicates if theory.facts().conditional else ()
    planned_theory = PlannedTheory(theory, names)
    yield lambda: execute_cell(evolve(case.cell, replicates=replicates, theories=(planned_theory,)))


_CALLS: dict[str, Callable[[Case], Calls]] = {
    "design": _of_a_design,
    "target": _of_a_target,
    "model": _of_a_model,
    "optimizer": _of_an_optimizer,
    "metric": _of_a_metric,
    "theory": _of_a_theory,
}

# --- laws -----------------------------------------------------------------------------------------


def has_the_shape_of_the_contract(case: Case) -> None:
    """Names of methods are those of the contract, and none is missing."""
    objection = shape_objection(type(case.component))
    assert objection is None, objection


def inputs_stay_as_they_are(case: Case) -> None:
    """No method changes its arguments."""
    for effect in effects_of(case):
        assert not effect.is_argument, (
            f"found {effect.what} changed by {effect.method}, expected it untouched: write "
            "`x = x - x.mean()`, not `x -= x.mean()`, and `x.clamp(0)`, not `x.clamp_(0)`"
        )


def global_state_is_untouched(case: Case) -> None:
    """No method reads or moves global generators, or changes global settings."""
    for effect in effects_of(case):
        assert effect.is_argument, (
            f"found {effect.what} changed by {effect.method}, expected it untouched: draw numbers "
            "in `draw` alone, from rng(role), as in rng('model').standard_normal(3), and give "
            "dtypes and settings to the calls that need them"
        )


def remembers_nothing(case: Case) -> None:
    """Numbers do not depend on what the component has computed before, on other data."""
    fresh, used = imported_again(case), imported_again(case)
    if fresh is None or used is None:
        _untried(case, "its package cannot be imported a second time")
        return
    try:
        alone = numbers(evolve(fresh, seed=case.seed + 1))
    except Exception as error:  # parts of two imports need not fit together
        why = f"{type(error).__name__}: {error}{line_of(case.component, error)}"
        _untried(case, f"a second import of its package raised {why}")
        return
    numbers(evolve(used, seed=case.seed + 2))
    close(numbers(evolve(used, seed=case.seed + 1)), alone, 0.0, "numbers after others")


def _untried(case: Case, reason: str) -> None:
    """Warn that the law says nothing about a component, and why."""
    text = f"remembers_nothing was not tried on {case.component.name}: {reason}"
    warnings.warn(text, KitWarning, stacklevel=3)


def numbers(case: Case) -> np.ndarray:
    """Some numbers that the component computes on the case's data, in one vector."""
    component: Any = case.component
    if component.kind in ("metric", "theory"):
        plan = planned(case)[0] if component.kind == "metric" else None
        cell = evolve(case.cell, replicates=case.replicates[:2])
        if plan is not None:
            values = execute_cell(evolve(cell, metrics=(plan,))).variables
        else:
            problem = draw_problem(cell, 0) if component.facts().conditional else None
            values = component.predict(cell, cell.reached, problem)
        return np.concatenate([np.asarray(values[name]).ravel() for name in sorted(values)])
    problems = evolve(case, replicates=case.replicates[:2]).problems()
    if component.kind in ("design", "target"):
        return np.concatenate([np.asarray(part).ravel() for p in problems for part in p.train])
    states = evolve(case, replicates=case.replicates[:2]).walk()[0]
    return observed(states).detach().double().numpy().ravel()


def imported_again(case: Case) -> Case | None:
    """The case with classes from a second import of the component's package, which have seen no
    data; None if there can be no second import."""
    package = type(case.component).__module__.partition(".")[0]
    parts = {kind: getattr(case, kind) for kind in ("component", *PARTS)}
    with hidden_modules(package):
        try:
            copies = {kind: _copy(part, package) for kind, part in parts.items()}
        except Exception:  # whatever a second import of foreign code raises: the law warns
            return None
    kind = case.component.kind
    if kind in PARTS:
        copies["component"] = copies[kind]
    return evolve(case, **copies)


def _copy(value: object, package: str) -> Any:
    """A component whose class, and those of its parameters, are imported anew."""
    if isinstance(value, tuple) and type(value) is tuple:
        return tuple(_copy(part, package) for part in value)
    original = type(value)
    if not has(original) or original.__module__.partition(".")[0] != package:
        return value
    cls = getattr(importlib.import_module(original.__module__), original.__qualname__)
    twin = object.__new__(cls)
    for field in fields(original):
        object.__setattr__(twin, field.name, _copy(getattr(value, field.name), package))
    return twin


_hidden: list[str] = []


def imports_again() -> bool:
    """Whether a law is importing a package a second time: its modules then try no laws, since that
    would never end."""
    return bool(_hidden)


@contextmanager
def hidden_modules(package: str) -> Iterator[None]:
    """Hide the modules of a package, so that an import reads them again; restore them at the end.
    The modules of testbed itself stay."""
    if package in ("testbed", "__main__"):
        package = ""
    kept = {
        name: module
        for name, module in sys.modules.items()
        if package and (name == package or name.startswith(f"{package}."))
    }
    for name in kept:
        del sys.modules[name]
    _hidden.append(package)
    try:
        yield
    finally:
        _hidden.pop()
        for name in [name for name in sys.modules if package and name.startswith(package)]:
            if name == package or name.startswith(f"{package}."):
                del sys.modules[name]
        sys.modules.update(kept)


CALL_LAWS = (
    Law(has_the_shape_of_the_contract),
    Law(inputs_stay_as_they_are),
    Law(global_state_is_untouched),
    Law(remembers_nothing),
)
