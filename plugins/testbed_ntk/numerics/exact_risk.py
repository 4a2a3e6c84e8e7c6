"""∫ (f_t − f*)² of kernel regression under the design's law, from the dual coefficients alone.

f_t = Σ_i α_i k(x_i, ·). On the sphere k(x, z) = Σ_k μ_k N_k P_k(⟨x, z⟩), and N_k P_k reproduces the
harmonics of degree k (Müller, Spherical Harmonics, 1966), so that

    ‖f_t‖² = Σ_k μ_k² N_k αᵀP_k(XXᵀ)α,    ⟨f_t, f*⟩ = Σ_k μ_k Σ_i α_i (P_k f*)(x_i),

with f* = Σ_k Σ_j c_kj P_k(⟨w_j, ·⟩). On the torus f_t has the coefficients λ_m Σ_i α_i e_m(x_i) on
the trigonometric basis e_m, and f* = Σ_j s_j sin(π⟨a_j, ·⟩) + c_j cos(π⟨a_j, ·⟩) has integrals of
products of waves. Everything here is in float64.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import torch

from testbed import Risk, UnsuitableError
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.numerics.kernels import (
    Kernel,
    flat,
    half_lattice,
    torus_eigenvalues,
    torus_features,
)
from testbed_ntk.numerics.profiles import Profile
from testbed_ntk.numerics.sphere import EPS, sphere_spectrum

if TYPE_CHECKING:
    from torch import Tensor

BLOCK = 32_768  # cosines whose Gegenbauer polynomials stay in cache
WAVES = 4_000_000  # numbers of a block of integrals of products of waves
DIFFERENT = 1e-6  # relative difference of kernel and profile beyond which they are two kernels
DIGITS = 64  # units of rounding of k(1), divided by √N_k, that an eigenvalue may be off, doubled

Expansion: TypeAlias = "Mapping[str, Tensor]"


# --- sphere ---------------------------------------------------------------------------------------


class Levels(NamedTuple):
    """Eigenvalues of degrees 0, 1, …, as far as they are listed."""

    eigenvalue: np.ndarray  # (degrees,) μ_k; 0 where it drowns in rounding
    multiplicity: np.ndarray  # (degrees,) N_k
    size: float  # k(1) = Σ_k μ_k N_k over all degrees
    beyond: float  # no eigenvalue that is not listed is larger


def levels_of(profile: Profile, dim: int) -> Levels:
    """The degrees of k(⟨x, z⟩) = Σ_j a_j ⟨x, z⟩^j up to the last eigenvalue above rounding.

    Where no a_j is negative μ_{k+2} ≤ μ_k: each a_j has in μ_{k+2} the factor (j − k)/(j + k + d)
    of what it has in μ_k. So the last two bound all that follow.
    """
    spectrum = sphere_spectrum(profile, dim)
    size = float(profile.value(np.ones(1))[0])
    count = int(np.flatnonzero(spectrum.eigenvalue)[-1]) + 1
    rounding = DIGITS / 2 * EPS * size
    beyond = float(spectrum.eigenvalue[-2:].max()) + rounding
    if profile.coefficients is not None and count == len(profile.coefficients):
        beyond = rounding  # a polynomial, which has no degrees above its own
    return Levels(spectrum.eigenvalue[:count], spectrum.multiplicity[:count], size, beyond)


class ZonalForms:
    """The quadratic forms of an inner-product kernel on one set of points of the unit sphere."""

    def __init__(self, name: str, profile: Callable[[], Profile | None], kernel: Kernel, x: Tensor):
        self.name, self._profile, self._kernel = name, profile, kernel
        self._x = x

    @functools.cached_property
    def x(self) -> Tensor:
        """The points, (n, d), of norm 1 to the last digit of float64."""
        x = flat(self._x).double()
        norm = x.norm(dim=1, keepdim=True)
        off = float((norm - 1).abs().max())
        if off > DIFFERENT:
            raise UnsuitableError(
                f"{self.name}: found training inputs whose norm is {off:.3g} off 1, expected "
                "points of the unit sphere; measure excess-risk, on test points"
            )
        return x / norm

    @functools.cached_property
    def levels(self) -> Levels:
        profile = self._profile()
        if profile is None:
            raise UnsuitableError(
                f"{self.name}: found a kernel that is no function of the cosine, expected one that "
                "is; measure excess-risk, on test points"
            )
        return levels_of(profile, self.x.shape[1])

    @functools.cached_property
    def matrices(self) -> tuple[Tensor, Tensor]:
        """Σ_k μ_k² N_k P_k(XXᵀ) and K − Σ_k μ_k N_k P_k(XXᵀ), (n, n) each."""
        mu, count = self.levels.eigenvalue, self.levels.multiplicity
        remainder = gram_matrix(self._kernel, self.x)
        square = torch.empty_like(remainder)
        rows = max(BLOCK // len(self.x), 1)
        for top in range(0, len(self.x), rows):
            i = slice(top, top + rows)
            cosine = (self.x[i] @ self.x.mT).clamp_(-1, 1)
            cosine.diagonal(top).fill_(1)
            square[i], listed = zonal_sums(cosine, self.x.shape[1], (mu**2 * count, mu * count))
            remainder[i] -= listed
        self._expect_the_profile(remainder.diagonal())
        return square, remainder

    def _expect_the_profile(self, remainder: Tensor) -> None:
        """UnsuitableError unless the diagonal left over is the sum of the unlisted eigenvalues."""
        levels = self.levels
        unlisted = levels.size - float((levels.eigenvalue * levels.multiplicity).sum())
        off = float((remainder - unlisted).abs().max())
        if off > DIFFERENT * levels.size:
            raise UnsuitableError(
                f"{self.name}: found a kernel whose values k(x, x) differ by {off:.3g} from its "
                "profile on the unit sphere, expected equal ones; measure excess-risk, on test "
                "points"
            )

    def overlaps(self, truth: Expansion) -> Tensor:
        """⟨k(x_i, ·), f*⟩ = Σ_k μ_k (P_k f*)(x_i), (n,)."""
        mu, dim = self.levels.eigenvalue, self.x.shape[1]
        cosine = (self.x @ truth["directions"].double().mT).clamp_(-1, 1)  # (n, q)
        degree, weights = truth["degree"].long().tolist(), truth["weights"].double()
        total = torch.zeros(len(self.x)).to(self.x)
        for k, p in enumerate(gegenbauer(cosine, dim, min(max(degree), len(mu) - 1))):
            if k in degree:
                total += float(mu[k]) * (p @ weights[degree.index(k)])
        return total

    def risk(self, dual: Tensor, truth: Expansion) -> Risk:
        """The exact risk of the function of dual coefficients (n,), and how far it may be off.

        What the degrees beyond those listed hold of f_t is at most their largest eigenvalue times
        their part of αᵀKα; with the truth there it adds by Cauchy and Schwarz.
        """
        (square, remainder), levels, alpha = self.matrices, self.levels, dual.double()
        energy, degree = truth["energy"].double(), truth["degree"]
        norm = energy.sum()
        value = alpha @ (square @ alpha) - 2 * (self.overlaps(truth) @ alpha) + norm
        tail = levels.beyond * (alpha @ (remainder @ alpha)).clamp_min(0)
        missed = energy[degree >= len(levels.eigenvalue)].sum()
        spread = float((levels.eigenvalue * np.sqrt(levels.multiplicity)).sum())
        mass = levels.size * alpha.abs().sum()
        unit = DIGITS * torch.finfo(dual.dtype).eps
        rounding = unit * (mass * (spread / levels.size * mass + energy.sqrt().sum()) + norm)
        return Risk(value, tail + 2 * (tail * missed).sqrt() + rounding)


def gegenbauer(t: Tensor, dim: int, last: int) -> Iterator[Tensor]:
    """P_0(t), …, P_last(t), P_k(1) = 1: (k + d − 2)P_{k+1} = (2k + d − 2)tP_k − kP_{k−1}."""
    before, now = torch.ones_like(t), t
    yield before
    for k in range(1, last + 1):
        yield now
        ahead = torch.mul(t, now).mul_((2 * k + dim - 2) / (k + dim - 2))
        before, now = now, ahead.sub_(before, alpha=k / (k + dim - 2))


def zonal_sums(t: Tensor, dim: int, coefficients: Sequence[np.ndarray]) -> list[Tensor]:
    """Σ_k c_k P_k(t) for several sequences c, (degrees,) each.

    >>> zonal_sums(torch.tensor([0.5]), 3, [np.array([0.0, 1.0, 2.0])])  # t + 3t² − 1
    [tensor([0.2500])]
    """
    sums = [torch.zeros_like(t) for _ in coefficients]
    for k, p in enumerate(gegenbauer(t, dim, len(coefficients[0]) - 1)):
        for total, coefficient in zip(sums, coefficients, strict=True):
            total.add_(p, alpha=float(coefficient[k]))
    return sums


# --- torus ----------------------------------------------------------------------------------------


class TorusForms:
    """The trigonometric basis at one set of points, with a kernel's eigenvalues."""

    def __init__(self, largest: int, smoothness: float, x: Tensor):
        self._largest, self._smoothness, self._x = largest, smoothness, x

    @functools.cached_property
    def frequencies(self) -> list[tuple[int, ...]]:
        return half_lattice(self._x[0].numel(), self._largest)

    @functools.cached_property
    def eigenvalue(self) -> Tensor:
        """λ_m in the order of `torus_features`, (1 + 2M,)."""
        values = torus_eigenvalues(self.frequencies, self._smoothness)
        return torch.tensor(values, dtype=torch.float64, device=self._x.device)

    @functools.cached_property
    def features(self) -> Tensor:
        """λ_m e_m(x_i), (n, 1 + 2M)."""
        return torus_features(self._x.double(), self.frequencies) * self.eigenvalue

    def risk(self, dual: Tensor, truth: Expansion) -> Risk:
        """The exact risk of the function of dual coefficients (n,), and how far it may be off."""
        alpha, norm = dual.double(), truth["energy"].double().sum()
        coefficients = wave_coefficients(self.frequencies, truth)
        outside = (norm - coefficients.square().sum()).clamp_min(0)
        value = (alpha @ self.features - coefficients).square().sum() + outside
        unit = DIGITS * torch.finfo(dual.dtype).eps
        mass = math.sqrt(2) * self.eigenvalue.norm() * alpha.abs().sum()
        return Risk(value, unit * (mass * value.sqrt() + norm) + (unit * mass).square())


