"""Recursive feature machines: metric and path against autograd, SciPy and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from testbed.contract.components import Estimator
from testbed.errors import UnsuitableError
from testbed.planning.fitting import served_needs
from testbed.testing import NumericFlow, check_component
from testbed_adaptive.models.rfm import RecursiveFeatureMachine, learned_metric
from testbed_adaptive.numerics.mahalanobis_kernel import (
    KERNELS,
    Radial,
    gradients,
    kernel_and_slopes,
    kernel_matrix,
    outer_product,
    squared_distances,
)
from testbed_basics.designs.points import Gaussian
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.validation import LeaveOneOutRisk
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.indicator import IndicatorProduct
from testbed_ntk.models import Laplace, Rbf
from tests.helpers.cells import run_cell
from tests.helpers.regression import path_of, problem_of

N, DIM = 30, 4


def generator(seed: int = 1) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(seed))


def points(n: int = N, outputs: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    rng = generator()
    x = rng.standard_normal((n, DIM))
    y = x[:, 0] * x[:, 1] + 0.1 * rng.standard_normal(n)
    return x, y if outputs is None else np.stack([y, x[:, 2]], 1)


def random_metric() -> np.ndarray:
    root = generator(2).standard_normal((DIM, DIM))
    return root @ root.T


def by_scipy(
    shape: str, bandwidth: float, x: np.ndarray, z: np.ndarray, m: np.ndarray
) -> np.ndarray:
    distance = cdist(x, z, "mahalanobis", VI=m)
    power = distance / bandwidth if shape == "laplace" else distance**2 / (2 * bandwidth**2)
    return np.exp(-power)


# --- the kernel -----------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", KERNELS)
@pytest.mark.parametrize("n", [30, 700])  # in one block, in several
def test_kernel_values(shape, n):
    x, metric, z = points(n)[0], random_metric(), generator(3).standard_normal((11, DIM))
    tensors = torch.from_numpy(metric), torch.from_numpy(x), torch.from_numpy(z)
    kernel = Radial(shape, 3.0)
    actual, cross = kernel_matrix(kernel, *tensors[:2]), kernel_matrix(kernel, *tensors)
    np.testing.assert_allclose(actual, by_scipy(shape, 3.0, x, x, metric), rtol=1e-12)
    np.testing.assert_allclose(cross, by_scipy(shape, 3.0, x, z, metric), rtol=1e-12)
    assert torch.equal(actual, actual.T) and bool((actual.diagonal() == 1).all())
    assert torch.equal(actual, kernel_and_slopes(kernel, *tensors[:2])[0])


def test_distances_along_directions_that_the_metric_has_lost_are_zero():
    x = torch.from_numpy(points()[0])
    z = x.clone()
    z[:, 1:] += 5
    metric = torch.zeros(DIM, DIM, dtype=torch.float64)
    metric[0, 0] = 2.0
    assert not squared_distances(x, z, metric).diagonal().any()


# --- the average gradient outer product -----------------------------------------------------------


def autograd_gradients(
    kernel: Radial, metric: torch.Tensor, x: torch.Tensor, dual: torch.Tensor
) -> torch.Tensor:
    """∇f at every training point, one by one, a point's own term left out: it is constant for the
    Gaussian, and has its kink there for Laplace."""
    rows = []
    for i in range(len(x)):
        remaining = torch.arange(len(x)) != i
        index = x[i].clone().requires_grad_()
        move = index - x[remaining]
        square = ((move @ metric) * move).sum(1)
        length = kernel.bandwidth
        power = square.sqrt() / length if kernel.shape == "laplace" else square / (2 * length**2)
        rows.append(torch.autograd.grad(dual[remaining] @ torch.exp(-power), index)[0])
    return torch.stack(rows)


@pytest.mark.parametrize("shape", KERNELS)
def test_gradients_and_their_outer_product_are_those_of_autograd(shape):
    x, metric = torch.from_numpy(points()[0]), torch.from_numpy(random_metric())
    dual = torch.from_numpy(generator(4).standard_normal((N, 2)))
    kernel = Radial(shape, 2.0)
    slopes = kernel_and_slopes(kernel, metric, x)[1]
    expected = torch.stack([autograd_gradients(kernel, metric, x, value) for value in dual.T])
    result = gradients(slopes, metric, x, dual)
    torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-12)
    product = torch.einsum("cni,cnj->ij", expected, expected) / N
    torch.testing.assert_close(outer_product(slopes, metric, x, dual), product, rtol=1e-10, atol=0)


def test_equal_points_leave_gradients_finite():
    x = torch.from_numpy(points()[0])
    x[1] = x[0]
    metric = torch.eye(DIM, dtype=torch.float64)
    dual = torch.ones(N, 1, dtype=torch.float64)
    kernel = Radial("laplace", 2.0)
    slopes = kernel_and_slopes(kernel, metric, x)[1]
    assert slopes[0, 1] == 0 and bool(torch.isfinite(gradients(slopes, metric, x, dual)).all())


@pytest.mark.parametrize("shape", KERNELS)
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("outputs", [None, 2])
def test_the_metric_after_some_rounds(shape, diagonal, outputs):
    """The algorithm in plain NumPy, gradients point by point."""
    x, y = points(outputs=outputs)
    reg, bandwidth = 0.05, 2.0
    metric = np.eye(DIM)
    for _ in range(3):
        gram = by_scipy(shape, bandwidth, x, x, metric)
        alpha = np.linalg.solve(gram + reg * np.eye(N), y).reshape(N, -1)
        total = np.zeros((DIM, DIM))
        for i in range(N):
            move = np.delete(x[i] - x, i, 0) @ metric
            near = np.delete(gram[i], i)
            distance = np.sqrt(np.sum(move * np.delete(x[i] - x, i, 0), 1))
            factor = near / (bandwidth * distance if shape == "laplace" else bandwidth**2)
            slope = -(np.delete(alpha, i, 0) * factor[:, None]).T @ move
            total += slope.T @ slope / N
        metric = np.diag(np.diag(total)) if diagonal else total
    result = learned_metric(
        Radial(shape, bandwidth), torch.from_numpy(x), torch.from_numpy(y), 3, reg, diagonal
    )
    np.testing.assert_allclose(result, metric, rtol=1e-8, atol=1e-10 * np.abs(metric).max())


# --- the path -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", KERNELS)
def test_the_last_fit_follows_the_path_and_the_inner_ones_do_not(shape):
    """At time t it is (K_M + (n/t)I)⁻¹y with the one M that `reg` gives; K_M by SciPy."""
    x, y = points()
    test_x = generator(5).standard_normal((9, DIM))
    model = RecursiveFeatureMachine(kernel=shape, bandwidth=2.0, iterations=2, reg=0.05)
    times = [0.0, 0.5, 30.0, 1e5]
    result = path_of(model, problem_of(x, y, test_x), times)
    metric = model.prepare(None, problem_of(x, y))["state"]["metric"].numpy()
    gram, cross = (by_scipy(shape, 2.0, z, x, metric) for z in (x, test_x))
    assert not result[0].any()
    for row, time in zip(result[1:], times[1:], strict=True):
        alpha = np.linalg.solve(gram + N / time * np.eye(N), y)
        np.testing.assert_allclose(row, cross @ alpha, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("shape", "plain"), [("laplace", Laplace(bandwidth=2.0)), ("gaussian", Rbf(bandwidth=2.0))]
)
def test_without_iterations_it_is_the_plain_kernel(shape, plain):
    problem = problem_of(*points(), generator(5).standard_normal((9, DIM)))
    actual = RecursiveFeatureMachine(kernel=shape, bandwidth=2.0, iterations=0)
    result, expected = (path_of(model, problem, [0.5, 100.0]) for model in (actual, plain))
    np.testing.assert_allclose(result, expected, rtol=1e-8, atol=1e-11)


def test_several_outputs_share_the_metric():
    x, y = points(outputs=2)
    model = RecursiveFeatureMachine(bandwidth=2.0, iterations=1)
    result = path_of(model, problem_of(x, y), [20.0])[0]
    gram = by_scipy("laplace", 2.0, x, x, model.prepare(None, problem_of(x, y))["state"]["metric"])
    expected = gram @ np.linalg.solve(gram + N / 20 * np.eye(N), y)
    np.testing.assert_allclose(result, expected, rtol=1e-8)


# --- the demo -------------------------------------------------------------------------------------


def test_the_demo_finds_the_three_coordinates():
    """f* = x₀x₁·1{x₅ > 0} among twenty coordinates, n = 1000: after five rounds M's diagonal is
    largest on 0, 1 and 5 and holds most of its trace there. At n = 4000 it is 99.9%."""
    rng = generator()
    x = 0.5 * rng.standard_normal((1000, 20))
    y = IndicatorProduct().values(None, x)
    for diagonal in (False, True):
        metric = learned_metric(
            Radial("laplace", 10.0), torch.from_numpy(x), torch.from_numpy(y), 5, 1e-3, diagonal
        )
        weight = metric.diagonal().numpy()
        assert set(np.argsort(weight)[-3:]) == {0, 1, 5}
        assert weight[[0, 1, 5]].sum() > 0.9 * weight.sum()


def test_the_demo_gains_from_every_early_round():
    """The best risk of 0, 1 and 3 rounds at n = 600 is near .0190, .0127 and .0093."""
    design, ridge = Gaussian(dim=20, n=600, n_test=500, scale=0.5), SpectralFilter(filter="ridge")
    least = []
    for rounds in (0, 1, 3):
        model = RecursiveFeatureMachine(iterations=rounds)
        result = run_cell(
            design, IndicatorProduct(), model, ridge, [1e3, 1e5, 1e7], [ExcessRisk()], replicates=2
        )
        least.append(result["excess_risk"].mean(0).min())
    assert least[1] < least[0] / 1.3 and least[2] < least[1] / 1.2


# --- what core relies on, and what is refused -----------------------------------------------------


@pytest.mark.parametrize("optimizer", [None, SpectralFilter(filter="ridge"), NumericFlow()])
def test_laws(optimizer):
    settings = {"optimizer": optimizer} if optimizer else {}
    check_component(RecursiveFeatureMachine(iterations=2), **settings)
    check_component(RecursiveFeatureMachine(iterations=1, kernel="gaussian", reg=0.1), **settings)


def test_leave_one_out_formulas_are_for_kernels_that_have_not_seen_the_observations():
    ridge = SpectralFilter(filter="ridge")
    learned, fixed = RecursiveFeatureMachine(), Laplace()
    reasons = [
        served_needs(LeaveOneOutRisk(), Estimator("own", model, ridge), None)[1]
        for model in (learned, fixed)
    ]
    assert reasons == ["the smoother of adaptive.rfm depends on the observations", ""]


def test_a_ridge_below_rounding_is_refused():
    x = np.zeros((8, 2), dtype=np.float32)
    model = RecursiveFeatureMachine(reg=1e-12)
    problem = problem_of(x, np.ones(8, dtype=np.float32))
    with pytest.raises(UnsuitableError, match="raise the ridge"):
        model.prepare(None, problem)
