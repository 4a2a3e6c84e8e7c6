"""Complexity of the truth along the learned order: span dimension, feature error, projections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from attrs import evolve, frozen

from testbed import Grid, Problem, Spectrum, Variable, parameter
from testbed.numerics.spans import (
    ordered_tails,
    projection_errors,
    projection_risks,
    span_dimension,
)
from testbed_basics.metrics.modes import chosen
from testbed_basics.metrics.spectra import SpectrumMetric

if TYPE_CHECKING:
    from torch import Tensor

ESD = ("arXiv:2509.20294",)


@frozen(kw_only=True)
class SpanDimension(SpectrumMetric):
    """Effective span dimension d†(τ) = min{k ≥ 1 : (1/k) Σ_{i>k} θ*²_{π_i} ≤ τ} in the learned
    order π, energies shared evenly within eigenspaces that a solver has found. NaN where no
    computed rank attains it."""

    name = "span-dimension"
    references = ESD
    variables: ClassVar[Mapping[str, Variable]] = {
        "span_dimension": Variable("effective span dimension d†(τ)")
    }

    tau: float | None = parameter(None, help="threshold τ; the noise ε² unless given", ge=0)

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        tail = ordered_tails(spectrum)
        tau = problem.noise if self.tau is None else torch.full_like(problem.noise, self.tau)
        return {"span_dimension": span_dimension(tail, tau)}


@frozen(kw_only=True)
class SpanProfile(SpectrumMetric):
    """The span profile τ ↦ d†(τ)."""

    name = "span-profile"
    references = ESD
    variables: ClassVar[Mapping[str, Variable]] = {
        "span_profile": Variable("effective span dimension d†(τ)", ("tau",))
    }

    tau: Grid = parameter(
        Grid(tuple(np.geomspace(1e-7, 1e-2, 20))), help="thresholds τ", sweepable=False
    )

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {"tau": np.array(self.tau.values)}

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        tail = ordered_tails(spectrum)
        tau = torch.tensor(self.tau.values, dtype=tail.dtype, device=tail.device)
        return {"span_profile": span_dimension(tail, tau)}


@frozen(kw_only=True)
class FeatureError(SpectrumMetric):
    """Feature error measure inf_δ [ε²·#{j : λ_j ≥ δ} + Σ_{λ_j<δ} ⟨f*, e_j⟩²], cut by rank.

    This definition is testbed's own reading of the feature error measure of arXiv:2511.09425.
    """

    name = "feature-error"
    variables: ClassVar[Mapping[str, Variable]] = {
        "feature_error": Variable("feature error measure, infimum over the cut")
    }

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        risks = projection_risks(ordered_tails(spectrum), problem.noise)
        return {"feature_error": risks.amin(-1)}


@frozen(kw_only=True)
class OracleProjectionRisk(SpectrumMetric):
    """Oracle principal-component risk min_{k≥1} [kε² + Σ_{i>k} θ*²_{π_i}]."""

    name = "oracle-projection-risk"
    references = ESD
    variables: ClassVar[Mapping[str, Variable]] = {
        "oracle_projection_risk": Variable("oracle risk of projecting on top eigenspaces")
    }

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        risks = projection_risks(ordered_tails(spectrum), problem.noise)
        return {"oracle_projection_risk": risks[..., 1:].amin(-1)}


@frozen(kw_only=True)
class ProjectionError(SpectrumMetric):
    """Squared error of keeping the top observed coordinates, as many as the span dimension d†(ε²):
    Σ_{i≤d†} (z_{π_i} − θ*_{π_i})² + Σ_{i>d†} θ*²_{π_i}. With a grid `k`, of keeping k of them."""

    name = "projection-error"
    references = ESD
    variables: ClassVar[Mapping[str, Variable]] = {
        "projection_error": Variable("squared error of a projection on top eigenspaces")
    }

    k: Grid | None = parameter(
        None, help="numbers of coordinates kept; the span dimension unless given", sweepable=False
    )

    def declared(self) -> Mapping[str, Variable]:
        if self.k is None:
            return self.variables
        return {"projection_error": evolve(self.variables["projection_error"], dims=("k",))}

    def coordinates(self, sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
        return {} if self.k is None else {"k": chosen(self.k, sizes["modes"], "ranks k")}

    def measure(self, problem: Problem, spectrum: Spectrum) -> dict[str, Tensor]:
        errors = projection_errors(spectrum)
        if self.k is not None:
            ranks = chosen(self.k, errors.shape[-1] - 1, "ranks k")
            return {"projection_error": errors[torch.from_numpy(ranks).to(errors.device)]}
        rank = span_dimension(ordered_tails(spectrum), problem.noise)
        position = torch.nan_to_num(rank).to(torch.int64)
        error = torch.gather(errors, -1, position.unsqueeze(-1)).squeeze(-1)
        return {"projection_error": torch.where(torch.isnan(rank), torch.nan, error)}
