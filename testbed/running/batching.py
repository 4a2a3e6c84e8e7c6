"""From one replicate to many: every component, however it is written, seen with a replicate axis.

`Batched(model)` gives any model's methods a leading replicate axis. `train(optimizer, model)` does
the same for a pair: an optimizer in batch form sees the batched model, one written for a single
replicate sees a single model, and the whole is mapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from testbed.contract.components import Advance, Batching, Metric, Model, Optimizer
from testbed.contract.values import Fit, Problem
from testbed.numerics.trees import index, rebuild, stack, tensors, tree_map


def lift(batching: Batching, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of one replicate's trees → the same of trees with a leading replicate axis."""
    if batching == "batch":
        return function
    return _looped(function) if batching == "loop" else mapped(function)


def mapped(function: Callable[..., Any], axis: int = 0) -> Callable[..., Any]:
    """torch.func.vmap over `axis` of every tensor in the argument trees; static leaves pass by."""

    def call(*trees: Any) -> Any:
        shape: list[Any] = []

        def flat(*leaves: Tensor) -> tuple[Tensor, ...]:
            result = function(*rebuild(trees, iter(leaves)))
            shape.append(result)
            # vmap wants at least one tensor back: models without a random start return None
            return (*tensors(result), leaves[0].new_zeros(()))

        *leaves, _ = torch.func.vmap(flat, in_dims=axis)(*tensors(trees))
        result = rebuild(shape[0], iter(leaves))
        return tree_map(lambda leaf: leaf.movedim(0, axis), result) if axis else result

    return call


def _looped(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*trees: Any) -> Any:
        count = next(tensors(trees)).shape[0]
        return stack([function(*index(trees, position)) for position in range(count)])

    return call


class _View:
    """A model seen in another batching; parameters and capabilities pass through."""

    def __init__(self, model: Model):
        self.model = model

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def _call(self, method: str, *trees: Any, static: tuple[Any, ...] = ()) -> Any:
        raise NotImplementedError

    def draw(self, rng: Any, problem: Problem) -> Any:
        raise TypeError("draws are made once per replicate, before anything is batched")

    def prepare(self, drawn: Any, problem: Problem) -> Any:
        return self._call("prepare", drawn, problem)

    def start(self, drawn: Any, prepared: Any, problem: Problem) -> Any:
        return self._call("start", drawn, prepared, problem)

    def probe(self, prepared: Any, x: Tensor) -> Any:
        return self._call("probe", prepared, x)

    def predict(self, prepared: Any, params: Any, probe: Any) -> Tensor:
        return self._call("predict", prepared, params, probe)

    def gradient(self, prepared: Any, params: Any, problem: Problem, rows: Any = None) -> Any:
        return self._call("gradient", prepared, params, problem, rows)

    def eigensystem(self, prepared: Any) -> Any:
        return self._call("eigensystem", prepared)

    def spectrum(
        self, prepared: Any, params: Any, problem: Problem, kernel: str, points: str
    ) -> Any:
        return self._call("spectrum", prepared, params, problem, static=(kernel, points))

    def basis(self, prepared: Any, params: Any) -> Tensor:
        return self._call("basis", prepared, params)

    def gram(self, prepared: Any, params: Any, x: Tensor, kernel: str) -> Tensor:
        return self._call("gram", prepared, params, x, static=(kernel,))

    def population_risk(self, prepared: Any, params: Any, problem: Problem) -> Any:
        return self._call("population_risk", prepared, params, problem)

    def flow(self, fit: Fit, last: Any, since: float, times: Sequence[float]) -> Any:
        def one(prepared: Any, start: Any, problem: Problem, draws: Any, last: Any) -> Any:
            own = Fit(self.model, prepared, start, problem, draws)
            return self.model.flow(own, last, since, times)

        return self._lift(one)(fit.prepared, fit.start, fit.problem, fit.draws, last)

    def path(self, fit: Fit, name: str, times: Sequence[float], **options: Any) -> Any:
        def one(prepared: Any, start: Any, problem: Problem, draws: Any) -> Any:
            return self.model.path(
                Fit(self.model, prepared, start, problem, draws), name, times, **options
            )

        return self._lift(one)(fit.prepared, fit.start, fit.problem, fit.draws)

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Any]:
        raise NotImplementedError


