"""Metrics of the parameters, with a formula that tests edit and faults that they ask for."""

from __future__ import annotations

from attrs import frozen

from testbed import Estimator, Metric, MetricFacts, Variable, parameter
from testbed_basics.optimizers.gradient_flow import GradientFlow

FACTOR = 1.0


@frozen(kw_only=True)
class Size(Metric):
    """The sum of all squared parameters."""

    name = "counting.size"
    needs = ("parameters",)
    variables = {"counting_size": Variable("size")}  # noqa: RUF012
    fault: str = parameter("", help="what goes wrong")

    def facts(self):
        return MetricFacts(batching="batch" if self.fault == "sparse" else "vmap")

    def measure(self, problem, parameters):
        if self.fault == "sparse":
            return {"counting_size": parameters["beta"].sum(-1).to_sparse()}
        if self.fault == "raise":
            raise RuntimeError("no size today")
        return {"counting_size": FACTOR * sum((leaf**2).sum() for leaf in parameters.values())}


@frozen(kw_only=True)
class Distance(Metric):
    """How far the predictions are from those of gradient flow."""

    name = "counting.distance"
    needs = ("predictions", "companion_predictions")
    variables = {"counting_distance": Variable("distance")}  # noqa: RUF012

    def companion(self, estimator, estimators):
        return Estimator("flow", estimator.model, GradientFlow())

    def measure(self, problem, predictions, companion_predictions):
        return {"counting_distance": ((predictions - companion_predictions) ** 2).sum()}
