"""Several outputs: hand-derived gradients against autograd, many steps against one by one, and
outputs that do not see each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed_basics.designs.dataset import Dataset
from testbed_basics.metrics.labels import Misclassification, TestError
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.targets.labels import Labels
from testbed_networks.models.deep import Mlp
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_networks.numerics import layered, two_layer
from testbed_networks.numerics.activations import activation
from tests.helpers.cells import run_cell

RNG = np.random.Generator(np.random.Philox(8))
R, N, D, M, K = 2, 7, 3, 6, 4


def tensor(*shape):
    return torch.from_numpy(RNG.standard_normal(shape))


X, Y, WEIGHT = tensor(R, N, D), tensor(R, N, K), torch.full((R, N), 1 / N).double()


def parameters(bias):
    values = {"first": tensor(R, M, D), "second": tensor(R, M, K)}
    return values | {"bias": tensor(R, M)} if bias else values


def by_autograd(predict, params):
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in params.items()}
    loss = 0.5 * (WEIGHT.unsqueeze(-1) * (Y - predict(leaves)).square()).sum()
    return dict(zip(leaves, torch.autograd.grad(loss, list(leaves.values())), strict=True))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_two_layer_gradients_are_those_of_autograd(name, bias):
    network, params = two_layer.TwoLayer(activation(name), 0.5, "both"), parameters(bias)
    result = two_layer.gradient(network, params, X, Y, WEIGHT)
    expected = by_autograd(lambda params: two_layer.predict(network, params, X), params)
    for leaf, slope in expected.items():
        torch.testing.assert_close(result[leaf], slope)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kappa", [0.5, 1.0])
def test_many_steps_are_single_ones(bias, kappa):
    network, params = two_layer.TwoLayer(activation("relu"), kappa, "both"), parameters(bias)
    result = two_layer.descend(network, params, X, Y, WEIGHT, 0.05, 20).params
    step = 0.05 * two_layer.step_scale(network, M)
    for _ in range(20):
        slope = two_layer.gradient(network, params, X, Y, WEIGHT)
        params = {name: leaf - step * slope[name] for name, leaf in params.items()}
    for leaf, expected in params.items():
        torch.testing.assert_close(result[leaf], expected)


def test_deep_gradients_are_those_of_autograd():
    model = Mlp(width=M, depth=2, activation="tanh", bias=True)
    drawn = model.initial(np.random.Generator(np.random.Philox(2)), D, (K,))
    params = {name: torch.from_numpy(np.stack([leaf, 1.1 * leaf])) for name, leaf in drawn.items()}
    result = layered.gradient(model.network, params, X, Y, WEIGHT)
    expected = by_autograd(lambda params: layered.predict(model.network, params, X), params)
    for leaf, slope in expected.items():
        torch.testing.assert_close(result[leaf], slope)


def test_digits_of_three_classes_are_learned():
    design = Dataset(n=60, n_test=60, classes=(0, 1, 2), unit=True)
    model = TwoLayerNetwork(width=64, symmetric=True, parameterization="mean-field")
    steps = GradientDescent(learning_rate=0.2)
    metrics = [TestError(), Misclassification()]
    result = run_cell(design, Labels(), model, steps, (1.0, 60.0), metrics, replicates=2)
    assert (result["misclassification"][:, -1] < 0.1).all()
    assert (result["test_error"][:, -1] < 0.5 * result["test_error"][:, 0]).all()
