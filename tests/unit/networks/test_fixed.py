"""Linearised networks and random features: exact dynamics against the same in the parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen
from scipy.linalg import expm

from testbed.contract.components import Estimator, Model
from testbed.contract.facts import ModelFacts
from testbed.contract.grids import Grid
from testbed.contract.parameters import parameter
from testbed.contract.seeds import Streams
from testbed.numerics.jacobians import jacobian
from testbed.numerics.trees import as_tensors
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Kernel, NumericFlow, Points, Smooth, check_component
from testbed_basics.metrics.risks import ExcessRisk, Gap
from testbed_basics.metrics.spectra import TopProjection
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.sgd import Sgd
from testbed_networks.metrics.networks import LazyGap
from testbed_networks.models.deep import Mlp
from testbed_networks.models.deep_linear import DeepLinear
from testbed_networks.models.fixed import Linearised, RandomFeatures
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_sequence.models.diagonal import Diagonal
from tests.helpers.cells import make_cell, run_cell

POINTS = Points(n=8, dim=3)
TIMES = (0.0, 0.7, 5.0)
NETWORKS = [
    TwoLayerNetwork(width=6, bias=True),
    TwoLayerNetwork(width=6, parameterization="mean-field", train="first", activation="tanh"),
    Mlp(width=4, depth=2, parameterization="mup"),
    DeepLinear(depth=2, scale=0.3, readout=1.0),
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda model: repr(model)[:60])
def test_linearised_networks_keep_the_laws(network):
    check_component(Linearised(of=network))
    check_component(Linearised(of=network), optimizer=NumericFlow())


def test_random_features_keep_the_laws():
    check_component(RandomFeatures(width=20, bias=True))
    check_component(RandomFeatures(width=5, activation="tanh"), optimizer=NumericFlow())


def drawn(model, replicate=0):
    """A replicate's problem and initial parameters."""
    problem = draw_problem(make_cell(POINTS, Smooth(), model, GradientFlow(), TIMES, ()), replicate)
    return problem, as_tensors(model.draw(Streams(7, replicate), problem), torch.float64, "cpu")


def primal(network, problem, start, times):
    """Predictions at the test points of f₀ + J(θ − θ₀), θ̇ = −c Jᵀ W(f − y), by a matrix
    exponential in the parameters."""
    trained = getattr(network, "train", "both")
    actual = [
        leaf for leaf in start if trained == "both" or (leaf != "second") == (trained == "first")
    ]

    def predict(moved, x):
        batched = {name: leaf[None] for name, leaf in {**start, **moved}.items()}
        return network.function(batched, x[None])[0]

    moved = {leaf: start[leaf] for leaf in actual}
    features = [
        torch.cat([leaf[:, 0] for leaf in jacobian(predict, moved, x).values()], 1).numpy()
        for x in (problem.train.x, problem.test.x)
    ]
    scaled = getattr(network, "parameterization", "ntk") in ("mean-field", "mup")
    factor = network.width if scaled else 1.0
    train, test = features
    residual = problem.train.y - predict({}, problem.train.x)
    push = factor * train.T @ (problem.train.weight * residual).numpy()
    rate = factor * train.T @ (problem.train.weight.numpy()[:, None] * train)
    size = len(push)
    block = np.zeros((size + 1, size + 1))
    block[:size, :size], block[:size, size] = -rate, push
    begin = predict({}, problem.test.x).numpy()
    return [begin + test @ expm(time * block)[:size, size] for time in times]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda model: repr(model)[:60])
def test_the_exact_flow_is_that_of_the_linear_model_in_its_parameters(network):
    problem, start = drawn(network)
    expected = [
        float((problem.test.truth - torch.from_numpy(f)).square().mean())
        for f in primal(network, problem, start, TIMES)
    ]
    model = Linearised(of=network)
    result = run_cell(POINTS, Smooth(), model, GradientFlow(method="exact"), TIMES, [ExcessRisk()])
    np.testing.assert_allclose(result["excess_risk"][0], expected, rtol=1e-8)


@pytest.mark.parametrize("momentum", [0.0, 0.6])
def test_closed_descent_equals_its_steps(momentum):
    model = Linearised(of=TwoLayerNetwork(width=6, bias=True))
    risks = [
        run_cell(POINTS, Smooth(), model, optimizer, (0.0, 1.0, 5.0), [ExcessRisk()])
        for optimizer in (
            GradientDescent(learning_rate=0.1, momentum=momentum),
            GradientDescent(learning_rate=0.1, momentum=momentum, method="stepped"),
            Sgd(learning_rate=0.1, momentum=momentum, batch_size=8),
        )
    ]
    for rival in risks[1:]:
        np.testing.assert_allclose(rival["excess_risk"], risks[0]["excess_risk"], rtol=1e-9)