class Batched(_View):
    """A model whose methods all take and return a leading replicate axis."""

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lift(self.model.batching, function)

    def _call(self, method: str, *trees: Any, static: tuple[Any, ...] = ()) -> Any:
        function = getattr(self.model, method)
        return self._lift(lambda *own: function(*own, *static))(*trees)


class Single(_View):
    """A model in batch form, seen by an optimizer that is written for one replicate."""

    def _lift(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if self.model.batching != "batch":
            return function

        def call(*trees: Any) -> Any:
            many = tree_map(lambda leaf: leaf.unsqueeze(0), trees)
            return tree_map(lambda leaf: leaf.squeeze(0), function(*many))

        return call

    def _call(self, method: str, *trees: Any, static: tuple[Any, ...] = ()) -> Any:
        function = getattr(self.model, method)
        return self._lift(lambda *own: function(*own, *static))(*trees)


class Training:
    """An optimizer on a model, with a leading replicate axis on everything."""

    def __init__(self, optimizer: Optimizer, model: Model):
        self.optimizer, self.model = optimizer, model
        self._batching = optimizer.batching
        if self._batching == "vmap" and model.batching == "loop":
            self._batching = "loop"
        self._view = Batched(model) if self._batching == "batch" else Single(model)

    def _lift(self, function: Callable[..., Any], fit: Fit, *trees: Any) -> Any:
        def one(prepared: Any, start: Any, problem: Problem, draws: Any, *rest: Any) -> Any:
            return function(Fit(self._view, prepared, start, problem, draws), *rest)

        parts = (fit.prepared, fit.start, fit.problem, fit.draws)
        return lift(self._batching, one)(*parts, *trees)

    def start(self, fit: Fit) -> Any:
        return self._lift(self.optimizer.start, fit)

    def advance(self, fit: Fit, carry: Any, since: float, times: Sequence[float]) -> Advance:
        def one(own: Fit, own_carry: Any) -> Advance:
            return self.optimizer.advance(own, own_carry, since, times)

        return self._lift(one, fit, carry)

    def own_reached(self, carry: Any, times: Sequence[float]) -> Tensor:
        """Where every replicate stops, (replicates, times), if each has times of its own."""
        times_of = lift(self._batching, lambda own: self.optimizer.own_reached(own, times))
        found: Tensor = times_of(carry)
        return found

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        return self._lift(lambda own: self.optimizer.leverage(own, times), fit)


def over_times(model: Model, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of parameters (replicates, …), mapped over those of many times."""
    if model.time_batching == "vmap":
        return mapped(function, axis=1)

    def call(params: Any) -> Any:
        count = next(tensors(params)).shape[1]
        moments = [tree_map(lambda leaf, at=at: leaf[:, at], params) for at in range(count)]
        return tree_map(lambda *leaves: torch.stack(leaves, 1), *map(function, moments))

    return call


def measured(
    metric: Metric, problem: Problem, moving: dict[str, Any], still: dict[str, Any]
) -> dict[str, Tensor]:
    """`metric.measure` over (replicate, time): `moving` needs have both axes, `still` ones one.

    A metric with batching "batch" gets the axes as they are; "loop" is called one by one.
    """
    if metric.batching == "batch":
        return metric.measure(problem, **moving, **still)
    across = _looped if metric.batching == "loop" else mapped

    def one(own: Problem, own_moving: dict[str, Any], own_still: dict[str, Any]) -> Any:
        return across(lambda moment: metric.measure(own, **moment, **own_still))(own_moving)

    return across(one)(problem, moving, still)
