"""The diagonal flow at the edges of its range, against multiprecision travel times."""

from __future__ import annotations

from itertools import pairwise

import mpmath
import numpy as np
import torch
from hypothesis import example, given, settings, strategies as st

from testbed_sequence.numerics.diagonal_flow import diagonal_flow

magnitudes = st.floats(-12.0, 3.0).map(lambda e: 10.0**e)
signs = st.sampled_from([-1.0, 1.0])
eigenvalues = st.floats(-16.0, 0.0).map(lambda e: 10.0**e)
starts = st.floats(-3.0, 0.0).map(lambda e: 10.0**e)
moments = st.floats(-6.0, 12.0).map(lambda e: 10.0**e)
depths = st.integers(1, 6)
edges = settings(deadline=None, derandomize=True, max_examples=60)


def single(
    z: float, eigenvalue: float, b0: float, depth: int, times: list[float]
) -> tuple[np.ndarray, ...]:
    observed, spread = (torch.tensor([x], dtype=torch.float64) for x in (z, eigenvalue))
    path = diagonal_flow(observed, spread, b0, depth, times)
    return tuple(part[:, 0].numpy() for part in path)


class Exact:
    """One coordinate in 30 digits: speed β̇, rest point, and time to reach β."""

    def __init__(self, z: float, eigenvalue: float, b0: float, depth: int) -> None:
        self.z, self.eigenvalue, self.b0 = mpmath.mpf(z), mpmath.mpf(eigenvalue), mpmath.mpf(b0)
        self.depth = depth
        low, high = mpmath.mpf(-80), mpmath.mpf(80)
        for _ in range(110):  # bisection on log β: no derivative, no start to get wrong
            middle = (low + high) / 2
            inside = self.factor(mpmath.exp(middle)) * mpmath.exp(middle) < self.z
            low, high = (middle, high) if inside else (low, middle)
        self.distance = mpmath.exp(low)

    def factor(self, beta: mpmath.mpf) -> mpmath.mpf:
        start = self.b0**2 + self.depth * beta**2
        return mpmath.sqrt(self.eigenvalue + beta**2) * mpmath.sqrt(start) ** self.depth

    def speed(self, beta: mpmath.mpf) -> mpmath.mpf:
        factor = self.factor(beta)
        return factor * (self.z - factor * beta)

    def time(self, beta: mpmath.mpf) -> mpmath.mpf:
        """∫ dβ/β̇ on panels of a third of an e-fold, in β upward and in β* − β downward."""
        scale = min(mpmath.sqrt(self.eigenvalue), self.b0, self.distance) / 4
        middle = min(beta, self.distance / 2)
        total = mpmath.mpf(0)
        edge = mpmath.mpf(0)
        while edge < middle:
            after = min(middle, max(edge * mpmath.mpf("1.4"), edge + scale))
            total += self.panel(lambda b: 1 / self.speed(b), edge, after)
            edge = after
        if beta > middle:
            total += self.late(beta)
        return total

    def late(self, beta: mpmath.mpf) -> mpmath.mpf:
        low, high = mpmath.log(2 / self.distance), -mpmath.log(self.distance - beta)
        count = int(mpmath.ceil(3 * (high - low))) + 1
        points = [low + (high - low) * k / count for k in range(count + 1)]

        def slowness(y: mpmath.mpf) -> mpmath.mpf:
            return mpmath.exp(-y) / self.speed(self.distance - mpmath.exp(-y))

        return sum(self.panel(slowness, a, b) for a, b in pairwise(points))

    @staticmethod
    def panel(function: object, low: mpmath.mpf, high: mpmath.mpf) -> mpmath.mpf:
        middle, half = (low + high) / 2, (high - low) / 2
        return half * sum(w * function(middle + half * x) for x, w in GAUSS)  # type: ignore[operator]


def gauss(count: int) -> list[tuple[mpmath.mpf, mpmath.mpf]]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    pairs = zip(nodes, weights, strict=True)
    return [(mpmath.mpf(float(x)), mpmath.mpf(float(w))) for x, w in pairs]


GAUSS = gauss(14)


def check_position(exact: Exact, beta: mpmath.mpf, time: float) -> None:
    """β within 1e-8 of where the coordinate is at some time within 1e-13 of the asked one.

    In the steep phase, rounding of t alone moves a coordinate: deep ones jump by orders.
    """
    almost = exact.distance * (1 - mpmath.mpf("1e-9"))
    if beta >= almost:
        assert beta <= exact.distance * (1 + mpmath.mpf("1e-13"))
        assert exact.time(almost * (1 - mpmath.mpf("1e-9"))) <= time * (1 + mpmath.mpf("1e-13"))
    else:
        excess = max(abs(exact.time(beta) - time) - mpmath.mpf("1e-13") * time, 0)
        assert excess * exact.speed(beta) <= mpmath.mpf("1e-8") * beta


