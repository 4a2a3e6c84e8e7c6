"""Empirical kernels: the closed form against torch.func Jacobians and against infinite width."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from testbed.numerics.jacobians import jacobian, jacobian_kernel
from testbed_networks.numerics import empirical_ntk
from testbed_networks.numerics.activations import activation
from testbed_networks.numerics.empirical_ntk import (
    conjugate_kernel,
    tangent_kernel,
)
from testbed_networks.numerics.two_layer import TwoLayer, gradient, predict, step_scale


def normal(rng, *shape):
    return torch.from_numpy(rng.standard_normal(shape))


def setting(seed, width=9, dim=4, n=13, bias=True):
    rng = np.random.Generator(np.random.Philox(seed))
    params = {"first": normal(rng, width, dim), "second": normal(rng, width)}
    if bias:
        params["bias"] = normal(rng, width)
    return params, normal(rng, n, dim), normal(rng, n - 3, dim)


def by_jacrev(function, params, x, second):
    """Σ over leaves of J(x) J(other)ᵀ from the Jacobian of the whole vector of predictions."""
    ours, theirs = (torch.func.jacrev(function)(params, index) for index in (x, second))
    return sum(ours[leaf].flatten(1) @ theirs[leaf].flatten(1).T for leaf in params)


@pytest.mark.parametrize("tile", [4, 256])
@pytest.mark.parametrize("train", ["both", "first", "second"])
@pytest.mark.parametrize("kappa", [0.5, 1.0])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["relu", "erf", "quadratic"])
def test_closed_form_is_the_product_of_jacobians(monkeypatch, name, bias, kappa, train, tile):
    monkeypatch.setattr(empirical_ntk, "TILE", tile)
    network = TwoLayer(activation(name), kappa, train)
    params, x, second = setting(1, bias=bias)
    free = {leaf: value for leaf, value in params.items() if network.trains(leaf)}

    def function(model, index):
        return predict(network, params | model, index)

    scale = step_scale(network, 9)
    square = tangent_kernel(network, params, x)
    torch.testing.assert_close(square, scale * by_jacrev(function, free, x, x))
    assert torch.equal(square, square.T)
    cross = tangent_kernel(network, params, x, second)
    torch.testing.assert_close(cross, scale * by_jacrev(function, free, x, second))


def test_conjugate_kernel_is_the_second_layers_tangent_kernel():
    params, x, second = setting(2)
    network = TwoLayer(activation("tanh"), 1.0)
    frozen = network._replace(train="second")
    assert torch.equal(conjugate_kernel(network, params, x), tangent_kernel(frozen, params, x))
    cross = conjugate_kernel(network, params, x, second)
    h, g = (torch.tanh(index @ params["first"].T + params["bias"]) for index in (x, second))
    torch.testing.assert_close(cross, h @ g.T / 9)


def test_replicates_may_lead():
    single = [setting(seed) for seed in (3, 4)]
    params = {leaf: torch.stack([value[0][leaf] for value in single]) for leaf in single[0][0]}
    x, second = (torch.stack([value[i] for value in single]) for i in (1, 2))
    network = TwoLayer(activation("gelu"))
    kernel = tangent_kernel(network, params, x, second)
    for r, item in enumerate(single):
        torch.testing.assert_close(kernel[r], tangent_kernel(network, *item))


def test_kernel_governs_the_motion_of_the_predictions():
    """A small step moves f by −η Θ (weight∘(f − y)), in either parameterization."""
    params, x, _ = setting(5)
    y, weight = x[:, 0] ** 2, torch.linspace(0.5, 1.5, 13).double() / 13
    for kappa in (0.5, 1.0):
        network = TwoLayer(activation("erf"), kappa)
        slope = gradient(network, params, x, y, weight)
        start = predict(network, params, x)
        rate = step_scale(network, 9)

        def moved(eta, network=network, slope=slope, rate=rate):
            values = {leaf: params[leaf] - eta * rate * slope[leaf] for leaf in params}
            return predict(network, values, x)

        speed = (moved(1e-5) - moved(-1e-5)) / 2e-5
        expected = -tangent_kernel(network, params, x) @ (weight * (start - y))
        torch.testing.assert_close(speed, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("bias", [False, True])
def test_wide_relu_network_has_the_analytic_kernel(bias):
    """E Θ = E(S) + Ė(S)·⟨x,x'⟩, bias adding 1 to both: arc-cosine kernels, w, a, b ~ N(0, 1)."""
    width = 400_000
    params, x, _ = setting(6, width=width, dim=3, n=4, bias=bias)
    kernel = tangent_kernel(TwoLayer(activation("relu")), params, x)
    inner = x @ x.T + float(bias)
    norm = inner.diagonal().sqrt()
    u = (inner / norm.outer(norm)).clamp(-1, 1)
    angle = torch.arccos(u)
    value = norm.outer(norm) * (u * (math.pi - angle) + (1 - u * u).sqrt()) / (2 * math.pi)
    expected = value + inner * (math.pi - angle) / (2 * math.pi)
    # one neuron's contribution has a standard deviation of a few times the diagonal
    bound = 5 * 3 * norm.outer(norm) / math.sqrt(width)
    assert ((kernel - expected).abs() < bound).all()


