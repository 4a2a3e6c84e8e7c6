"""A product of coordinates times an indicator."""

from __future__ import annotations

from typing import Any

import numpy as np
from attrs import frozen

from testbed import POINTS, Example, Mistake, Sample, Space, Target, narrow_misfit
from testbed_basics.targets.hermite import hermite_sum
from testbed_basics.targets.inputs import Expansion, columns, expansion_of, law, scale, width
from testbed_basics.targets.zonal import gegenbauer, multiplicity

LISTED = 41  # degrees of the indicator, beyond which its energy is gathered


@frozen(kw_only=True)
class IndicatorProduct(Target):
    """f*(x) = x₀x₁·1{x₅ > 0}, coordinates counted from 0 (recursive feature machines).

    Only three coordinates matter; a kernel on all coordinates cannot know which.
    """

    name = "indicator-product"
    references = ("arXiv:2212.13881",)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"design": {"use": "gaussian", "dim": 8}}),)

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        narrow = narrow_misfit(space, 6, f"{self.name}, a function of x₅,", "")
        return self.kind_misfit(space) or narrow

    def values(self, drawn: Any, x: np.ndarray) -> np.ndarray:
        rows = columns(x, self.name, 6)
        return np.asarray(rows[:, 0] * rows[:, 1] * (rows[:, 5] > 0))

    def expansion(self, drawn: Any, sample: Sample) -> Expansion:
        """Degree 2 + r carries ‖x₀x₁‖² times the energy at degree r of 1{t > 0}, whose total is ½.

        On the sphere t has the law of a coordinate of S^{d+3}: given t the product has the factor
        1 − t², and (1 − t²)² carries the weight of d dimensions into that of d + 4.
        """
        columns(sample.x, self.name, 6)
        if law(sample) == "hypercube":
            return expansion_of({2: 0.25, 3: 0.25})
        if law(sample) == "gaussian":
            size, shares = scale(sample) ** 4, _gaussian_shares()
        elif law(sample) == "sphere":
            dim = width(sample, self.name)
            size, shares = 1 / (dim * (dim + 2)), _sphere_shares(dim + 4)
        else:
            return {}
        energies = {2.0 + r: size * share for r, share in enumerate(shares)}
        energies[np.inf] = size * (0.5 - float(shares.sum()))
        return expansion_of(energies)


def _gaussian_shares() -> np.ndarray:
    """E[1{z > 0} h_r]² = (φ(0) h_{r−1}(0))²/r, from ∫_0^∞ He_r φ = He_{r−1}(0) φ(0); (LISTED,)."""
    shares = np.empty(LISTED)
    shares[0] = 0.25
    for r in range(1, LISTED):
        at_zero = hermite_sum((*(0.0,) * (r - 1), 1.0), np.zeros(()))
        shares[r] = float(at_zero) ** 2 / (2 * np.pi * r)
    return shares


def _sphere_shares(dim: int) -> np.ndarray:
    """N(d, r) E[1{t > 0} P_r(t)]², t a coordinate of the uniform point on S^{d−1}; (LISTED,).

    The integral over half the range, by Gauss–Legendre quadrature in the angle t = sin θ, density ∝
    cos^{d−2} θ, over the part where it is not negligible.
    """
    end = min(np.pi / 2, np.sqrt(2 * (40 + 2 * LISTED) / max(dim - 2, 1)))
    nodes, weights = np.polynomial.legendre.leggauss(300)
    angle = end * (nodes + 1) / 2
    density = weights * np.exp((dim - 2) * np.log(np.cos(angle)))
    density /= 2 * density.sum()  # half of all
    means = [p @ density for p in gegenbauer(np.sin(angle), dim, LISTED - 1)]
    return np.array([multiplicity(dim, r) * mean**2 for r, mean in enumerate(means)])
