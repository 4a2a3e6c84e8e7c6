"""Orthonormal frames: the sphere (one direction) and the Stiefel manifold {W : WᵀW = I}.

A frame is (…, d, q), its columns the directions; leading axes are replicates. The metric is the
embedded one, so that the Riemannian gradient of L is the part of ∇L along the tangent space
{H : WᵀH + HᵀW = 0}: P(G) = G − W sym(WᵀG) (Edelman, Arias, Smith, arXiv:physics/9806030, §2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch import Tensor


def orthonormal(matrix: Tensor) -> Tensor:
    """The frame that spans the columns of `matrix` (…, d, q), same shape: v/‖v‖ for one column, for
    more the Q of V = QR with diag R > 0. Smooth, and the identity on frames.

    >>> orthonormal(torch.tensor([[3.0], [4.0]])).flatten().tolist()
    [0.6000000238418579, 0.800000011920929]
    """
    if matrix.shape[-1] == 1:
        return matrix / torch.linalg.vector_norm(matrix, dim=-2, keepdim=True)
    q, r = torch.linalg.qr(matrix)
    sign = torch.where(torch.diagonal(r, dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(q.dtype)
    return q * sign.unsqueeze(-2)


def tangent(frame: Tensor, direction: Tensor) -> Tensor:
    """P(G) = G − W sym(WᵀG), the part of G along the manifold at W; all (…, d, q)."""
    inner = frame.mT @ direction
    return direction - frame @ (inner + inner.mT) / 2


def uniform_frame(
    generator: np.random.Generator, dim: int, count: int, beside: np.ndarray | None = None
) -> np.ndarray:
    """A uniform frame (d, q), orthogonal to the orthonormal columns of `beside` if given."""
    drawn = generator.standard_normal((dim, count))
    if beside is not None:
        for _ in range(2):  # twice is enough for orthogonality to rounding
            drawn = drawn - beside @ (beside.T @ drawn)
    q, r = np.linalg.qr(drawn)
    return np.asarray(q * np.sign(np.diag(r)))


def tilted(frame: np.ndarray, beside: np.ndarray, overlap: float) -> np.ndarray:
    """The frame W (d, q) with ⟨w_i, w*_i⟩ = ρ for i ≤ min(q, q*) and all other products 0.

    `frame` W* (d, q*), `beside` (d, q) a frame orthogonal to it: w_i = ρ w*_i + √(1 − ρ²) v_i.
    """
    paired = min(frame.shape[1], beside.shape[1])
    result = beside.copy()
    across = np.sqrt(1 - overlap**2)
    result[:, :paired] = overlap * frame[:, :paired] + across * beside[:, :paired]
    return result
