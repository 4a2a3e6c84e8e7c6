"""Spectral filters: the factor that each algorithm gives an eigenvalue s at training time t.

Residuals ψ_t(s) = 1 − sφ_t(s) are the primary objects, φ_t(s) follows as (1 − ψ)/s without
cancellation, with its limit at s = 0. All share one clock: φ_t(0) = t, except for cut-off.
Sources: Bauer, Pereverzev, Rosasco, J. Complexity 23 (2007); Engl, Hanke, Neubauer (1996).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

NAMES = ("flow", "ridge", "descent", "iterated-ridge", "cutoff", "heavy-ball")


def in_range(eigenvalue: Tensor) -> Tensor:
    """Which eigenvalues (…, k) of a matrix with k rows are above its rounding, k·eps·s_max.

    The others span the numerical null space. This is the tolerance of NumPy's `matrix_rank`.

    >>> in_range(torch.tensor([2.0, 1e-3, 1e-17]).double())
    tensor([ True,  True, False])
    """
    rounding = eigenvalue.shape[-1] * torch.finfo(eigenvalue.dtype).eps
    return eigenvalue > rounding * eigenvalue.amax(-1, keepdim=True)


def pseudo_inverse(eigenvalue: Tensor) -> Tensor:
    """1/s on the numerical range, 0 on the null space, (…, k)."""
    kept = in_range(eigenvalue)
    return torch.where(kept, 1 / torch.where(kept, eigenvalue, 1.0), 0.0)


def spectral_filter(
    name: str,
    eigenvalue: Tensor,
    times: Sequence[float],
    *,
    learning_rate: float = 0.0,
    momentum: float = 0.0,
    qualification: float = 1.0,
) -> Tensor:
    """φ_t(s) for eigenvalues (…, k) and times (T,), of shape (…, T, k).

    flow (1 − e^{−ts})/s; ridge 1/(s + 1/t); descent (1 − (1 − ηs)^m)/s with t = ηm; iterated-ridge
    (1 − (1 + ts/q)^{−q})/s; cutoff 1[s ≥ 1/t]/s; heavy-ball (1 − p_m(s))/s with t = ηm/(1 − μ).
    The last time may be ∞: all filters become the pseudo-inverse there, 1/s on the numerical range
    of the matrix and 0 on its null space (`in_range`), the fit of least norm.

    >>> s = torch.tensor([0.0, 2.0]).double()
    >>> spectral_filter("ridge", s, [0.5, math.inf])
    tensor([[0.5000, 0.2500],
            [0.0000, 0.5000]], dtype=torch.float64)
    """
    if math.isinf(times[-1]):
        options = {"learning_rate": learning_rate, "momentum": momentum}
        options["qualification"] = qualification
        before = [spectral_filter(name, eigenvalue, times[:-1], **options)] if times[1:] else []
        return torch.cat([*before, pseudo_inverse(eigenvalue).unsqueeze(-2)], -2)
    s = eigenvalue.unsqueeze(-2)  # (…, 1, k)
    t = torch.tensor(times, dtype=s.dtype, device=s.device).unsqueeze(-1)  # (T, 1)
    if name == "ridge":
        return t / (1 + t * s)
    if name == "cutoff":
        return torch.where(t * s >= 1, 1 / s.clamp_min(torch.finfo(s.dtype).tiny), 0.0)
    if name == "flow":
        kept = -torch.expm1(-t * s)
    elif name == "iterated-ridge":
        kept = -torch.expm1(-qualification * torch.log1p(t * s / qualification))
    elif name == "descent":
        kept = _descent(s, torch.round(t / learning_rate), learning_rate)
    elif name == "heavy-ball":
        steps = [round(time * (1 - momentum) / learning_rate) for time in times]
        kept = _heavy_ball(eigenvalue, steps, learning_rate, momentum)
    else:
        raise ValueError(f"found the filter {name!r}, expected one of {', '.join(NAMES)}")
    limit = t.expand_as(kept)
    return torch.where(s == 0, limit, kept / torch.where(s == 0, 1.0, s))


def _descent(s: Tensor, steps: Tensor, learning_rate: float) -> Tensor:
    """1 − (1 − ηs)^m, accurate for small ηs and right in sign beyond ηs = 1."""
    factor = 1 - learning_rate * s
    small = -torch.expm1(steps * torch.log1p(-(learning_rate * s).clamp_max(0.5)))
    return torch.where(learning_rate * s <= 0.5, small, 1 - factor**steps)


def _heavy_ball(s: Tensor, steps: Sequence[int], learning_rate: float, momentum: float) -> Tensor:
    """1 − p_m(s): p₀ = 1, p₁ = 1 − ηs, p_{m+1} = (1 + μ − ηs) p_m − μ p_{m−1}.

    The recursion runs on u_m = 1 − p_m and on its increments, so that small ηs lose no digits.
    """
    step = learning_rate * s  # (…, k)
    kept, change = torch.zeros_like(step), torch.zeros_like(step)
    recorded, done = [], 0
    for target in steps:
        for _ in range(target - done):
            change = momentum * change + step * (1 - kept)
            kept = kept + change
        done = target
        recorded.append(kept)
    return torch.stack(recorded, -2)  # (…, T, k)
