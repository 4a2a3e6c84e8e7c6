"""Full-batch gradient descent, with or without heavy-ball momentum."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from attrs import evolve, frozen

from testbed import (
    Advance,
    Algorithm,
    Capability,
    Fit,
    HasEigensystem,
    HasGradient,
    HasLeverage,
    IsSpectral,
    Model,
    OptimizerFacts,
    ParameterError,
    Variable,
    Withheld,
    has,
    lack,
    parameter,
)
from testbed.numerics.edges import edge_rates, replicate
from testbed.numerics.spectral import filtered, smoother_diagonal
from testbed.numerics.trees import tree_map
from testbed_basics.optimizers.losses import SQUARED
from testbed_basics.optimizers.steps import (
    Edge,
    HeavyBall,
    counted,
    in_bounds,
    step_size,
)

if TYPE_CHECKING:
    from torch import Tensor

RATE = Variable("step size that the replicate is trained with")
OWN_TIME = Variable("training time reached in whole steps of the replicate's own size")


@frozen(kw_only=True)
class GradientDescent(HeavyBall, HasLeverage, IsSpectral):
    """θ ← θ − η ∇L, on the clock τ = η·steps/(1 − momentum).

    Models with an eigensystem take the closed form of the same steps; others are stepped. Requested
    times are rounded to whole steps. With `learning_rate = { edge = 0.9 }` every replicate has its
    own η = 0.9·2/λ_max, λ_max the sharpness at its start, and its own whole steps: replicates run
    one by one, and the rate and the time reached are recorded for each.
    """

    name = "gradient-descent"
    requires: ClassVar[tuple[type[Capability], ...]] = ()

    learning_rate: float | dict[str, float] = parameter(  # type: ignore[assignment]
        help="step size η, or { edge = c } for c·2/λ_max at the start",
        gt=0,
        converter=step_size,
        role="step_size",
    )
    method: str = parameter(
        "auto",
        help='"stepped" never takes the closed form that an eigensystem allows',
        choices=("auto", "stepped"),
    )

    def __attrs_post_init__(self) -> None:
        if self.edge is not None and self.loss != SQUARED:
            raise ParameterError(
                "found { edge = … }, a share of the squared loss's edge",
                f"a number under {self.loss!r}",
                parameter="learning_rate",
            )

    def withheld(self) -> Withheld:
        """Closed forms are those of the squared loss."""
        reason = f"{self.name} descends the loss {self.loss!r}, which has no closed form"
        return {} if self.loss == SQUARED else {HasLeverage: reason, IsSpectral: reason}

    def declared(self) -> Mapping[str, Variable]:
        """The variables that training records, with the step size if each replicate has its own."""
        noted = {"rate_used": RATE, "time_reached": OWN_TIME} if self.edge is not None else {}
        return {**self.variables, **noted}

    def algorithm(self) -> Algorithm:
        size = self.learning_rate
        rate = None if self.edge is not None or isinstance(size, dict) else float(size)
        return Algorithm("descent", math.inf, rate, self.momentum)

    @property
    def edge(self) -> float | None:
        """The share of 2/λ_max if it defines the step size, else None."""
        return self.learning_rate.share if isinstance(self.learning_rate, Edge) else None

    def facts(self) -> OptimizerFacts:
        """Replicates with their own step sizes also have their own whole steps."""
        return evolve(super().facts(), times_per_replicate=self.edge is not None)

    def closed(self, model: Model) -> bool:
        """Whether the steps are taken in closed form."""
        return self.method == "auto" and self.loss == SQUARED and has(model, HasEigensystem)

    def accepts(self, model: Model) -> str | None:
        return None if self.closed(model) else lack(model, HasGradient)

    @property
    def rate(self) -> float:
        """The step size, where it is one for all."""
        assert isinstance(self.learning_rate, float | int)
        return self.learning_rate

    @property
    def step_time(self) -> float:
        return self.rate / (1 - self.momentum)

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        return tuple(times) if self.edge is not None else super().reached(times)

    def reached_by(self, carry: Any, times: Sequence[float]) -> Tensor:
        return torch.tensor([descent.reached(times) for descent, _ in carry], dtype=torch.float64)

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        return {} if self.edge is not None else super().auxiliary(times)

    def start(self, fit: Fit) -> Any:
        if self.edge is None:
            return super().start(fit)
        rates = (self.edge * edge_rates(fit)).tolist()
        descents = [evolve(self, learning_rate=rate) for rate in rates]
        return [
            (descent, descent.start(replicate(fit, row))) for row, descent in enumerate(descents)
        ]

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        if self.edge is not None:
            return self._one_by_one(fit, carry, since, times)
        if self.closed(fit.model):
            return self._at_once(fit, carry, since, times)
        return super().advance(fit, carry, since, times)

    def _at_once(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        """The closed form of the steps."""
        params = self._filter(fit, times, filtered)
        state, count = carry
        record = []
        (done,) = self.steps([since])
        for position, target in enumerate(self.steps(times)):
            lost = functools.partial(self._bisected, fit, done, target)
            count = counted(count, done, target, params[:, position], lost)
            record.append(count)
            done = target
        return Advance((state, count), params, {"finite_steps": torch.stack(record, 1)})

    def _bisected(self, fit: Fit, done: int, target: int) -> Tensor:
        """The number of steps in (done, target] that led to numbers in bounds, (replicates,), if
        the last did not: by bisection, since closed forms that diverge grow with each step."""
        carries = []
        for row in range(len(fit.problem.train.weight)):
            good, bad = done, target
            while bad - good > 1:
                middle = (good + bad) // 2
                time = middle * self.step_time
                params = self._filter(replicate(fit, row), [time], filtered)[:, 0]
                good, bad = (middle, bad) if bool(in_bounds(params)) else (good, middle)
            carries.append(good - done)
        return fit.problem.train.weight.new_tensor(carries, dtype=torch.float64)

    def _one_by_one(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        """Every replicate with its own step size."""
        carries, parts, records = [], [], []
        for row, (descent, before) in enumerate(carry):
            step = descent.advance(replicate(fit, row), before, since, times)
            carries.append((descent, step.carry))
            parts.append(step.parameters)
            records.append(descent._own_record(step.record, times, fit.problem.train.weight))
        params = tree_map(lambda *leaves: torch.cat(leaves), *parts)
        record = tree_map(lambda *leaves: torch.cat(leaves), *records)
        return Advance(carries, params, record)

    def _own_record(
        self, record: Mapping[str, Any], times: Sequence[float], like: Tensor
    ) -> dict[str, Tensor]:
        """The record of a replicate with its own step size, (1, times) each."""

        def row(values: Sequence[float]) -> Tensor:
            return torch.tensor([values], dtype=torch.float64, device=like.device)

        return {
            "finite_steps": record["finite_steps"],
            "rate_used": row([self.rate] * len(times)),
            "time_reached": row(self.reached(times)),
        }

    def _filter(self, fit: Fit, times: Sequence[float], of: Callable[..., Tensor]) -> Tensor:
        """`of` (the path or its smoother) with the filter of these steps."""
        name = "heavy-ball" if self.momentum else "descent"
        stops = self.reached(times)
        return of(fit, name, stops, learning_rate=self.rate, momentum=self.momentum)

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        if self.edge is None:
            return self._filter(fit, times, smoother_diagonal)
        rates = (self.edge * edge_rates(fit)).tolist()
        rows = [
            evolve(self, learning_rate=rate).leverage(replicate(fit, row), times)
            for row, rate in enumerate(rates)
        ]
        return torch.cat(rows)
