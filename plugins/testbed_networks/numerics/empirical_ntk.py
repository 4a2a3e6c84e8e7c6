"""Kernels of a network's state: conjugate kernel and empirical neural tangent kernel.

For two-layer networks in closed form, with H = XWᵀ + 1bᵀ and D = σ'(H) diag(a):

    conjugate  (1/m) σ(H) σ(H')ᵀ
    tangent    (1/m) [σ(H) σ(H')ᵀ + (XX'ᵀ + 11ᵀ) ∘ (D D'ᵀ)]      (11ᵀ only with a bias)

(arXiv:1806.07572). Both are m^{2κ−1} times the product of the Jacobians, hence 1/m for every κ:
the kernels that govern training on the clock τ, ∂_τ f = −Θ (weight∘(f − y)) (for the conjugate
kernel: when the second layer alone is trained). For several outputs the tangent kernel is the
mean over the outputs, with a² their mean; all outputs converge to it as m → ∞.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from testbed.numerics.products import lower_row_products
from testbed.numerics.threads import one_thread
from testbed_networks.numerics.two_layer import Params, TwoLayer, preactivation, several

if TYPE_CHECKING:
    from torch import Tensor

TILE = 256  # rows: a tile and its factors stay in cache


class _Factors:
    """The factors of kernel values at each point."""

    def __init__(self, network: TwoLayer, params: Params, x: Tensor, slopes: bool):
        pre = preactivation(params, x)  # (…, n, m)
        self.value = network.activation.value(pre)
        self.x, self.slope, self.bias = x, None, "bias" in params
        if slopes:
            size = _outer_size(params).unsqueeze(-2)
            self.slope = network.activation.derivative(pre).mul_(size)


def conjugate_kernel(
    network: TwoLayer, params: Params, x: Tensor, second: Tensor | None = None
) -> Tensor:
    """(1/m) σ(H) σ(H')ᵀ, shape (…, n, n'); symmetric on x alone without `second`."""
    return _kernel(network, params, x, second, readout=True, slopes=False)


def tangent_kernel(
    network: TwoLayer, params: Params, x: Tensor, second: Tensor | None = None
) -> Tensor:
    """Empirical NTK of the layers that are trained, shape (…, n, n'), as defined above.

    Without `second` it is symmetric to the last bit, and only one triangle of tiles is computed.
    """
    readout, slopes = network.trains("second"), network.trains("first")
    return _kernel(network, params, x, second, readout, slopes)


def _kernel(
    network: TwoLayer,
    params: Params,
    x: Tensor,
    second: Tensor | None,
    readout: bool,
    slopes: bool,
) -> Tensor:
    if second is None:
        return _symmetric(network, params, x, readout, slopes)
    left = _Factors(network, params, x, slopes)
    right = _Factors(network, params, second, slopes)
    kernel = x.new_empty(*left.value.shape[:-1], right.x.shape[-2])
    for top in range(0, x.shape[-2], TILE):
        i = slice(top, top + TILE)
        for start in range(0, right.x.shape[-2], TILE):
            j = slice(start, start + TILE)
            kernel[..., i, j] = _tile(left, right, i, j, readout)
    return kernel


def _symmetric(network: TwoLayer, params: Params, x: Tensor, readout: bool, slopes: bool) -> Tensor:
    """The kernel of all points with themselves: products of one triangle, mirrored in tiles."""
    activation = network.activation
    with one_thread():  # others would wait for the cores that BLAS's own threads keep for a while
        pre = preactivation(params, x)  # (…, n, m)
        value = pre if activation.aliases else torch.empty_like(pre)
        activation.fill(pre, value)
        total = lower_row_products(value) if readout else None
        if not slopes:
            assert total is not None
            return _mirrored(total, pre.shape[-1])
        slope = activation.slope(pre, value).mul_(_outer_size(params).unsqueeze(-2))
        kernel = lower_row_products(x).add_(float("bias" in params))
        kernel.mul_(lower_row_products(slope))
        return _mirrored(kernel if total is None else kernel.add_(total), pre.shape[-1])


def _mirrored(lower: Tensor, width: int) -> Tensor:
    """The symmetric matrix of a lower triangle, divided by the width; in place."""
    lower.div_(width)
    for top in range(0, lower.shape[-1], TILE):
        i = slice(top, top + TILE)
        for start in range(0, top, TILE):
            j = slice(start, start + TILE)
            lower[..., j, i] = lower[..., i, j].mT
        diagonal = lower[..., i, i]
        diagonal.copy_(diagonal.tril() + diagonal.tril(-1).mT)
    return lower


def _outer_size(params: Params) -> Tensor:
    """a_k of one output, of which only the square counts, (…, m); of several √(mean of a_k²)."""
    weight = params["second"]
    return weight.square().mean(-1).sqrt() if several(params) else weight


def _tile(left: _Factors, right: _Factors, i: slice, j: slice, readout: bool) -> Tensor:
    width = left.value.shape[-1]
    total = left.value[..., i, :] @ right.value[..., j, :].mT if readout else None
    if left.slope is not None and right.slope is not None:
        inputs = left.x[..., i, :] @ right.x[..., j, :].mT
        if left.bias:
            inputs += 1
        inputs *= left.slope[..., i, :] @ right.slope[..., j, :].mT
        total = inputs if total is None else total.add_(inputs)
    assert total is not None
    return total.div_(width)
