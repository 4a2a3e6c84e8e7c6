"""Learning curves of ridge regression on random features, without any data.

k features φ_j(x) = Σ_i W_ji e_i(x) with W_ji ~ N(0, λ_i/k), ridge δ on ΦΦᵀ + δI, n samples, target
coefficients v_i, noise σ². With z = Σ λ_i/(λ_i + γ) and q = Σ (λ_i/(λ_i + γ))² solve

    z + δ/κ = n,   z + kκ/γ = k,

    test = [Σ (γ/(λ_i + γ) − κλ_i/(λ_i + γ)²·k/(k − q)) v_i² + σ²] / D,
    D = 1 − (q(k − 2z) + z²)/(n(k − q))

(arXiv:2311.14646; proved in arXiv:2405.15699), a mean square with its noise σ². For k → ∞ it is the
equivalent of kernel ridge regression. An approximation, exact as n, k and the number of modes grow.
Features that are not Gaussian fall under it by their covariance alone (Gaussian equivalence).
Shares no code with the simulation.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, NamedTuple

import numpy as np
from attrs import frozen
from scipy import special

from testbed import (
    Cell,
    DoesNotApply,
    Example,
    HasRandomFeatures,
    Problem,
    RandomFeatures,
    Theory,
    Variable,
    declared,
    space_of,
)
from testbed_ntk.theories.deterministic_equivalent import Levels
from testbed_ntk.theories.subject import Energies, energies, expect_ridge, noise_of

ACCURACY = 0.15  # of features that are not Gaussian, where they were compared with simulations
UNRESOLVED = 0.01  # share of min(n, k) that unlisted modes may take up, or may not
DEGREES = 64  # degrees of the sphere that are listed
NODES = 96  # of each quadrature: eigenvalues to 1e-8 and better


class FeatureErrors(NamedTuple):
    """A mean square, with the γ and κ that it was computed from."""

    test: float  # with noise
    gamma: float
    kappa: float


def used(levels: Levels, gamma: float) -> tuple[float, float]:
    """z and q at γ: Σ λ/(λ + γ) and Σ (λ/(λ + γ))²; unlisted modes have λ ≪ γ."""
    learned = levels.eigenvalue / (levels.eigenvalue + gamma)
    z = float((levels.multiplicity * learned).sum()) + levels.tail / gamma
    return z, float((levels.multiplicity * learned**2).sum())


def effective_ridges(levels: Levels, n: float, width: float, ridge: float) -> tuple[float, float]:
    """γ and κ; both 0 where fewer modes than samples and features meet no ridge.

    The two equations are one, (k − z)(n − z)γ = kδ, whose left side rises in γ where z is below
    both n and k, and κ = (k − z)γ/k.
    """
    from scipy import optimize  # imported here: it slows down start-up

    count, fewest = levels.multiplicity[levels.eigenvalue > 0].sum(), min(n, width)
    if ridge == 0 and levels.tail == 0 and count < fewest:
        return 0.0, 0.0

    def excess(log_gamma: float) -> float:
        z = used(levels, math.exp(log_gamma))[0]
        if ridge == 0:
            return fewest - z
        return (width - z) * (n - z) * math.exp(log_gamma) - width * ridge if z < fewest else -1.0

    trace = float((levels.multiplicity * levels.eigenvalue).sum()) + levels.tail
    top = math.log(2 * trace / fewest + 4 * ridge / n)  # z ≤ fewest/2 there, and more
    while excess(top) < 0:
        top += 1.0
    bottom = top - 1.0
    while excess(bottom) > 0:
        bottom -= 1.0
    gamma = math.exp(optimize.brentq(excess, bottom, top, xtol=1e-14, rtol=1e-14))
    return gamma, max(width - used(levels, gamma)[0], 0.0) * gamma / width


def feature_errors(
    levels: Levels, n: float, width: float, ridge: float, noise: float
) -> FeatureErrors:
    """Test error of ridge δ on n samples of `width` random features, noise σ; infinite where the
    ridge is 0 and as many features as samples interpolate.

    >>> i = np.arange(1.0, 401)
    >>> found = feature_errors(Levels(i**-1.5, np.ones(400), i**-2), 100, 50, 0.1, 0.3)
    >>> round(found.gamma, 10), round(found.kappa, 11), round(found.test, 6)
    (0.0100564593, 0.00170942662, 0.26233)
    """
    total = float(levels.energy.sum()) + levels.outside
    if math.isinf(ridge):
        return FeatureErrors(total + noise**2, math.inf, math.inf)
    gamma, kappa = effective_ridges(levels, n, width, ridge)
    if gamma == 0:
        missed = float(levels.energy[levels.eigenvalue <= 0].sum()) + levels.outside
        count = float(levels.multiplicity[levels.eigenvalue > 0].sum())
        return FeatureErrors((missed + noise**2) / (1 - count / n), 0.0, 0.0)
    z, q = used(levels, gamma)
    spread = levels.eigenvalue + gamma
    drawn = kappa * levels.eigenvalue / spread**2 * width / (width - q)
    missed = float(((gamma / spread - drawn) * levels.energy).sum()) + levels.outside
    left = 1 - (q * (width - 2 * z) + z**2) / (n * (width - q))
    test = (missed + noise**2) / left if left > 1e-9 else math.inf
    return FeatureErrors(test, gamma, kappa)


def resolved(levels: Levels, fewest: float, gamma: float) -> bool:
    """Whether the modes that are not listed lie far enough below γ to act as ridge."""
    positive = levels.eigenvalue[levels.eigenvalue > 0]
    if not levels.tail or not len(positive) or not gamma:
        return True
    last = float(positive[-1])
    return levels.tail / gamma - levels.tail / (last + gamma) <= UNRESOLVED * fewest


# --- spectra of the features that networks draw ---------------------------------------------------

Activation = Callable[[np.ndarray], np.ndarray]
ACTIVATIONS: Mapping[str, Activation] = {
    "relu": lambda h: np.maximum(h, 0.0),
    "linear": lambda h: h,
    "quadratic": np.square,
    "tanh": np.tanh,
    "erf": lambda h: special.erf(h),
    "gelu": lambda h: h * special.ndtr(h),
    "sigmoid": lambda h: special.expit(h),
}


def sphere_levels(name: str, bias: bool, dim: int, energies: Energies) -> Levels:
    """Spectrum of E σ(⟨w, x⟩ + b)σ(⟨w, x'⟩ + b) on S^{d−1}, w ~ N(0, I), b ~ N(0, 1) or 0.

    Along a direction of length r, σ(rt + b) = Σ_k N_k c_k(r, b) P_k(t) by the formula of Funk and
    Hecke, so that the eigenvalue of degree k is E c_k². Gauss's rules over t on both sides of the
    kink that ReLU has, over r and over b.
    """
    value, trace = _spectrum(name, bias, dim)
    degree = np.arange(DEGREES)
    count = np.array([_multiplicity(dim, int(k)) for k in degree])
    kept = np.array([energies.get(float(k), 0.0) for k in degree])
    tail = max(trace - float(value @ count), 0.0)
    tail = 0.0 if tail < 1e-9 * trace else tail
    return Levels(value, count, kept, tail, max(sum(energies.values()) - float(kept.sum()), 0.0))


@functools.lru_cache(maxsize=64)
def _spectrum(name: str, bias: bool, dim: int) -> tuple[np.ndarray, float]:
    """Eigenvalues by degree, and E σ², their sum with multiplicities over all degrees."""
    radius, weight = _radii(dim)
    shift, share = np.zeros(1), np.ones(1)
    if bias:
        shift, share = special.roots_hermitenorm(NODES)
        share = share / share.sum()
    both = np.outer(weight, share).ravel()
    kept = both > 1e-18
    r, b = np.repeat(radius, len(shift))[kept], np.tile(shift, len(radius))[kept]
    value = both[kept] @ _projections(ACTIVATIONS[name], r[:, None], b[:, None], dim) ** 2
    value[value < 1e-15 * value.max()] = 0.0
    value.flags.writeable = False
    if name == "relu":  # exact, where the rule below meets the kink
        return value, (1 + bias) / 2
    nodes, mass = special.roots_hermitenorm(4 * NODES)
    squares = ACTIVATIONS[name](math.sqrt(1 + bias) * nodes) ** 2
    return value, float(mass @ squares / mass.sum())


def _radii(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Lengths of w ~ N(0, I_d) with their weights: r²/2 has a gamma law."""
    node, weight = special.roots_genlaguerre(NODES // 2, dim / 2 - 1)
    return np.sqrt(2 * node), weight / weight.sum()


def _projections(activation: Activation, r: np.ndarray, b: np.ndarray, dim: int) -> np.ndarray:
    """c_k = E σ(rt + b)P_k(t), t a coordinate of a uniform point, for r and b (m, 1):
    (m, DEGREES)."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    kink = np.arccos(np.clip(-b / r, -1.0, 1.0))
    angle = np.concatenate([kink * (node + 1) / 2, kink + (math.pi - kink) * (node + 1) / 2], 1)
    mass = np.concatenate([kink * weight / 2, (math.pi - kink) * weight / 2], 1)
    mass = mass * np.sin(angle) ** (dim - 2)
    mass = mass * math.exp(math.lgamma(dim / 2) - math.lgamma((dim - 1) / 2)) / math.sqrt(math.pi)
    t = np.cos(angle)
    mass = mass * activation(r * t + b)
    before, now = np.ones_like(t), t
    projections = [mass.sum(1)]
    for k in range(1, DEGREES):
        projections.append((mass * now).sum(1))
        before, now = now, ((2 * k + dim - 2) * t * now - k * before) / (k + dim - 2)
    return np.stack(projections, 1)


def _multiplicity(dim: int, degree: int) -> float:
    """Number of spherical harmonics of a degree on S^{d−1}."""
    if degree < 2:
        return float(dim**degree)
    return float(math.comb(degree + dim - 1, degree) - math.comb(degree + dim - 3, degree - 2))


# --- the theory -----------------------------------------------------------------------------------


@frozen(kw_only=True)
class RandomFeatureEquivalent(Theory):
    """Expected test error of ridge regression on random features of a network, from the spectrum of
    their covariance and the target's energy in each eigenspace (arXiv:2311.14646, 2405.15699); the
    ridge is δ = n/t, none at t = ∞.

    Holds for Gaussian features, which linear activations have on Gaussian points: over 200 draws at
    n, k of 50 to 1000 means were within 1.7% and two standard errors. By Gaussian equivalence other
    activations follow it on the sphere: ReLU features of n = 100 and 200 points and 10 to 1600
    features within 13% (ACCURACY; the scenario `double-descent`), within 7% but at small ridges.
    Infinite at t = ∞ with as many features as samples.
    """

    name = "ntk.random-feature-equivalent"
    references = ("arXiv:2311.14646", "arXiv:2405.15699")
    variables: ClassVar[Mapping[str, Variable]] = {
        "excess_risk": Variable("expected excess risk", predicts="excess_risk", accuracy=ACCURACY),
        "test_error": Variable(
            "expected mean square against noisy labels", predicts="test_error", accuracy=ACCURACY
        ),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {},
                {
                    "design": {"use": "sphere"},
                    "target": {"use": "linear"},
                    "model": {"use": "networks.random-features"},
                    "optimizer": {"use": "spectral-filter"},
                },
            ),
        )

    def predict(
        self, cell: Cell, times: Sequence[float], problem: Problem | None = None
    ) -> dict[str, np.ndarray]:
        form = declared(cell.model, HasRandomFeatures).random_features()
        expect_ridge(cell)
        levels = _levels(cell, form)
        n, noise = cell.design.sizes()["train"], noise_of(cell)
        ridges = [n / time if time else math.inf for time in times]
        errors_at = [feature_errors(levels, n, form.width, ridge, noise) for ridge in ridges]
        fewest = min(n, form.width)
        test = np.array(
            [
                errors.test if resolved(levels, fewest, errors.gamma) else math.nan
                for errors in errors_at
            ]
        )
        return {"excess_risk": test - noise**2, "test_error": test}


def _levels(cell: Cell, form: RandomFeatures) -> Levels:
    """Spectrum of the features' covariance; DoesNotApply where it is not known."""
    space = space_of(cell.design)
    gaussian = space.law == "gaussian" or space.variances is not None
    if space.dim is None or not (gaussian or space.kind == "sphere"):
        raise DoesNotApply(f"it covers the sphere and Gaussian points, not {cell.design.name}")
    if gaussian and (form.activation != "linear" or form.bias):
        raise DoesNotApply(
            "on Gaussian points it covers linear features without bias, no other activations"
        )
    if form.activation not in ACTIVATIONS:
        raise DoesNotApply(f"it does not know the activation {form.activation}")
    energy_of = energies(cell)
    if space.kind == "sphere":
        return sphere_levels(form.activation, form.bias, space.dim, energy_of)
    if space.variances is None:
        value, count, degree = np.array([space.scale**2]), np.array([float(space.dim)]), [1.0]
    else:
        value, count = np.array(space.variances), np.ones(space.dim)
        degree = np.arange(1.0, space.dim + 1).tolist()
    energy = np.array([energy_of.get(k, 0.0) for k in degree])
    return Levels(
        value, count, energy, 0.0, max(sum(energy_of.values()) - float(energy.sum()), 0.0)
    )
