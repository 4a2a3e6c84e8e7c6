"""Diagonal over-parameterization: the model learns eigenvalues in a known basis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from attrs import frozen

from testbed import (
    SEQUENCES,
    Design,
    DoesNotApply,
    Example,
    Fit,
    HasExactSpectrum,
    HasFlow,
    HasPowerEigenvalues,
    Model,
    ModelFacts,
    PowerEigenvalues,
    Problem,
    Space,
    Spectrum,
    UnsuitableError,
    parameter,
)
from testbed_sequence.models.fixed import power_spectrum
from testbed_sequence.numerics.diagonal_flow import diagonal_flow

if TYPE_CHECKING:
    from torch import Tensor

Params: TypeAlias = "dict[str, Tensor]"


@frozen(kw_only=True)
class Diagonal(Model, HasFlow, HasExactSpectrum, HasPowerEigenvalues):
    """θ_j = a_j b_j^D β_j, all trained: ȧ = b^D β r, ḃ = D a b^{D−1} β r, β̇ = a b^D r, r = z − θ,
    from a = λ^{1/2}, b = b₀, β = 0 (arXiv:2409.00894, equations 7, 8, 13, 14).

    The flow conserves a² − β² = λ and b² − Dβ² = b₀²; every coordinate then follows one scalar
    equation, which is solved exactly.
    """

    name = "sequence.diagonal"
    references = ("arXiv:2409.00894", "arXiv:2509.20294")

    gamma: float = parameter(help="decay of the initial eigenvalues λ_j = j^{−γ}", gt=0)
    depth: int = parameter(0, help="number D of extra layers b", ge=0)
    b0: float | None = parameter(None, help="start of b; ε^{1/(D+2)} unless given", gt=0)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"gamma": 1.5}),)

    defined_on = SEQUENCES

    def facts(self) -> ModelFacts:
        return ModelFacts(batching="batch")

    def power_eigenvalues(self, space: Space) -> PowerEigenvalues:
        if space.kind != "sequence":
            raise DoesNotApply(f"{self.name} is a model of sequences")
        return PowerEigenvalues(self.gamma, True, self.depth, self.b0)

    def prepare(self, drawn: Any, problem: Problem) -> Params:
        prepared = {"eigenvalue": power_spectrum(problem.train.x, self.gamma)}
        if self.depth:
            prepared["b0"] = self._b0(problem.noise)
        return prepared

    def _b0(self, noise: Tensor) -> Tensor:
        """b₀ of each replicate, (replicates, 1)."""
        if self.b0 is not None:
            return torch.full_like(noise, self.b0).unsqueeze(1)
        if bool((noise == 0).any()):
            raise UnsuitableError(
                f"sequence.diagonal of depth {self.depth}: found noise 0, for which the default "
                "b0 = ε^{1/(D+2)} is 0 and no parameter would move; give b0"
            )
        return (noise ** (0.5 / (self.depth + 2))).unsqueeze(1)

    def start(self, drawn: Any, prepared: Params, problem: Problem) -> Params:
        eigenvalue = prepared["eigenvalue"]
        params = {"a": eigenvalue.sqrt(), "beta": torch.zeros_like(eigenvalue)}
        if self.depth:
            params["b"] = prepared["b0"].expand_as(eigenvalue)
        return params

    def _feature(self, params: Params) -> Tensor:
        """a b^D, the square root of the learned eigenvalue."""
        return params["a"] * params["b"] ** self.depth if self.depth else params["a"]

    def predict(self, prepared: Params, params: Params, probe: Any) -> Tensor:
        return self._feature(params) * params["beta"]

    def gradient(
        self, prepared: Params, params: Params, problem: Problem, rows: Tensor | None = None
    ) -> Params:
        feature, beta = self._feature(params), params["beta"]
        residual = feature * beta - problem.train.y
        slope = {"a": beta * residual, "beta": feature * residual}
        if self.depth:
            a, b = params["a"], params["b"]
            slope["a"] = b**self.depth * beta * residual
            slope["b"] = self.depth * a * b ** (self.depth - 1) * beta * residual
        return slope

    def flow(self, fit: Fit, last: Params, since: float, times: Sequence[float]) -> Params:
        eigenvalue = fit.prepared["eigenvalue"]
        b0 = fit.prepared["b0"] if self.depth else 1.0
        path = diagonal_flow(fit.problem.train.y, eigenvalue, b0, self.depth, times)
        params = {"a": path.a, "beta": path.beta}
        if self.depth:
            params["b"] = path.b
        return params

    def spectrum_length(self, design: Design, points: str) -> int:
        return design.sizes()[points]

    def spectrum(
        self, prepared: Params, params: Params, problem: Problem, kernel: str, points: str
    ) -> Spectrum:
        data, feature = problem.train, self._feature(params)
        outside = torch.zeros_like(problem.noise)
        return Spectrum(feature.square(), data.truth, feature * params["beta"], data.y, outside)
