"""Nested tuples and dicts of tensors: mapping, stacking and slicing along the replicate axis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Each:
    """A static leaf that differs between replicates (only components run in a loop have them)."""

    def __init__(self, items: Sequence[Any]):
        self.items = list(items)


def tree_map(function: Callable[..., Any], *trees: Any) -> Any:
    """Apply `function` to the tensors of equal trees; other leaves are taken from the first."""
    first = trees[0]
    if isinstance(first, Tensor):
        return function(*trees)
    if isinstance(first, dict):
        return {key: tree_map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple | list):
        parts = [tree_map(function, *group) for group in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    return first


def tensors(tree: Any) -> Iterator[Tensor]:
    """The tensors of a tree, in order."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, tuple | list):
        for value in tree:
            yield from tensors(value)


def rebuild(tree: Any, leaves: Iterator[Tensor]) -> Any:
    """The tree with its tensors replaced, in the order of `tensors`."""
    return tree_map(lambda _: next(leaves), tree)


def bounded(leaf: Tensor) -> Tensor:
    """Where a state is finite, and so is the square of a product of two such numbers: beyond that
    risks overflow, which are squares of what networks multiply, before the state itself does.

    >>> bounded(torch.tensor([1.0, 1e20, torch.inf]))
    tensor([ True, False, False])
    """
    if not leaf.is_floating_point():
        return torch.ones_like(leaf, dtype=torch.bool)
    return leaf.abs() < torch.finfo(leaf.dtype).max ** 0.25


def floats(tree: Any) -> int:
    """How many numbers a tree holds."""
    return sum(tensor.numel() for tensor in tensors(tree))


def index(tree: Any, position: int) -> Any:
    """One replicate of a stacked tree (views, no copies)."""
    if isinstance(tree, Tensor):
        return tree[position]
    if isinstance(tree, Each):
        return tree.items[position]
    if isinstance(tree, dict):
        return {key: index(value, position) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [index(value, position) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def alone(tree: Any, position: int) -> Any:
    """One replicate of a stacked tree, its axis kept (views, no copies).

    >>> alone({"x": torch.tensor([1.0, 2.0])}, 1)
    {'x': tensor([2.])}
    """
    if isinstance(tree, Tensor):
        return tree[position : position + 1]
    if isinstance(tree, Each):
        return Each([tree.items[position]])
    if isinstance(tree, dict):
        return {key: alone(value, position) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [alone(value, position) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def stack(trees: Sequence[Any]) -> Any:
    """Stack equal trees along a new leading axis; a single one is not copied."""
    first = trees[0]
    if isinstance(first, Tensor):
        return first.unsqueeze(0) if len(trees) == 1 else torch.stack(list(trees))
    if isinstance(first, dict):
        return {key: stack([tree[key] for tree in trees]) for key in first}
    if isinstance(first, tuple | list):
        parts = [stack(group) for group in zip(*trees, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, str | int | float | None) and all(tree == first for tree in trees):
        return first
    return Each(trees)


def as_tensors(tree: Any, dtype: torch.dtype, device: torch.device | str) -> Any:
    """Turn the NumPy arrays and floats of what was drawn into tensors; integers stay integers."""
    if isinstance(tree, np.ndarray | np.generic):
        tensor = torch.from_numpy(np.ascontiguousarray(tree)).reshape(np.shape(tree))
        return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)
    if isinstance(tree, Tensor):
        return tree.to(device=device, dtype=dtype if tree.is_floating_point() else None)
    if isinstance(tree, float):
        return torch.tensor(tree, dtype=dtype, device=device)
    if isinstance(tree, dict):
        return {key: as_tensors(value, dtype, device) for key, value in tree.items()}
    if isinstance(tree, tuple | list):
        parts = [as_tensors(value, dtype, device) for value in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else type(tree)(parts)
    return tree


def flatten(tree: Any) -> Tensor:
    """Stacked parameters as one matrix (replicates, size)."""
    return torch.cat([leaf.reshape(leaf.shape[0], -1) for leaf in tensors(tree)], 1)


def unflatten(like: Any, flat: Tensor) -> Any:
    """The inverse of `flatten`; `flat` (replicates, …, size) may have more axes in between."""
    leaves = list(tensors(like))
    parts = flat.split([leaf[0].numel() for leaf in leaves], -1)
    shaped = (
        part.reshape(*flat.shape[:-1], *leaf.shape[1:])
        for part, leaf in zip(parts, leaves, strict=True)
    )
    return rebuild(like, shaped)
