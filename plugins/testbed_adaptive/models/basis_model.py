"""Base of models in a known basis: the basis, its eigenvalues, and the truth's coefficients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from attrs import frozen

from testbed import (
    POINTS,
    DoesNotApply,
    HasExactSpectrum,
    Mistake,
    Model,
    Problem,
    Space,
    UnsuitableError,
    Withheld,
    lacks_in_expansion,
    narrow_misfit,
    parameter,
)
from testbed_adaptive.numerics.bases import BASES, Basis, Given

if TYPE_CHECKING:
    from torch import Tensor

MODES = 512  # default number of functions of an infinite basis
LAW_OF = {"torus": "torus", "sphere": "sphere", "hermite": "euclidean"}
"""The kind of design on which the functions of each basis are orthonormal."""
CACHED = 131072  # numbers of a block of rows


@frozen(kw_only=True)
class BasisModel(Model, HasExactSpectrum):
    """Base of the models in a known orthonormal basis e_1, e_2, …; no scenario can name it."""

    basis_name: str = parameter(
        alias="basis",
        help="torus: sines and cosines on [−1, 1)^d; sphere: spherical harmonics; hermite: "
        "products of Hermite polynomials under N(0, scale²I); given: the inputs' own coordinates",
        choices=tuple(BASES),
    )
    modes: int | None = parameter(
        None, help="number J of functions; 512, or all of a given basis, unless given", ge=1
    )
    order: str = parameter(
        "level",
        help="the number in which eigenvalues decay: the function's level (1 + |m|² on the torus, "
        "1 + degree on the sphere and for hermite, its number if given) or its index j",
        choices=("level", "index"),
    )
    scale: float = parameter(1.0, help="standard deviation of the inputs, for hermite", gt=0)
    truth: str = parameter(
        "exact",
        help="where the truth's coefficients come from: the target's expansion, or sample, an "
        "estimate from the test points; risks then read predictions",
        choices=("exact", "sample"),
    )

    defined_on = POINTS

    def misfit(self, space: Space) -> Mistake | None:
        return self.basis_misfit(space) or self.truth_misfit(space)

    def basis_misfit(self, space: Space) -> Mistake | None:
        """The mistake of a basis that is not orthonormal on the space; None if it is."""
        mistake = self.kind_misfit(space)
        expected = LAW_OF.get(self.basis_name)
        if mistake or expected is None or space.kind == "data":
            return mistake or self._too_many(space)
        if space.kind != expected or (space.kind == "euclidean" and space.law != "gaussian"):
            text = f"found {self.name} with the basis {self.basis_name} on {space}"
            advice = 'choose the basis of the design, or basis = "given"'
            return Mistake("basis", text, f"a design of the kind {expected}", advice)
        if space.kind == "euclidean" and space.scale != self.scale:
            text = f"found a basis for inputs of scale {self.scale:g}"
            return Mistake("scale", text, f"the design's scale, {space.scale:g}")
        return None

    def truth_misfit(self, space: Space) -> Mistake | None:
        """The mistake of a target whose coefficients in the basis are not known."""
        if self.truth == "sample" or space.target is None or space.design is None:
            return None
        needed = BASES[self.basis_name].needed
        reason = lacks_in_expansion(space.target, space.design, *needed)
        if reason is None:
            return None
        return Mistake(
            "truth",
            f"found a truth with unknown coefficients in the basis {self.basis_name} ({reason})",
            "known ones",
            'give truth = "sample" to estimate them from the test points',
        )

    def _too_many(self, space: Space) -> Mistake | None:
        """The mistake of asking for more modes than a given basis has."""
        count = (self.modes or 0) if self.basis_name == "given" else 0
        return narrow_misfit(space, count, f"{count} modes of the given basis", "modes")

    def index_power(self, gamma: float, space: Space) -> float:
        """The decay in the index j of eigenvalues level^{−γ}, or index^{−γ}; DoesNotApply if they
        are not a power of it."""
        if self.order == "index" or self.basis_name == "given":
            return gamma
        if self.basis_name == "torus":
            return gamma * 2 / (space.dim or 1)
        raise DoesNotApply('it needs eigenvalues that decay in the index; give order = "index"')

    def basis_of(self, x: Tensor) -> Basis:
        """The basis for inputs (R, n, d)."""
        if x.ndim != 3:
            raise UnsuitableError(
                f"{self.name}: found inputs that are not rows of numbers, expected points; choose "
                "a design of points"
            )
        dim = x.shape[-1]
        if self.basis_name == "given":
            if (self.modes or 0) > dim:
                raise UnsuitableError(
                    f"{self.name}: found modes = {self.modes} for {dim} given coordinates, "
                    f"expected at most {dim}"
                )
            return Given(dim, self.modes or dim)
        scale = {"scale": self.scale} if self.basis_name == "hermite" else {}
        basis: Basis = BASES[self.basis_name](dim, self.modes or MODES, **scale)
        return basis

    def indices(self, basis: Basis, like: Tensor) -> Tensor:
        """The index of λ = index^{−γ}, (J,)."""
        level = basis.level()
        if self.order == "index":
            level = torch.arange(1.0, len(level) + 1, dtype=torch.float64)
        return level.to(like)

    def truth_in_basis(self, basis: Basis, problem: Problem) -> tuple[Tensor, Tensor]:
        """The truth's coefficients (R, J), and its energy outside of these functions (R,)."""
        if self.truth == "sample":
            data = problem.test
            coefficients = project(basis.values(data.x), data.weight * data.truth)
            energy = (data.weight * data.truth.square()).sum(-1)
        else:
            try:
                coefficients = basis.coefficients(problem)
                energy = problem.expansion["energy"].sum(-1)
            except KeyError:
                raise UnsuitableError(
                    f"{self.name}: found a target and design whose coefficients in the basis "
                    f"{self.basis_name!r} are not known, expected ones that are; give truth = "
                    '"sample" to estimate them from the test points'
                ) from None
        return coefficients, (energy - coefficients.square().sum(-1)).clamp_min(0.0)

    def withheld(self) -> Withheld:
        if self.truth == "exact":
            return {}
        reason = f"the truth's coefficients are estimated from a sample (truth of {self.name})"
        return {HasExactSpectrum: reason}


