"""Known orthonormal bases e_1, e_2, …: their values, their order, and the truth's coefficients.

Each basis lists its functions by increasing level ν ≥ 1, from which models take eigenvalues
ν^{−γ}. Points are (R, n, d), values (R, n, J), coefficients (R, J), R replicates.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from attrs import frozen

from testbed import Problem, UnsuitableError
from testbed_adaptive.numerics.orders import exponents, frequencies
from testbed_adaptive.numerics.solid_harmonics import harmonics, multiplicity

if TYPE_CHECKING:
    from torch import Tensor

CHUNK = 2_000_000  # numbers held at once while waves are projected on frequencies


class Basis:
    """The first functions of a basis in d dimensions."""

    needed: ClassVar[tuple[str, ...]]
    """The entries of a target's expansion that `coefficients` and the truth's energy come from."""

    def level(self) -> Tensor:
        """ν_j ≥ 1, not decreasing, (J,) float64."""
        raise NotImplementedError

    def values(self, x: Tensor) -> Tensor:
        """e_j(x), (R, n, d) → (R, n, J)."""
        raise NotImplementedError

    def coefficients(self, problem: Problem) -> Tensor:
        """⟨f*, e_j⟩, (R, J), from the target's own expansion; KeyError where it has none."""
        raise NotImplementedError


