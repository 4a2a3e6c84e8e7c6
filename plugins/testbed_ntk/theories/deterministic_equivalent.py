"""Learning curves of kernel ridge regression from a spectrum and a truth, without any data.

The eigenlearning equations (arXiv:2110.03922, equations 4–10; arXiv:2006.13198). For ridge on
K + δI with n samples, eigenvalues λ_i and target coefficients v_i:

    Σ λ_i/(λ_i + κ) + δ/κ = n,   L_i = λ_i/(λ_i + κ),   E₀ = n/(n − Σ L_i²),
    test = E₀ [Σ (1 − L_i)² v_i² + σ²],   train = (δ/(nκ))² test,

mean squares, the test error with its noise σ². An approximation, exact as n and the number of modes
grow. Shares no code with the simulation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

UNRESOLVED = 0.01  # share of the samples that unlisted modes may take up, or may not


class Levels(NamedTuple):
    """A spectrum by eigenspace, with the truth's energy in each."""

    eigenvalue: np.ndarray  # (levels,) λ > 0 or = 0
    multiplicity: np.ndarray  # (levels,)
    energy: np.ndarray  # (levels,) Σ v² over the eigenspace
    tail: float = 0.0  # trace of the eigenvalues that are not listed: all far below κ
    outside: float = 0.0  # energy of the truth that is not listed: never learned


class Errors(NamedTuple):
    """Mean squares at one sample size and ridge."""

    test: float  # with noise
    train: float
    kappa: float


def effective_ridge(levels: Levels, n: float, ridge: float) -> float:
    """κ of Σ λ/(λ + κ) + (δ + tail)/κ = n; 0 where fewer modes than samples meet no ridge.

    Unlisted modes of λ ≪ κ act as more ridge: Σ λ/(λ + κ) = tail/κ.
    """
    from scipy import optimize  # imported here: it slows down start-up

    constant = ridge + levels.tail
    positive = levels.eigenvalue > 0
    value, count = levels.eigenvalue[positive], levels.multiplicity[positive]
    if constant == 0 and count.sum() <= n:
        return 0.0

    def excess(log_kappa: float) -> float:
        kappa = np.exp(log_kappa)
        return float((count * (value / (value + kappa))).sum() + constant / kappa - n)

    # the left side is at most (trace + δ)/κ, and at least what it is at its largest term
    top = np.log(((count * value).sum() + constant) / n) + 1e-9
    step, bottom = 1.0, top - 1.0
    while excess(bottom) < 0:
        step *= 2
        bottom -= step
    return float(np.exp(optimize.brentq(excess, bottom, top, xtol=1e-14, rtol=1e-14)))


def resolved(levels: Levels, n: float, kappa: float) -> bool:
    """Whether the modes that are not listed lie far enough below κ to act as ridge.

    They hold `tail`, and none is larger than the last that is listed, λ. Σ λ_i/(λ_i + κ) over them
    is then between tail/(λ + κ) and tail/κ, which may differ by UNRESOLVED·n.
    """
    positive = levels.eigenvalue > 0
    if not levels.tail or not positive.any() or not kappa:
        return True
    last = float(levels.eigenvalue[positive][-1])
    return levels.tail / kappa - levels.tail / (last + kappa) <= UNRESOLVED * n


def ridge_errors(levels: Levels, n: float, ridge: float, noise: float) -> Errors:
    """Test and train error of ridge δ on n samples with noise σ.

    >>> i = np.arange(1.0, 401)
    >>> found = ridge_errors(Levels(i**-1.5, np.ones(400), i**-2), 50, 0.1, 0.3)
    >>> round(found.kappa, 10), round(found.test, 5)
    (0.0104905497, 0.18713)
    """
    total = float(levels.energy.sum()) + levels.outside
    if np.isinf(ridge):
        return Errors(total + noise**2, total + noise**2, np.inf)
    kappa = effective_ridge(levels, n, ridge)
    if kappa == 0:
        learned = (levels.eigenvalue > 0).astype(float)
    else:
        learned = levels.eigenvalue / (levels.eigenvalue + kappa)
    missed = float(((1 - learned) ** 2 * levels.energy).sum()) + levels.outside
    used = float((levels.multiplicity * learned**2).sum())
    test = n / (n - used) * (missed + noise**2) if used < n else np.inf
    share = ridge / (n * kappa) if kappa else max(1 - used / n, 0.0)
    return Errors(test, share**2 * test, kappa)
