"""Training in blocks of recorded times that fit into the memory bound."""

from __future__ import annotations

import numpy as np

from testbed.contract.cells import Compute
from testbed.running import simulation
from testbed.running.execute import execute_cell
from testbed.testing import Points, Smooth
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell

POINTS, METRICS = Points(n=10, dim=3, noise=0.2), (ExcessRisk(), TrainingLoss())
NETWORK = TwoLayerNetwork(
    width=8, activation="tanh", bias=True, parameterization="mean-field", symmetric=True
)


def test_what_is_held_does_not_grow_with_the_recorded_times(monkeypatch):
    lengths = []
    original = simulation.block_length

    def noted(*arguments):
        lengths.append(original(*arguments))
        return lengths[-1]

    monkeypatch.setattr(simulation, "block_length", noted)
    longest = []
    for count in (64, 640):
        times = tuple(np.linspace(0.0, 4.0, count + 1))
        cell = make_cell(
            POINTS, Smooth(), NETWORK, GradientDescent(learning_rate=4.0 / 640), times, METRICS,
            compute=Compute(memory=1e-4),
        )  # fmt: skip
        result = execute_cell(cell)
        assert not result.error
        longest.append(max(lengths))
        lengths.clear()
    assert longest[0] == longest[1] < 64