@frozen
class Waves(Basis):
    """1, √2cos(π⟨m, x⟩), √2sin(π⟨m, x⟩) on the torus [−1, 1)^d, one m of each pair ±m, by |m|²;
    level 1 + |m|²."""

    needed = ("frequencies", "sine", "cosine", "energy")

    dim: int
    modes: int

    def _half(self) -> Tensor:
        return torch.from_numpy(frequencies(self.dim, self.modes // 2 + 1))  # (h, d)

    def _both(self, cosine: Tensor, sine: Tensor) -> Tensor:
        """Values of cosines and sines (…, h) in the order of the basis (…, J): 0 has no sine."""
        pairs = torch.stack([cosine, sine], -1).flatten(-2)
        return torch.cat([pairs[..., :1], pairs[..., 2 : self.modes + 1]], -1)

    def level(self) -> Tensor:
        square = 1.0 + self._half().double().square().sum(-1)
        return self._both(square, square)

    def values(self, x: Tensor) -> Tensor:
        if bool((x.abs() > 1).any()):
            raise UnsuitableError(
                'found inputs outside [−1, 1] for basis = "torus", expected the design torus'
            )
        half = self._half().to(x)
        phase = math.pi * (x @ half.mT)
        waves = self._both(phase.cos(), phase.sin()).mul_(math.sqrt(2))
        waves[..., 0] = 1.0
        return waves

    def coefficients(self, problem: Problem) -> Tensor:
        """Of Σ_i s_i sin(π⟨a_i, x⟩) + c_i cos(π⟨a_i, x⟩): with S(v) = Π_k sinc(v_k), the products
        of two cosines have mean ½(S(a − m) + S(a + m)), of two sines ½(S(a − m) − S(a + m))."""
        waves, half = problem.expansion["frequencies"], self._half().to(problem.train.y)
        cosine = half.new_zeros(len(waves), len(half))
        sine = torch.zeros_like(cosine)
        rows = max(1, CHUNK // (len(waves) * len(half) * self.dim))
        for start in range(0, waves.shape[1], rows):
            part = slice(start, start + rows)
            a = waves[:, part, None, :]
            minus, plus = torch.sinc(a - half).prod(-1), torch.sinc(a + half).prod(-1)
            cosine += (problem.expansion["cosine"][:, part, None] * (minus + plus)).sum(1)
            sine += (problem.expansion["sine"][:, part, None] * (minus - plus)).sum(1)
        coefficients = self._both(cosine, sine) / math.sqrt(2)
        coefficients[:, 0] /= math.sqrt(2)  # the constant is not scaled by √2, and met twice
        return coefficients


@frozen
class Spherical(Basis):
    """Orthonormal spherical harmonics on S^{d−1} by degree k; level 1 + k."""

    needed = ("directions", "weights", "degree", "energy")

    dim: int
    modes: int

    def degrees(self) -> Tensor:
        """The degree of each function, (J,) int64."""
        return _sphere_degrees(self.dim, self.modes)

    def level(self) -> Tensor:
        return 1.0 + self.degrees().double()

    def values(self, x: Tensor) -> Tensor:
        if bool(((x.square().sum(-1) - 1).abs() > 1e-5).any()):
            raise UnsuitableError(
                'found inputs off the unit sphere for basis = "sphere", expected the design sphere'
            )
        last = int(self.degrees()[-1])
        return torch.cat(harmonics(x, last), -1)[..., : self.modes]

    def coefficients(self, problem: Problem) -> Tensor:
        """Of Σ_k Σ_i c_ki P_k(⟨w_i, x⟩): Σ_i c_ki Y_kj(w_i)/N(d, k) (Funk and Hecke)."""
        listed = problem.expansion["degree"][0].tolist()
        weights = problem.expansion["weights"]  # (R, levels, q)
        positions = [listed.index(k) if k in listed else -1 for k in self.degrees().tolist()]
        padded = torch.cat([weights, torch.zeros_like(weights[:, :1])], 1)
        count = torch.tensor([multiplicity(self.dim, k) for k in self.degrees().tolist()])
        values = self.values(problem.expansion["directions"])  # (R, q, J)
        return (padded[:, positions].mT * values).sum(1) / count.to(weights)


@lru_cache(maxsize=64)
def _sphere_degrees(dim: int, modes: int) -> Tensor:
    degrees: list[int] = []
    while len(degrees) < modes:
        k = degrees[-1] + 1 if degrees else 0
        degrees += [k] * multiplicity(dim, k)
        if multiplicity(dim, k) == 0:  # two points: nothing beyond degree 1
            raise UnsuitableError(
                f"found {modes} modes on the sphere in dimension {dim}, expected at most "
                f"{len(degrees)}"
            )
    return torch.tensor(degrees[:modes])


@frozen
class HermiteProducts(Basis):
    """Products Π_i h_{m_i}(x_i/s) of normalised Hermite polynomials, orthonormal under N(0, s²I).

    They are ordered by total degree |m|, and have the level 1 + |m|.
    """

    needed = ("directions", "hermite", "deviation", "energy")

    dim: int
    modes: int
    scale: float = 1.0

    def _slots(self) -> tuple[Tensor, Tensor]:
        """The coordinates and degrees of each product's factors, (J, slots); degree 0 is 1."""
        place, degree = exponents(self.dim, self.modes)
        return torch.from_numpy(place), torch.from_numpy(degree)

    def level(self) -> Tensor:
        return 1.0 + self._slots()[1].double().sum(-1)

    def values(self, x: Tensor) -> Tensor:
        place, degree = (table.to(x.device) for table in self._slots())
        polynomials = torch.stack(_hermite(x / self.scale, int(degree.max())), -1)  # (R, n, d, r)
        product = x.new_ones(())
        for slot in range(place.shape[1]):
            product = product * polynomials[..., place[:, slot], degree[:, slot]]
        return product

    def coefficients(self, problem: Problem) -> Tensor:
        """Of q^{−1/2} Σ_i Σ_r g_r h_r(⟨w_i, x⟩/s): q^{−1/2} g_{|m|} √(|m|!/m!) Σ_i Π_k w_ik^{m_k}
        (addition theorem of Hermite polynomials)."""
        expansion = problem.expansion
        if not torch.allclose(expansion["deviation"], torch.full_like(problem.noise, self.scale)):
            raise UnsuitableError(
                f'found scale = {self.scale:g} for basis = "hermite" and inputs of the standard '
                f"deviation {float(expansion['deviation'][0]):g}, expected equal ones"
            )
        directions, hermite = expansion["directions"], expansion["hermite"]
        place, degree = self._slots()
        factors = directions[..., place] ** degree.to(directions)  # (R, q, J, slots)
        total = degree.sum(-1)
        ratio = [math.factorial(int(k)) for k in total]
        below = [math.prod(math.factorial(int(r)) for r in row) for row in degree]
        roots = torch.tensor([math.sqrt(a / b) for a, b in zip(ratio, below, strict=True)])
        missing = max(int(total.max()) + 1 - hermite.shape[1], 0)
        padded = torch.cat([hermite, hermite.new_zeros(len(hermite), missing)], 1)[:, total]
        shared = factors.prod(-1).sum(1) / math.sqrt(directions.shape[1])
        return padded * roots.to(hermite) * shared


def _hermite(z: Tensor, degree: int) -> list[Tensor]:
    """h_0(z), …, h_degree(z): h_{r+1} = (z h_r − √r h_{r−1})/√(r+1)."""
    polynomials = [torch.ones_like(z), z]
    for r in range(1, degree):
        polynomials.append(
            (z * polynomials[r] - math.sqrt(r) * polynomials[r - 1]) / math.sqrt(r + 1)
        )
    return polynomials[: degree + 1]


@frozen
class Given(Basis):
    """The inputs' own coordinates, e_j(x) = x_j; level j."""

    needed = ("coefficients", "energy")

    dim: int
    modes: int

    def level(self) -> Tensor:
        return torch.arange(1.0, self.modes + 1, dtype=torch.float64)

    def values(self, x: Tensor) -> Tensor:
        return x[..., : self.modes]

    def coefficients(self, problem: Problem) -> Tensor:
        """The coefficients of a linear truth, whose coordinates must have mean square 1."""
        beta = problem.expansion["coefficients"]
        energy = problem.expansion["energy"].sum(-1)
        if not torch.allclose(beta.square().sum(-1), energy):
            raise UnsuitableError(
                'found coordinates whose mean square is not 1 for basis = "given", expected an '
                'orthonormal basis; standardise the inputs, or give truth = "sample"'
            )
        return beta[:, : self.modes]


BASES: dict[str, Any] = {
    "torus": Waves,
    "sphere": Spherical,
    "hermite": HermiteProducts,
    "given": Given,
}
