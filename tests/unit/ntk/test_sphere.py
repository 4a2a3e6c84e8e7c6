"""Spectra on the sphere against published values, closed forms, multiprecision and traces."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import torch

from testbed_ntk.models.base import known_eigenvalues
from testbed_ntk.numerics import kernels, profiles
from testbed_ntk.numerics.gram import cross_matrix
from testbed_ntk.numerics.network_kernels import Layers, relu_network
from testbed_ntk.numerics.sphere import (
    SphereSpectrum,
    largest_degree,
    multiplicities,
    sphere_spectrum,
)

TWO_LAYER = profiles.network_profile((1.0, 2.0), (0.0, 0.0), True)
DEEP = profiles.network_profile((1.0, 2.0, 2.0), (0.1, 0.1, 0.1), True)


def test_two_layer_ntk_has_its_published_spectrum():
    result = sphere_spectrum(TWO_LAYER, 3, 8).eigenvalue
    expected = [0.5, 1 / 3, 0.078125, 0.0, 0.005208333333333, 0.0, 0.00140380859375, 0.0]
    np.testing.assert_allclose(result, expected, rtol=1e-11, atol=0)


@pytest.mark.parametrize("dim", [2, 3, 10, 100, 10_000])
def test_the_linear_eigenvalue_is_one_over_d_and_odd_degrees_vanish(dim):
    result = sphere_spectrum(TWO_LAYER, dim, 12).eigenvalue
    assert result[1] == pytest.approx(1 / dim, rel=1e-11)
    assert (result[3::2] == 0).all() and (result[2::2] > 0).all()


def test_multiplicities_are_dimensions_of_harmonics():
    for dim in (2, 3, 7):
        for k, result in enumerate(multiplicities(dim, 9)):
            below = math.comb(k + dim - 3, k - 2) if k >= 2 else 0
            assert result == math.comb(k + dim - 1, k) - below
    assert np.isfinite(multiplicities(10_000, 60)).all()


def by_mpmath(dim: int, degree: int) -> float:
    """μ_k of DEEP by 40-digit quadrature in the angle."""
    mpmath.mp.dps = 40

    def kernel(t):
        q = sigma = theta = None
        q, sigma = mpmath.mpf("1.1"), t + mpmath.mpf("0.1")
        theta = sigma
        for _ in range(2):
            c = min(max(sigma / q, -1), 1)
            angle = mpmath.acos(-c)
            sigma = q * (c * angle + mpmath.sqrt(1 - c * c)) / mpmath.pi + mpmath.mpf("0.1")
            theta = sigma + angle / mpmath.pi * theta
            q += mpmath.mpf("0.1")
        return theta

    half = mpmath.mpf(dim) / 2 - 1

    def value(angle):
        t = mpmath.cos(angle)
        harmonic = mpmath.gegenbauer(degree, half, t) / mpmath.gegenbauer(degree, half, 1)
        return kernel(t) * harmonic * mpmath.sin(angle) ** (dim - 2)

    width = min(mpmath.pi / 2, 16 / mpmath.sqrt(dim))
    cuts = mpmath.linspace(mpmath.pi / 2 - width, mpmath.pi / 2 + width, 9)
    constant = mpmath.gamma(half + 1) / (mpmath.sqrt(mpmath.pi) * mpmath.gamma(half + 0.5))
    return float(constant * mpmath.quad(value, cuts))


@pytest.mark.parametrize(
    ("dim", "degree", "digits"),
    [(3, 7, 1e-11), (10, 12, 1e-7), (30, 5, 1e-10), (200, 9, 1e-10), (10_000, 6, 1e-10)],
)
def test_deep_networks_agree_with_multiprecision(dim, degree, digits):
    result = sphere_spectrum(DEEP, dim, degree + 1)
    assert result.eigenvalue[degree] == pytest.approx(by_mpmath(dim, degree), rel=digits)
    assert result.error[degree] <= digits


def by_bessel(bandwidth: float, dim: int, degree: int) -> float:
    """μ_k = e^{−z} Γ(d/2) (2/z)^{d/2−1} I_{k+d/2−1}(z), z = 1/ℓ² (Minh, Niyogi and Yao 2006)."""
    mpmath.mp.dps = 40
    z, half = mpmath.mpf(1) / mpmath.mpf(bandwidth) ** 2, mpmath.mpf(dim) / 2
    bessel = mpmath.besseli(degree + half - 1, z)
    return float(mpmath.exp(-z) * mpmath.gamma(half) * (2 / z) ** (half - 1) * bessel)


@pytest.mark.parametrize(("bandwidth", "dim"), [(1.0, 5), (0.5, 50), (2.0, 1000), (1.0, 10_000)])
def test_gaussian_kernels_have_bessel_spectra(bandwidth, dim):
    result = sphere_spectrum(profiles.rbf_profile(bandwidth), dim, 31).eigenvalue
    for k in (0, 1, 2, 7, 30):
        assert result[k] == pytest.approx(by_bessel(bandwidth, dim, k), rel=1e-11, abs=0)


@pytest.mark.parametrize("dim", [2, 3, 5, 50])
@pytest.mark.parametrize("bandwidth", [0.02, 0.03, 0.05])
def test_narrow_gaussian_kernels_have_them_too(bandwidth, dim):
    # j log z − log j! of coefficients loses the digits of z = 1/ℓ² ≤ 2500
    result = sphere_spectrum(profiles.rbf_profile(bandwidth), dim)
    assert (result.error[:100] < 1e-3).all()
    for k in (0, 1, 2, 7, 30, 99):
        assert result.eigenvalue[k] == pytest.approx(by_bessel(bandwidth, dim, k), rel=1e-11, abs=0)


@pytest.mark.parametrize(("bandwidth", "dim"), [(0.002, 3), (0.005, 5), (0.005, 50), (0.02, 1000)])
def test_narrower_ones_are_right_or_unknown(bandwidth, dim):
    result = sphere_spectrum(profiles.rbf_profile(bandwidth), dim)
    for k in (0, 1, 2, 7, 30, 99):
        exact = by_bessel(bandwidth, dim, k)
        assert abs(result.eigenvalue[k] - exact) <= max(10 * result.bound[k], 1e-11 * exact)
        if dim >= 50:
            assert result.eigenvalue[k] == 0 and result.error[k] == 1


@pytest.mark.parametrize("dim", [3, 10, 1000])
def test_degrees_that_vanish_are_known_to_vanish(dim):
    value, multiplicity = known_eigenvalues(sphere_spectrum(TWO_LAYER, dim))
    assert len(value) == len(multiplicity) == largest_degree(dim) - 1
    assert (value[3::2] == 0).all() and (value[::2] > 0).all()


@pytest.mark.parametrize("dim", [20, 30, 1000])
def test_low_degrees_below_rounding_are_not_listed_as_0(dim):
    # of e^{−distance/ℓ} with all distances near √2, where higher degrees are known
    narrow = sphere_spectrum(profiles.matern_profile(2.5, 0.05), dim)
    assert len(known_eigenvalues(narrow)[0]) == 0 and (narrow.error < 1e-3).any()


def test_what_is_listed_ends_before_the_first_degree_that_is_not_known():
    value, ones = np.array([0.5, 0.2, 0.0, 0.1, 0.0, 1e-9]), np.ones(6)
    bound = np.array([1e-16, 1e-16, 1e-16, 1e-16, 1e-11, 1e-16])  # degree 4 may be 1e-11
    result = SphereSpectrum(value, ones, np.array([0.0, 0.0, 1.0, 0.0, 1.0, 0.0]), bound)
    np.testing.assert_array_equal(known_eigenvalues(result)[0], value[:4])


def test_listed_eigenvalues_agree_with_multiprecision():
    value, _ = known_eigenvalues(sphere_spectrum(DEEP, 10))
    for k in (0, 5, len(value) - 1):
        assert value[k] == pytest.approx(by_mpmath(10, k), rel=1e-3)


def test_laplace_in_three_dimensions_is_an_elementary_integral():
    # μ_k = ½ ∫ e^{−√(2−2t)} P_k(t) dt = ½ ∫_0^2 r e^{−r} P_k(1 − r²/2) dr
    result = sphere_spectrum(profiles.matern_profile(0.5, 1.0), 3, 6).eigenvalue
    r, weight = np.polynomial.legendre.leggauss(60)
    r, weight = 1 + r, weight
    for k in range(6):
        harmonic = np.polynomial.legendre.Legendre.basis(k)(1 - r**2 / 2)
        assert result[k] == pytest.approx(
            0.5 * (weight * r * np.exp(-r) * harmonic).sum(), rel=1e-11
        )


@pytest.mark.parametrize("dim", [3, 12, 500, 10_000])
def test_eigenvalues_sum_to_the_trace(dim):
    profile = profiles.series_profile([0.2, 0.5, 0.0, 0.3, 0.0, 1.0])
    result = sphere_spectrum(profile, dim, 6)
    assert (result.eigenvalue * result.multiplicity).sum() == pytest.approx(2.0, rel=1e-12)
    deep = sphere_spectrum(DEEP, dim)
    total = (deep.eigenvalue * deep.multiplicity).sum()
    assert 0.93 < total / DEEP.value(np.ones(1))[0] <= 1.0 + 1e-9


def test_high_degrees_in_three_dimensions_decay_like_the_third_power():
    result = sphere_spectrum(DEEP, 3).eigenvalue
    k = np.array([150, 300, 599])
    slope = np.diff(np.log(result[k])) / np.diff(np.log(k))
    np.testing.assert_allclose(slope, -3.0, atol=0.02)


@pytest.mark.parametrize(
    ("kernel", "profile"),
    [
        (
            relu_network(Layers((0.7, 1.5, 2.0), (0.2, 0.0, 0.3)), tangent),
            profiles.network_profile((0.7, 1.5, 2.0), (0.2, 0.0, 0.3), tangent),
        )
        for tangent in (True, False)
    ]
    + [
        (kernels.laplace(0.7), profiles.matern_profile(0.5, 0.7)),
        (kernels.matern(1.5, 0.7), profiles.matern_profile(1.5, 0.7)),
        (kernels.matern(2.5, 0.7), profiles.matern_profile(2.5, 0.7)),
        (kernels.matern(0.8, 0.7), profiles.matern_profile(0.8, 0.7)),
        (kernels.matern(5.5, 0.7), profiles.matern_profile(5.5, 0.7)),
        (kernels.rational_quadratic(0.7, 1.2), profiles.rational_quadratic_profile(0.7, 1.2)),
        (kernels.rbf(0.7), profiles.rbf_profile(0.7)),
        (kernels.polynomial(3, 0.5, 2.0), profiles.polynomial_profile(3, 0.5, 2.0)),
        (kernels.power_series([1.0, 0.0, 2.0]), profiles.series_profile([1.0, 0.0, 2.0])),
        (kernels.scaled(kernels.rbf(0.7), 2.5), profiles.scaled(profiles.rbf_profile(0.7), 2.5)),
        (
            kernels.weighted_sum(kernels.rbf(0.7), kernels.polynomial(3, 0.5, 2.0), (0.4, 1.7)),
            profiles.added(
                profiles.scaled(profiles.rbf_profile(0.7), 0.4),
                profiles.scaled(profiles.polynomial_profile(3, 0.5, 2.0), 1.7),
            ),
        ),
        (
            kernels.pointwise_product(kernels.rbf(0.7), kernels.polynomial(3, 0.5, 2.0)),
            profiles.multiplied(
                profiles.rbf_profile(0.7), profiles.polynomial_profile(3, 0.5, 2.0)
            ),
        ),
        (
            kernels.pointwise_product(kernels.laplace(0.7), kernels.rbf(1.2)),
            profiles.multiplied(profiles.matern_profile(0.5, 0.7), profiles.rbf_profile(1.2)),
        ),
    ],
)
def test_profiles_are_the_kernels_on_the_unit_sphere(kernel, profile):
    t = np.linspace(-0.99, 0.99, 23)
    remaining = torch.from_numpy(np.stack([t, np.sqrt(1 - t * t)], 1))
    pole = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    np.testing.assert_allclose(
        cross_matrix(kernel, pole, remaining)[0], profile.value(t), rtol=1e-12
    )
    if profile.coefficients is not None:
        series = np.polynomial.Polynomial(profile.coefficients)
        np.testing.assert_allclose(series(t), profile.value(t), rtol=1e-12)
