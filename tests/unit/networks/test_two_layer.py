"""Two-layer networks: gradients against autograd, the descent loop against torch.optim."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed_networks.numerics import two_layer
from testbed_networks.numerics.activations import ACTIVATIONS, activation
from testbed_networks.numerics.two_layer import TwoLayer, descend, gradient, predict, step_scale


def setting(seed, replicates=3, width=7, dim=4, n=11, bias=True, dtype=torch.float64):
    """Parameters, x, y and uneven weights, with a leading replicate axis."""
    rng = np.random.Generator(np.random.Philox(seed))

    def normal(*shape):
        return torch.from_numpy(rng.standard_normal(shape)).to(dtype)

    params = {"first": normal(replicates, width, dim), "second": normal(replicates, width)}
    if bias:
        params["bias"] = normal(replicates, width)
    weight = torch.from_numpy(rng.uniform(0.5, 1.5, (replicates, n)) / n).to(dtype)
    return params, normal(replicates, n, dim), normal(replicates, n), weight


def row(tree, r):
    return {leaf: value[r] for leaf, value in tree.items()}


def plain_loss(network, params, x, y, weight):
    """The loss of one replicate, neuron by neuron, as the formula reads."""
    width = params["second"].shape[0]
    f = torch.zeros_like(y)
    for k in range(width):
        h = (x * params["first"][k]).sum(-1)
        if "bias" in params:
            h = h + params["bias"][k]
        f = f + params["second"][k] * network.activation.value(h)
    return 0.5 * (weight * (y - f / width**network.kappa) ** 2).sum()


def by_optimizer(network, params, x, y, weight, rate, steps, momentum=0.0, batches=None):
    """One replicate by autograd and torch.optim.SGD."""
    leaves = {name: leaf.clone().requires_grad_(True) for name, leaf in params.items()}
    moved = [leaf for name, leaf in leaves.items() if network.trains(name)]
    scale = step_scale(network, params["second"].shape[0])
    optimizer = torch.optim.SGD(moved, lr=rate * scale, momentum=momentum)
    for step in range(steps):
        rows = slice(None) if batches is None else batches[step]
        share = 1.0 if batches is None else x.shape[0] / batches.shape[1]
        optimizer.zero_grad()
        plain_loss(network, leaves, x[rows], y[rows], weight[rows] * share).backward()
        optimizer.step()
    return {name: leaf.detach() for name, leaf in leaves.items()}


def assert_same(result, expected, rtol=1e-9, atol=1e-11):
    assert result.keys() == expected.keys()
    for leaf in expected:
        torch.testing.assert_close(result[leaf], expected[leaf], rtol=rtol, atol=atol)


def test_prediction_by_hand():
    params = {
        "first": torch.tensor([[1.0, 2.0], [-1.0, 0.5]]).double(),
        "second": torch.tensor([3.0, -2.0]).double(),
        "bias": torch.tensor([0.5, 1.0]).double(),
    }
    x = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).double()
    # h = (3.5, .5) and (2.5, 1.5): f = (3·3.5 − 2·.5)/2 = 4.75 and (7.5 − 3)/2 = 2.25
    result = predict(TwoLayer(activation("relu"), kappa=1.0), params, x)
    torch.testing.assert_close(result, torch.tensor([4.75, 2.25]).double())


@pytest.mark.parametrize("train", ["both", "first", "second"])
@pytest.mark.parametrize("kappa", [0.5, 1.0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradient_agrees_with_autograd(name, bias, kappa, train):
    network = TwoLayer(activation(name), kappa, train)
    params, x, y, weight = setting(1, bias=bias)
    batched = gradient(network, params, x, y, weight)
    for r in range(3):
        actual = row(params, r)
        expected = torch.func.grad(plain_loss, 1)(network, actual, x[r], y[r], weight[r])
        for leaf in expected:
            expected[leaf] = expected[leaf] * network.trains(leaf)
        assert_same(gradient(network, actual, x[r], y[r], weight[r]), expected)
        assert_same(row(batched, r), expected)


def test_predictions_batched_single_and_vmapped_agree():
    network = TwoLayer(activation("erf"))
    params, x, _, _ = setting(2)
    batched = predict(network, params, x)
    single = torch.stack([predict(network, row(params, r), x[r]) for r in range(3)])
    torch.testing.assert_close(batched, single)
    mapped = torch.func.vmap(lambda params, points: predict(network, params, points))(params, x)
    torch.testing.assert_close(batched, mapped)


@pytest.mark.parametrize("train", ["both", "first", "second"])
@pytest.mark.parametrize("momentum", [0.0, 0.6])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_descent_takes_the_steps_of_sgd(name, momentum, train):
    network = TwoLayer(activation(name), 1.0, train)
    params, x, y, weight = setting(3)
    rate = 0.02 if name == "quadratic" else 0.1
    result = descend(network, params, x, y, weight, rate, 12, momentum, group=2)
    for r in range(3):
        expected = by_optimizer(network, row(params, r), x[r], y[r], weight[r], rate, 12, momentum)
        assert_same(row(result.params, r), expected)
    assert (result.velocity is None) == (momentum == 0)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["relu", "tanh"])
def test_minibatches_take_the_steps_of_sgd(name, bias):
    network = TwoLayer(activation(name))
    params, x, y, weight = setting(4, bias=bias)
    rng = np.random.Generator(np.random.Philox(5))
    batches = torch.from_numpy(
        np.stack([[rng.permutation(11)[:5] for _ in range(9)] for _ in range(3)])
    )  # (replicates, steps, batch)
    result = descend(network, params, x, y, weight, 0.1, 9, 0.3, batches)
    for r in range(3):
        expected = by_optimizer(
            network, row(params, r), x[r], y[r], weight[r], 0.1, 9, 0.3, batches[r]
        )
        assert_same(row(result.params, r), expected)


def test_descent_goes_on_where_it_stopped():
    network = TwoLayer(activation("gelu"))
    params, x, y, weight = setting(6)
    before = {leaf: value.clone() for leaf, value in params.items()}
    original = descend(network, params, x, y, weight, 0.1, 10, 0.5)
    half = descend(network, params, x, y, weight, 0.1, 4, 0.5)
    residual = descend(network, half.params, x, y, weight, 0.1, 6, 0.5, velocity=half.velocity)
    assert_same(residual.params, original.params, rtol=0, atol=0)
    assert_same(params, before, rtol=0, atol=0)
    assert_same(descend(network, params, x, y, weight, 0.1, 0).params, before, rtol=0, atol=0)


@pytest.mark.parametrize("train", ["both", "second"])
def test_blocks_of_rows_and_groups_do_not_change_the_steps(monkeypatch, train):
    network = TwoLayer(activation("relu"), train=train)
    params, x, y, weight = setting(7, n=150)
    original = descend(network, params, x, y, weight, 0.1, 8)
    monkeypatch.setattr(two_layer, "BLOCK_BYTES", 1)  # the least: 64 rows
    for group in (1, 2, 3):
        parts = descend(network, params, x, y, weight, 0.1, 8, group=group)
        assert_same(parts.params, original.params)


def test_each_replicate_may_have_its_own_rate():
    network = TwoLayer(activation("tanh"))
    params, x, y, weight = setting(8)
    rates = torch.tensor([0.05, 0.1, 0.2], dtype=torch.float64)
    result = descend(network, params, x, y, weight, rates, 5, group=2)
    for r in range(3):
        expected = by_optimizer(network, row(params, r), x[r], y[r], weight[r], float(rates[r]), 5)
        assert_same(row(result.params, r), expected)


def test_single_precision_follows_double():
    network = TwoLayer(activation("relu"))
    double = descend(network, *setting(9), 0.1, 20)
    single = descend(network, *setting(9, dtype=torch.float32), 0.1, 20)
    assert single.params["first"].dtype == torch.float32
    expected = {leaf: value.float() for leaf, value in double.params.items()}
    assert_same(single.params, expected, rtol=1e-4, atol=1e-5)


def test_a_diverged_replicate_disturbs_no_other():
    network = TwoLayer(activation("quadratic"))
    params, x, y, weight = setting(10)
    rates = torch.tensor([0.01, 50.0, 0.01], dtype=torch.float64)
    result = descend(network, params, x, y, weight, rates, 60)
    calm = descend(network, params, x, y, weight, 0.01, 60)
    for r in (0, 2):
        assert_same(row(result.params, r), row(calm.params, r), rtol=0, atol=0)
    assert not result.params["first"][1].isfinite().all()


def test_mean_field_steps_move_the_function_as_much_at_any_width():
    """Doubling every neuron leaves f, and with the factor m^{2κ−1} also its motion, unchanged."""
    network = TwoLayer(activation("tanh"), kappa=1.0)
    params, x, y, weight = setting(11)
    twice = {leaf: torch.cat([value, value], 1) for leaf, value in params.items()}
    short = descend(network, params, x, y, weight, 0.3, 15)
    long = descend(network, twice, x, y, weight, 0.3, 15)
    torch.testing.assert_close(predict(network, short.params, x), predict(network, long.params, x))


def test_two_runs_are_identical_to_the_bit():
    network = TwoLayer(activation("relu"))
    first, second = (descend(network, *setting(12), 0.1, 30) for _ in range(2))
    assert_same(first.params, second.params, rtol=0, atol=0)