def wave_coefficients(frequencies: Sequence[tuple[int, ...]], truth: Expansion) -> Tensor:
    """Coefficients of Σ_j s_j sin(π⟨a_j, x⟩) + c_j cos(π⟨a_j, x⟩) on `torus_features`, (1 + 2M,).

    Under the uniform law on [−1, 1)^d, with S(b) = Π sin(πb_i)/(πb_i), the cosine of a has the mean
    S(a), and the mean S(a − m) + S(a + m), divided by √2, with √2cos(π⟨m, x⟩); the sine the
    difference of the two with √2sin(π⟨m, x⟩). For whole numbers S is 1 at 0, else 0.
    """
    waves = truth["frequencies"].double()  # (terms, d)
    sine, cosine = truth["sine"].double(), truth["cosine"].double()
    m = torch.tensor(frequencies).to(waves).reshape(len(frequencies), -1)
    coefficients = torch.zeros(len(m), 2).to(waves)
    rows = max(WAVES // max(m.numel(), 1), 1)
    for top in range(0, len(waves), rows):
        i = slice(top, top + rows)
        minus = torch.sinc(waves[i, None] - m).prod(-1)  # (terms, M)
        plus = torch.sinc(waves[i, None] + m).prod(-1)
        coefficients[:, 0] += cosine[i] @ (minus + plus)
        coefficients[:, 1] += sine[i] @ (minus - plus)
    mean = (cosine @ torch.sinc(waves).prod(-1)).reshape(1)
    return torch.cat([mean, coefficients.flatten() / math.sqrt(2)])
