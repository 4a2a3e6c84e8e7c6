"""Checks of what metrics and theories receive and of what they return.

Metrics share predictions and spectra. One that writes into them would change what the others
measure, and what is trained next. Tensors count the writes into their memory: `Handed` compares the
counts before and after. Metrics in a loop or in batch form may reach the memory through NumPy, past
the count; they get copies, which are compared with the originals.

A wrong return value raises ComponentFault, which says what was found and what was expected.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from testbed.contract.border import ComponentFault
from testbed.contract.components import Metric, Optimizer
from testbed.numerics.trees import tensors, tree_map

if TYPE_CHECKING:
    from torch import Tensor


class WriteFault(ComponentFault):
    """A metric wrote into values that other metrics read: the cell must run again without it."""


class CellFault(ComponentFault):
    """A fault in values that every metric of a cell uses: the whole cell fails."""


class Handed:
    """Values handed to a metric, which must not change them."""

    def __init__(self, metric: Metric, values: Mapping[str, Any]):
        self.metric, self._originals = metric, dict(values)
        self._copied = metric.facts().batching != "vmap"
        self.values = tree_map(private, self._originals) if self._copied else self._originals
        self._writes = {name: _writes(value) for name, value in self._originals.items()}

    def expect_unchanged(self) -> None:
        """WriteFault if an original was changed, ComponentFault if only a copy was changed."""
        written = [
            name for name, value in self._originals.items() if self._writes[name] != _writes(value)
        ]
        if written:
            raise WriteFault(self.metric, _written(written))
        if self._copied:
            pairs = self._originals.items()
            changed = [name for name, value in pairs if not _same(value, self.values[name])]
            if changed:
                raise ComponentFault(self.metric, _written(changed))


def _writes(tree: object) -> list[int]:
    """The number of writes into the memory of each tensor; views share a count."""
    return [leaf._version for leaf in tensors(tree)]


def _written(names: Sequence[str]) -> str:
    words = " and ".join(names)
    return (
        f"measure wrote into {words}, which other metrics read too; expected it to leave them as "
        "they are: x = x - x.mean() instead of x -= x.mean()"
    )


def private(leaf: Tensor) -> Tensor:
    """A copy in memory of its own. Expanded axes of a tensor still take no memory."""
    repeated = [axis for axis in range(leaf.ndim) if not leaf.stride(axis) and leaf.shape[axis] > 1]
    kept = leaf
    for axis in repeated:
        kept = kept.narrow(axis, 0, 1)
    return kept.clone().expand(leaf.shape)


def _same(original: object, copied: object) -> bool:
    """Whether two trees hold equal numbers, NaN equal to NaN."""
    pairs = zip(tensors(original), tensors(copied), strict=True)
    return all(bool(((a == b) | ((a != a) & (b != b))).all()) for a, b in pairs)


def read_only(value: Any) -> Any:
    """NumPy arrays, alone or in a dictionary, that raise when they are written to."""
    if isinstance(value, Mapping):
        return {name: read_only(array) for name, array in value.items()}
    view = value.view()
    view.setflags(write=False)
    return view


# --- what comes back ------------------------------------------------------------------------------


def measured_array(
    owner: Metric | Optimizer,
    name: str,
    value: object,
    leading: tuple[int, ...],
    lengths: tuple[int, ...],
) -> np.ndarray:
    """A measured variable in double precision, (replicates, times, dims of the variable…)."""
    if not isinstance(value, torch.Tensor):
        raise ComponentFault(owner, f"found {name} as {type(value).__name__}, expected a tensor")
    shape = tuple(value.shape)
    if shape[: len(leading)] != leading:
        text = f"found {name} of shape {shape}"
        raise ComponentFault(owner, f"{text}, expected {(*leading, *lengths)}")
    if shape[len(leading) :] != lengths:
        raise ComponentFault(
            owner,
            f"found {name} of shape {shape[len(leading) :]} for one replicate at one time, "
            f"expected {lengths}, by its dims and their coordinates; correct measure or "
            "coordinates",
        )
    if value.is_complex():
        raise ComponentFault(owner, f"found complex numbers in {name}, expected real ones")
    return value.detach().double().cpu().numpy()
