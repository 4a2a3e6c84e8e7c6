"""Cases for laws: a component under test, with partners and data."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import torch
from attrs import evolve, frozen

from testbed.contract.capabilities import HasPredictions, HasSpectrum, has, lack
from testbed.contract.cells import Cell, Compute, PlannedMetric
from testbed.contract.components import (
    Component,
    Design,
    Estimator,
    Metric,
    Model,
    Optimizer,
    Rng,
    Target,
)
from testbed.contract.facts import ModelFacts
from testbed.contract.needs import NEEDS
from testbed.contract.parameters import fields_of
from testbed.contract.seeds import Streams
from testbed.contract.values import Drawn, Problem
from testbed.errors import TestbedError
from testbed.numerics.trees import as_tensors, stack, tensors, tree_map
from testbed.planning.fitting import served_needs, theory_objection
from testbed.running.batching import Single
from testbed.running.execute import draw_problem
from testbed.running.paths import Path, States
from testbed.testing import partners
from testbed.testing.global_state import settings_restored

Kind = TypeVar("Kind", bound=Component)
TIMES = (0.0, 1.0, 4.0)


@frozen
class Case:
    """A component with its partners. `tolerance` is the error that integrators may make."""

    component: Component
    design: Design
    target: Target
    model: Model
    optimizer: Optimizer
    times: tuple[float, ...] = TIMES
    tolerance: float = 1e-6
    replicates: tuple[int, ...] = (0, 1, 2, 3)
    seed: int = 1
    dtype: Literal["float64", "float32"] = "float64"
    change: Callable[[Problem], Problem] | None = None
    """A change made to every problem after it is drawn, such as another order of its rows."""

    @property
    def cell(self) -> Cell:
        """The cell that this case is, with the metric under test if it is one."""
        compute = Compute(dtype=self.dtype)
        return Cell(
            "tested", {}, (), self.replicates, self.design, self.target, self.model,
            self.optimizer, self.times, (), (), self.seed, compute, key="tested", group="tested",
        )  # fmt: skip

    def problems(self) -> list[Problem]:
        """The regression problem of every replicate, in tensors."""
        problems = [draw_problem(self.cell, replicate) for replicate in self.replicates]
        return problems if self.change is None else [self.change(problem) for problem in problems]

    def path(self) -> Path:
        """The estimator at time 0, set up for training as core sets it up in a run."""
        estimator = Estimator("tested", self.model, self.optimizer)
        problems = self.problems()
        rngs = [Streams(self.seed, replicate) for replicate in self.replicates]
        cast = functools.partial(as_tensors, dtype=getattr(torch, self.dtype), device="cpu")
        return Path(estimator, stack(problems), problems, rngs, cast, lambda _, make: make())

    def walk(self, *blocks: Sequence[float]) -> list[States]:
        """The states at the times of each block, trained one block after the other."""
        with torch.no_grad():
            path = self.path()
            return [path.advance(tuple(block))[0] for block in blocks or (self.times,)]


# --- making cases -------------------------------------------------------------------------------


def make_case(
    component: Component | type[Component],
    *,
    design: Design | None = None,
    target: Target | None = None,
    model: Model | None = None,
    optimizer: Optimizer | None = None,
    times: Sequence[float] = TIMES,
    tolerance: float = 1e-6,
) -> Case:
    """A case with small data and partners for a component; arguments replace the default partners.

    Models and metrics are tried on twelve points in the plane, or on a sequence if `design` or the
    metric's needs say so. TestbedError if the partners do not fit the component.
    """
    if isinstance(component, type):
        component = _instance(component)
    chosen: dict[str, object] = {
        "design": design, "target": target, "model": model, "optimizer": optimizer,
    }  # fmt: skip
    if component.kind in chosen:
        chosen[component.kind] = component
    reasons = []
    for case in _candidates(component, chosen, tuple(times), tolerance):
        with settings_restored():
            reason = _misfit(case)
        if reason is None:
            return case
        reasons.append(reason)
    raise TestbedError(
        f"{component.name}: found no small case that fits ({'; '.join(dict.fromkeys(reasons))}), "
        "expected partners; give some of design, target, model and optimizer"
    )


def _instance(component: type[Component]) -> Component:
    try:
        return component()
    except TypeError as error:
        raise TestbedError(
            f"found the class {component.__name__}, expected a component with its parameters "
            f"({error}); write {component.__name__}(…)"
        ) from None


def _candidates(
    component: Component, chosen: Mapping[str, Any], times: tuple[float, ...], tolerance: float
) -> Iterator[Case]:
    """Cases in the order of preference: points, then a sequence; exact flows before numeric."""
    for design, model in (
        (partners.Points(), partners.Kernel()),
        (partners.Sequence(), partners.SequenceModel()),
        (partners.Points(), partners.Plane()),  # trained in its own parameters
        (partners.Points(), partners.Mean()),  # fitted at once
    ):
        for optimizer in partners.FLOWS:
            yield Case(
                component,
                chosen["design"] or design,
                chosen["target"] or partners.Smooth(),
                chosen["model"] or model,
                chosen["optimizer"] or optimizer,
                times,
                tolerance,
            )


def _misfit(case: Case) -> str | None:
    """Why the parts of a case do not fit each other; None if they do."""
    reason = case.optimizer.accepts(case.model) or _unsmooth(case)
    if reason is None and isinstance(case.component, Metric):
        reason = case.component.applies(case.cell) or planned(case)[1]
    if reason is None and case.component.kind == "theory":
        theory: Any = case.component
        reason = theory_objection(theory, case.cell)
    if reason is None and case.component.kind in ("target", "model"):
        reason = _unsuitable(case)
    return reason or None


def _unsmooth(case: Case) -> str | None:
    """Why adaptive integration, which stops at every jump of the gradient, is not tried."""
    if isinstance(case.optimizer, partners.NumericFlow) and not case.model.facts().smooth:
        return f"the gradient of {case.model.name} jumps"
    return None


def _unsuitable(case: Case) -> str | None:
    """Whether the component refuses the data; laws report all other errors."""
    try:
        if case.component.kind == "target":
            draw_problem(case.cell, 0)
        else:
            with torch.no_grad():
                path = case.path()
                if isinstance(case.optimizer, partners.PlainDescent):
                    return _diverging(path.advance(case.times)[0])
    except TestbedError as error:
        return str(error)
    except Exception:
        return None
    return None


def _diverging(states: States) -> str | None:
    """Why descent is no partner: its steps are too large for the model."""
    finite = all(bool(leaf.isfinite().all()) for leaf in tensors(states.params))
    return None if finite else "gradient descent diverges"


class _AnyName(Mapping[str, Estimator]):
    """Every name is the same estimator, for metrics that compare with another one."""

    def __init__(self, estimator: Estimator):
        self._estimator = estimator

    def __getitem__(self, name: str) -> Estimator:
        return self._estimator._replace(name=name)

    def __iter__(self) -> Iterator[str]:
        return iter(("other",))

    def __len__(self) -> int:
        return 1


def planned(case: Case) -> tuple[PlannedMetric, str]:
    """The case's metric as a cell would measure it, and why it cannot be measured, or ""."""
    metric: Any = case.component
    estimator = Estimator("tested", case.model, case.optimizer)
    companion = metric.companion(estimator, _AnyName(estimator))
    needs, reason = served_needs(metric, estimator, companion)
    names = {name: name for name in metric.declared()}
    return PlannedMetric(metric, names, needs, companion=companion), reason


