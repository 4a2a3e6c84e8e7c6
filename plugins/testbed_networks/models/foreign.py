"""Models of other plugins, with the methods that linearisations and metrics need of a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from testbed import (
    Batched,
    Data,
    HasEigensystem,
    HasGradient,
    HasPredictions,
    Model,
    Problem,
    Rng,
    Single,
    Streams,
    UnsuitableError,
    has,
    lack,
)
from testbed.numerics.jacobians import jacobian_kernel
from testbed.numerics.trees import as_tensors, index, stack

if TYPE_CHECKING:
    from torch import Tensor


def objection(model: Model) -> str:
    """Why Jacobians of `predict` do not describe the training at the start; "" if they do."""
    if has(model, HasEigensystem):
        return "its features stay as they are"
    if type(model).gradient is not HasGradient.gradient:
        return "it defines its gradient itself, which need not be the derivative in its parameters"
    if model.facts().batching == "loop":
        return "it runs replicate by replicate, and need not be differentiable"
    return lack(model, HasPredictions) or ""


def first_layer(model: Model) -> bool:
    """Whether a model's parameters are a dict with a matrix `first` that has one column for each
    input coordinate. The function starts the model on two points of three coordinates."""
    zero = torch.zeros(1, 2, dtype=torch.float64)
    data = Data(torch.eye(3, dtype=torch.float64)[None, :2], zero, zero, zero + 0.5)
    problem, batched = Problem(data, data, zero[:, 0], {}), Batched(model)
    try:
        drawn = model.draw(Streams(0, 0), index(problem, 0))
        stacked = stack([as_tensors(drawn, torch.float64, "cpu")])
        params = batched.start(stacked, batched.prepare(stacked, problem), problem)
    except Exception:  # models of other data, such as sequences, have no such layer
        return False
    first = params.get("first") if isinstance(params, dict) else None
    return isinstance(first, torch.Tensor) and first.ndim == 3 and first.shape[-1] == 3


class Foreign:
    """A model with `predict` alone: its tangent kernel ⟨∇f(x), ∇f(x')⟩ by per-example Jacobians.

    The origin of a linearisation holds what the model prepared and its parameters at the start.
    """

    def __init__(self, model: Model):
        self.model = model

    def draw(self, rng: Rng, problem: Problem) -> Any:
        return self.model.draw(rng, problem)

    def expect_vectors(self, problem: Problem, batched: bool) -> None:
        """Accept every input: the model itself objects."""

    def origin(self, drawn: Any, problem: Problem) -> dict[str, Any]:
        """The point of linearisation of every replicate."""
        model = Batched(self.model)
        prepared = model.prepare(drawn, problem)
        origin = {"prepared": prepared, "params": model.start(drawn, prepared, problem)}
        alone = self.predict(None, origin, problem.train.x[:, :1])
        if alone.ndim > 3 or alone.shape[1] != 1:
            raise UnsuitableError(
                f"networks.linearised: found predictions of shape {tuple(alone.shape[1:])} of "
                f"{self.model.name} at one point, expected (1,) or (1, outputs)"
            )
        return origin

    def predict(self, prepared: None, origin: dict[str, Any], x: Tensor) -> Tensor:
        model = Batched(self.model)
        probe = model.probe(origin["prepared"], x)
        return model.predict(origin["prepared"], origin["params"], probe)

    def cross(
        self, origin: dict[str, Any], x: Tensor, second: Tensor | None, kernel: str
    ) -> Tensor:
        """The tangent kernel of every replicate, (R, n, n')."""
        return self.jacobian_cross(origin, x, second)

    def jacobian_cross(self, origin: dict[str, Any], x: Tensor, second: Tensor | None) -> Tensor:
        """The tangent kernel; models of several outputs add two last axes of outputs."""
        parts = []
        for row in range(x.shape[0]):
            points = None if second is None else second[row]
            params = index(origin["params"], row)
            parts.append(jacobian_kernel(self._function(origin, row), params, x[row], points))
        return torch.stack(parts)

    def _function(self, origin: dict[str, Any], row: int) -> Callable[[Any, Tensor], Tensor]:
        prepared, model = index(origin["prepared"], row), Single(self.model)

        def function(params: Any, x: Tensor) -> Tensor:
            return model.predict(prepared, params, model.probe(prepared, x))

        return function
