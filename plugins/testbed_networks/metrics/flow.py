"""The gradient flow that descent is compared with, stopped where the descent stops."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen

from testbed import (
    Advance,
    Fit,
    HasDescent,
    HasEigensystem,
    HasGradient,
    Optimizer,
    OptimizerFacts,
    has,
    parameter,
)
from testbed.numerics.edges import edge_rates, replicate
from testbed.numerics.integrate import begin, integrate
from testbed.numerics.spectral import filtered
from testbed.numerics.trees import flatten, tree_map, unflatten


@frozen(kw_only=True)
class CompanionFlow(Optimizer):
    """Gradient flow to compare with a descent of step η; no scenario names it.

    The flow is exact where the model has an eigensystem, and integrated adaptively where the model
    is smooth. For other models adaptive steps would stop at every kink; the flow is then
    2θ_{h/2} − θ_h of two descents with steps h = η/refine and h/2. This Richardson extrapolation
    cancels the error of first order in h. The remaining error is about 1/refine² of the descent's
    distance to the flow while no unit crosses a kink, and a few per cent of it, of either sign,
    where units do.

    If the descent has a step c·2/λ_max for each replicate, the flow uses the same steps and stops
    at the same times.
    """

    name = "networks.companion-flow"
    requires = (HasGradient,)

    step: float | None = parameter(None, help="step size η of the descent", gt=0)
    edge: float | None = parameter(None, help="c, where η = c·2/λ_max at the start", gt=0)
    momentum: float = parameter(0.0, help="momentum μ: a step takes time η/(1 − μ)", ge=0, lt=1)
    refine: int = parameter(
        16, help="steps of the coarser descent for each step of the descent", ge=2
    )
    rtol: float = parameter(1e-7, help="relative tolerance of the integration", gt=0, lt=1)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch")

    def start(self, fit: Fit) -> Any:
        return [
            (
                self._rate(single),
                begin(flatten(single.start)) if _smooth(single) else (single.start,) * 2,
            )
            for single in _replicates(fit)
        ]

    def _rate(self, fit: Fit) -> float:
        """η of one replicate."""
        if self.edge is not None:
            return self.edge * float(edge_rates(fit))
        assert self.step is not None  # one of the two is given
        return self.step

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        carries, parts = [], []
        for single, (rate, before) in zip(_replicates(fit), carry, strict=True):
            after, params = self._advance_replicate(single, rate, before, since, times)
            carries.append((rate, after))
            parts.append(params)
        return Advance(carries, tree_map(lambda *leaves: torch.cat(leaves), *parts))

    def _advance_replicate(
        self, fit: Fit, rate: float, before: Any, since: float, times: Sequence[float]
    ) -> tuple[Any, Any]:
        """One replicate, its axis kept: the next state, and parameters (1, times, …)."""
        length = rate / (1 - self.momentum)
        if has(fit.model, HasEigensystem):
            return before, filtered(fit, "flow", times)
        if _smooth(fit):
            return self._integrate(fit, before, since, times)
        return self._extrapolate(fit, length, before, since, times)

    def _extrapolate(
        self, fit: Fit, length: float, before: Any, since: float, times: Sequence[float]
    ) -> tuple[Any, Any]:
        """2θ_{h/2} − θ_h of descents with steps h = length/refine and h/2."""
        recorded = []
        coarse, fine = before
        for time in times:
            count = math.ceil(self.refine * (time - since) / length - 1e-9)
            step = (time - since) / max(count, 1)
            coarse = _descend(fit, coarse, step, count)
            fine = _descend(fit, fine, step / 2, 2 * count)
            recorded.append(tree_map(lambda half, full: 2 * half - full, fine, coarse))
            since = time
        return (coarse, fine), tree_map(lambda *leaves: torch.stack(leaves, 1), *recorded)

    def _integrate(
        self, fit: Fit, before: Any, since: float, times: Sequence[float]
    ) -> tuple[Any, Any]:
        def field(flat: torch.Tensor) -> torch.Tensor:
            params = unflatten(fit.start, flat)
            return -flatten(fit.model.gradient(fit.prepared, params, fit.problem))

        path = integrate(field, before, since, times, rtol=self.rtol, atol=1e-3 * self.rtol)
        return path.state, unflatten(fit.start, path.states)


def _replicates(fit: Fit) -> list[Fit]:
    """Every replicate, its axis kept."""
    return [replicate(fit, row) for row in range(len(fit.problem.train.weight))]


def _smooth(fit: Fit) -> bool:
    """Whether the flow is integrated."""
    return not has(fit.model, HasEigensystem) and fit.model.facts().smooth


def _descend(fit: Fit, params: Any, rate: float, count: int) -> Any:
    """Steps of descent, in the model's own loop where it has one."""
    if count and has(fit.model, HasDescent):
        return fit.model.descend(fit.prepared, params, fit.problem, rate, count).params
    for _ in range(count):
        slope = fit.model.gradient(fit.prepared, params, fit.problem)
        params = tree_map(lambda p, g: p - rate * g, params, slope)
    return params
