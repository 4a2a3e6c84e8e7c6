"""Langevin dynamics: gradient descent with noise at each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from testbed import Carry, Example, OptimizerFacts, Parameters, Step, StepOptimizer, parameter
from testbed.numerics.trees import tree_map

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class Langevin(StepOptimizer):
    """θ ← θ − η∇L + √(2ηT) ξ with a fresh standard normal ξ at each step: the unadjusted Langevin
    algorithm, whose law tends to exp(−L/T) as η → 0 and τ → ∞. At T = 0 it is gradient descent."""

    name = "langevin"
    references = ("arXiv:1605.01559",)

    temperature: float = parameter(help="temperature T", ge=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        breaks = {
            "optimizer_keeps_the_clock": "its noise moves predictions further from gradient flow "
            "than time does",
        }
        return (Example({"learning_rate": 0.1, "temperature": 0.1}, breaks=breaks),)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(batching="batch", streams=("langevin",))

    def step(self, params: Parameters, memory: Carry, now: Step) -> tuple[Parameters, Carry]:
        scale = (2 * self.learning_rate * self.temperature) ** 0.5
        slope, noise = now.gradient(params), now.normal("langevin", like=params)

        def moved(weight: Tensor, g: Tensor, xi: Tensor) -> Tensor:
            return weight - self.learning_rate * g + scale * xi

        return tree_map(moved, params, slope, noise), memory
