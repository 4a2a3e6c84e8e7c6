"""Batching: give every component a replicate axis, however the component is written.

`Batched(model)` gives any model's methods a leading replicate axis. `Training(optimizer, model)`
does the same for a pair. An optimizer in batch form sees the batched model. An optimizer written
for one replicate sees a model of one replicate, and its methods are mapped over replicates.

The views have exactly the members that the contract marks with `per_replicate`, in the model's
capabilities and in Model itself: nothing reaches a model unmapped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch

from testbed.contract.capabilities import Capability, HasLeverage, Member, Withheld, mapped_members
from testbed.contract.components import Metric, Model, Optimizer, Rng
from testbed.contract.facts import Batching, ModelFacts
from testbed.contract.values import (
    Advance,
    Carry,
    Drawn,
    Fit,
    Parameters,
    Prepared,
    Probe,
    Problem,
    Tree,
)
from testbed.numerics.trees import index, rebuild, stack, tensors, tree_map

if TYPE_CHECKING:
    from torch import Tensor

Mapped = TypeVar("Mapped", bound=Callable[..., object])


def lift(batching: Batching, function: Mapped) -> Mapped:
    """`function` of one replicate's trees → the same of trees with a leading replicate axis."""
    if batching == "batch":
        return function
    return _looped(function) if batching == "loop" else mapped(function)


def mapped(function: Mapped, axis: int = 0) -> Mapped:
    """torch.func.vmap over `axis` of every tensor in the argument trees; static leaves are kept."""

    def call(*trees: object) -> object:
        shape: list[object] = []

        def flat(*leaves: Tensor) -> tuple[Tensor, ...]:
            result = function(*rebuild(trees, iter(leaves)))
            shape.append(result)
            # vmap wants at least one tensor back: models without a random start return None
            return (*tensors(result), leaves[0].new_zeros(()))

        *leaves, _ = torch.func.vmap(flat, in_dims=axis)(*tensors(trees))
        result = rebuild(shape[0], iter(leaves))
        return tree_map(lambda leaf: leaf.movedim(0, axis), result) if axis else result

    return cast(Mapped, call)


def _looped(function: Mapped) -> Mapped:
    def call(*trees: object) -> object:
        count = next(tensors(trees)).shape[0]
        return stack([function(*index(trees, position)) for position in range(count)])

    return cast(Mapped, call)


# --- views of a model -----------------------------------------------------------------------------


class View(Model):
    """A model seen in another batching, with the same capabilities; `model` is the model itself."""

    model: Model

    def __new__(cls, model: Model) -> View:
        return object.__new__(_view_class(cls, type(model)))

    def __init__(self, model: Model):
        self.model = model

    def facts(self) -> ModelFacts:
        return self.model.facts()

    def withheld(self) -> Withheld:
        return self.model.withheld()

    def draw(self, rng: Rng, problem: Problem) -> Drawn:
        raise TypeError("draws are made once per replicate, before anything is batched")

    def start(self, drawn: Drawn, prepared: Prepared, problem: Problem) -> Parameters:
        raise NotImplementedError  # `_view_class` writes all mapped members

    def predict(self, prepared: Prepared, params: Parameters, probe: Probe) -> Tensor:
        raise NotImplementedError  # `_view_class` writes all mapped members

    def lifted(self, function: Mapped) -> Mapped:
        """`function` of trees as the model takes them → of trees as the view takes them."""
        raise NotImplementedError


class Batched(View):
    """A model whose methods all take and return a leading replicate axis."""

    def lifted(self, function: Mapped) -> Mapped:
        return lift(self.model.facts().batching, function)


class Single(View):
    """A model in batch form, seen by an optimizer that is written for one replicate."""

    def lifted(self, function: Mapped) -> Mapped:
        if self.model.facts().batching != "batch":
            return function

        def call(*trees: object) -> object:
            batch = tree_map(lambda leaf: leaf.unsqueeze(0), trees)
            return tree_map(lambda leaf: leaf.squeeze(0), function(*batch))

        return cast(Mapped, call)


@cache
def _view_class(view: type[View], model: type[Model]) -> type[View]:
    """The view of one class of models: its capabilities, and every mapped member."""
    capabilities = [base for base in model.__mro__ if _is_capability(base)]
    methods: dict[str, object] = {"name": model.name}
    methods |= {name: _viewed(member) for name, member in mapped_members(model).items()}
    passed = {
        name: _passed(name)
        for base in capabilities
        for name, value in vars(base).items()
        if callable(value) and not name.startswith("_") and name not in methods
    }
    built: type[View] = type(
        f"{view.__name__}{model.__name__}", (view, *capabilities), methods | passed
    )
    return built


