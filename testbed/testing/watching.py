"""Watch the calls of a component: arguments that it changes, and global state that it moves."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np
import torch
from attrs import evolve, frozen

from testbed.contract.components import Component, Metric, Model, Optimizer
from testbed.contract.shape import contract_methods
from testbed.layers.fit_predict import HasFit
from testbed.testing.cases import recast
from testbed.testing.global_state import global_state, plain_tensors

Watched = TypeVar("Watched", bound=Component)
Leaf = torch.Tensor | np.ndarray


REFUSALS = ("read-only", "in-place operation")
"""Words of NumPy and of torch.func where they refuse to change an argument."""


@frozen
class Effect:
    """Something that a call changed although it should not: an argument, or global state."""

    method: str
    what: str
    is_argument: bool


def watched(component: Watched, effects: list[Effect]) -> Watched:
    """The same component; each call adds its effects to the list.

    Components written for one replicate run one by one, so that arguments are plain tensors.
    """
    cls = type(component)
    # joblib, which other libraries use, takes names from Python's generator
    ignored = {"the global generator of random"} if isinstance(component, HasFit) else set[str]()
    members: dict[str, Callable[..., object]] = {}
    for name in contract_methods(cls):
        method = inspect.getattr_static(cls, name)
        if inspect.isfunction(method):
            members[name] = _watching(name, method, effects, ignored)
    return recast(component, **(members | _one_by_one(component)))


def _one_by_one(component: Component) -> dict[str, Callable[..., object]]:
    """The member `facts` that lets core call the component for one replicate at one time."""
    if not isinstance(component, Model | Optimizer | Metric):
        return {}
    facts: Any = component.facts()
    if isinstance(component, Model):
        facts = evolve(facts, time_batching="loop")
    if facts.batching != "batch":
        facts = evolve(facts, batching="loop")
    return {"facts": lambda self: facts}


def _watching(
    name: str, method: Callable[..., Any], effects: list[Effect], ignored: set[str]
) -> Callable[..., Any]:
    """The method, which adds what it changes to the list of effects."""
    _, *parts = inspect.signature(method).parameters.values()
    words = [part.name for part in parts if part.kind is not part.VAR_POSITIONAL]

    @functools.wraps(method)
    def call(self: Any, *args: Any, **named: Any) -> Any:
        names = [*words, *(f"argument {count}" for count in range(len(words), len(args)))]
        arguments = {**dict(zip(names, args, strict=False)), **named}
        kept = [(what, leaf, _copy(leaf)) for what, leaf in _leaves("", arguments)]
        before = global_state()
        try:
            return method(self, *args, **named)
        except (ValueError, RuntimeError) as error:
            if any(word in str(error) for word in REFUSALS):
                effects.append(Effect(name, "an argument", True))
            raise
        finally:
            changed = [what for what, leaf, old in kept if _differs(leaf, old)]
            effects.extend(Effect(name, what, True) for what in changed)
            after = global_state()
            moved = [what for what in set(after) - ignored if after[what] != before[what]]
            effects.extend(Effect(name, what, False) for what in moved)

    return call


# --- arguments ------------------------------------------------------------------------------------


def _leaves(name: str, tree: object) -> Iterator[tuple[str, Leaf]]:
    """The tensors and arrays of an argument, each with its name: `problem.train.y`."""
    if isinstance(tree, np.ndarray):
        yield name, tree
    elif isinstance(tree, torch.Tensor):
        plain = _unwrapped(tree)
        if plain is not None:
            yield name, plain
    elif isinstance(tree, Mapping):
        for key in tree:
            yield from _leaves(f"{name}[{key!r}]" if name else str(key), tree[key])
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        for field in tree._fields:
            yield from _leaves(f"{name}.{field}", getattr(tree, field))
    elif isinstance(tree, tuple | list):
        for position, part in enumerate(tree):
            yield from _leaves(f"{name}[{position}]", part)


def _unwrapped(tensor: torch.Tensor) -> torch.Tensor | None:
    """The tensor whose numbers torch.func differentiates; None inside vmap, which hides them."""
    functorch = torch._C._functorch
    while functorch.is_functorch_wrapped_tensor(tensor):
        if functorch.is_batchedtensor(tensor):
            return None
        tensor = functorch.get_unwrapped(tensor)
    return tensor


def _copy(leaf: Leaf) -> Leaf:
    if isinstance(leaf, np.ndarray):
        return leaf.copy()
    with plain_tensors():
        return leaf.detach().clone()


def _differs(leaf: Leaf, old: Leaf) -> bool:
    if isinstance(leaf, np.ndarray):
        return not np.array_equal(leaf, old, equal_nan=leaf.dtype.kind in "fc")
    assert isinstance(old, torch.Tensor)
    with plain_tensors():
        now, before = torch.nan_to_num(leaf.detach()), torch.nan_to_num(old)
        return now.shape != before.shape or not torch.equal(now, before)
