"""The decay of a truth's coefficients on empirical eigenfunctions, above what leaks into them.

Of n points x_i and eigenfunctions φ_i with eigenvalues λ_i under the points' law, let f = Σ f_i φ_i
and E = (1/n) Σ φ(x)φ(x)ᵀ − I, whose entries have variance about 1/n. The coefficient of f on the
j-th empirical eigenfunction is √s_j ⟨v_j, Λ^{−1/2} f⟩, (s_j, v_j) the eigenpairs of
Λ^{1/2}(I + E)Λ^{1/2}, to first order f_j + Σ_{i≠j} λ_j E_ij f_i/(λ_j − λ_i): into mode j leaks the
energy Σ_i λ_j² f_i²/(n (λ_i − λ_j)²), which far below the large modes falls like λ_j², however fast
f_j² does. Perturbation as in Koltchinskii and Giné, Bernoulli 6 (2000), doi:10.2307/3318636.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from torch import Tensor

FAR = 2.0  # ratio of eigenvalues from which on energy counts as leaked, not as shared by neighbours
UNSURE = 2.0  # the leaked energy is known up to this factor
FEWEST = 5  # modes above the leakage from which a decay is estimated
ITERATIONS = 200
SMALL = 1e-8  # change of the slope at which the iteration stops


class Decay(NamedTuple):
    """The exponent s in f_j² ≍ λ_j^s/j, its standard error, and the number of modes from which it
    is estimated."""

    slope: Tensor  # ()
    error: Tensor  # ()
    modes: Tensor  # ()


def leaked(value: Tensor, energy: Tensor, first: int, count: float) -> Tensor:
    """Energy expected to leak from large modes into those from `first` on, (modes − first,).

    Eigenvalues (modes,), decreasing, and energies (modes,) of an empirical law of `count` points.

    >>> leaked(torch.tensor([1.0, 0.5, 0.1]), torch.tensor([9.0, 9.0, 0.0]), 2, 1.0)
    tensor([0.6736])
    """
    diagonal = value[first:, None]
    above = value > FAR * diagonal
    share = torch.where(above, diagonal / torch.where(above, value - diagonal, 1.0), 0.0).square()
    return share @ energy / count


def empirical_decay(value: Tensor, energy: Tensor, first: int, count: float) -> Decay:
    """The decay from mode `first` (counted from 0) on, by likelihood: energies are
    (A λ_j^s/j + leaked_j)·χ²₁.

    The error is that of the likelihood, of a leakage that is known to a factor of two only, and of
    a scatter beyond χ²'s. With fewer than five modes above the leakage the slope is that of all
    energy, a lower bound of s since leakage only flattens, and the error is NaN. Without energy,
    or with fewer than five modes in all, slope and error are NaN.
    """
    nothing = value.new_full((), torch.nan)
    if len(value) <= first:
        return Decay(nothing, nothing, torch.zeros_like(nothing))
    kept = int((value > len(value) * torch.finfo(value.dtype).eps * value[0]).sum())
    floor = leaked(value[:kept], energy[:kept], first, count)
    if len(floor) < FEWEST or not energy[first:kept].sum() > 0:
        return Decay(nothing, nothing, torch.zeros_like(nothing))
    x, energy = value[first:kept].log(), energy[first:kept]
    decay = _likeliest(x, energy, floor, first)
    if decay.modes < FEWEST:
        bound = _likeliest(x, energy, torch.zeros_like(floor), first)
        return Decay(bound.slope, nothing, decay.modes)
    shifted = _likeliest(x, energy, floor / UNSURE, first)
    return decay._replace(error=torch.hypot(decay.error, decay.slope - shifted.slope))


def _likeliest(x: Tensor, energy: Tensor, floor: Tensor, first: int) -> Decay:
    """Fisher scoring for log signal = log A + s x − log j; a step is halved until it climbs."""
    rank = torch.arange(first + 1, first + 1 + len(x), dtype=x.dtype, device=x.device)
    slope = torch.ones_like(x[0])
    level = x - x.mean() - rank.log() + (energy * rank).mean().log()
    for _ in range(ITERATIONS):
        share, remainder, centred, spread = _scores(x, level, energy, floor)
        lift = (share * remainder).sum() / share.square().sum()
        rise = ((share * remainder * centred).sum() / spread).clamp(-1, 1)
        step, now = 1.0, _likelihood(level, energy, floor)
        move = lift.clamp(-1, 1) + rise * centred
        while step > SMALL and not _likelihood(level + step * move, energy, floor) >= now:
            step /= 2
        level, slope = level + step * move, slope + step * rise
        if step * (abs(rise) + abs(lift)) < SMALL:
            break
    share, remainder, _, spread = _scores(x, level, energy, floor)
    weight = share.square()
    scatter = (weight * remainder.square()).sum() / weight.sum() / 2  # 1 for χ²₁
    error = (2 * scatter.clamp_min(1) / spread).sqrt()
    return Decay(slope, error, (share > 0.5).sum().to(x))


def _scores(
    x: Tensor, level: Tensor, energy: Tensor, floor: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The signal's share of each energy expected, relative residuals, and log eigenvalues about
    their mean, weighted by share², with their sum of squares."""
    total = level.exp() + floor
    share = level.exp() / total
    weight = share.square()
    centred = x - (weight * x).sum() / weight.sum()
    return share, energy / total - 1, centred, (weight * centred.square()).sum()


def _likelihood(level: Tensor, energy: Tensor, floor: Tensor) -> Tensor:
    total = level.exp() + floor
    return -(total.log() + energy / total).sum()
