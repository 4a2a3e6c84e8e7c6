"""Descent of cross-entropy, against torch's own losses and autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve

from testbed import HasLeverage, IsSpectral, ParameterError, ScenarioError, lack
from testbed.contract.seeds import Streams
from testbed.planning.files import read_scenario
from testbed.planning.fitting import theory_objection
from testbed.planning.plan import make_plan
from testbed.running.execute import draw_problem
from testbed.runs import checked_plan
from testbed_basics.designs.dataset import Dataset
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.labels import CrossEntropy
from testbed_basics.metrics.risks import TrainingLoss
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.losses import cross_entropy, cross_entropy_slope
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.steps import Edge
from testbed_basics.targets.labels import Labels
from testbed_basics.targets.linear import Linear
from testbed_networks.models.deep import Mlp
from testbed_networks.models.fixed import RandomFeatures
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.models.stationary import Rbf
from testbed_ntk.theories.bias_variance import BiasVariance
from tests.helpers.cells import make_cell, run_cell

DIGITS = Dataset(data="digits", n=20, n_test=10, unit=True)
TWO = evolve(DIGITS, classes=(3, 8))
RATE = 0.5
DESCENT = GradientDescent(learning_rate=RATE, loss="cross-entropy")


@pytest.mark.parametrize("outputs", [True, False])
def test_the_loss_and_its_slope_are_torchs(outputs):
    rng = torch.Generator().manual_seed(1)
    shape = (7, 4) if outputs else (7,)
    f = torch.randn(shape, generator=rng, dtype=torch.float64, requires_grad=True)
    y = torch.randn(shape, generator=rng, dtype=torch.float64)
    functional = torch.nn.functional
    if outputs:
        expected = functional.cross_entropy(f, y.argmax(-1), reduction="none")
    else:
        labels = (y > 0).double()
        expected = functional.binary_cross_entropy_with_logits(f, labels, reduction="none")
    torch.testing.assert_close(cross_entropy(f, y, outputs), expected)
    (slope,) = torch.autograd.grad(expected.sum(), f)
    torch.testing.assert_close(cross_entropy_slope(f, y, outputs).detach(), slope)


def plain_training(design, model, way, steps, batches=None):
    """Cross-entropy on the training points after each step, by torch's autograd."""
    cell = make_cell(design, Labels(), model, way, (RATE,), [])
    problem = draw_problem(cell, 0)
    x, y = (torch.as_tensor(values) for values in (problem.train.x, problem.train.y))
    drawn = model.draw(Streams(cell.seed, 0), problem)
    params = {name: torch.tensor(value, requires_grad=True) for name, value in drawn.items()}
    optimizer = (torch.optim.Adam if isinstance(way, Adam) else torch.optim.SGD)(
        params.values(), lr=RATE
    )
    recorded = []
    for step in range(steps + 1):
        f = model.function({name: leaf[None] for name, leaf in params.items()}, x[None])[0]
        losses = cross_entropy(f, y, outputs=y.ndim > 1)
        recorded.append(losses.mean().item())
        chosen = losses if batches is None or step == steps else losses[batches[step]]
        optimizer.zero_grad()
        chosen.mean().backward()
        optimizer.step()
    return recorded


NETWORKS = [
    TwoLayerNetwork(width=6, activation="tanh"),
    Mlp(width=5, depth=2, activation="gelu", bias=True),
]


@pytest.mark.parametrize("design", [DIGITS, TWO], ids=["ten", "two"])
@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.name)
@pytest.mark.parametrize(
    "way", [DESCENT, Adam(learning_rate=RATE, loss="cross-entropy")], ids=lambda way: way.name
)
def test_steps_are_those_of_autograd_on_torchs_loss(design, model, way):
    times = tuple(RATE * np.arange(5))
    measured = run_cell(design, Labels(), model, way, times, [CrossEntropy()], replicates=2)
    expected = plain_training(design, model, way, 4)
    np.testing.assert_allclose(measured["training_cross_entropy"][0], expected, rtol=1e-6)


@pytest.mark.parametrize("replacement", [True, False])
def test_mini_batches_are_those_of_autograd(replacement):
    way = Sgd(learning_rate=RATE, batch_size=6, replacement=replacement, loss="cross-entropy")
    model, times = NETWORKS[0], tuple(RATE * np.arange(5))
    cell = make_cell(DIGITS, Labels(), model, way, times, [])
    key = way.draw(Streams(cell.seed, 0), draw_problem(cell, 0))
    batches = way.batches(tuple(key.tolist()), 20, 0, 4)
    measured = run_cell(DIGITS, Labels(), model, way, times, [CrossEntropy()], replicates=2)
    expected = plain_training(DIGITS, model, way, 4, batches)
    np.testing.assert_allclose(measured["training_cross_entropy"][0], expected, rtol=1e-10)


@pytest.mark.parametrize("model", [Rbf(), RandomFeatures(width=30)], ids=lambda m: m.name)
def test_kernels_are_stepped_and_their_loss_falls(model):
    """No closed form: its steps are those of the squared loss."""
    assert not DESCENT.closed(model)
    times = (0.5, 5.0, 50.0)
    measured = run_cell(TWO, Labels(), model, DESCENT, times, [CrossEntropy()], replicates=2)
    loss = measured["training_cross_entropy"]
    assert (np.diff(loss) < 0).all() and (loss < np.log(2)).all()


def test_what_is_of_the_squared_loss_alone_says_so():
    for capability in (HasLeverage, IsSpectral):
        assert "cross-entropy" in (lack(DESCENT, capability) or "")
    cell = make_cell(TWO, Labels(), Rbf(), DESCENT, (1.0,), [])
    assert "cross-entropy" in (TrainingLoss().applies(cell) or "")
    regression = make_cell(Sphere(dim=3, n=12), Linear(), Rbf(), DESCENT, (1.0,), [])
    assert "cross-entropy" in (theory_objection(BiasVariance(), regression) or "")
    assert DESCENT.facts().clock == "own"
    with pytest.raises(ParameterError, match="share of the squared loss's edge"):
        GradientDescent(learning_rate=Edge(0.5), loss="cross-entropy")


TEXT = """
format = 1
name = "classes"
times = [1.0]
design = { use = "sphere", dim = 3, n = 12, n_test = 3 }
target = { use = "linear" }
metric = [{ use = "excess-risk" }]
[[estimator]]
name = "net"
model = { use = "networks.two-layer", width = 4 }
optimizer = { use = "gradient-descent", learning_rate = 0.1, loss = "cross-entropy" }
"""


def test_numbers_are_no_classes():
    with pytest.raises(ScenarioError, match=r"optimizer\.loss: found cross-entropy .* labels of c"):
        checked_plan(read_scenario(TEXT))


def test_the_squared_training_loss_is_left_out_and_the_plan_says_why():
    text = TEXT.replace(
        '"sphere", dim = 3, n = 12, n_test = 3', '"dataset", data = "digits", n = 12, n_test = 3'
    )
    text = text.replace('use = "linear"', 'use = "labels"').replace(
        '{ use = "excess-risk" }', '{ use = "training-loss" }, { use = "cross-entropy" }'
    )
    with pytest.raises(ScenarioError, match="training descends the loss 'cross-entropy'"):
        make_plan(read_scenario(text))
