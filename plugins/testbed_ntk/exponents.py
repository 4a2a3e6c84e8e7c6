"""Rates of kernel regression as exponents: fixed dimension, and n = d^γ.

Shares no code with the simulation.
"""

from __future__ import annotations

import math


def best_regularisation(source: float, decay: float, qualification: float) -> tuple[float, float]:
    """Exponents of the risk and of the best training time in n, fixed dimension.

    f* ∈ [H]^s, λ_j ≍ j^{−β}, an algorithm of qualification q sees s̃ = min(s, 2q): at 1/t = n^{−θ}
    the risk has exponent −min(s̃θ, 1 − θ/β), best at θ = β/(s̃β + 1), where it is −s̃β/(s̃β + 1).

    >>> best_regularisation(2.0, 1.5, 1.0)
    (-0.75, 0.375)
    """
    seen = min(source, 2 * qualification)
    time = decay / (seen * decay + 1)
    return -seen * time, time


def minimax_in_dimension(source: float, gamma: float) -> float:
    """r of the minimax risk d^{−r} at n = d^γ: max over p = 0, 1, … of min{(p+1)s, γ − p}.

    Gradient flow attains it (arXiv:2401.01270); it is flat where (p + 1)s is the smaller: the
    periodic plateau.

    >>> minimax_in_dimension(1.0, 1.5)
    1.0
    """
    return max(min((p + 1) * source, gamma - p) for p in range(math.floor(gamma) + 1))


def ridge_in_dimension(source: float, gamma: float) -> float:
    """r of the best ridge risk d^{−r} at n = d^γ: minimax for s ≤ 1; above, with s̃ = min(s, 2),
    p = ⌊γ/(s̃ + 1)⌋ (arXiv:2401.01270):

    γ − p on [p(s̃+1), ps̃+p+1), (γ − p + ps̃ + 1)/2 on [ps̃+p+1, ps̃+p+2s̃−1), (p+1)s̃ beyond.

    >>> ridge_in_dimension(2.0, 2.0)
    1.5
    """
    if source <= 1:
        return minimax_in_dimension(source, gamma)
    seen = min(source, 2.0)
    p = math.floor(gamma / (seen + 1))
    start = p * (seen + 1)
    if gamma < start + 1:
        return gamma - p
    if gamma < start + 2 * seen - 1:
        return (gamma - p + p * seen + 1) / 2
    return (p + 1) * seen
