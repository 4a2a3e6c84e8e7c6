"""Products of Hermite polynomials in a few directions: an orthonormal basis under N(0, I).

For z = Wᵀx with an orthonormal frame W and x ~ N(0, I), the features h_m(z) = Π_j h_{m_j}(z_j) of
all multi-indices m with |m| ≤ R are orthonormal; h_r = He_r/√r! in one variable. With eigenvalues
that depend on |m| alone their span and kernel do not change when W turns within its span.

Features are laid out with modes before points, (…, modes, n): every mode is contiguous.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

Table = tuple[tuple[int, ...], ...]


@functools.lru_cache(maxsize=64)
def multi_indices(directions: int, degree: int) -> Table:
    """All m ∈ N^q with |m| ≤ R, by |m|, then with the first directions first.

    >>> multi_indices(2, 2)
    ((0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2))
    """
    every = itertools.product(range(degree + 1), repeat=directions)
    kept = [m for m in every if sum(m) <= degree]
    return tuple(sorted(kept, key=lambda m: (sum(m), tuple(-part for part in m))))


def hermite(z: Tensor, degree: int) -> list[Tensor]:
    """h_0(z), …, h_R(z), each like z: h_{r+1} = (z h_r − √r h_{r−1})/√(r+1)."""
    values = [torch.ones_like(z)]
    for r in range(degree):
        ahead = z * values[r] - (math.sqrt(r) * values[r - 1] if r else 0)
        values.append(ahead / math.sqrt(r + 1))
    return values


def features(z: Tensor, degree: int) -> Tensor:
    """h_m(z) of all multi-indices, (…, q, n) → (…, modes, n)."""
    polynomials = [hermite(values, degree) for values in z.unbind(-2)]
    if len(polynomials) == 1:
        return torch.stack(polynomials[0], -2)
    table = multi_indices(len(polynomials), degree)
    products = [
        functools.reduce(
            torch.mul, (values[part] for values, part in zip(polynomials, m, strict=True))
        )
        for m in table
    ]
    return torch.stack(products, -2)


@functools.lru_cache(maxsize=64)
def lowering(directions: int, degree: int) -> Tensor:
    """∂_j Σ_m c_m h_m = Σ_m (D_j c)_m h_m, from h_r' = √r h_{r−1}: D, (q, modes, modes)."""
    table = multi_indices(directions, degree)
    position = {m: column for column, m in enumerate(table)}
    result = torch.zeros(directions, len(table), len(table), dtype=torch.float64)
    for column, m in enumerate(table):
        for j, part in enumerate(m):
            if part:
                less = (*m[:j], part - 1, *m[j + 1 :])
                result[j, position[less], column] = math.sqrt(part)
    return result


def by_mode(values: Tensor, directions: int) -> Tensor:
    """Values of degrees (…, R + 1) as values of multi-indices (…, modes)."""
    degrees = [sum(m) for m in multi_indices(directions, values.shape[-1] - 1)]
    return values[..., degrees]


def index_coefficients(overlaps: Tensor, coefficients: Tensor) -> Tensor:
    """⟨f*, h_m(Wᵀ·)⟩ of f*(x) = q*^{−1/2} Σ_i Σ_r g_r h_r(⟨w*_i, x⟩), (…, modes).

    `overlaps` M = WᵀW* (…, q, q*), `coefficients` g_0 … g_R. Each term projects by the addition
    theorem h_r(⟨v, x⟩) = Σ_{|m|=r} √(r!/m!) v^m h_m(x), ‖v‖ = 1:

        ⟨f*, h_m⟩ = q*^{−1/2} g_{|m|} √(|m|!/m!) Σ_i Π_j M_ji^{m_j}.
    """
    directions = overlaps.shape[-2]
    table = multi_indices(directions, coefficients.shape[-1] - 1)
    power = torch.tensor(table, device=overlaps.device)  # (modes, q)
    products = (overlaps.unsqueeze(-3) ** power.unsqueeze(-1)).prod(-2)  # (…, modes, q*)
    ways = [float(_multinomial(m)) for m in table]
    roots = torch.tensor(ways, dtype=overlaps.dtype, device=overlaps.device).sqrt()
    scale = by_mode(coefficients, directions) * roots / math.sqrt(overlaps.shape[-1])
    return scale * products.sum(-1)


def _multinomial(m: tuple[int, ...]) -> int:
    """|m|!/Π m_j!"""
    return math.factorial(sum(m)) // math.prod(map(math.factorial, m))
