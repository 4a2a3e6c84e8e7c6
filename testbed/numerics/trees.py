"""Nested tuples and dicts of tensors: mapping, stacking and slicing along the replicate axis.

A tree is a tensor, or a dict, tuple, list or NamedTuple of trees. Anything else is a static leaf:
None, a number, a word, an object that a component keeps for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor

Nested = TypeVar("Nested")
"""A tree; functions return trees with the same nesting."""


class Each:
    """A static leaf that differs between replicates (only components run in a loop have them)."""

    def __init__(self, items: Sequence[object]):
        self.items = list(items)


def leaf_map(function: Callable[..., object], *trees: Any) -> Any:
    """Apply `function` to the leaves of equally nested trees, static leaves included."""
    first = trees[0]
    if isinstance(first, dict):
        return {key: leaf_map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple | list):
        parts = [leaf_map(function, *group) for group in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return function(*trees)


def tree_map(function: Callable[..., object], *trees: Nested) -> Nested:
    """Apply `function` to the tensors of equal trees; other leaves are taken from the first."""
    tree: Nested = leaf_map(
        lambda first, *following: (
            function(first, *following) if isinstance(first, torch.Tensor) else first
        ),
        *trees,
    )
    return tree


def tensors(tree: object) -> Iterator[Tensor]:
    """The tensors of a tree, in order."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, dict):
        for part in tree.values():
            yield from tensors(part)
    elif isinstance(tree, tuple | list):
        for part in tree:
            yield from tensors(part)


def rebuild(tree: Nested, leaves: Iterator[Tensor]) -> Nested:
    """The tree with its tensors replaced, in the order of `tensors`."""
    return tree_map(lambda _: next(leaves), tree)


def bounded(leaf: Tensor) -> Tensor:
    """Where a state is finite, and so is the square of a product of two such numbers.

    Beyond that bound risks overflow before the state itself does: they are squares of what networks
    multiply.

    >>> bounded(torch.tensor([1.0, 1e20, torch.inf]))
    tensor([ True, False, False])
    """
    if not leaf.is_floating_point():
        return torch.ones_like(leaf, dtype=torch.bool)
    return leaf.abs() < torch.finfo(leaf.dtype).max ** 0.25


def floats(tree: object) -> int:
    """The number of elements in all tensors of a tree."""
    return sum(tensor.numel() for tensor in tensors(tree))


def index(tree: Nested, position: int) -> Nested:
    """One replicate of a stacked tree (views, no copies)."""

    def of_leaf(leaf: object) -> object:
        if isinstance(leaf, torch.Tensor):
            return leaf[position]
        return leaf.items[position] if isinstance(leaf, Each) else leaf

    replicate: Nested = leaf_map(of_leaf, tree)
    return replicate


def alone(tree: Nested, position: int) -> Nested:
    """One replicate of a stacked tree, its axis kept (views, no copies).

    >>> alone({"x": torch.tensor([1.0, 2.0])}, 1)
    {'x': tensor([2.])}
    """

    def of_leaf(leaf: object) -> object:
        if isinstance(leaf, torch.Tensor):
            return leaf[position : position + 1]
        return Each([leaf.items[position]]) if isinstance(leaf, Each) else leaf

    replicate: Nested = leaf_map(of_leaf, tree)
    return replicate


def stack(trees: Sequence[Nested]) -> Nested:
    """Stack equal trees along a new leading axis; a single one is not copied.

    Static leaves that are equal stay as they are; others become an `Each`.
    """

    def of_leaves(*leaves: Any) -> object:
        first, *following = leaves
        if isinstance(first, torch.Tensor):
            return torch.stack(list(leaves)) if following else first.unsqueeze(0)
        plain = isinstance(first, str | int | float | None)
        return first if plain and all(leaf == first for leaf in leaves) else Each(leaves)

    stacked: Nested = leaf_map(of_leaves, *trees)
    return stacked


def as_tensors(tree: Nested, dtype: torch.dtype, device: torch.device | str) -> Nested:
    """Turn the NumPy arrays and floats of what was drawn into tensors; integers stay integers."""

    def of_leaf(leaf: object) -> object:
        if isinstance(leaf, np.ndarray | np.generic):
            leaf = torch.from_numpy(np.ascontiguousarray(leaf)).reshape(np.shape(leaf))
        if isinstance(leaf, torch.Tensor):
            return leaf.to(device=device, dtype=dtype if leaf.is_floating_point() else None)
        if isinstance(leaf, float):
            return torch.tensor(leaf, dtype=dtype, device=device)
        return leaf

    cast: Nested = leaf_map(of_leaf, tree)
    return cast


def flatten(tree: object) -> Tensor:
    """Stacked parameters as one matrix (replicates, size)."""
    return torch.cat([leaf.reshape(leaf.shape[0], -1) for leaf in tensors(tree)], 1)


def unflatten(like: Nested, flat: Tensor) -> Nested:
    """The inverse of `flatten`; `flat` (replicates, …, size) may have more axes in between."""
    leaves = list(tensors(like))
    parts = flat.split([leaf[0].numel() for leaf in leaves], -1)
    shaped = (
        part.reshape(*flat.shape[:-1], *leaf.shape[1:])
        for part, leaf in zip(parts, leaves, strict=True)
    )
    return rebuild(like, shaped)
