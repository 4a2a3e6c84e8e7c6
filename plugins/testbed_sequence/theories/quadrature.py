"""Expected risk of sequence models without replicates: each coordinate integrated over its noise.

``E Σ_j (θ_j(t; θ*_j + ξ_j) − θ*_j)²``, ``ξ_j ~ N(0, ε²)`` independent, is a sum of one-dimensional
integrals. θ(t; z) is odd in z and, late, almost a step at a small z: Gauss–Hermite rules miss it
(errors of per cents), so composite Gauss–Legendre over ξ/ε ∈ [−9, 9] is used, split at z = 0, with
panels graded geometrically towards it. Coordinates without truth differ in λ alone: their risk is
interpolated. This module and the flow share only the solution of one coordinate.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from testbed_sequence.numerics.diagonal_flow import coordinate_estimate, keep_pages

if TYPE_CHECKING:
    from torch import Tensor

Array = np.ndarray[Any, np.dtype[np.float64]]

REACH = 9.0  # |ξ|/ε beyond which the normal density is below 1e-18
PANELS = 60, 40  # on each side of z = 0, and more for each layer: deeper flows climb more steeply
NODES = 8  # Gauss–Legendre nodes a panel
FINEST = 1e-3  # width of the panel at z = 0, over the length of its side
CHEBYSHEV = 81  # interpolation nodes in log λ for coordinates without truth
SAMPLES = 257  # coordinates computed where many carry truth
CHECKS = 16  # coordinates that test the interpolation between them
AGREEMENT = 1e-5  # relative; if the test misses it, every coordinate is computed
BLOCK = 65536  # (time, node) pairs worked on at once


class _Problem(NamedTuple):
    """The parameters that all coordinates share."""

    deviation: float  # ε
    b0: float
    depth: int
    times: Array  # (t,)


def expected_risk_fixed(truth: Any, eigenvalue: Any, variance: float, times: Any) -> Array:
    """``Σ (e^{−λt} θ*)² + ε² Σ (1 − e^{−λt})²`` at each time: fixed features, exactly ``(t,)``.

    ``truth`` and ``eigenvalue`` are ``(mode,)``, ``variance`` is ε² of one observed coefficient.
    """
    exponent = -np.outer(_vector(times), _vector(eigenvalue))  # (t, mode)
    bias = np.exp(exponent) * _vector(truth)
    return np.asarray((bias**2).sum(1) + variance * (np.expm1(exponent) ** 2).sum(1))


def expected_risk(
    truth: Any, eigenvalue: Any, variance: float, b0: float, depth: int, times: Sequence[float]
) -> Array:
    """Expected risk of the diagonal model of any depth at each non-decreasing time ``(t,)``.

    ``truth`` and ``eigenvalue`` are ``(mode,)``, ``variance`` is ε². Relative error about 1e-6.
    """
    truth, eigenvalue = np.broadcast_arrays(_vector(truth), _vector(eigenvalue))
    problem = _Problem(float(np.sqrt(variance)), float(b0), depth, _vector(times))
    carries = truth != 0
    total = _risk_with_truth(np.abs(truth[carries]), eigenvalue[carries], problem)
    if variance > 0:
        total = total + _risk_without_truth(eigenvalue[~carries], problem)
    return total


def _vector(values: Any) -> Array:
    return np.atleast_1d(np.asarray(values, dtype=np.float64))


def _risk_without_truth(eigenvalue: Array, problem: _Problem) -> Array:
    """Sum of ``E θ(t; ξ)²``, log risk interpolated by Chebyshev polynomials in log λ."""
    moving, counts = np.unique(eigenvalue[eigenvalue > 0], return_counts=True)
    if len(moving) <= CHEBYSHEV:
        return counts @ coordinate_risk(np.zeros_like(moving), moving, problem)
    low, high = np.log(moving[0]), np.log(moving[-1])
    nodes = np.cos(np.pi * (np.arange(CHEBYSHEV) + 0.5) / CHEBYSHEV)
    node_eigenvalues = np.exp(low + (high - low) * (nodes + 1) / 2)
    risk = coordinate_risk(np.zeros_like(node_eigenvalues), node_eigenvalues, problem)
    basis = np.polynomial.chebyshev.chebvander(nodes, CHEBYSHEV - 1)
    coefficients = np.linalg.solve(basis, np.log(np.maximum(risk, np.finfo(float).tiny)))
    place = np.clip(2 * (np.log(moving) - low) / (high - low) - 1, -1, 1)
    wanted = np.polynomial.chebyshev.chebvander(place, CHEBYSHEV - 1)
    total = counts @ np.exp(wanted @ coefficients)
    return np.where(problem.times > 0, total, 0.0)


def _risk_with_truth(truth: Array, eigenvalue: Array, problem: _Problem) -> Array:
    """Sum over the coordinates that carry truth. Where they are many and the truth is a smooth
    function of λ (power laws), a spline of log risk in log λ through some of them gives the sum.
    """
    if len(truth) > 2 * SAMPLES:
        order = np.argsort(eigenvalue, kind="stable")
        total = _splined(truth[order], eigenvalue[order], problem)
        if total is not None:
            return total
    return coordinate_risk(truth, eigenvalue, problem).sum(0)


def _splined(truth: Array, eigenvalue: Array, problem: _Problem) -> Array | None:
    """The sum by splines; None where eigenvalues tie or checked coordinates do not agree."""
    if eigenvalue[0] <= 0 or bool((np.diff(eigenvalue) <= 0).any()):
        return None
    place = np.log(eigenvalue)
    even = np.searchsorted(place, np.linspace(place[0], place[-1], SAMPLES))
    chosen = np.unique(np.concatenate([even.clip(max=len(place) - 1), [0, len(place) - 1]]))
    risk = coordinate_risk(truth[chosen], eigenvalue[chosen], problem)
    from scipy.interpolate import CubicSpline  # imported here: it slows down start-up

    spline = CubicSpline(place[chosen], np.log(np.maximum(risk, np.finfo(float).tiny)))
    remaining = np.setdiff1d(np.arange(len(place)), chosen)
    checked = remaining[np.linspace(0, len(remaining) - 1, CHECKS).astype(int)]
    exact = coordinate_risk(truth[checked], eigenvalue[checked], problem)
    if not np.allclose(np.exp(spline(place[checked])), exact, rtol=AGREEMENT, atol=0):
        return None
    return np.asarray(np.exp(spline(place)).sum(0))


def coordinate_risk(truth: Array, eigenvalue: Array, problem: _Problem) -> Array:
    """``E (θ(t; θ* + ξ) − θ*)²`` of each coordinate ``(n, t)``; ``truth ≥ 0``, λ are ``(n,)``."""
    if not len(truth):
        return np.zeros((0, len(problem.times)))
    keep_pages()
    panels = PANELS[0] + PANELS[1] * problem.depth
    nodes, weights = _noise_nodes(truth, problem.deviation, panels)  # (n, q)
    risk = np.zeros((len(truth), len(problem.times)))
    room = max(BLOCK // len(problem.times), 1)
    height, width = max(room // nodes.shape[1], 1), min(room, nodes.shape[1])
    for top, left in product(range(0, len(truth), height), range(0, nodes.shape[1], width)):
        rows, part = slice(top, top + height), (slice(top, top + height), slice(left, left + width))
        error = _error(truth[rows], eigenvalue[rows], nodes[part], problem)  # (t, n, q)
        risk[rows] += error.square_().mul_(torch.from_numpy(weights[part])).sum(2).T.numpy()
    return risk


def _error(truth: Array, eigenvalue: Array, nodes: Array, problem: _Problem) -> Tensor:
    """``θ(t; θ* + ε x) − θ*`` at nodes x ``(n, q)`` → ``(t, n, q)``."""
    z = torch.from_numpy(truth[:, None] + problem.deviation * nodes)
    spread = torch.from_numpy(eigenvalue[:, None]).expand_as(z)
    flat, start = z.flatten(), torch.full_like(z, problem.b0).flatten()
    clock = torch.from_numpy(problem.times)
    estimate = coordinate_estimate(flat, spread.flatten(), start, problem.depth, clock)[0]
    return estimate.view(-1, *z.shape).sub_(torch.from_numpy(truth[:, None]))


def _noise_nodes(truth: Array, deviation: float, panels: int) -> tuple[Array, Array]:
    """Nodes in ξ/ε and weights with the normal density ``(n, q)``, split where θ* + ξ = 0.

    Without truth one side suffices: the risk is even in ξ. Without noise one node suffices.
    """
    if deviation == 0:
        return np.zeros((len(truth), 1)), np.ones((len(truth), 1))
    graded = np.concatenate([[0.0], np.geomspace(FINEST, 1.0, panels)])  # (panels + 1,)
    split = np.maximum(-truth / deviation, -REACH)[:, None]
    sides = [split + (REACH - split) * graded]
    if bool((truth > 0).any()):
        sides.append(split - (REACH + split) * graded)
    middle = np.concatenate([(edges[:, 1:] + edges[:, :-1]) / 2 for edges in sides], 1)
    half = np.concatenate([np.abs(np.diff(edges)) / 2 for edges in sides], 1)
    point, weight = np.polynomial.legendre.leggauss(NODES)
    nodes = (middle[:, :, None] + half[:, :, None] * point).reshape(
        len(truth), len(middle[0]) * NODES
    )
    weights = (half[:, :, None] * weight).reshape(nodes.shape) * (2 // len(sides))
    return nodes, weights * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
