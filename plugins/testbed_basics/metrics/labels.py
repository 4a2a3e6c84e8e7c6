"""Errors against observed labels, for data with an unknown truth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from attrs import frozen

from testbed import Cell, Data, Example, Metric, Problem, Variable
from testbed_basics.metrics.risks import weighted_squares
from testbed_basics.optimizers.losses import cross_entropy

if TYPE_CHECKING:
    from torch import Tensor


CLASSES = Example(
    {},
    {
        "design": {"use": "dataset"},
        "target": {"use": "labels"},
        "model": {"use": "ntk.rbf"},
    },
)
"""Data with two classes, with which metrics of labels are tried."""


@frozen(kw_only=True)
class TestError(Metric):
    """Σ weight·(f − y)² at the test points, y the noisy labels: for regression the mean square, in
    expectation the excess risk plus σ² where a truth is known."""

    __test__ = False  # the name begins with "Test": pytest must not collect it
    name = "test-error"
    needs = ("predictions",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "test_error": Variable("mean square against noisy test labels")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (CLASSES,)

    def measure(self, problem: Problem, predictions: Tensor) -> dict[str, Tensor]:
        return {"test_error": weighted_squares(problem.test, predictions - problem.test.y)}


@frozen(kw_only=True)
class Misclassification(Metric):
    """Share of the test points whose class is predicted wrongly: by the sign of one output, 0
    counted as negative, or by the largest of several. Classes are read from the labels as observed,
    so a design's noise can flip them."""

    name = "misclassification"
    needs = ("predictions",)
    variables: ClassVar[Mapping[str, Variable]] = {
        "misclassification": Variable("share of test points classified wrongly")
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (CLASSES,)

    def applies(self, cell: Cell) -> str | None:
        return no_classes(cell)

    def measure(self, problem: Problem, predictions: Tensor) -> dict[str, Tensor]:
        wrong = classes_of(predictions) != classes_of(problem.test.y)
        return {"misclassification": (problem.test.weight * wrong).sum()}


@frozen(kw_only=True)
class CrossEntropy(Metric):
    """−Σ weight·log p, p the probability that the predictions give to each point's class: 1/(1 +
    e^{∓f}) for one output, softmax(f) for several. The loss of `loss = "cross-entropy"`."""

    name = "cross-entropy"
    needs = ("predictions", "train_predictions")
    variables: ClassVar[Mapping[str, Variable]] = {
        "cross_entropy": Variable("cross-entropy at the test points"),
        "training_cross_entropy": Variable("cross-entropy at the training points"),
    }

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return Misclassification.examples()

    def applies(self, cell: Cell) -> str | None:
        return no_classes(cell)

    def measure(
        self, problem: Problem, predictions: Tensor, train_predictions: Tensor
    ) -> dict[str, Tensor]:
        return {
            "cross_entropy": _mean_cross_entropy(problem.test, predictions),
            "training_cross_entropy": _mean_cross_entropy(problem.train, train_predictions),
        }


def _mean_cross_entropy(data: Data, predictions: Tensor) -> Tensor:
    return (data.weight * cross_entropy(predictions, data.y, outputs=data.y.ndim > 1)).sum()


def no_classes(cell: Cell) -> str | None:
    """Why a cell's labels are no classes; None if they are."""
    if cell.target.facts().truth_known:
        return f"the target {cell.target.name} is a function, not labels of classes"
    space = cell.design.space()
    if space is not None and space.labels == "numbers":
        return f"the labels of {cell.design.name} are numbers, not classes"
    return None


def classes_of(values: Tensor) -> Tensor:
    """The predicted class, (n,): by the sign of (n,), by the largest output of (n, outputs)."""
    return values > 0 if values.ndim == 1 else values.argmax(-1)
