"""Linearised networks of several outputs against the same dynamics in their parameters."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen
from scipy.linalg import expm

from testbed.contract.components import Model
from testbed.contract.grids import Grid
from testbed.contract.parameters import parameter
from testbed.contract.seeds import Streams
from testbed.numerics.jacobians import jacobian
from testbed.numerics.trees import as_tensors
from testbed.running.execute import draw_problem, execute_cell
from testbed_basics.designs.dataset import Dataset
from testbed_basics.metrics.labels import TestError
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.metrics.validation import LeaveOneOutRisk
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.labels import Labels
from testbed_networks.metrics.networks import LazyGap
from testbed_networks.models.deep import Mlp
from testbed_networks.models.fixed import Linearised
from testbed_networks.models.two_layer import TwoLayerNetwork
from tests.helpers.cells import make_cell, run_cell

DIGITS = Dataset(data="digits", classes=(0, 1, 2), n=9, n_test=6, unit=True)
TIMES = (0.0, 0.7, 5.0)
NETWORKS = [
    TwoLayerNetwork(width=4, bias=True),
    TwoLayerNetwork(width=4, parameterization="mean-field", train="first", activation="tanh"),
    Mlp(width=3, depth=2, parameterization="mup"),
]


@frozen(kw_only=True)
class Stranger(Model):
    """A tanh network of three outputs as another plugin would write it."""

    name = "stranger.outputs"
    width: int = parameter(4, help="m", ge=1)

    def draw(self, rng, problem):
        generator, dim = rng("model"), problem.train.x.shape[-1]
        return {
            "first": generator.standard_normal((self.width, dim)),
            "second": generator.standard_normal((self.width, 3)),
        }

    def start(self, drawn, prepared, problem):
        return drawn

    def predict(self, prepared, params, probe):
        return torch.tanh(probe @ params["first"].mT) @ params["second"]


def linear_model(network, function, trained):
    """Of replicate 0: its problem, J at training and test points, a row for each pair (point,
    output), and f₀ there."""
    cell = make_cell(DIGITS, Labels(), network, GradientDescent(learning_rate=0.1), TIMES, ())
    problem = draw_problem(cell, 0)
    start = as_tensors(network.draw(Streams(7, 0), problem), torch.float64, "cpu")
    moved = {leaf: start[leaf] for leaf in start if trained(leaf)}

    def predict(model, x):
        return function({**start, **model}, x)

    points = problem.train.x, problem.test.x
    features = [
        torch.cat(list(jacobian(predict, moved, x).values()), 2).flatten(0, 1).numpy()
        for x in points
    ]
    return problem, features, [predict({}, x).flatten().numpy() for x in points]


def errors(network, function, factor, trained):
    """Mean square test errors of f₀ + J(θ − θ₀), θ̇ = −c Jᵀ W(f − y), by a matrix exponential."""
    problem, (train, test), (before, begin) = linear_model(network, function, trained)
    weight = problem.train.weight.repeat_interleave(3).numpy()
    residual = problem.train.y.flatten().numpy() - before
    size = train.shape[1]
    block = np.zeros((size + 1, size + 1))
    block[:size, :size] = -factor * train.T @ (weight[:, None] * train)
    block[:size, size] = factor * train.T @ (weight * residual)
    y = problem.test.y.flatten().numpy()
    paths = [begin + test @ expm(time * block)[:size, size] for time in TIMES]
    return [float(np.square(y - f).sum() / len(problem.test.x)) for f in paths]


def of_network(network):
    def function(params, x):
        return network.function({leaf: value[None] for leaf, value in params.items()}, x[None])[0]

    part = getattr(network, "train", "both")
    scaled = network.parameterization in ("mean-field", "mup")
    factor = network.width if scaled else 1.0
    return function, factor, lambda leaf: part == "both" or leaf != "second"


@pytest.mark.parametrize("network", NETWORKS, ids=lambda model: repr(model)[:60])
def test_the_exact_flow_is_that_of_the_linear_model_in_its_parameters(network):
    expected = errors(network, *of_network(network))
    model = Linearised(of=network, outputs=3)
    result = run_cell(DIGITS, Labels(), model, GradientFlow(), TIMES, [TestError()])
    np.testing.assert_allclose(result["test_error"][0], expected, rtol=1e-8)


def test_networks_of_other_plugins_too():
    model = Stranger()
    expected = errors(model, lambda params, x: model.predict(None, params, x), 1.0, str)
    result = run_cell(
        DIGITS, Labels(), Linearised(of=model, outputs=3), GradientFlow(), TIMES, [TestError()]
    )
    np.testing.assert_allclose(result["test_error"][0], expected, rtol=1e-8)


def test_closed_descent_equals_its_steps():
    model = Linearised(of=NETWORKS[0], outputs=3)
    closed, stepped = (
        run_cell(
            DIGITS, Labels(), model, GradientDescent(learning_rate=0.1, method=method),
            (0.0, 1.0, 5.0), [TestError()],
        )["test_error"]
        for method in ("auto", "stepped")
    )  # fmt: skip
    np.testing.assert_allclose(closed, stepped, rtol=1e-9)


def test_the_lazy_gap_knows_how_many_outputs_there_are():
    """A network that trains its second layer alone is its own linearisation."""
    descent = GradientDescent(learning_rate=0.1)
    linear, moving = (
        run_cell(
            DIGITS, Labels(), TwoLayerNetwork(width=5, train=part), descent, (0.0, 5.0), [LazyGap()]
        )["lazy_gap"]
        for part in ("second", "both")
    )
    assert linear.max() < 1e-12
    assert moving[:, 1].min() > 1e-3


def test_the_spectrum_has_a_mode_for_each_point_and_output():
    network = NETWORKS[0]
    function, _, trained = of_network(network)
    problem, (train, _), _ = linear_model(network, function, trained)
    expected = np.linalg.svd(train, compute_uv=False) ** 2 / len(problem.train.x)
    metric = Eigenvalues(points="train", modes=Grid([1, 4, 27]))
    model = Linearised(of=network, outputs=3)
    result = run_cell(DIGITS, Labels(), model, GradientFlow(), TIMES, [metric])["eigenvalue"][0, 0]
    np.testing.assert_allclose(result, expected[[0, 3, 26]], rtol=1e-8, atol=1e-15)


def test_the_number_of_outputs_is_asked_for():
    model = Linearised(of=NETWORKS[0])
    error = execute_cell(make_cell(DIGITS, Labels(), model, GradientFlow(), TIMES, [])).error
    assert "found observations of 3 outputs for a network of 1, expected as many" in error
    assert "set outputs = 3" in error


def test_leaving_one_point_out_is_refused():
    model = Linearised(of=NETWORKS[0], outputs=3)
    cell = make_cell(
        DIGITS, Labels(), model, SpectralFilter(filter="ridge"), (1.0,), [LeaveOneOutRisk()]
    )
    assert "a smoother that mixes outputs" in str(execute_cell(cell).faults)
