"""Spectral filters from one Krylov space: a whole path without an eigendecomposition.

Lanczos from b builds Q with orthonormal columns and a tridiagonal T = QᵀAQ. Then
φ_t(A) b ≈ Q φ_t(T) e₁‖b‖ for every filter φ and every time t at once, at one product with A for
each step. Full reorthogonalisation keeps T accurate. An estimate of the change by further steps
decides: a path that does not converge is not returned, and callers use the eigendecomposition.
Golub and Meurant, Matrices, Moments and Quadrature (2010), chapter 4; Saad, SIAM J. Numer. Anal.
29 (1992).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

if TYPE_CHECKING:
    from torch import Tensor

Filter: TypeAlias = "Callable[[Tensor], Tensor]"
"""Eigenvalues (…, k) → φ_t at every time, (…, T, k)."""

TOLERANCE = 1e-9
STEPS = 500


class KrylovPath(NamedTuple):
    """φ_t(A) b at every time, with what it took."""

    values: Tensor  # (T, n) or (T, n, outputs)
    steps: int
    estimate: float  # of the relative error, in the energy norm ‖v‖² = vᵀAv


class _Space(NamedTuple):
    """A Krylov space of every column of b."""

    basis: Tensor  # (outputs, k, n) orthonormal rows
    diagonal: Tensor  # (outputs, k) of T
    beside: Tensor  # (outputs, k) T's second diagonal; the last entry leads out of the space


def krylov_path(
    multiply: Callable[[Tensor], Tensor],
    b: Tensor,
    filters: Filter,
    tolerance: float = TOLERANCE,
    steps: int = STEPS,
) -> KrylovPath | None:
    """φ_t(A) b for symmetric A ≥ 0 at all times; None where it does not converge, or A is not ≥ 0.

    Args:
        multiply: v ↦ Av for v (n, outputs).
        b: (n,) or (n, outputs).
        filters: as `spectral_filter` with its times bound. Smooth filters converge; a cut-off jumps
            between eigenvalues that no small space resolves, so do not ask for one.
        tolerance: bound of the estimated error in the energy norm, relative to the path at the same
            time; in terms of functions, of ‖f_t − f̂_t‖_H against ‖f_t‖_H.
        steps: largest dimension of the space.

    >>> s = torch.tensor([1.0, 0.5, 0.25]).double()
    >>> ridge = lambda e: (1 / (e + 0.1)).unsqueeze(-2)
    >>> krylov_path(lambda v: s[:, None] * v, torch.ones(3).double(), ridge).values
    tensor([[0.9091, 1.6667, 2.8571]], dtype=torch.float64)
    """
    columns = b if b.ndim == 2 else b[:, None]
    length = columns.norm(dim=0)  # (outputs,)
    allowed = max(tolerance, 50 * torch.finfo(b.dtype).eps)
    before: Tensor | None = None
    change = 0.0
    for space in _spaces(multiply, columns, length, steps):
        coordinates, matrix, ritz = _coordinates(space, length, filters)
        if bool((ritz < -len(b) * _rounding(ritz)[:, None]).any()):
            return None  # Ritz values lie in the range of A's own: A has negative ones
        if _closed(space, length):
            return KrylovPath(_assembled(space, coordinates, b), coordinates.shape[-1], 0.0)
        if before is not None:
            last, change = change, _change(coordinates, before, matrix)
            estimate = _extrapolated(change, last)
            if estimate <= allowed:
                return KrylovPath(
                    _assembled(space, coordinates, b), coordinates.shape[-1], estimate
                )
        before = coordinates
    return None


def _spaces(
    multiply: Callable[[Tensor], Tensor], b: Tensor, length: Tensor, steps: int
) -> Iterator[_Space]:
    """Spaces of growing dimension: checks are 10 steps apart at first, then a fifth of all."""
    n, outputs = b.shape
    steps = min(steps, n)
    basis = b.new_zeros(outputs, steps + 1, n)
    diagonal, beside = b.new_zeros(outputs, steps), b.new_zeros(outputs, steps)
    basis[:, 0] = (b / torch.where(length == 0, 1.0, length)).mT
    check = min(10, steps)
    for k in range(steps):
        ahead = multiply(basis[:, k].mT).mT  # (outputs, n)
        diagonal[:, k] = (ahead * basis[:, k]).sum(1)
        for _ in range(2):  # twice is enough
            vectors = basis[:, : k + 1]
            ahead = ahead - ((vectors @ ahead[:, :, None]).mT @ vectors)[:, 0]
        beside[:, k] = ahead.norm(dim=1)
        live = beside[:, k] > _rounding(diagonal[:, : k + 1])
        beside[:, k] *= live
        basis[:, k + 1] = torch.where(live, 1 / torch.where(live, beside[:, k], 1), 0)[:, None]
        basis[:, k + 1] *= ahead
        if k + 1 == check or k + 1 == steps or not bool(live.any()):
            yield _Space(basis[:, : k + 1], diagonal[:, : k + 1], beside[:, : k + 1])
            check += max(10, check // 5)
        if not bool(live.any()):
            return


def _rounding(values: Tensor) -> Tensor:
    """The rounding error of 0 relative to the diagonal of T or its eigenvalues (outputs, k): below
    it, a step leads nowhere, and the space is invariant. (outputs,)"""
    return 10 * torch.finfo(values.dtype).eps * values.abs().amax(1)


def _closed(space: _Space, length: Tensor) -> bool:
    """Whether every column's space is invariant, and its path exact."""
    return bool(((space.beside[:, -1] == 0) | (length == 0)).all())


def _coordinates(space: _Space, length: Tensor, filters: Filter) -> tuple[Tensor, Tensor, Tensor]:
    """φ_t(T) e₁‖b‖, (outputs, T, k), T itself, (outputs, k, k), and its eigenvalues."""
    inner = space.beside[:, :-1]
    matrix = torch.diag_embed(space.diagonal)
    matrix = matrix + torch.diag_embed(inner, 1) + torch.diag_embed(inner, -1)
    ritz, vectors = torch.linalg.eigh(matrix)
    weights = filters(ritz.clamp_min(0)) * vectors[:, :1]  # (outputs, T, k)
    return (weights @ vectors.mT) * length[:, None, None], matrix, ritz


def _change(coordinates: Tensor, before: Tensor, matrix: Tensor) -> float:
    """Largest relative change in the energy norm since the last, smaller space."""
    moved = coordinates.clone()
    moved[..., : before.shape[-1]] -= before
    energies = [((rows @ matrix) * rows).sum(-1).clamp_min(0) for rows in (moved, coordinates)]
    share = energies[0] / torch.where(energies[1] == 0, 1.0, energies[1])
    return float(share.max().sqrt())


def _extrapolated(change: float, last: float) -> float:
    """The sum of all later changes if they shrink at the same rate: a geometric series.

    A first change has no predecessor to compare with, and does not count as converged.
    """
    if not change < last:
        return float("inf") if change else 0.0
    rate = change / last
    return max(change * rate / (1 - rate), 0.01 * change)


def _assembled(space: _Space, coordinates: Tensor, b: Tensor) -> Tensor:
    values = coordinates @ space.basis  # (outputs, T, n)
    return values[0] if b.ndim == 1 else values.permute(1, 2, 0)
