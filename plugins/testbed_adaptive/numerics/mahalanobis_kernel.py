"""Radial kernels in a learned metric, and the average gradient outer product of their functions.

    k(x, x') = φ(‖x − x'‖_M),  ‖v‖_M² = vᵀMv:   Laplace e^{−r/L},   Gaussian e^{−r²/(2L²)}

With φ'(r) = −r ψ(r), f = Σ_j α_j k(·, x_j) has ∇f(x) = −M Σ_j α_j ψ(r_j)(x − x_j), where ψ is
k/(Lr) for Laplace, whose term at a point of its own counts as 0 (f has a kink there), and k/L² for
the Gaussian.
With S_ij = ψ(r_ij), s = Sα all gradients at once are the rows of (S diag(α) X − diag(s) X) M: two
matrix products where differences x_i − x_j of all pairs would take n²d numbers.
Source: arXiv:2212.13881.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from testbed import UnsuitableError

if TYPE_CHECKING:
    from torch import Tensor

KERNELS = ("laplace", "gaussian")
BLOCK = 512  # rows at a time: a block and its temporaries stay in cache
ROUNDING = 16  # units of rounding below which a squared distance counts as 0


class Radial(NamedTuple):
    """A kernel's shape and bandwidth L."""

    shape: str
    bandwidth: float


def squared_distances(x: Tensor, second: Tensor, metric: Tensor) -> Tensor:
    """‖x_i − x'_j‖_M², (n, n'); 0 where rounding leaves no digit of it."""
    moved = second @ metric
    left = ((x @ metric) * x).sum(1)
    right = (moved * second).sum(1)
    size = left[:, None] + right
    squares = torch.addmm(size, x, moved.mT, alpha=-2)
    return squares.masked_fill_(squares <= ROUNDING * torch.finfo(x.dtype).eps * size, 0.0)


def kernel_matrix(
    kernel: Radial, metric: Tensor, x: Tensor, second: Tensor | None = None
) -> Tensor:
    """k(x, second), (n, n'), by blocks of rows; symmetric to the last bit on x alone.

    >>> kernel_matrix(Radial("laplace", 2.0), torch.eye(1), torch.tensor([[0.0], [2.0]]))
    tensor([[1.0000, 0.3679],
            [0.3679, 1.0000]])
    """
    if second is not None:
        blocks = [
            _values(kernel, squared_distances(rows, second, metric)) for rows in x.split(BLOCK)
        ]
        return torch.cat(blocks)
    return _symmetric(kernel, metric, x)[0]


def _symmetric(kernel: Radial, metric: Tensor, x: Tensor, slopes: bool = False) -> list[Tensor]:
    """K, and S where `slopes` are asked for: one triangle of blocks is computed, and mirrored."""
    of = (_values, _slopes) if slopes else (_values,)
    matrices = [x.new_empty(len(x), len(x)) for _ in of]
    for top in range(0, len(x), BLOCK):
        rows = slice(top, top + BLOCK)
        squares = squared_distances(x[rows], x[top:], metric)
        corner = squares[:, : len(squares)]
        corner.copy_(0.5 * (corner + corner.mT)).fill_diagonal_(0.0)
        for matrix, function in zip(matrices, of, strict=True):
            values = function(kernel, squares)
            matrix[rows, top:] = values
            matrix[top:, rows] = values.mT
    return matrices


def _values(kernel: Radial, squares: Tensor) -> Tensor:
    """k from ‖x − x'‖_M²."""
    if kernel.shape == "laplace":
        return squares.sqrt().mul_(-1 / kernel.bandwidth).exp_()
    return (squares * (-0.5 / kernel.bandwidth**2)).exp_()


def _slopes(kernel: Radial, squares: Tensor) -> Tensor:
    """ψ from ‖x − x'‖_M²."""
    values = _values(kernel, squares)
    if kernel.shape == "gaussian":
        return values.div_(kernel.bandwidth**2)
    distance = squares.sqrt()
    values.div_(distance.mul(kernel.bandwidth))
    return values.masked_fill_(distance == 0, 0.0)


def gradients(slopes: Tensor, metric: Tensor, x: Tensor, dual: Tensor) -> Tensor:
    """∇f at the training points x (n, d) for dual coefficients (n, outputs): (outputs, n, d).

    `slopes` is S (n, n).
    """
    weighted = dual.mT.unsqueeze(-1) * x  # (outputs, n, d)
    pulled = slopes @ weighted.permute(1, 0, 2).flatten(1)  # (n, outputs·d)
    sums = (slopes @ dual).mT.unsqueeze(-1) * x  # (outputs, n, d)
    return (pulled.reshape(len(x), -1, x.shape[1]).permute(1, 0, 2) - sums) @ metric


def outer_product(slopes: Tensor, metric: Tensor, x: Tensor, dual: Tensor) -> Tensor:
    """(1/n) Σ_i ∇f(x_i)∇f(x_i)ᵀ, (d, d), summed over outputs."""
    rows = gradients(slopes, metric, x, dual).flatten(0, 1)  # (outputs·n, d)
    return rows.mT @ rows / len(x)


def kernel_and_slopes(kernel: Radial, metric: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """K and S of the training points, (n, n) each, from one pass over the distances."""
    values, slopes = _symmetric(kernel, metric, x, slopes=True)
    return values, slopes


def ridge_coefficients(gram: Tensor, ridge: float, y: Tensor) -> Tensor:
    """(K + ridge·I)⁻¹ y, (n, outputs). `gram` is overwritten.

    UnsuitableError if K + ridge·I is not positive definite up to rounding.
    """
    gram.diagonal().add_(ridge)
    factor, failed = torch.linalg.cholesky_ex(gram)
    if int(failed):
        raise UnsuitableError(
            f"found a Gram matrix of {len(gram)} points that with {ridge:g} on its diagonal is not "
            f"positive definite in {gram.dtype}, expected one that is; raise the ridge (reg)"
        )
    return torch.cholesky_solve(y, factor)