@edges
@example(z=1e3, eigenvalue=1e-16, b0=1e-3, depth=6, time=1e12, sign=1.0)
@example(z=1e-12, eigenvalue=1.0, b0=1.0, depth=6, time=1e12, sign=-1.0)
@example(z=1e-12, eigenvalue=1e-16, b0=1e-3, depth=6, time=1e12, sign=1.0)
@example(z=1e3, eigenvalue=1.0, b0=1e-3, depth=1, time=1e-6, sign=-1.0)
@example(z=0.3, eigenvalue=0.01, b0=1.0, depth=3, time=20.0, sign=1.0)
@given(z=magnitudes, sign=signs, eigenvalue=eigenvalues, b0=starts, depth=depths, time=moments)
def test_deep_coordinate_is_where_multiprecision_says(
    z: float, sign: float, eigenvalue: float, b0: float, depth: int, time: float
) -> None:
    with mpmath.workdps(30):
        exact = Exact(z, eigenvalue, b0, depth)
        # moments where something happens, beside the drawn one
        midway = (float(exact.time(exact.distance * mpmath.mpf(share))) for share in (0.1, 0.9))
        times = sorted({time, *midway})
        theta, a, b, beta = single(sign * z, eigenvalue, b0, depth, times)
        for t, value in zip(times, sign * beta, strict=True):
            check_position(exact, mpmath.mpf(value), t)
        np.testing.assert_allclose(a**2, eigenvalue + beta**2, rtol=1e-14)
        np.testing.assert_allclose(b**2, b0**2 + depth * beta**2, rtol=1e-14)
        np.testing.assert_allclose(theta, a * b**depth * beta, rtol=1e-13)


def shallow(z: float, eigenvalue: float, time: float) -> tuple[mpmath.mpf, mpmath.mpf]:
    """θ and a at depth 0 from the textbook form of the Riccati solution, in as many digits as its
    cancellation may cost.
    """
    with mpmath.workdps(80):
        z, eigenvalue, time = (mpmath.mpf(x) for x in (z, eigenvalue, time))
        rate = mpmath.sqrt(4 * z**2 + eigenvalue**2)
        high, low = (2 * z + rate) / eigenvalue, (2 * z - rate) / eigenvalue
        ratio = (1 - high) / (1 - low) * mpmath.exp(-rate * time)
        w = (high - low * ratio) / (1 - ratio)
        return eigenvalue / 4 * (w - 1 / w), mpmath.sqrt(eigenvalue / 4 * (w + 2 + 1 / w))


@settings(edges, max_examples=200)
@example(z=1e3, eigenvalue=1e-16, time=1e12, sign=1.0)
@example(z=1e3, eigenvalue=1e-16, time=0.03, sign=1.0)
@example(z=1e-12, eigenvalue=1.0, time=1e-6, sign=-1.0)
@given(z=magnitudes, sign=signs, eigenvalue=eigenvalues, time=moments)
def test_shallow_coordinate_is_where_multiprecision_says(
    z: float, sign: float, eigenvalue: float, time: float
) -> None:
    theta, a, b, beta = single(sign * z, eigenvalue, 0.7, 0, [time])
    # one rounding of R t shows in e^{−Rt}: R t ulps of θ while it climbs
    rtol = 1e-14 + 4e-16 * min(2 * np.hypot(2 * z, eigenvalue) * time, 80.0)
    expected, scale = shallow(z, eigenvalue, time)
    np.testing.assert_allclose(sign * theta, float(expected), rtol=rtol)
    np.testing.assert_allclose(a, float(scale), rtol=rtol)
    np.testing.assert_allclose(sign * beta, float(expected / scale), rtol=2 * rtol)
    assert b == 0.7


@edges
@given(seed=st.integers(0, 2**31), b0=starts, depth=st.integers(0, 6))
def test_paths_are_finite_monotone_and_below_their_limit(seed: int, b0: float, depth: int) -> None:
    rng = np.random.Generator(np.random.Philox(seed))
    z = torch.from_numpy(10.0 ** rng.uniform(-12, 3, 50))
    eigenvalue = torch.from_numpy(10.0 ** rng.uniform(-16, 0, 50))
    times = [0.0, *np.geomspace(1e-6, 1e12, 200)]
    path = diagonal_flow(z, eigenvalue, b0, depth, times)
    for part in path:
        assert bool(torch.isfinite(part).all())
        assert bool((part.diff(dim=0) >= -1e-13 * part[1:].abs()).all())
    assert bool((path.theta <= z * (1 + 1e-13)).all())
    assert bool((path.theta[0] == 0).all()) and bool((path.beta[0] == 0).all())
    torch.testing.assert_close(path.a[0], eigenvalue.sqrt(), rtol=1e-15, atol=0)


@edges
@given(eigenvalue=eigenvalues, b0=starts, depth=st.integers(0, 6))
def test_coordinates_without_drive_stay_where_they_start(
    eigenvalue: float, b0: float, depth: int
) -> None:
    times = [0.0, 1.0, 1e12]
    for z, spread in ((0.0, eigenvalue), (-0.0, eigenvalue), (0.7, 0.0), (0.0, 0.0)):
        theta, a, b, beta = single(z, spread, b0, depth, times)
        np.testing.assert_array_equal(theta, 0.0)
        np.testing.assert_array_equal(beta, 0.0)
        np.testing.assert_allclose(a, np.sqrt(spread), rtol=1e-15)
        np.testing.assert_allclose(b, b0, rtol=1e-15)
