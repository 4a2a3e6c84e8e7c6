"""The standard parameterization beside maximal-update scaling, under both losses."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.seeds import Streams
from testbed.numerics.trees import as_tensors, stack
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Points, Smooth
from testbed_basics.designs.dataset import Dataset
from testbed_basics.metrics.labels import CrossEntropy
from testbed_basics.metrics.risks import TrainingLoss
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.targets.labels import Labels
from testbed_networks.models.deep import Mlp
from tests.helpers.cells import make_cell

DIGITS = Dataset(data="digits", n=30, n_test=5)
RATES = {"standard": 2.0 ** np.arange(-7, 3), "mup": 2.0 ** np.arange(-2, 6)}
METRICS = {
    "squared": (TrainingLoss(), "training_loss"),
    "cross-entropy": (CrossEntropy(), "training_cross_entropy"),
}


@pytest.mark.parametrize("depth", [1, 3])
def test_standard_networks_are_ntk_networks_at_scaled_inputs(depth):
    """f(x) = f_ntk(x/√d): relu is homogeneous, so that scales may stand in weights or in front."""
    options = {"width": 7, "depth": depth, "weight_variance": 2.0}
    standard, lazy = Mlp(parameterization="standard", **options), Mlp(**options)
    design = Points(dim=3)
    cell = make_cell(design, Smooth(), lazy, GradientDescent(learning_rate=0.1), (0.0,), ())
    problem = draw_problem(cell, 0)
    starts = [
        stack([as_tensors(model.draw(Streams(7, 0), problem), torch.float64, "cpu")])
        for model in (standard, lazy)
    ]
    x = torch.as_tensor(problem.train.x).unsqueeze(0)
    measured = standard.function(starts[0], x)
    torch.testing.assert_close(measured, lazy.function(starts[1], x / 3**0.5))


def best_rate(parameterization: str, width: int, loss: str) -> float:
    """The learning rate with the least training loss after ten steps, mean of two replicates."""
    model = Mlp(width=width, depth=2, parameterization=parameterization, activation="tanh")
    metric, variable = METRICS[loss]
    losses = []
    for rate in RATES[parameterization]:
        way = GradientDescent(learning_rate=float(rate), loss=loss)
        cell = make_cell(DIGITS, Labels(), model, way, (10 * rate,), [metric], replicates=2)
        measured = execute_cell(cell).variables[variable]  # NaN where a replicate diverged
        losses.append(measured.mean())
    best = int(np.nanargmin(losses))
    assert 0 < best < len(losses) - 1
    return float(RATES[parameterization][best])


@pytest.mark.parametrize("loss", METRICS)
def test_the_best_step_moves_with_the_width_under_standard_scales_alone(loss):
    """Rates in powers of two, on digits: from width 32 to 256 the best step of standard networks
    falls by half or more, and that of maximal-update scaling stays."""
    narrow, wide = (best_rate("standard", width, loss) for width in (32, 256))
    assert narrow / wide >= 2
    narrow, wide = (best_rate("mup", width, loss) for width in (32, 256))
    assert narrow == wide