# --- the same component, one replicate after the other ------------------------------------------


class ModelOneByOne(Single):
    """The model, run by core replicate by replicate, whatever its batching."""

    def facts(self) -> ModelFacts:
        return evolve(self.model.facts(), batching="loop")

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        return self.model.draw(rng, problem)


def one_by_one(component: Component) -> Component:
    """The component, run by core replicate by replicate, whatever its batching."""
    if isinstance(component, Model):
        return ModelOneByOne(component)
    assert isinstance(component, Optimizer | Metric)
    facts = evolve(component.facts(), batching="loop")
    return recast(component, facts=lambda self: facts)


def recast(component: Kind, **members: Callable[..., object]) -> Kind:
    """The same component with some members of its class replaced."""
    cls = type(component)
    twin: Kind = object.__new__(type(cls.__name__, (cls,), dict(members)))
    for field in fields_of(component):
        object.__setattr__(twin, field.name, getattr(component, field.name))
    return twin


def observed(states: States) -> torch.Tensor:
    """The fitted function at each recorded time, (replicates, times, points): predictions, or the
    spectrum's estimate of models that only have that, or else the parameters."""
    model = states.path.model
    if lack(model, HasPredictions) is None:
        return states.need(NEEDS["predictions"])
    if has(model, HasSpectrum):
        values: torch.Tensor = states.need(NEEDS["spectrum"]).estimate
        return values
    leaves: list[torch.Tensor] = []
    tree_map(lambda leaf: leaves.append(leaf.flatten(2)), states.params)
    return torch.cat(leaves, -1)
