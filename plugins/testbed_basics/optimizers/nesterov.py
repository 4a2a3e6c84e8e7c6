"""Nesterov's accelerated gradient descent."""

from __future__ import annotations

from attrs import frozen

from testbed import Example, OptimizerFacts, Parameters, Step, StepOptimizer
from testbed.numerics.trees import tree_map


@frozen(kw_only=True)
class Nesterov(StepOptimizer):
    """θ_k = y_{k−1} − η∇L(y_{k−1}), y_k = θ_k + (k − 1)/(k + 2)·(θ_k − θ_{k−1}): acceleration for
    convex losses (Nesterov 1983). Its time η·steps is not that of gradient flow."""

    name = "nesterov"
    references = ("arXiv:1503.01243",)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"learning_rate": 0.1}, {"model": {"use": "networks.two-layer"}}),)

    def facts(self) -> OptimizerFacts:
        return OptimizerFacts(clock="own")

    def init(self, params: Parameters) -> Parameters:
        return params  # the point ahead, y₀

    def step(self, params: Parameters, memory: Parameters, now: Step) -> tuple[Parameters, ...]:
        share = (now.number - 1) / (now.number + 2)
        slope = now.gradient(memory)
        moved = tree_map(lambda y, g: y - self.learning_rate * g, memory, slope)
        return moved, tree_map(lambda new, old: new + share * (new - old), moved, params)
