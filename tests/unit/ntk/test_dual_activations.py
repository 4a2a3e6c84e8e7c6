"""Dual activations against integrals over the plane, Price's theorem and random networks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.special import erf, expit, ndtr

from testbed_ntk.numerics import profiles
from testbed_ntk.numerics.dual_activations import DUALS, tanh_mixture
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix
from testbed_ntk.numerics.network_kernels import Layers, network

NORMAL = math.sqrt(2 * math.pi)
BY_HAND = {
    "erf": (erf, lambda h: 2 / math.sqrt(math.pi) * np.exp(-h * h)),
    "gelu": (lambda h: h * ndtr(h), lambda h: ndtr(h) + h * np.exp(-h * h / 2) / NORMAL),
    "linear": (lambda h: h, np.ones_like),
    "quadratic": (np.square, lambda h: 2 * h),
    "sigmoid": (expit, lambda h: 1 / (2 + 2 * np.cosh(h))),
    "tanh": (np.tanh, lambda h: np.cosh(h) ** -2.0),
}
PAIRS = [  # q, q', correlation
    (1.0, 1.0, 0.3),
    (0.5, 3.0, -0.8),
    (20.0, 7.0, 0.95),
    (1.0, 1.0, 1.0),
    (3.0, 0.01, 0.0),
    (64.0, 64.0, -0.999),
]
EVERY = pytest.mark.parametrize("name", sorted(DUALS))


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def moments(name: str, q: float, second: float, correlation: float) -> tuple[float, float]:
    result = DUALS[name](number(correlation * math.sqrt(q * second)), number(q), number(second))
    return float(result.value), float(result.slope)


def test_there_is_one_for_every_other_activation():
    assert set(DUALS) == set(profiles.ACTIVATIONS) == set(BY_HAND)


@EVERY
@pytest.mark.parametrize(("q", "second", "correlation"), PAIRS)
def test_moments_are_integrals_over_the_plane(name, q, second, correlation):
    z, step = np.linspace(-12, 12, 1201, retstep=True)  # the trapezoidal rule, exact to rounding
    law = step * np.exp(-(z**2) / 2) / NORMAL
    u = math.sqrt(q) * z[:, None]
    v = math.sqrt(second) * (correlation * z[:, None] + math.sqrt(1 - correlation**2) * z)
    expected = [law @ (f(u) * f(v)) @ law for f in BY_HAND[name]]
    size = [law @ f(math.sqrt(max(q, second)) * z) ** 2 for f in BY_HAND[name]]
    result = moments(name, q, second, correlation)
    for value, exact, scale in zip(result, expected, size, strict=True):
        assert value == pytest.approx(exact, rel=1e-11, abs=1e-11 * scale)


@EVERY
def test_the_second_moment_is_the_derivative_of_the_first(name):
    for q, rival, correlation in PAIRS[:3]:
        h = 1e-5
        above, below = (moments(name, q, rival, correlation + d)[0] for d in (h, -h))
        slope = moments(name, q, rival, correlation)[1]
        assert (above - below) / (2 * h * math.sqrt(q * rival)) == pytest.approx(slope, rel=1e-6)


def test_tanh_is_a_mixture_of_error_functions():
    weight, scale = tanh_mixture()
    h = np.logspace(-3, 3, 500)
    np.testing.assert_allclose(erf(h[:, None] * scale) @ weight, np.tanh(h), rtol=2e-12)


@EVERY
@pytest.mark.parametrize("tangent", [True, False])
@pytest.mark.parametrize(
    ("weight", "bias"),
    [((1.0, 2.0), (0.0, 0.0)), ((0.7, 1.5, 2.0), (0.2, 0.1, 0.3)), ((5.0, 1.0), (1.0, 0.0))],
)
def test_tiles_agree_with_hermite_series(name, tangent, weight, bias):
    """Two routes that share nothing: closed forms on tiles, and power series of the cosine."""
    u = np.linspace(-1, 1, 21)
    circle = torch.from_numpy(np.stack([u, np.sqrt(1 - u**2)], 1))
    kernel = network(Layers(weight, bias), name, tangent)
    result = cross_matrix(kernel, circle[-1:], circle)[0].numpy()
    expected = profiles.network_profile(weight, bias, tangent, name).value(u)
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=1e-11 * np.abs(expected).max())


@EVERY
def test_wide_random_networks_have_these_kernels(name):
    """Σ and Θ of two hidden layers from their definition, by 400 random networks of width 256:
    within four standard errors, which is exceeded by chance in one of a thousand runs of all
    entries, and the bias of order 1/width."""
    layers = Layers((0.4, 1.2, 1.0), (0.1, 0.2, 0.3))
    rng, width, count = np.random.default_rng(11), 256, 400
    x = torch.from_numpy(rng.standard_normal((3, 2)))
    sigma, slope = BY_HAND[name]
    draws = []
    for _ in range(count):
        first, second, last = (rng.standard_normal(s) for s in ((width, 2), (width, width), width))
        shifts = rng.standard_normal((2, width))
        h1 = math.sqrt(0.4) * x.numpy() @ first.T + math.sqrt(0.1) * shifts[0]
        a1 = sigma(h1)
        h2 = math.sqrt(1.2 / width) * a1 @ second.T + math.sqrt(0.2) * shifts[1]
        a2 = sigma(h2)
        process = a2 @ a2.T / width + 0.3
        back2 = last * slope(h2) / math.sqrt(width)  # ∂f/∂h² of each input
        back1 = math.sqrt(1.2 / width) * back2 @ second * slope(h1)
        tangent = process + (back2 @ back2.T) * (1.2 * a1 @ a1.T / width + 0.2)
        tangent += (back1 @ back1.T) * (0.4 * (x @ x.T).numpy() + 0.1)
        draws.append((process, tangent))
    result = np.array(draws)
    mean, error = result.mean(0), result.std(0) / math.sqrt(count)
    for index, tangent in ((0, False), (1, True)):
        exact = gram_matrix(network(layers, name, tangent), x).numpy()
        assert (np.abs(mean[index] - exact) <= 4 * error[index] + 3 / width * exact.max()).all()
        assert error[index].max() < 0.03 * exact.max()


def test_inputs_at_the_origin_and_float32_are_no_trouble():
    x = torch.tensor([[0.0, 0.0], [1.0, -2.0], [30.0, 4.0]])
    for name in DUALS:
        kernel = network(Layers((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), name, True)
        gram = gram_matrix(kernel, x)
        assert gram.dtype == torch.float32 and bool(torch.isfinite(gram).all())
        np.testing.assert_allclose(gram, gram_matrix(kernel, x.double()), rtol=3e-5)
