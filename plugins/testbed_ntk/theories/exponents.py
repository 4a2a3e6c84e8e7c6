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
    smoothness = min(source, 2 * qualification)
    time = decay / (smoothness * decay + 1)
    return -smoothness * time, time


def minimax_in_dimension(source: float, gamma: float) -> float:
    """r of the minimax risk d^{−r} at n = d^γ: max over p = 0, 1, … of min{(p+1)s, γ − p}.

    Gradient flow attains it (arXiv:2401.01270); it is flat where (p + 1)s is the smaller: the
    periodic plateau.

    >>> minimax_in_dimension(1.0, 1.5)
    1.0
    """
    return max(min((p + 1) * source, gamma - p) for p in range(math.floor(gamma) + 1))


def best_in_dimension(source: float, gamma: float, qualification: float) -> float:
    """r of the best risk d^{−r} at n = d^γ of an algorithm of qualification q ≥ ½, s̃ = min(s, 2q):

    max over p = 0, 1, … of min{(p + 1)s̃, γ − p, (ps̃ + q + q(γ − p))/(q + 1)}, the minimax one for
    s ≤ q.

    At the effective ridge d^{−θ}, p ≤ θ ≤ p + 1, the squared bias of the learned degrees k ≤ p has
    the exponents ks + 2q(θ − k), least at k = 0 or p, and that of degree p + 1 has (p + 1)s; the
    variance has γ − p of degree p and γ + p + 1 − 2θ of degree p + 1. At the best θ the least of
    bias meets the least of variance. q = 1 is ridge, q = ∞ gradient flow (arXiv:2401.01270).

    >>> best_in_dimension(2.0, 2.0, 1.0), best_in_dimension(2.0, 2.0, math.inf)
    (1.5, 2.0)
    """
    if math.isinf(qualification):
        return minimax_in_dimension(source, gamma)
    q, smoothness = qualification, min(source, 2 * qualification)
    return max(
        min((p + 1) * smoothness, gamma - p, (p * smoothness + q + q * (gamma - p)) / (q + 1))
        for p in range(math.floor(gamma) + 1)
    )
