"""The full adaptive feature model: a network's own training, at other speeds of its features."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.seeds import Streams
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Points, Smooth, check_component
from testbed_adaptive.models.features import Features
from testbed_adaptive.models.one_step import OneStep
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues, TopProjection
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_networks.models.deep import Mlp
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.models import ReluTangent
from testbed_sequence.models.fixed import Fixed
from tests.helpers.cells import make_cell, run_cell

POINTS = Points(n=10, dim=3)
TIMES = (0.0, 1.0, 6.0)
SLOW = GradientDescent(learning_rate=0.1)
TWO = TwoLayerNetwork(width=6, parameterization="mean-field", bias=True, activation="tanh")
DEEP = Mlp(width=4, depth=2, bias=True, activation="tanh")


RISKS = (ExcessRisk(), TrainingLoss())


def trained(model, optimizer=SLOW, metrics=RISKS, times=TIMES):
    return run_cell(POINTS, Smooth(), model, optimizer, times, metrics)


@pytest.mark.parametrize("network", [TWO, DEEP], ids=["two-layer", "deep"])
@pytest.mark.parametrize("optimizer", [SLOW, GradientFlow()], ids=["descent", "flow"])
def test_at_its_own_speed_it_is_the_network(network, optimizer):
    result, expected = trained(Features(of=network), optimizer), trained(network, optimizer)
    for name in ("excess_risk", "training_loss"):
        np.testing.assert_array_equal(result[name], expected[name])


def test_at_speed_zero_it_is_the_readout_alone():
    result = trained(Features(of=TWO, feature_rate=0.0))
    frozen = TwoLayerNetwork(
        width=6, parameterization="mean-field", bias=True, activation="tanh", train="second"
    )
    np.testing.assert_allclose(result["excess_risk"], trained(frozen)["excess_risk"], rtol=1e-12)


@pytest.mark.parametrize("network", [TWO, DEEP], ids=["two-layer", "deep"])
def test_speeds_between_are_descent_of_a_rescaled_gradient(network):
    """Plain loops of autograd steps, features at 0.3 of the readout's step."""
    cell = make_cell(POINTS, Smooth(), network, SLOW, (2.0,), [ExcessRisk()], replicates=1)
    problem = draw_problem(cell, 0)
    drawn = network.draw(Streams(cell.seed, 0), problem)
    leaves = {leaf: torch.from_numpy(value)[None] for leaf, value in drawn.items()}
    clock = float(network.width) if network is TWO else 1.0  # m^{2κ−1}
    for _ in range(20):
        leaves = {leaf: value.detach().requires_grad_() for leaf, value in leaves.items()}
        residual = problem.train.y - network.predict(None, leaves, problem.train.x[None])[0]
        loss = 0.5 * (problem.train.weight * residual.square()).sum()
        slopes = torch.autograd.grad(loss, list(leaves.values()))
        leaves = {
            leaf: value - 0.1 * clock * (1.0 if leaf == "second" else 0.3) * slope
            for (leaf, value), slope in zip(leaves.items(), slopes, strict=True)
        }
    values = network.predict(None, leaves, problem.test.x[None])[0].detach()
    expected = float((problem.test.weight * (values - problem.test.truth).square()).sum())
    result = execute_cell(
        make_cell(
            POINTS, Smooth(), Features(of=network, feature_rate=0.3), SLOW, (2.0,),
            [ExcessRisk()], replicates=1,
        )
    )  # fmt: skip
    assert not result.error
    assert result.variables["excess_risk"][0, 0] == pytest.approx(expected, rel=1e-10)


def test_a_readout_of_zero_starts_from_the_function_zero():
    result = trained(Features(of=TWO, zero_readout=True), metrics=(TrainingLoss(),))
    problem_energy = trained(
        TwoLayerNetwork(width=6, symmetric=True), metrics=(TrainingLoss(),)
    )  # its f₀ = 0 by pairs
    np.testing.assert_allclose(
        result["training_loss"][:, 0], problem_energy["training_loss"][:, 0], rtol=1e-12
    )
    assert (np.diff(result["training_loss"]) < 0).all()


def test_the_spectrum_is_the_hidden_layer_s():
    """Largest eigenvalue at the start: the squared singular value of σ(H)/√(nm), NumPy's."""
    model = Features(of=TwoLayerNetwork(width=6))
    result = trained(model, metrics=(Eigenvalues(), TopProjection()))
    cell = make_cell(POINTS, Smooth(), model, SLOW, TIMES, [ExcessRisk()])
    for replicate in range(3):
        problem = draw_problem(cell, replicate)
        first = model.draw(Streams(cell.seed, replicate), problem)["first"]
        hidden = np.maximum(problem.train.x.numpy() @ first.T, 0) / np.sqrt(10 * 6)
        expected = np.linalg.svd(hidden, compute_uv=False)[:6] ** 2
        np.testing.assert_allclose(result["eigenvalue"][replicate, 0, :6], expected, rtol=1e-9)
    largest = result["eigenvalue"][:, :, 0]
    assert (np.abs(largest[:, -1] / largest[:, 0] - 1) > 0.01).all()


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        (Features(of=TWO), None),
        (Features(of=DEEP, feature_rate=0.5), None),
        (Features(of=TwoLayerNetwork(width=8), zero_readout=True, feature_rate=0.0), SLOW),
    ],
)
def test_laws(model, optimizer):
    check_component(model, **({"optimizer": optimizer} if optimizer else {}))


def test_only_networks_fit():
    with pytest.raises(ValueError, match=r"of: found ntk\.relu.*expected a network"):
        Features(of=ReluTangent())
    with pytest.raises(ValueError, match=r"of: found sequence\.fixed .*expected a network"):
        Features(of=Fixed(gamma=1.0))
    cell = make_cell(
        POINTS, Smooth(), Features(of=OneStep(width=4)), GradientFlow(), TIMES, [ExcessRisk()]
    )
    assert "contain no readout" in execute_cell(cell).error
