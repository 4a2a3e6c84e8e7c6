"""The same training by other means: written for one replicate, mapped or looped; integrated."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve, frozen

from testbed.contract.components import Model
from testbed.contract.facts import ModelFacts
from testbed.testing import NumericFlow, Points, Smooth
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_networks.numerics import two_layer
from tests.helpers.cells import run_cell

POINTS, TIMES = Points(n=10, dim=3, noise=0.2), (0.0, 1.0, 4.0)
METRICS = (ExcessRisk(), TrainingLoss())
NETWORK = TwoLayerNetwork(
    width=8, activation="tanh", bias=True, parameterization="mean-field", symmetric=True
)


@frozen(kw_only=True)
class OneReplicate(Model):
    """`NETWORK` as a plugin's author would write it: functions of one replicate, no own loop."""

    name = "one-replicate"

    def draw(self, rng, problem):
        return NETWORK.draw(rng, problem)

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return two_layer.predict(NETWORK.network, params, probe)

    def gradient(self, prepared, params, problem, rows=None):
        data, share = problem.train, 1.0
        x, y, weight = data.x, data.y, data.weight
        if rows is not None:
            share = len(weight) / len(rows)
            x, y, weight = x[rows], y[rows], weight[rows]
        slope = two_layer.gradient(NETWORK.network, params, x, y, weight)
        return {name: NETWORK.width * share * leaf for name, leaf in slope.items()}


class Mapped(OneReplicate):
    def facts(self):
        return ModelFacts()


class Looped(OneReplicate):
    def facts(self):
        return ModelFacts(batching="loop")


@pytest.mark.parametrize(
    "optimizer",
    [
        GradientDescent(learning_rate=0.05),
        GradientDescent(learning_rate=0.02, momentum=0.6),
        Sgd(learning_rate=0.05, batch_size=4),
        Adam(learning_rate=0.05),
    ],
    ids=lambda item: item.name,
)
def test_batched_mapped_and_looped_training_agree(optimizer):
    results = [
        run_cell(POINTS, Smooth(), model, optimizer, TIMES, METRICS)
        for model in (NETWORK, Mapped(), Looped())
    ]
    assert results[0]["training_loss"][:, 2].max() < results[0]["training_loss"][:, 0].min()
    for rival in results[1:]:
        for name in ("excess_risk", "training_loss"):
            np.testing.assert_allclose(rival[name], results[0][name], rtol=1e-10)


def test_the_filter_of_a_linearised_network_is_its_flow_integrated():
    model = Linearised(of=evolve(NETWORK, symmetric=False))
    closed, integrated = (
        run_cell(POINTS, Smooth(), model, optimizer, TIMES, METRICS)
        for optimizer in (SpectralFilter(filter="flow"), NumericFlow())
    )
    for name in ("excess_risk", "training_loss"):
        np.testing.assert_allclose(closed[name], integrated[name], rtol=1e-7)
