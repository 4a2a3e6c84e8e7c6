"""Full-batch gradient descent, with or without heavy-ball momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor

from testbed.components import Advance, Model, Optimizer
from testbed.numerics.spectral import filtered, smoother_diagonal
from testbed.parameters import parameter
from testbed.trees import tree_map
from testbed.values import Fit


@frozen(kw_only=True)
class GradientDescent(Optimizer):
    """θ ← θ − η ∇L, on the clock τ = η·steps/(1 − momentum).

    Models with an eigensystem take the closed form of the same steps; others are stepped. Asked
    times are rounded to whole steps.
    """

    name = "gradient-descent"
    batching = "batch"

    learning_rate: float = parameter(help="step size η", gt=0)
    momentum: float = parameter(0.0, help="heavy-ball momentum μ", ge=0, lt=1)
    method: str = parameter(
        "auto",
        help='"stepped" never takes the closed form that an eigensystem allows',
        choices=("auto", "stepped"),
    )

    def closed(self, model: Model) -> bool:
        """Whether the steps are taken in closed form."""
        return self.method == "auto" and model.supports("eigensystem") is None

    def accepts(self, model: Model) -> str | None:
        return None if self.closed(model) else model.supports("gradient")

    @property
    def step_time(self) -> float:
        """Training time of one step."""
        return self.learning_rate / (1 - self.momentum)

    def steps(self, times: Sequence[float]) -> list[int]:
        """Whole steps nearest to the asked times."""
        return [round(time / self.step_time) for time in times]

    def reached(self, times: Sequence[float]) -> tuple[float, ...]:
        return tuple(steps * self.step_time for steps in self.steps(times))

    def auxiliary(self, times: Sequence[float]) -> dict[str, tuple[float, ...]]:
        return {"step": tuple(float(steps) for steps in self.steps(times))}

    def start(self, fit: Fit) -> Any:
        return (fit.start, tree_map(torch.zeros_like, fit.start))

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        if self.closed(fit.model):
            name = "heavy-ball" if self.momentum else "descent"
            options = {"learning_rate": self.learning_rate, "momentum": self.momentum}
            return Advance(carry, filtered(fit, name, self.reached(times), **options))
        recorded = []
        done = self.steps([since])[0]
        for steps in self.steps(times):
            carry = self._descend(fit, carry, steps - done)
            recorded.append(carry[0])
            done = steps
        return Advance(carry, tree_map(lambda *leaves: torch.stack(leaves, 1), *recorded))

    def _descend(self, fit: Fit, carry: Any, steps: int) -> Any:
        params, velocity = carry
        for _ in range(steps):
            slope = fit.model.gradient(fit.prepared, params, fit.problem)
            velocity = tree_map(
                lambda v, g: self.momentum * v - self.learning_rate * g, velocity, slope
            )
            params = tree_map(torch.add, params, velocity)
        return params, velocity

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        name = "heavy-ball" if self.momentum else "descent"
        options = {"learning_rate": self.learning_rate, "momentum": self.momentum}
        return smoother_diagonal(fit, name, self.reached(times), **options)
