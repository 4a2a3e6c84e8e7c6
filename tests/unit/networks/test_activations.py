"""Activations: hand-written derivatives against autograd, buffers against the pure functions."""

from __future__ import annotations

import math

import pytest
import torch
from scipy import special

from testbed.errors import UnsuitableError
from testbed_networks.numerics.activations import ACTIVATIONS, activation

POINTS = torch.linspace(-3, 3, 61).double() + 0.013  # no kink among them
BY_NAME = sorted(ACTIVATIONS)


def slope_by_autograd(function, points):
    points = points.clone().requires_grad_(True)
    return torch.autograd.grad(function(points).sum(), points)[0]


def test_values_against_scipy_and_published_values():
    h = POINTS.numpy()
    for name, expected in {
        "erf": special.erf(h),
        "sigmoid": special.expit(h),
        "gelu": h * special.ndtr(h),
        "quadratic": h**2,
    }.items():
        torch.testing.assert_close(activation(name).value(POINTS), torch.from_numpy(expected))
    gelu = torch.nn.functional.gelu(POINTS)
    torch.testing.assert_close(activation("gelu").value(POINTS), gelu)
    assert math.isclose(float(activation("tanh").value(torch.tensor(0.5).double())), math.tanh(0.5))


@pytest.mark.parametrize("name", BY_NAME)
def test_derivatives_agree_with_autograd(name):
    reference = activation(name)
    first = reference.derivative(POINTS)
    torch.testing.assert_close(
        first, slope_by_autograd(reference.value, POINTS), rtol=1e-12, atol=1e-14
    )
    assert reference.smooth == (name != "relu")
    if reference.second is not None and name != "linear":
        second = slope_by_autograd(reference.derivative, POINTS)
        torch.testing.assert_close(reference.second(POINTS), second, rtol=1e-12, atol=1e-14)


def test_linear_has_no_curvature_and_relu_no_slope_at_its_kink():
    linear = activation("linear")
    assert linear.second is not None and not linear.second(POINTS).any()
    assert activation("relu").derivative(torch.zeros(1)) == 0


@pytest.mark.parametrize("name", BY_NAME)
def test_buffers_hold_the_same_numbers(name):
    reference = activation(name)
    h = POINTS.clone()
    value = h if reference.aliases else torch.empty_like(h)
    reference.fill(h, value)
    torch.testing.assert_close(value, reference.value(POINTS), rtol=1e-14, atol=1e-15)
    slope = reference.slope(h, value)
    torch.testing.assert_close(slope, reference.derivative(POINTS), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", BY_NAME)
def test_degree_is_that_of_eulers_identity(name):
    reference = activation(name)
    ratio = POINTS * reference.derivative(POINTS) / reference.value(POINTS)
    on_positive = ratio[POINTS > 0.1]
    if reference.degree is None:
        assert on_positive.max() - on_positive.min() > 0.01
    else:
        torch.testing.assert_close(on_positive, torch.full_like(on_positive, reference.degree))


def test_unknown_names_are_answered_with_the_nearest():
    with pytest.raises(UnsuitableError, match=r"'rleu'.*gelu, linear.*did you mean .*'relu'"):
        activation("rleu")
