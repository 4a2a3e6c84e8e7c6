"""A learned basis: over-parameterization by an orthogonal matrix (arXiv:2412.18756, §4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from attrs import frozen

from testbed import (
    SEQUENCES,
    Fit,
    HasBasis,
    HasExactSpectrum,
    HasFlow,
    HasPredictions,
    Model,
    ModelFacts,
    Problem,
    Spectrum,
    Withheld,
    parameter,
)
from testbed.numerics.spans import resolution
from testbed_sequence.models.fixed import power_spectrum
from testbed_sequence.numerics.orthogonal_flow import (
    Matrices,
    Reduced,
    free_flow,
    matrix_start,
    reduced_flow,
    reduced_start,
)
from testbed_sequence.numerics.rotations import matrix_flow

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"


@frozen(kw_only=True)
class Orthogonal(Model, HasFlow, HasExactSpectrum, HasBasis):
    """θ = A diag(d) α with A ∈ O(J), all trained: ḋ = α∘e, α̇ = d∘e, Ȧ = A skew(y vᵀ), where
    y = Aᵀz, v = d∘α, e = y − v, from A = I, d = λ^{1/2}, α = 0.

    The start is testbed's choice; the one of the paper was not available. The reduced form follows
    (Aᵀz, d, α, Aᵀθ*) in O(J) a step and never forms A; the matrix form keeps A and turns it by
    exact rank-two rotations. With the constraint "free", A ranges over all matrices and the
    spectrum is the one of A diag(d²) Aᵀ.
    """

    name = "sequence.orthogonal"
    references = ("arXiv:2412.18756",)

    gamma: float = parameter(1.0, help="decay of the initial eigenvalues λ_j = j^{−γ}", gt=0)
    train: tuple[str, ...] = parameter(
        ("basis", "eigenvalues"),
        help="what is trained in addition to α: basis, eigenvalues or both",
        choices=("basis", "eigenvalues"),
    )
    constraint: str = parameter(
        "orthogonal", help="where A may move", choices=("orthogonal", "free")
    )
    form: str = parameter(
        "reduced",
        help='"matrix" keeps A, so that eigenvectors exist',
        choices=("reduced", "matrix"),
    )
    rtol: float = parameter(1e-10, help="relative tolerance of the flow", gt=0, lt=1)
    atol: float = parameter(1e-12, help="absolute tolerance of the flow", gt=0)

    @property
    def reduced(self) -> bool:
        """Whether A is never formed."""
        return self.form == "reduced" and self.constraint == "orthogonal"

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="batch")

    def withheld(self) -> Withheld:
        lost = (HasPredictions, HasBasis) if self.reduced else ()
        form = f'{self.name} in reduced form has no {{}}; use form = "matrix"'
        return {capability: form.format(capability.words) for capability in lost}

    defined_on = SEQUENCES

    def prepare(self, drawn: Any, problem: Problem) -> Tensor:
        return power_spectrum(problem.train.x, self.gamma)

    def start(self, drawn: Any, prepared: Tensor, problem: Problem) -> Params:
        data = problem.train
        if self.reduced:
            return reduced_start(data.y, prepared, data.truth)._asdict()
        return matrix_start(data.y, prepared)._asdict()

    def predict(self, prepared: Tensor, params: Params, probe: Any) -> Tensor:
        fitted = params["scale"] * params["weight"]
        return (params["basis"] @ fitted.unsqueeze(-1)).squeeze(-1)

    def gradient(
        self, prepared: Tensor, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        """The Riemannian gradient of ½‖z − A diag(d) α‖²; 0 for parameters that are not trained."""
        fitted = params["scale"] * params["weight"]
        if self.reduced:
            observed = params["observed"]
        else:
            observed = (params["basis"].mT @ problem.train.y.unsqueeze(-1)).squeeze(-1)
        residual = observed - fitted
        if self.constraint == "free":
            residual = self._projected_residual(params, problem)
        slope = {"weight": -params["scale"] * residual}
        slope["scale"] = (
            -params["weight"] * residual if "eigenvalues" in self.train else 0 * residual
        )
        slope |= self._turn(params, problem, observed, fitted)
        return {name: slope[name] for name in params}

    def _projected_residual(self, params: Params, problem: Problem) -> Tensor:
        """Aᵀ(z − Av) of a free A."""
        fitted = params["basis"] @ (params["scale"] * params["weight"]).unsqueeze(-1)
        residual = problem.train.y - fitted.squeeze(-1)
        return (params["basis"].mT @ residual.unsqueeze(-1)).squeeze(-1)

    def _turn(self, params: Params, problem: Problem, y: Tensor, v: Tensor) -> Params:
        """Minus the velocity of the basis, or of vectors in its coordinates."""
        moves = float("basis" in self.train)
        if self.reduced:

            def turned(u: Tensor) -> Tensor:  # skew(y vᵀ) u
                inner = (v * u).sum(-1, keepdim=True), (y * u).sum(-1, keepdim=True)
                return 0.5 * moves * (inner[0] * y - inner[1] * v)

            return {"observed": turned(params["observed"]), "truth": turned(params["truth"])}
        basis = params["basis"]
        if self.constraint == "free":
            residual = problem.train.y - (basis @ v.unsqueeze(-1)).squeeze(-1)
            return {"basis": -moves * residual.unsqueeze(-1) * v.unsqueeze(-2)}
        outer = y.unsqueeze(-1) * v.unsqueeze(-2)
        return {"basis": -0.5 * moves * basis @ (outer - outer.mT)}

    def flow(self, fit: Fit, last: Params, since: float, times: Sequence[float]) -> Params:
        options: dict[str, Any] = {
            "since": since, "train": self.train, "rtol": self.rtol, "atol": self.atol,
        }  # fmt: skip
        if self.reduced:
            return reduced_flow(Reduced(**last), times, **options)._asdict()
        route = free_flow if self.constraint == "free" else matrix_flow
        return route(fit.problem.train.y, Matrices(**last), times, **options)._asdict()

    def spectrum(
        self, prepared: Tensor, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        outside = torch.zeros_like(problem.noise)
        fitted = params["scale"] * params["weight"]
        if self.reduced:
            parts = (params["scale"].square(), params["truth"], fitted, params["observed"])
            return Spectrum(*parts, outside)
        data = problem.train
        if self.constraint == "free":
            scaled = params["basis"] * params["scale"].unsqueeze(-2)
            eigenvalue, vectors = torch.linalg.eigh(scaled @ scaled.mT)
            fitted = (vectors.mT @ self.predict(prepared, params, None).unsqueeze(-1)).squeeze(-1)
        else:
            eigenvalue, vectors = params["scale"].square(), params["basis"]
        truth, observed = ((vectors.mT @ u.unsqueeze(-1)).squeeze(-1) for u in (data.truth, data.y))
        solved = resolution(eigenvalue) if self.constraint == "free" else None
        return Spectrum(eigenvalue, truth, fitted, observed, outside, solved)

    def basis(self, prepared: Tensor, params: Params) -> Tensor:
        if self.constraint == "free":
            scaled = params["basis"] * params["scale"].unsqueeze(-2)
            return torch.linalg.eigh(scaled @ scaled.mT).eigenvectors
        return params["basis"]
