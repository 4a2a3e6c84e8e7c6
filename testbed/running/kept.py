"""States of training as arrays, and back to the bit.

Arrays hold the numbers; the layout says how tensors are nested and in which order their axes lie
in memory. Products of matrices round differently for other orders, so that a metric measured on
restored states has the bits of a metric measured during training only if the orders are the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from testbed.contract.states import KeptPath
from testbed.errors import UnsuitableError
from testbed.numerics.trees import Each, tree_map
from testbed.running.border import private

Nesting = Any  # JSON: [kind, content]
Memory = tuple[list[int], list[int]]
"""The axes of a tensor from the slowest to the fastest in memory, and those of stride 0."""
Block = tuple[int, int]
"""The first replicate and the first position of time."""
_STORABLE = frozenset(
    f"torch.{name}"
    for name in (
        "float64", "float32", "int64", "int32", "int16", "int8", "uint8", "bool",
        "complex64", "complex128",
    )
)  # fmt: skip
"""Types of numbers by name, so that a plan can look here without loading torch."""


def settled(tree: Any) -> Any:
    """The tree with every tensor dense in memory, as a restored one is. Dense ones stay."""
    return tree_map(lambda leaf: leaf if _is_dense(leaf) else private(leaf), tree)


def _is_dense(leaf: torch.Tensor) -> bool:
    axes = [axis for axis in range(leaf.ndim) if leaf.shape[axis] > 1 and leaf.stride(axis)]
    expected = 1
    for axis in sorted(axes, key=leaf.stride):
        if leaf.stride(axis) != expected:
            return False
        expected *= leaf.shape[axis]
    return leaf.storage_offset() == 0


def nesting_of(tree: object, name: str) -> tuple[Nesting, dict[str, torch.Tensor]]:
    """How a tree is nested, and its tensors by name. UnsuitableError if it holds what no file can
    keep, such as the fitted object of another library."""
    leaves: dict[str, torch.Tensor] = {}
    return _nesting(tree, name, leaves), leaves


def _nesting(tree: object, name: str, leaves: dict[str, torch.Tensor]) -> Nesting:
    if isinstance(tree, torch.Tensor):
        if str(tree.dtype) not in _STORABLE:
            raise UnsuitableError(f"found {name} of {tree.dtype}, expected float64 or float32")
        word = re.sub(r"[^A-Za-z0-9_.]", "_", name)
        while word in leaves:
            word += "_"
        leaves[word] = tree
        return ["tensor", word]
    if isinstance(tree, dict) and all(isinstance(key, str) for key in tree):
        return [
            "dict",
            [[key, _nesting(part, f"{name}.{key}", leaves)] for key, part in tree.items()],
        ]
    if type(tree) in (tuple, list):
        assert isinstance(tree, tuple | list)
        parts = [_nesting(part, f"{name}.{i}", leaves) for i, part in enumerate(tree)]
        return [type(tree).__name__, parts]
    if tree is None or type(tree) in (bool, int, float, str):
        return ["value", tree]
    item = tree.items[0] if isinstance(tree, Each) else tree
    raise UnsuitableError(
        f"found an object of the type {type(item).__name__} at {name}, expected tensors, numbers "
        "and words in tuples, lists and dicts"
    )


def _tree(nesting: Nesting, leaves: Mapping[str, torch.Tensor]) -> Any:
    kind, content = nesting
    if kind == "tensor":
        return leaves[content]
    if kind == "dict":
        return {key: _tree(part, leaves) for key, part in content}
    if kind in ("tuple", "list"):
        parts = [_tree(part, leaves) for part in content]
        return tuple(parts) if kind == "tuple" else parts
    return content


# --- from training to arrays --------------------------------------------------------------------


class Keeper:
    """Collects the states of one path for a chunk of replicates, block by block."""

    def __init__(self, count: int, prepared: object = None):
        self._count = count
        self._nesting: Nesting = None
        self._memory: list[tuple[int, dict[str, Memory]]] = []
        self._blocks: dict[str, list[np.ndarray]] = {}
        self._prepared, leaves = nesting_of(prepared, "prepared")
        self._aside = {name: _array(leaf) for name, leaf in leaves.items()}
        self._aside_memory = {name: _memory(leaf) for name, leaf in leaves.items()}

    def add(self, first: int, params: object) -> None:
        """Keep a block of states, (replicates, times, …); `first` is its first position of time."""
        nesting, leaves = nesting_of(params, "params")
        if self._nesting not in (None, nesting):
            raise UnsuitableError("found that the nesting of states changes with time")
        self._nesting = nesting
        self._memory.append((first, {name: _memory(leaf) for name, leaf in leaves.items()}))
        for name, leaf in leaves.items():
            self._blocks.setdefault(name, []).append(_array(leaf))

    def path(self, times: Sequence[float], records: Mapping[str, np.ndarray]) -> KeptPath:
        """What was kept."""
        layout = {
            "params": self._nesting,
            "prepared": self._prepared,
            "chunks": [[self._count, self._memory, self._aside_memory]],
        }
        arrays = {name: np.concatenate(blocks, 1) for name, blocks in self._blocks.items()}
        return KeptPath(tuple(times), json.dumps(layout), arrays, self._aside, dict(records))


def joined(parts: Sequence[KeptPath]) -> KeptPath:
    """The path of a whole cell, from the paths of its chunks of replicates."""
    if len(parts) == 1:
        return parts[0]
    layouts = [json.loads(part.layout) for part in parts]
    chunks = [chunk for layout in layouts for chunk in layout["chunks"]]
    return KeptPath(
        parts[0].times,
        json.dumps({**layouts[0], "chunks": chunks}),
        _concatenated([part.arrays for part in parts]),
        _concatenated([part.prepared for part in parts]),
        _concatenated([part.records for part in parts]),
    )


def _concatenated(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _array(leaf: torch.Tensor) -> np.ndarray:
    array: np.ndarray = leaf.detach().cpu().numpy()
    return np.array(array)  # a copy, since training may go on in the same memory


def _memory(leaf: torch.Tensor) -> Memory:
    strides = leaf.stride()
    order = sorted(range(leaf.ndim), key=lambda axis: (-strides[axis], axis))
    return order, [axis for axis in order if not strides[axis] and leaf.shape[axis] > 1]


# --- from arrays to states ----------------------------------------------------------------------


class Restored:
    """The states of one path for a chunk of replicates, read from what was kept."""

    def __init__(self, path: KeptPath, first: int, device: str):
        self.times, self._path, self._device = path.times, path, device
        self._layout = json.loads(path.layout)
        start = 0
        for count, memory, aside in self._layout["chunks"]:
            if start == first:
                self._rows = slice(start, start + count)
                self._memory = {position: orders for position, orders in memory}
                self._aside = aside
                return
            start += count
        raise UnsuitableError(f"found no kept states that begin with replicate {first} of the cell")

    def params(self, positions: range) -> Any:
        """The states of one block of training."""
        memory = self._memory[positions.start]
        columns = slice(positions.start, positions.stop)
        leaves = {
            name: _tensor(array[self._rows, columns], memory[name], self._device)
            for name, array in self._path.arrays.items()
        }
        return _tree(self._layout["params"], leaves)

    def prepared(self) -> Any:
        """What `prepare` returned; None unless the model learns there."""
        leaves = {
            name: _tensor(array[self._rows], self._aside[name], self._device)
            for name, array in self._path.prepared.items()
        }
        return _tree(self._layout["prepared"], leaves)

    def records(self) -> dict[str, np.ndarray]:
        """What the optimizer noted."""
        return {name: array[self._rows] for name, array in self._path.records.items()}


def _tensor(array: np.ndarray, memory: Memory, device: str) -> torch.Tensor:
    """A tensor of these numbers whose axes lie in memory as they did during training."""
    order, repeated = memory
    shape = array.shape
    for axis in repeated:
        array = array[(slice(None),) * axis + (slice(0, 1),)]
    source = torch.from_numpy(np.array(array.transpose(order), order="C"))
    dense = torch.empty_like(source).copy_(source)  # torch's memory is aligned, NumPy's need not be
    back = [order.index(axis) for axis in range(len(order))]
    return dense.permute(back).to(device).expand(shape)