def test_random_features_are_the_second_layer_trained_from_zero():
    model = RandomFeatures(width=7, bias=True, activation="tanh")
    network = TwoLayerNetwork(width=7, bias=True, activation="tanh", train="second")
    problem, start = drawn(network)
    start["second"] = 0 * start["second"]
    batched = {leaf: value[None] for leaf, value in start.items()}
    batch = problem._replace(train=problem.train._replace(
        x=problem.train.x[None], y=problem.train.y[None], weight=problem.train.weight[None]
    ))  # fmt: skip
    for _ in range(50):
        slope = network.gradient(None, batched, batch)
        batched = {leaf: value - 0.1 * slope[leaf] for leaf, value in batched.items()}
    error = network.function(batched, problem.test.x[None])[0] - problem.test.truth
    descent = GradientDescent(learning_rate=0.1)
    result = run_cell(POINTS, Smooth(), model, descent, (0.0, 5.0), [ExcessRisk()])
    assert result["excess_risk"][0, 1] == pytest.approx(float(error.square().mean()), rel=1e-9)


def test_stochastic_descent_goes_the_way_of_the_features():
    """In dual coordinates and in the parameters, on the same batches."""
    network = TwoLayerNetwork(width=5, train="second", activation="tanh")  # linear in a
    sgd = Sgd(learning_rate=0.1, batch_size=3, momentum=0.4)
    second = {"linear": Estimator("linear", Linearised(of=network), sgd)}
    gap = run_cell(
        POINTS, Smooth(), network, sgd, (0.0, 5.0), [Gap(to="linear")], estimators=second
    )
    assert gap["gap"].max() < 1e-12


def test_the_spectrum_is_that_of_the_network_at_its_start():
    network = TwoLayerNetwork(width=9, bias=True)
    flow, k = GradientFlow(), TopProjection(kernel="tangent", points="test", k=Grid([1, 2, 5]))
    actual = run_cell(POINTS, Smooth(), Linearised(of=network), flow, TIMES, [k])["top_projection"]
    start = run_cell(POINTS, Smooth(), network, GradientDescent(learning_rate=0.1), (0.0,), [k])
    np.testing.assert_allclose(actual[:, 0], start["top_projection"][:, 0], rtol=1e-8)
    np.testing.assert_array_equal(actual[:, 1], actual[:, 2])


@frozen(kw_only=True)
class Stranger(Model):
    """(1/√m) Σ a tanh(⟨w, x⟩) as another plugin would write it, for one replicate."""

    name = "stranger.network"

    width: int = parameter(help="m", ge=1)

    def draw(self, rng, problem):
        return TwoLayerNetwork(width=self.width, activation="tanh").draw(rng, problem)

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        hidden = torch.tanh(probe @ params["first"].mT)
        return (hidden * params["second"].unsqueeze(-2)).sum(-1) / self.width**0.5


class StrangerOfInputs(Stranger):
    """The same in batch form, prepared from the inputs alone."""

    def facts(self):
        return ModelFacts(batching="batch", reads="inputs")


class Everywhere(Stranger):
    """Predicts at all points, whichever are asked for."""

    def prepare(self, drawn, problem):
        return problem.train.x

    def predict(self, prepared, params, probe):
        return super().predict(prepared, params, prepared)


@pytest.mark.parametrize("of", [Stranger(width=6), StrangerOfInputs(width=6)])
def test_models_of_other_plugins_are_linearised_by_their_jacobians(of):
    model, flow = TwoLayerNetwork(width=6, activation="tanh"), GradientFlow(method="exact")
    lazy = {"own": Estimator("own", Linearised(of=model), flow)}
    metrics = [Gap(to="own"), TopProjection(points="test", k=Grid([1, 2]))]
    result = run_cell(POINTS, Smooth(), Linearised(of=of), flow, TIMES, metrics, estimators=lazy)
    expected = run_cell(POINTS, Smooth(), lazy["own"].model, flow, TIMES, metrics[1:])
    assert result["gap"].max() < 1e-13
    np.testing.assert_allclose(result["top_projection"], expected["top_projection"], rtol=1e-9)
    assert Linearised(of=of).facts().reads == of.facts().reads
    check_component(Linearised(of=of))


def test_the_lazy_gap_of_a_foreign_network():
    descent = GradientDescent(learning_rate=0.1)
    actual, second = (
        run_cell(POINTS, Smooth(), model, descent, (0.0, 5.0), [LazyGap()])["lazy_gap"]
        for model in (TwoLayerNetwork(width=6, activation="tanh"), Stranger(width=6))
    )
    assert actual[0, 1] > 1e-3
    np.testing.assert_allclose(second, actual, rtol=1e-9, atol=1e-13)


def test_a_foreign_network_must_predict_point_by_point():
    model = Linearised(of=Everywhere(width=3))
    error = execute_cell(make_cell(POINTS, Smooth(), model, GradientFlow(), TIMES, [])).error
    assert "predictions of shape (8,) of stranger.network at one point, expected (1,)" in error


def test_only_networks_that_learn_are_linearised():
    with pytest.raises(
        ValueError, match=r"found sequence\.diagonal.*: it defines its gradient itself"
    ):
        Linearised(of=Diagonal(gamma=1.5))
    with pytest.raises(ValueError, match=r"of: found testing\.kernel; expected a network"):
        Linearised(of=Kernel())
    with pytest.raises(ValueError, match=r"of: found networks\.random-features"):
        Linearised(of=RandomFeatures(width=3))
    with pytest.raises(ValueError, match="width: found 0"):
        RandomFeatures(width=0)
