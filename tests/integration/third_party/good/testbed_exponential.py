"""A model and a metric as a stranger would write them, for one replicate."""

from attrs import frozen

import testbed
from testbed import Metric, Model, Variable, parameter


@frozen(kw_only=True)
class Exponential(Model):
    """θ_j = λ_j^{1/2} β_j with λ_j = e^{−cj}, trained in β."""

    name = "exponential.features"

    rate: float = parameter(help="decay c of the eigenvalues λ_j = e^{−cj}", gt=0)

    def prepare(self, drawn, problem):
        return (-self.rate / 2 * problem.train.x).exp()

    def start(self, drawn, prepared, problem):
        return 0 * prepared

    def predict(self, prepared, params, probe):
        return prepared * params


@frozen(kw_only=True)
class ReadoutNorm(Metric):
    """‖β‖, the norm of the readout in the space of its features."""

    name = "exponential.readout-norm"
    needs = ("parameters",)
    variables = {"readout_norm": Variable("norm of the readout")}  # noqa: RUF012

    def measure(self, problem, parameters):
        return {"readout_norm": parameters.square().sum().sqrt()}


@testbed.hookimpl
def testbed_models():
    return [Exponential]


@testbed.hookimpl
def testbed_metrics():
    return [ReadoutNorm]
