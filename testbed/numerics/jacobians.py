"""Per-example Jacobians of differentiable models, and the tangent kernel from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeAlias

import torch

from testbed.contract.values import Parameters
from testbed.numerics.trees import tensors, tree_map

if TYPE_CHECKING:
    from torch import Tensor

Predict: TypeAlias = "Callable[[Parameters, Tensor], Tensor]"
"""(parameters, inputs (n, …)) → f(x), (n,) or (n, outputs)."""
JACOBIAN_BYTES = 2**28


def jacobian(predict: Predict, params: Parameters, x: Tensor) -> Parameters:
    """∂f(x_i)/∂θ per example: leaves (n, outputs, size of the leaf), one output if f is (n,).

    One backward pass per example and output, mapped over examples, where differentiating the whole
    vector at once would take n passes over all n points.
    """

    def single(params: Parameters, point: Tensor) -> Tensor:
        return predict(params, point.unsqueeze(0)).reshape(-1)

    blocks = torch.func.vmap(torch.func.jacrev(single), in_dims=(None, 0))(params, x)
    return tree_map(lambda leaf: leaf.flatten(2), blocks)


def jacobian_kernel(
    predict: Predict,
    params: Parameters,
    x: Tensor,
    second: Tensor | None = None,
    scales: Mapping[str, float] | None = None,
    block: int | None = None,
) -> Tensor:
    """Empirical NTK of any network f = predict(params, x), by blocks of per-example Jacobians.

    Args:
        params: the parameters that are trained, a tensor or a dict of tensors.
        x, second: (n, …) and (n', …); predict returns (n,) or (n, outputs).
        scales: multiplier of the step of each leaf of a dict, as in maximal-update scaling.
        block: examples at a time; by default as many as keep one block's Jacobian in 256 MB.

    Returns (n, n'), or (n, n', outputs, outputs) where there are several outputs.
    """
    outputs = predict(params, x[:1]).shape[1:].numel()
    size = block or _block(params, x, outputs)
    right = x if second is None else second
    rows: list[list[Tensor]] = []  # of tiles; not written in place, so that torch.func.vmap applies
    for top in range(0, x.shape[0], size):
        mine = jacobian(predict, params, x[top : top + size])
        below = len(rows)
        row = [_swapped(above[below]) for above in rows] if second is None else []
        for start in range(len(row) * size, right.shape[0], size):
            same = second is None and start == top
            theirs = mine if same else jacobian(predict, params, right[start : start + size])
            tile = _contracted(mine, theirs, scales)
            row.append(0.5 * (tile + _swapped(tile)) if same else tile)
        rows.append(row)
    kernel = torch.cat([torch.cat(row, 1) for row in rows])
    return kernel[:, :, 0, 0] if outputs == 1 else kernel


def _block(params: Parameters, x: Tensor, outputs: int) -> int:
    floats = sum(leaf.numel() for leaf in tensors(params)) * outputs
    return max(1, min(x.shape[0], JACOBIAN_BYTES // (floats * x.element_size())))


def _swapped(tile: Tensor) -> Tensor:
    """Θ(x', x) from Θ(x, x')."""
    return tile.permute(1, 0, 3, 2)


def _contracted(mine: Parameters, theirs: Parameters, scales: Mapping[str, float] | None) -> Tensor:
    if scales is not None:
        mine = {name: leaf * scales.get(name, 1.0) for name, leaf in mine.items()}
    pairs = zip(tensors(mine), tensors(theirs), strict=True)
    total = torch.stack([torch.einsum("iap,jbp->ijab", left, right) for left, right in pairs])
    return total.sum(0)  # (n, n', outputs, outputs)
