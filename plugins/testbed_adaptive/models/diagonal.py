"""The diagonal adaptive kernel: eigenvalues learned in a known basis, from a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from attrs import frozen

from testbed import (
    Eigensystem,
    Example,
    HasEigensystem,
    HasGram,
    HasPowerEigenvalues,
    ModelFacts,
    PowerEigenvalues,
    Problem,
    Space,
    Spectrum,
    UnsuitableError,
    Withheld,
    batch_of,
    parameter,
)
from testbed_adaptive.models.basis_model import (
    BasisModel,
    Prepared,
    combine,
    effective_noise,
    project,
    pull,
)

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"


@frozen(kw_only=True)
class DiagonalKernel(BasisModel, HasEigensystem, HasGram, HasPowerEigenvalues):
    """f(x) = Σ_j a_j b_j^D β_j e_j(x), all trained on (1/2n) Σ(y_i − f(x_i))² (arXiv:2501.08679;
    arXiv:2409.00894, §5): with ρ_j = (1/n) Σ_i e_j(x_i) r_i,

        ȧ_j = b_j^D β_j ρ_j,   ḃ_j = D a_j b_j^{D−1} β_j ρ_j,   β̇_j = a_j b_j^D ρ_j

    from a = λ^{1/2}, b = b₀, β = 0, λ_j = ν_j^{−γ} for the level ν_j of e_j. Each coordinate
    conserves a² − β² = λ and b² − Dβ² = b₀²; the residual r couples the coordinates.

    With learn = "none" the kernel Σ λ_j e_j(x) e_j(x') stays and the model is kernel regression in
    the same basis, on the same clock. Risks include the truth's energy outside of the basis.
    """

    name = "adaptive.diagonal"
    references = ("arXiv:2501.08679", "arXiv:2409.00894")

    gamma: float = parameter(help="decay of the initial eigenvalues λ_j = ν_j^{−γ}", gt=0)
    depth: int = parameter(0, help="number D of extra layers b", ge=0)
    b0: float | None = parameter(
        None, help="start of b; ε^{1/(D+2)}, ε² = Σ y²/n², unless given", gt=0
    )
    learn: str = parameter(
        "eigenvalues", help='"none" keeps the kernel fixed', choices=("eigenvalues", "none")
    )

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (
            Example(
                {"basis": "torus", "modes": 9, "gamma": 1.5, "depth": 1},
                {"design": {"use": "torus"}, "target": {"use": "trigonometric"}},
            ),
        )

    @property
    def fixed(self) -> bool:
        """Whether the kernel stays fixed."""
        return self.learn == "none"

    def facts(self) -> ModelFacts:
        """A fixed kernel has dual coefficients."""
        return ModelFacts(
            batching="batch",
            reads="inputs",
            coordinates="function" if self.fixed else "weights",
            outputs="one",
        )

    def withheld(self) -> Withheld:
        moves: Withheld = {HasEigensystem: 'its kernel moves; learn = "none" keeps it fixed'}
        return {**super().withheld(), **({} if self.fixed else moves)}

    def power_eigenvalues(self, space: Space) -> PowerEigenvalues:
        gamma = self.index_power(self.gamma, space)
        return PowerEigenvalues(gamma, not self.fixed, self.depth, self.b0)

    # --- the start --------------------------------------------------------------------------------

    def prepare(self, drawn: Any, problem: Problem) -> Prepared:
        x = problem.train.x
        basis = self.basis_of(x)
        values = basis.values(x)  # (R, n, J)
        eigenvalue = self.indices(basis, x) ** -self.gamma
        prepared: Prepared = {
            "x": x, "values": values, "eigenvalue": eigenvalue.expand(len(x), -1)
        }  # fmt: skip
        if self.fixed:
            weighted = problem.train.weight.sqrt().unsqueeze(-1) * values * eigenvalue.sqrt()
            prepared |= _eigenpairs(weighted)
        return prepared

    def start(self, drawn: Any, prepared: Prepared, problem: Problem) -> Params | Tensor:
        data, eigenvalue = problem.train, prepared["eigenvalue"]
        if data.y.ndim != data.weight.ndim:
            raise UnsuitableError(
                f"{self.name}: found observations of several outputs, expected one number each"
            )
        if self.fixed:
            return torch.zeros_like(data.y)
        params = {"a": eigenvalue.sqrt(), "beta": torch.zeros_like(eigenvalue)}
        if self.depth:
            params["b"] = self._b0(problem).unsqueeze(-1).expand_as(eigenvalue)
        return params

    def _b0(self, problem: Problem) -> Tensor:
        """b₀ of each replicate, (R,)."""
        noise = effective_noise(problem)
        if self.b0 is not None:
            return torch.full_like(noise, self.b0)
        if bool((noise == 0).any()):
            raise UnsuitableError(
                f"{self.name} of depth {self.depth}: found observations that are all 0, for which "
                "the default b0 = ε^{1/(D+2)} is 0 and no parameter would move; give b0"
            )
        return noise ** (0.5 / (self.depth + 2))

    # --- the function and its gradient ------------------------------------------------------------

    def _feature(self, params: Params) -> Tensor:
        """a b^D, the square root of the learned eigenvalue."""
        return params["a"] * params["b"] ** self.depth if self.depth else params["a"]

    def _estimate(self, prepared: Prepared, params: Any) -> Tensor:
        """θ, the coefficients of f, (R, J)."""
        if self.fixed:
            return prepared["eigenvalue"] * project(prepared["values"], params)
        return self._feature(params) * params["beta"]

    def probe(self, prepared: Prepared, x: Tensor) -> Tensor:
        if x is prepared["x"]:
            values: Tensor = prepared["values"]
            return values
        return self.basis_of(x).values(x)

    def predict(self, prepared: Prepared, params: Any, probe: Tensor) -> Tensor:
        return combine(probe, self._estimate(prepared, params))

    def gradient(
        self, prepared: Prepared, params: Any, problem: Problem, rows: Tensor | None = None
    ) -> Any:
        """−ρ_j times its factors above; for a fixed kernel W(f − y), in dual coordinates."""
        if self.fixed:
            return self._dual_gradient(prepared, params, problem, rows)
        data, values = batch_of(problem.train, rows), prepared["values"]
        if rows is not None:
            values = torch.gather(values, 1, rows[..., None].expand(*rows.shape, values.shape[-1]))
        feature, beta = self._feature(params), params["beta"]
        residual = pull(values, feature * beta, data.y, data.weight)
        slope = {"a": beta * residual, "beta": feature * residual}
        if self.depth:
            a, b = params["a"], params["b"]
            slope["a"] = b**self.depth * beta * residual
            slope["b"] = self.depth * a * b ** (self.depth - 1) * beta * residual
        return slope

    def _dual_gradient(
        self, prepared: Prepared, dual: Tensor, problem: Problem, rows: Tensor | None
    ) -> Tensor:
        data = problem.train
        fitted = combine(prepared["values"], self._estimate(prepared, dual))
        slope = data.weight * (fitted - data.y)
        if rows is None:
            return slope
        share = data.weight.shape[-1] / rows.shape[-1]
        chosen = share * torch.gather(slope, -1, rows)
        return torch.zeros_like(slope).scatter_add(-1, rows, chosen)

    def eigensystem(self, prepared: Prepared) -> Eigensystem:
        start = torch.zeros_like(prepared["vectors"][..., 0])
        return Eigensystem(prepared["value"], prepared["vectors"], start)

    # --- the learned kernel -----------------------------------------------------------------------

    def _eigenvalue(self, prepared: Prepared, params: Any, kernel: str) -> Tensor:
        """(a b^D)² of the features' kernel; of the tangent kernel Σ (∂θ/∂(a, b, β))², (R, J)."""
        if self.fixed:
            eigenvalue: Tensor = prepared["eigenvalue"]
            return eigenvalue
        feature = self._feature(params).square()
        if kernel == "features":
            return feature
        deep = params["b"] ** (self.depth - 1) if self.depth else params["a"].new_ones(())
        beta = params["beta"] * deep
        if not self.depth:
            return feature + beta.square()
        return feature + beta.square() * (
            params["b"].square() + (self.depth * params["a"]).square()
        )

    def spectrum(
        self, prepared: Prepared, params: Any, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        """Under the law for which the basis is orthonormal, in the order of the basis."""
        data = problem.train
        truth, outside = self.truth_in_basis(self.basis_of(data.x), problem)
        observed = project(prepared["values"], data.weight * data.y)
        eigenvalue = self._eigenvalue(prepared, params, kernel)
        estimate = self._estimate(prepared, params)
        return Spectrum(eigenvalue, truth, estimate, observed, outside)

    def gram(self, prepared: Prepared, params: Any, x: Tensor, kernel: str) -> Tensor:
        values = self.probe(prepared, x)
        eigenvalue = self._eigenvalue(prepared, params, kernel)
        return (values * eigenvalue.unsqueeze(-2)) @ values.mT


def _eigenpairs(weighted: Tensor) -> Prepared:
    """Eigenvalues (R, k) and eigenvectors (R, n, k) of A Aᵀ, A (R, n, J): all n if J ≥ n, else the
    J that can be above 0, by singular values."""
    if weighted.shape[-1] < weighted.shape[-2]:
        vectors, root, _ = torch.linalg.svd(weighted, full_matrices=False)
        return {"value": root.square(), "vectors": vectors}
    value, vectors = torch.linalg.eigh(weighted @ weighted.mT)
    return {"value": value.clamp_min(0), "vectors": vectors}
