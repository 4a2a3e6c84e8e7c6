"""Recursive feature machines side by side: the learned metric; prints a Markdown table.

    python benchmarks/bench_rfm.py [--n 4000] [--dim 20] [--iterations 5]

The demo of arXiv:2212.13881: f* = x₀x₁·1{x₅ > 0}, x ~ N(0, ¼I), Laplace kernel of bandwidth 10,
ridge 1e−3. All contestants run the same rounds in float64 with LAPACK behind them and differ in how
they form kernel, solution and gradients:

- point by point: for each training point the differences to all others, its gradient, and its
  outer product;
- products, then pairs of points: all gradients by matrix products, their outer products added two
  points at a time, as the paper's public code does, which also computes distances twice a round
  and solves by LU.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins"), str(Path(__file__).parent)]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from side_by_side import conditions, table, timed  # noqa: E402
from torch import Tensor  # noqa: E402

from testbed_adaptive.models.rfm import learned_metric  # noqa: E402
from testbed_adaptive.numerics.mahalanobis_kernel import Radial  # noqa: E402

BANDWIDTH, RIDGE = 10.0, 1e-3


def demo(n: int, dim: int) -> tuple[Tensor, Tensor]:
    """Inputs (n, dim) and noiseless observations (n,)."""
    x = 0.5 * np.random.Generator(np.random.Philox(1)).standard_normal((n, dim))
    y = x[:, 0] * x[:, 1] * (x[:, 5] > 0)
    return torch.from_numpy(x), torch.from_numpy(y)


def distances(x: Tensor, metric: Tensor) -> Tensor:
    """‖x_i − x_j‖_M, (n, n), on whole matrices."""
    square = ((x @ metric) * x).sum(1)
    squares = square[:, None] + square - 2 * (x @ metric @ x.T)
    squares.fill_diagonal_(0)
    return squares.clamp_min(0).sqrt()


def solution(gram: Tensor, y: Tensor) -> Tensor:
    return torch.linalg.solve(gram + RIDGE * torch.eye(len(gram), dtype=gram.dtype), y)


def point_by_point(x: Tensor, y: Tensor, iterations: int) -> Tensor:
    """∇f(x_i) = −(1/L) Σ_j α_j k_ij M(x_i − x_j)/r_ij, one i after the other."""
    metric = torch.eye(x.shape[1], dtype=x.dtype)
    for _ in range(iterations):
        distance = distances(x, metric)
        gram = torch.exp(-distance / BANDWIDTH)
        dual = solution(gram, y)
        total = torch.zeros_like(metric)
        for i in range(len(x)):
            factor = torch.where(distance[i] > 0, dual * gram[i] / distance[i], 0.0)
            slope = -(factor @ ((x[i] - x) @ metric)) / BANDWIDTH
            total += torch.outer(slope, slope)
        metric = total / len(x)
    return metric


def products_then_pairs(x: Tensor, y: Tensor, iterations: int) -> Tensor:
    """All gradients at once; outer products of two points at a time."""
    metric = torch.eye(x.shape[1], dtype=x.dtype)
    for _ in range(iterations):
        dual = solution(torch.exp(-distances(x, metric) / BANDWIDTH), y)
        distance = distances(x, metric)
        factor = torch.exp(-distance / BANDWIDTH) / distance
        factor = torch.where(torch.isinf(factor), 0.0, factor)
        moved = x @ metric
        slopes = (factor @ (dual[:, None] * moved) - (factor @ dual)[:, None] * moved) / BANDWIDTH
        total = torch.zeros_like(metric)
        for pair in slopes.split(2):
            total += torch.einsum("ni,nj->ij", pair, pair)
        metric = total / len(x)
    return metric


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--n", type=int, default=4000)
    parser.add_argument("--dim", type=int, default=20)
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the best counts")
    options = parser.parse_args()
    x, y = demo(options.n, options.dim)
    kernel, iterations = Radial("laplace", BANDWIDTH), options.iterations
    learned_metric(kernel, x[:500], y[:500], 1, RIDGE)  # what only the first call costs
    rows = [
        timed(
            "testbed",
            lambda: learned_metric(kernel, x, y, iterations, RIDGE),
            rounds=options.rounds,
        ),
        timed(
            "gradients point by point",
            lambda: point_by_point(x, y, iterations),
            rounds=options.rounds,
        ),
        timed(
            "gradients by products, then pairs of points",
            lambda: products_then_pairs(x, y, iterations),
            rounds=options.rounds,
        ),
    ]
    work = f"Learned metric M: n = {options.n}, d = {options.dim}, {iterations} iterations, float64"
    gaps = [float((row.answer - rows[0].answer).norm() / row.answer.norm()) for row in rows[1:]]
    order = torch.argsort(rows[0].answer.diagonal(), descending=True)[:3].tolist()
    print(table(work, rows))
    print(
        f"\nRelative difference of M from ours: {gaps[0]:.1e} point by point, {gaps[1]:.1e} by "
        f"pairs. Largest on the diagonal: coordinates {', '.join(map(str, sorted(order)))}."
    )
    print("\n" + conditions("torch", "numpy"))


if __name__ == "__main__":
    main()
