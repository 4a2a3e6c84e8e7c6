"""Risk estimates from the training points alone: leave-one-out and generalised cross-validation.

Both read the smoother S_t of ŷ = f₀ + S_t(y − f₀) through its diagonal: nothing is refitted.
They estimate the mean square against noisy labels: `test-error`, or the excess risk plus σ².
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import torch
from attrs import frozen

from testbed import Cell, Data, Example, Metric, Optimizer, Problem, Variable
from testbed_basics.metrics.risks import weighted_squares
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter

if TYPE_CHECKING:
    from torch import Tensor

GOLUB = "doi:10.1080/00401706.1979.10489751"
MEASURED = {
    "flow": (-0.07, 0.06),
    "descent": (-0.07, 0.06),
    "heavy-ball": (-0.08, 0.06),
    "iterated-ridge": (-0.05, 0.02),
    "cutoff": (-0.31, 0.19),
}
"""Relative errors of leave-one-out by filter, smallest and largest, as `LeaveOneOutRisk` says."""
AT_INFINITY = (
    "exact at τ = ∞ but NaN where the fit interpolates, as kernels of full rank do: there both the "
    "residual and 1 − S_ii are 0; ridge at a late finite time has the limit"
)


def filter_of(optimizer: Optimizer) -> str:
    """The name of an optimizer's spectral filter; empty for optimizers of other plugins."""
    if isinstance(optimizer, SpectralFilter):
        return optimizer.filter
    if isinstance(optimizer, GradientDescent):
        return "heavy-ball" if optimizer.momentum else "descent"
    return "flow" if isinstance(optimizer, GradientFlow) else ""


def fitted_points(data: Data, leverage: Tensor) -> tuple[Data, Tensor]:
    """The data with weight on the fitted points only, and the leverage, 0 at other points."""
    left_out = torch.isnan(leverage)
    weight = torch.where(left_out, 0, data.weight)
    weight = weight * (data.weight.sum() / weight.sum())
    return data._replace(weight=weight), torch.where(left_out, 0, leverage)


@frozen(kw_only=True)
class LeaveOneOutRisk(Metric):
    """Σ weight·((y − ŷ)/(1 − S_ii))²: every point predicted from the others.

    Exact for ridge regression, where the refit without a point keeps its ridge n/t on K; for other
    filters an approximation, good while the fit does not interpolate. NaN where 1 − S_ii is below
    rounding, as for kernels of full rank at t = ∞: (K⁻¹y)_i/(K⁻¹)_ii, the leave-one-out of the
    interpolant of least norm, is the limit of ridge's, which late finite times show. The attribute
    `comment` says whether it is exact. Relative errors against refits without each point, smallest
    and largest (`MEASURED`: 40 points on S³, linear truth, σ = 0.4,
    ReLU tangent kernel of depth 2; at t = 1000 the fit interpolates):

        filter                     t ≤ 60           t = 1000
        ridge                      exact            exact
        flow                       −7% to +6%       3.6 to 6.5 times theirs
        descent                    −7% to +6%       3.6 to 6.6 times theirs
        heavy-ball (μ = 1/2)       −8% to +6%       3.7 to 6.7 times theirs
        iterated-ridge (q = 3)     −5% to +2%       +14% to +41%
        cutoff                     −31% to +19%     NaN

    With little noise it is worse (σ = 0.1: flow −31%), with more points better (160: flow ±2% for
    t ≤ 60). Source: Golub, Heath, Wahba, Technometrics 21 (1979).
    """

    name = "loo-risk"
    references: ClassVar[tuple[str, ...]] = (GOLUB,)
    needs = ("train_predictions", "leverage")
    variables: ClassVar[Mapping[str, Variable]] = {
        "loo_risk": Variable("leave-one-out mean square")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"optimizer": {"use": "spectral-filter"}}),)

    def comment(self, cell: Cell, variable: str) -> str:
        name = filter_of(cell.optimizer)
        if math.isinf(cell.times[-1]):
            return f"{self._accuracy(cell, name)}; {AT_INFINITY}"
        return self._accuracy(cell, name)

    def _accuracy(self, cell: Cell, name: str) -> str:
        """How far the estimate is from refits without each point."""
        if name == "ridge":
            return "exact for ridge"
        if name not in MEASURED:
            return f"an approximation for {cell.optimizer.name}, whose error has not been measured"
        low, high = MEASURED[name]
        return (
            f"an approximation for {name}, {low:+.0%} to {high:+.0%} off the refits of 40 points "
            "before the fit interpolated, useless beyond"
        )

    def measure(
        self, problem: Problem, train_predictions: Tensor, leverage: Tensor
    ) -> dict[str, Tensor]:
        data, leverage = fitted_points(problem.train, leverage)
        free = 1 - leverage
        lost = free < torch.finfo(free.dtype).eps ** 0.5
        free = torch.where(lost, torch.nan, free)
        residual = data.y - train_predictions
        left_out = residual / (free if residual.ndim == 1 else free[:, None])
        return {"loo_risk": weighted_squares(data, left_out)}


@frozen(kw_only=True)
class GeneralisedCrossValidation(Metric):
    """Σ weight·(y − ŷ)²/(1 − tr S/n)²: leave-one-out with every S_ii replaced by their mean.

    NaN where the fit interpolates. Source: Golub, Heath, Wahba, Technometrics 21 (1979).
    """

    name = "gcv"
    references: ClassVar[tuple[str, ...]] = (GOLUB,)
    needs = ("train_predictions", "leverage")
    variables: ClassVar[Mapping[str, Variable]] = {
        "gcv": Variable("generalised cross-validation ‖(I − S)y‖²/n/(1 − tr S/n)²")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({}, {"optimizer": {"use": "spectral-filter"}}),)

    def measure(
        self, problem: Problem, train_predictions: Tensor, leverage: Tensor
    ) -> dict[str, Tensor]:
        data, leverage = fitted_points(problem.train, leverage)
        free = 1 - (data.weight * leverage).sum() / data.weight.sum()
        free = torch.where(free < torch.finfo(free.dtype).eps ** 0.5, torch.nan, free)
        return {"gcv": weighted_squares(data, data.y - train_predictions) / free.square()}
