"""Which parts fit together: optimizers and models, times and whole steps, metrics and
estimators."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from testbed.contract.answers import reason_of, variables_of
from testbed.contract.border import ComponentFault, calling
from testbed.contract.capabilities import lack
from testbed.contract.components import Estimator, Metric, Model, Optimizer, Target, Theory
from testbed.contract.grids import Grid
from testbed.contract.needs import Asked, Need, alternatives
from testbed.contract.parameters import fields_of, names_with, value_with
from testbed.errors import DoesNotApply
from testbed.planning.inspection import expect_reached

if TYPE_CHECKING:
    from testbed.contract.cells import Cell

LARGEST_MOVE = 0.05  # how far whole steps may move a recorded time, relative to it

Objection = tuple[str, str, str]
"""What was found, what was expected, what to do."""


def pair_objection(model: Model, optimizer: Optimizer) -> Objection | None:
    """Why an optimizer cannot fit a model; None if it can."""
    with calling(optimizer, "accepts"):
        reason = reason_of(optimizer, "accepts", optimizer.accepts(model))
    if not reason:
        return None
    problem = f"found {optimizer.name} on {model.name}, which do not fit: {reason}"
    return problem, "a pair that fits", "choose another optimizer or model"


def times_objection(model: Model, optimizer: Optimizer, times: Grid | None) -> Objection | None:
    """Why an optimizer cannot record these times of a model; None if it can."""
    if times is None:
        fix = "add times = { … } to the optimizer, or at the top for all estimators"
        return "found no times", "a grid of training times", fix
    if times.values[0] < 0:
        return f"found the time {times.values[0]:g}", "times of at least 0", ""
    if math.isinf(times.values[-1]) and not optimizer.reaches_limit(model):
        problem = f"found the time inf, which {optimizer.name} on {model.name} never reaches"
        fix = "leave inf out, or take spectral-filter on a model that has an eigensystem"
        return problem, "finite times", fix
    reached = expect_reached(optimizer, times.values)
    moved = _first_moved(times.values, reached)
    if moved:
        problem = "found the time {:g}; whole steps reach {:g}, more than 5% off".format(*moved)
        fix = "lower the learning rate, or drop early times"
        return problem, "times that whole steps can reach", fix
    for before, after in pairwise(reached):
        if before == after:
            problem = f"found two times that fall on one step, at {after:g}"
            return problem, "times at least one step apart", "thin the grid"
    return None


def _first_moved(times: Sequence[float], reached: Sequence[float]) -> tuple[float, float] | None:
    """The first time that whole steps move too far, and the time they reach; None if none."""
    for time, stop in zip(times, reached, strict=True):
        if abs(stop - time) > LARGEST_MOVE * time and time > 0:
            return time, stop
    return None


def companion_objection(companion: Estimator, reached: Sequence[float]) -> str:
    """Why a companion cannot stop at the times that training reaches; empty if it can."""
    optimizer = companion.optimizer
    if optimizer.facts().times_per_replicate:
        return (
            f"the replicates of {companion.name!r} stop at times of their own, at which this "
            "estimator does not; measure it there instead, or give its step size as a number"
        )
    if math.isinf(reached[-1]) and not optimizer.reaches_limit(companion.model):
        return f"{companion.name!r} never reaches the time inf"
    moved = _first_moved(reached, expect_reached(optimizer, tuple(reached)))
    if moved is None:
        return ""
    return (
        f"at the time {moved[0]:g} whole steps of {companion.name!r} stop at {moved[1]:g}, more "
        "than 5% off: the two would not be compared at equal time; lower its learning rate, or "
        "drop early times"
    )


def theory_objection(theory: Theory, cell: Cell) -> str | None:
    """Why a theory says nothing about a cell, as far as the cell alone tells; None if it does.

    The theory is called with no times. Other errors prove nothing then: a run will show them.
    """
    try:
        with calling(theory, "predict"):
            theory.predict(cell, (), None)
    except DoesNotApply as reason:
        return str(reason)
    except ComponentFault:
        pass
    return clock_objection(theory, cell)


def clock_objection(theory: Theory, cell: Cell) -> str | None:
    """Why a theory that depends on times cannot know those of a cell; None if it can."""
    timed = any(variable.time for variable in variables_of(theory).values())
    if timed and cell.optimizer.facts().times_per_replicate:
        return (
            f"under {cell.optimizer.name} replicates have their own steps and stop at times of "
            "their own, which the cell's parameters do not tell; give a number as the step size"
        )
    return None


def foreign_kernel(target: Target, model: Model) -> str | None:
    """How the kernel of a target differs from the model, in words; None if it does not differ or
    the target has no kernel. A target that is smooth for its own kernel need not be smooth for the
    model."""
    kernel: object = value_with(target, "truth_kernel", None)
    if not isinstance(kernel, Model):
        return None
    if type(kernel) is not type(model):
        return f"the target's kernel is {kernel.name}, the model {model.name}"
    routes = names_with(model, "route")
    names = [field.name for field in fields_of(model) if field.name not in routes]
    differing = [name for name in names if getattr(kernel, name) != getattr(model, name)]
    if not differing:
        return None
    return (
        f"the target's kernel is {kernel.name} of another {', '.join(differing)} than the model's"
    )


def foreign_kernels(cells: Iterable[Cell]) -> list[str]:
    """How the kernels of targets differ from the models of these cells, each once."""
    differences = (foreign_kernel(cell.target, cell.model) for cell in cells)
    return list(dict.fromkeys(words for words in differences if words))


def served_needs(
    metric: Metric, estimator: Estimator, companion: Estimator | None
) -> tuple[tuple[Asked, ...], str]:
    """The first of the metric's alternatives that can be served, and ""; or () and the reason."""
    reasons = []
    for needs in alternatives(metric.needed()):
        reason = _first_objection(needs, estimator, companion)
        if not reason:
            return needs, ""
        reasons.append(reason)
    return (), "; ".join(dict.fromkeys(reasons))


def _first_objection(
    needs: tuple[Asked, ...], estimator: Estimator, companion: Estimator | None
) -> str:
    for request in needs:
        owner = companion if request.moment == "companion" else estimator
        reason = need_objection(request.need, owner) if owner else "it has no companion here"
        if reason:
            return reason
    return ""


def need_objection(need: Need, estimator: Estimator) -> str:
    """Why an estimator cannot serve a need; empty if it can."""
    model, optimizer = estimator.model, estimator.optimizer
    if need.optimizer is not None:
        reason = lack(optimizer, need.optimizer)
        if reason:
            return reason
        if model.facts().reads != "inputs":
            return f"the smoother of {model.name} depends on the observations"
    return (lack(model, need.capability) if need.capability else None) or ""
