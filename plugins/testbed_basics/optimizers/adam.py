"""Adam: steps scaled by running moments of the gradient, on its own clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from attrs import evolve, frozen

from testbed import Example, Model, OptimizerFacts, Parameters, Step, parameter
from testbed.numerics.trees import tree_map
from testbed_basics.optimizers.steps import Stepped

if TYPE_CHECKING:
    from torch import Tensor


@frozen(kw_only=True)
class Adam(Stepped):
    """Full-batch Adam (arXiv:1412.6980, algorithm 1). Its time is learning rate × steps, which is
    NOT the clock of gradient flow: a step moves every parameter by about η, whatever the size of
    its gradient. Compare with other optimizers by step, or at the best time of each.

    m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η m̂/(√v̂ + ε), with m̂ = m/(1 − β₁^k) and
    v̂ = v/(1 − β₂^k) after k steps; g is the model's direction of descent, with its factor m^{2κ−1}.
    Models in dual coefficients are refused: Adam on these is another algorithm.
    """

    name = "adam"
    references = ("arXiv:1412.6980",)

    beta1: float = parameter(0.9, help="decay β₁ of the first moment", ge=0, lt=1)
    beta2: float = parameter(0.999, help="decay β₂ of the second moment", ge=0, lt=1)
    epsilon: float = parameter(1e-8, help="ε, added to the root of the second moment", gt=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"learning_rate": 0.01}, {"model": {"use": "networks.two-layer"}}),)

    def facts(self) -> OptimizerFacts:
        """Adam has its own clock: gaps to the flow at equal time mean nothing."""
        return evolve(super().facts(), clock="own")

    def accepts(self, model: Model) -> str | None:
        reason = super().accepts(model)
        if reason is None and model.facts().coordinates == "function":
            return (
                f"{model.name} is not held in the parameters that are trained: scaling its dual "
                "or function coefficients one by one is not Adam on its features; take "
                "gradient-descent or sgd, or a model that holds its parameters, such as "
                "networks.two-layer"
            )
        return reason

    def init(self, params: Parameters) -> Any:
        """The two moments, both 0."""
        zeros = tree_map(torch.zeros_like, params)
        return zeros, zeros

    def step(self, params: Parameters, memory: Any, now: Step) -> tuple[Parameters, Any]:
        first, second = memory
        slope = self.slope(params, now)
        first = tree_map(lambda m, g: torch.lerp(g, m, self.beta1), first, slope)
        second = tree_map(lambda v, g: torch.lerp(g * g, v, self.beta2), second, slope)
        rate = self.learning_rate / (1 - self.beta1**now.number)
        root = (1 - self.beta2**now.number) ** 0.5

        def moved(weight: Tensor, m: Tensor, v: Tensor) -> Tensor:
            return weight - rate * m / (v.sqrt() / root + self.epsilon)

        return tree_map(moved, params, first, second), (first, second)
