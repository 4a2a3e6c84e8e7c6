"""Risks, losses and distances between estimators."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from attrs import frozen

from testbed import Cell, Data, Estimator, Example, Metric, Problem, Spectrum, Variable, parameter

if TYPE_CHECKING:
    from torch import Tensor


def weighted_squares(data: Data, difference: Tensor) -> Tensor:
    """Σ weight·difference² over points and outputs; (n,) or (n, outputs) → ()."""
    squares = difference.square()
    return (data.weight * (squares if squares.ndim == 1 else squares.sum(-1))).sum()


@frozen(kw_only=True)
class ExcessRisk(Metric):
    """Σ weight·(f − f*)² at the test points: the squared error of a sequence, the mean square of a
    regression. Models whose spectrum is the population's give it exactly, without test points.
    """

    name = "excess-risk"
    needs = (("exact_spectrum",), ("predictions",))
    variables: ClassVar[Mapping[str, Variable]] = {"excess_risk": Variable("excess risk ‖f − f*‖²")}

    def applies(self, cell: Cell) -> str | None:
        if cell.target.facts().truth_known:
            return None
        return f"the target {cell.target.name} has no known true function; use test-error"

    def measure(
        self,
        problem: Problem,
        predictions: Tensor | None = None,
        spectrum: Spectrum | None = None,
    ) -> dict[str, Tensor]:
        if spectrum is not None:
            error = (spectrum.estimate - spectrum.truth).square().sum(-1)
            return {"excess_risk": error + spectrum.outside}
        return {"excess_risk": weighted_squares(problem.test, predictions - problem.test.truth)}


@frozen(kw_only=True)
class TrainingLoss(Metric):
    """The training loss ½ Σ weight·(y − f)²."""

    name = "training-loss"
    needs = (("train_predictions",), ("exact_spectrum",))
    variables: ClassVar[Mapping[str, Variable]] = {
        "training_loss": Variable("training loss ½ Σ weight·(y − f)²")
    }

    def applies(self, cell: Cell) -> str | None:
        loss = cell.optimizer.facts().loss
        return None if loss == "squared" else f"training descends the loss {loss!r}; measure that"

    def measure(
        self,
        problem: Problem,
        train_predictions: Tensor | None = None,
        spectrum: Spectrum | None = None,
    ) -> dict[str, Tensor]:
        if train_predictions is None and spectrum is not None:
            return {"training_loss": 0.5 * (spectrum.observed - spectrum.estimate).square().sum(-1)}
        data = problem.train
        return {"training_loss": 0.5 * weighted_squares(data, data.y - train_predictions)}


@frozen(kw_only=True)
class Gap(Metric):
    """Distance (Σ weight·(f − g)²)^½ to another estimator's predictions at equal time, both trained
    on the same draws."""

    name = "gap"
    needs = (
        ("predictions", "companion_predictions"),
        ("exact_spectrum", "companion_exact_spectrum"),
    )
    variables: ClassVar[Mapping[str, Variable]] = {
        "gap": Variable("distance of the predictions of two estimators")
    }

    to: str = parameter(help="name of the estimator whose predictions are compared")

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example({"to": "companion"}, {"companion": {"use": "ntk.rbf"}}),)

    def companion(self, estimator: Estimator, estimators: Mapping[str, Estimator]) -> Estimator:
        if self.to == estimator.name:
            raise ValueError(f"{self.to!r} is this estimator; its gap to itself is 0")
        partner = estimators[self.to]
        own_clocks = [
            member.optimizer.name
            for member in (estimator, partner)
            if member.optimizer.facts().clock == "own"
        ]
        if len(own_clocks) == 1:
            raise ValueError(
                f"the time of {own_clocks[0]} is not the flow's, so that {estimator.name!r} and "
                f"{partner.name!r} have no equal time; compare them at the best time of each"
            )
        return partner

    def measure(self, problem: Problem, **needs: Any) -> dict[str, Tensor]:
        if "predictions" in needs:
            difference = needs["predictions"] - needs["companion_predictions"]
            return {"gap": weighted_squares(problem.test, difference).sqrt()}
        difference = needs["spectrum"].estimate - needs["companion_spectrum"].estimate
        return {"gap": difference.square().sum(-1).sqrt()}