def _is_capability(base: type) -> bool:
    return issubclass(base, Capability) and not issubclass(base, Model) and base is not Capability


def _viewed(member: Member) -> Callable[..., object]:
    """A member of the contract in a view: trees are mapped, static arguments are kept."""

    def method(self: View, *args: object, **named: object) -> object:
        function = getattr(self.model, member.name)
        arguments = _in_order(member, args, named)
        words = list(member.defaults)[: len(arguments)]
        mapped_positions = [
            position for position, word in enumerate(words) if word not in member.static
        ]

        def call(*trees: object) -> object:
            filled = list(arguments)
            for position, tree in zip(mapped_positions, trees, strict=True):
                filled[position] = tree
            return function(*filled, **named)

        return self.lifted(call)(
            *(_unwrapped(self, arguments[position]) for position in mapped_positions)
        )

    method.__name__ = member.name
    return method


def _in_order(
    member: Member, args: tuple[object, ...], named: dict[str, object]
) -> tuple[object, ...]:
    """Positional arguments, with those passed by name; keyword-only options stay in `named`."""
    if not named:
        return args
    words = list(member.defaults)
    last = max((words.index(word) for word in named if word in member.defaults), default=-1)
    tail = [named.pop(word, member.defaults[word]) for word in words[len(args) : last + 1]]
    return (*args, *tail)


def _unwrapped(view: View, argument: object) -> object:
    """An argument as the model inside takes it: a fit of the model itself, not of the view."""
    return argument._replace(model=view.model) if isinstance(argument, Fit) else argument


def _passed(name: str) -> Callable[..., object]:
    """A member of a capability that does not take tensors, passed on unchanged."""

    def method(self: View, *args: object, **named: object) -> object:
        return getattr(self.model, name)(*args, **named)

    method.__name__ = name
    return method


# --- training -------------------------------------------------------------------------------------


class Training:
    """An optimizer on a model, with a leading replicate axis on everything."""

    def __init__(self, optimizer: Optimizer, model: Model):
        self.optimizer, self.model = optimizer, model
        self._batching: Batching = optimizer.facts().batching
        if self._batching == "vmap" and model.facts().batching == "loop":
            self._batching = "loop"
        self._view = Batched(model) if self._batching == "batch" else Single(model)

    def _lift(self, function: Callable[..., Any], fit: Fit, *trees: Tree) -> Any:
        viewed = fit._replace(model=self._view)
        return lift(self._batching, function)(viewed, *trees)

    def start(self, fit: Fit) -> Carry:
        return self._lift(self.optimizer.start, fit)

    def advance(self, fit: Fit, carry: Carry, since: float, times: Sequence[float]) -> Advance:
        def call(fit: Fit, carry: Carry) -> Advance:
            return self.optimizer.advance(fit, carry, since, times)

        return self._lift(call, fit, carry)

    def reached_by(self, carry: Carry, times: Sequence[float]) -> Tensor:
        """Where every replicate stops, (replicates, times), if each has times of its own."""
        return lift(self._batching, lambda carry: self.optimizer.reached_by(carry, times))(carry)

    def leverage(self, fit: Fit, times: Sequence[float]) -> Tensor:
        optimizer = self.optimizer
        assert isinstance(optimizer, HasLeverage)  # the plan has asked
        return self._lift(lambda fit: optimizer.leverage(fit, times), fit)


# --- states and metrics ---------------------------------------------------------------------------


def over_times(model: Model, function: Callable[..., Any]) -> Callable[[Parameters], Any]:
    """A function of parameters (replicates, …), mapped over their time axis."""
    if model.facts().time_batching == "vmap":
        return mapped(function, axis=1)

    def call(params: Parameters) -> Any:
        count = next(tensors(params)).shape[1]
        moments = [
            tree_map(lambda leaf, position=position: leaf[:, position], params)
            for position in range(count)
        ]
        return tree_map(lambda *leaves: torch.stack(leaves, 1), *map(function, moments))

    return call


def measured(
    metric: Metric, problem: Problem, moving: dict[str, object], still: dict[str, object]
) -> dict[str, Tensor]:
    """`metric.measure` over (replicate, time): `moving` needs have both axes, `still` ones one.

    A metric with batching "batch" gets the axes as they are; "loop" is called one by one.
    """
    batching = metric.facts().batching
    if batching == "batch":
        return metric.measure(problem, **moving, **still)
    across = _looped if batching == "loop" else mapped

    def call(problem: Problem, moving: dict[str, object], still: dict[str, object]) -> Any:
        return across(lambda moment: metric.measure(problem, **moment, **still))(moving)

    return across(call)(problem, moving, still)