def project(values: Tensor, weighted: Tensor) -> Tensor:
    """Σ_i e_j(x_i) v_i: values (R, n, J), weighted (R, n) → (R, J)."""
    return (weighted.unsqueeze(-2) @ values).squeeze(-2)


def combine(values: Tensor, coefficients: Tensor) -> Tensor:
    """Σ_j θ_j e_j(x_i): values (R, n, J), coefficients (R, J) → (R, n)."""
    return (values @ coefficients.unsqueeze(-1)).squeeze(-1)


def pull(values: Tensor, coefficients: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Σ_i e_j(x_i) w_i (Σ_k θ_k e_k(x_i) − y_i), shapes as in `project` and `combine`: (R, J).

    Both products of a block of rows are taken while the block lies in the cache, which halves the
    memory traffic of a training step. Batched products of matrix and vector would be slower.
    """
    rows = max(1, CACHED // values.shape[-1])
    pulls = []
    for table, theta, labels, share in zip(values, coefficients, y, weight, strict=True):
        parts = [
            (share[top : top + rows] * (table[top : top + rows] @ theta - labels[top : top + rows]))
            @ table[top : top + rows]
            for top in range(0, len(table), rows)
        ]
        pulls.append(torch.stack(parts).sum(0))
    return torch.stack(pulls)


def effective_noise(problem: Problem) -> Tensor:
    """ε² = Σ weight²·y², the variance of Σ weight·y e_j(x) over random inputs, (R,).

    It estimates (σ² + ‖f*‖²)/n: the spread of the inputs adds to the noise.
    """
    data = problem.train
    return (data.weight * data.y).square().sum(-1)


Prepared = dict[str, Any]
