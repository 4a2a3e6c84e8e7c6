"""The polynomial of the angle against the layers themselves, and against series at small angles."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from testbed_ntk.numerics import composition
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.numerics.network_kernels import Layers, relu_network
from testbed_ntk.numerics.profiles import network_profile

ANGLES = np.concatenate([np.geomspace(0.05, 3.0, 60), [math.pi]])


@pytest.mark.parametrize("tangent", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 12])
def test_the_polynomial_is_the_composition_of_layers(depth, tangent):
    powers = composition.coefficients(depth, tangent)
    assert sum(map(abs, powers)) < 2.3 * (depth + 1)  # nothing cancels under Horner's rule
    cosines = torch.from_numpy(np.cos(ANGLES))
    weight = (1.0, *(2.0,) * depth)
    expected = network_profile(weight, (0.0,) * (depth + 1), tangent).value(cosines.numpy())
    result = composition.of_cosines(cosines.clone(), powers)
    np.testing.assert_allclose(result, expected, rtol=0, atol=3e-14 * (depth + 1))


def test_small_angles_keep_their_digits():
    """Σ¹ = 1 − θ²/2 + θ³/(3π) + θ⁴/24 − θ⁵/(30π) …, Θ¹ = Σ¹ + (1 − θ/π) cos θ."""
    theta = np.array([1e-9, 1e-5, 1e-3, 1e-2])
    sigma = 1 - theta**2 / 2 + theta**3 / (3 * math.pi) + theta**4 / 24 - theta**5 / (30 * math.pi)
    np.testing.assert_allclose(composition.layer_by_layer(theta, 1, False), sigma, atol=2e-16)
    expected = sigma + (1 - theta / math.pi) * np.cos(theta)
    np.testing.assert_allclose(composition.layer_by_layer(theta, 1, True), expected, atol=3e-16)


@pytest.mark.parametrize("depth", [1, 4])
def test_biases_of_nothing_change_nothing(depth):
    """A bias of 10⁻³⁰ takes the way through the layers, none the polynomial: the same kernel."""
    x = torch.from_numpy(np.random.Generator(np.random.Philox(3)).standard_normal((40, 6)))
    weight, none = (1.0, *(1.5,) * depth), (0.3, *(0.0,) * depth)
    grams = [
        gram_matrix(relu_network(Layers(weight, bias), tangent=True), x)
        for bias in (none, (0.3, *(1e-30,) * depth))
    ]
    torch.testing.assert_close(*grams, rtol=1e-13, atol=1e-13)


def test_single_precision_rounds_no_more_than_the_layers():
    x = torch.from_numpy(np.random.Generator(np.random.Philox(3)).standard_normal((60, 6)))
    kernel = relu_network(Layers((1.0, *(2.0,) * 3), (0.0,) * 4), tangent=True)
    exact = gram_matrix(kernel, x)
    error = (gram_matrix(kernel, x.float()).double() - exact).abs().max() / exact.max()
    assert error < 1e-6


def test_very_deep_networks_go_through_their_layers():
    depth = 40
    assert composition.coefficients(depth, True) is None
    x = torch.eye(3, dtype=torch.float64)
    kernel = relu_network(Layers((1.0, *(2.0,) * depth), (0.0,) * (depth + 1)), tangent=True)
    expected = network_profile((1.0, *(2.0,) * depth), (0.0,) * (depth + 1), True).value
    np.testing.assert_allclose(gram_matrix(kernel, x)[0, 1], expected(np.zeros(1))[0], rtol=1e-12)