def deep(params, x):
    h = torch.tanh(x @ params["first"])
    h = torch.relu(h @ params["middle"])
    return h @ params["last"]


def deep_setting(seed, outputs=None):
    rng = np.random.Generator(np.random.Philox(seed))
    last = (5,) if outputs is None else (5, outputs)
    params = {"first": normal(rng, 3, 6), "middle": normal(rng, 6, 5), "last": normal(rng, *last)}
    return params, normal(rng, 10, 3), normal(rng, 7, 3)


@pytest.mark.parametrize("block", [None, 1, 4])
def test_blocks_of_jacobians_agree_with_jacrev(block):
    params, x, second = deep_setting(7)
    square = jacobian_kernel(deep, params, x, block=block)
    torch.testing.assert_close(square, by_jacrev(deep, params, x, x))
    assert torch.equal(square, square.T)
    cross = jacobian_kernel(deep, params, x, second, block=block)
    torch.testing.assert_close(cross, by_jacrev(deep, params, x, second))


def test_jacobian_blocks_agree_with_the_closed_form():
    params, x, _ = setting(8)
    network = TwoLayer(activation("relu"))
    result = jacobian_kernel(
        lambda params, points: predict(network, params, points), params, x, block=5
    )
    torch.testing.assert_close(result, tangent_kernel(network, params, x))


@pytest.mark.parametrize("block", [None, 4])
def test_several_outputs(block):
    params, x, second = deep_setting(9, outputs=2)
    square = jacobian_kernel(deep, params, x, block=block)
    cross = jacobian_kernel(deep, params, x, second, block=block)
    assert cross.shape == (10, 7, 2, 2)
    assert torch.equal(square, square.permute(1, 0, 3, 2))
    for a in range(2):
        for b in range(2):
            ours = torch.func.jacrev(lambda params, points, a=a: deep(params, points)[:, a])(
                params, x
            )
            theirs = torch.func.jacrev(lambda params, points, b=b: deep(params, points)[:, b])(
                params, second
            )
            expected = sum(ours[k].flatten(1) @ theirs[k].flatten(1).T for k in params)
            torch.testing.assert_close(cross[:, :, a, b], expected)


def test_scales_multiply_the_layers_shares():
    params, x, _ = deep_setting(10)
    result = jacobian_kernel(deep, params, x, scales={"middle": 3.0})
    parts = {
        leaf: value.flatten(1) @ value.flatten(1).T for leaf, value in _full(params, x).items()
    }
    torch.testing.assert_close(result, parts["first"] + 3 * parts["middle"] + parts["last"])


def _full(params, x):
    return torch.func.jacrev(deep)(params, x)


def test_jacobian_has_one_row_per_example_and_output():
    params, x, _ = deep_setting(11, outputs=2)
    expected = _full(params, x)
    for leaf, value in jacobian(deep, params, x).items():
        torch.testing.assert_close(value, expected[leaf].flatten(2))
