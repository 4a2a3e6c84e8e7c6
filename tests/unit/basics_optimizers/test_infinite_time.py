"""Spectral filters at the time inf: interpolation, least norm, and the risk estimates left."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from testbed.contract.cells import Compute
from testbed.contract.grids import Grid
from testbed.contract.seeds import Streams
from testbed.numerics.filters import spectral_filter
from testbed.planning.fitting import times_objection
from testbed.running.execute import draw_problem
from testbed_basics.metrics.validation import (
    GeneralisedCrossValidation,
    LeaveOneOutRisk,
)
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models import Laplace, Matern, Polynomial, ReluTangent
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_sequence.models.diagonal import Diagonal
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.filters import DESIGN, MODEL, TIMES, kernel_matrices, train


@pytest.mark.parametrize("name", ["flow", "ridge", "iterated-ridge", "cutoff"])
@pytest.mark.parametrize("route", ["eigen", "krylov"])
def test_infinite_time_interpolates(name, route):
    way = SpectralFilter(filter=name, qualification=2)
    result = train(way, model=Laplace(route=route), times=(1.0, np.inf))
    gram, cross, y = kernel_matrices(Laplace())
    np.testing.assert_allclose(result["fitted"][0, 1], y, atol=1e-10)
    np.testing.assert_allclose(
        result["predictions"][0, 1], cross @ np.linalg.solve(gram, y), rtol=1e-8
    )
    again = train(way, model=Laplace(route=route), times=(1.0,))
    np.testing.assert_allclose(again["predictions"][:, 0], result["predictions"][:, 0], rtol=1e-12)


LIMITS = {
    "ridge": SpectralFilter(filter="ridge"),
    "flow": SpectralFilter(),
    "iterated": SpectralFilter(filter="iterated-ridge", qualification=2),
    "cutoff": SpectralFilter(filter="cutoff"),
    "gradient-flow": GradientFlow(),
}


@pytest.mark.parametrize("route", ["eigen", "krylov"])
@pytest.mark.parametrize("way", LIMITS.values(), ids=LIMITS.keys())
def test_the_limit_of_a_kernel_of_low_rank_is_least_squares_of_least_norm(way, route):
    """A polynomial of degree 1 in 4 dimensions has rank 5 on 40 points: features (x, 1) by NumPy's
    least squares. Earlier times stay what they are without the limit."""
    model = Polynomial(degree=1, route=route)
    result = train(way, model=model, times=(1.0, np.inf))
    cell = make_cell(DESIGN, Linear(), model, way, TIMES, [])
    problem = draw_problem(cell, 0)
    x, z = (
        np.column_stack([data.x.numpy(), np.ones(len(data.x))])
        for data in (problem.train, problem.test)
    )
    weights = np.linalg.lstsq(x, problem.train.y.numpy(), rcond=None)[0]
    np.testing.assert_allclose(result["fitted"][0, 1], x @ weights, atol=1e-10)
    np.testing.assert_allclose(result["predictions"][0, 1], z @ weights, atol=1e-10)
    finite = train(way, model=model, times=(1.0,))
    np.testing.assert_allclose(finite["fitted"][:, 0], result["fitted"][:, 0], atol=1e-8)


@pytest.mark.parametrize("width", [6, 40, 90])
def test_the_limit_of_random_features_is_least_squares_of_least_norm(width):
    """Fewer features than points, as many, and more: the coefficients of NumPy's lstsq, which are
    those of least norm."""
    model = RandomFeatures(width=width, activation="tanh", bias=True)
    way = SpectralFilter(filter="ridge")
    result = train(way, model=model, times=(1.0, np.inf))
    cell = make_cell(DESIGN, Linear(), model, way, TIMES, [])
    problem = draw_problem(cell, 0)
    drawn = model.draw(Streams(cell.seed, 0), problem)
    x, z = (
        np.tanh(data.x.numpy() @ drawn["first"].T + drawn["bias"]) / width**0.5
        for data in (problem.train, problem.test)
    )
    weights = np.linalg.lstsq(x, problem.train.y.numpy(), rcond=None)[0]
    scale = np.abs(z @ weights).max()
    np.testing.assert_allclose(result["fitted"][0, 1], x @ weights, atol=1e-6 * scale)
    np.testing.assert_allclose(result["predictions"][0, 1], z @ weights, atol=1e-6 * scale)


@pytest.mark.parametrize("model", [Laplace(), ReluTangent(), Matern(nu=0.5)], ids=lambda m: m.name)
def test_points_that_repeat_are_fitted_by_their_mean_at_infinite_time(model):
    """Kernels of full rank on 6 points that occur twice. They have a kink at distance 0, so that
    rounding alone would make the matrix regular."""
    x = torch.from_numpy(np.random.default_rng(2).standard_normal((6, 3))).repeat(2, 1)
    y = torch.from_numpy(np.random.default_rng(3).standard_normal(12))
    gram = gram_matrix(model.kernel(3), x, torch.full((12,), 12**-0.5, dtype=torch.float64))
    value, vectors = torch.linalg.eigh(gram)
    phi = spectral_filter("flow", value, (math.inf,))[0]
    fitted = gram @ vectors @ (phi * (vectors.mT @ y))
    np.testing.assert_allclose(fitted[:6], (y[:6] + y[6:]) / 2)
    np.testing.assert_allclose(fitted[6:], fitted[:6])
    np.testing.assert_allclose(gram[:6, :6], gram_matrix(model.kernel(3), x[:6]) / 12, rtol=1e-12)


def test_single_precision_has_a_null_space_too():
    """35 of 40 eigenvalues are rounding of float32."""
    result = train(
        SpectralFilter(filter="ridge"), model=Polynomial(degree=1), times=(1.0, np.inf),
        compute=Compute(dtype="float32"),
    )  # fmt: skip
    exact = train(SpectralFilter(filter="ridge"), model=Polynomial(degree=1), times=(1.0, np.inf))
    np.testing.assert_allclose(result["predictions"], exact["predictions"], atol=1e-4)


@pytest.mark.parametrize("way", LIMITS.values(), ids=LIMITS.keys())
def test_leave_one_out_exists_where_the_limit_does_not_interpolate(way):
    """Least squares of rank 5 on 40 points: exact, as refits without each point show."""
    result = run_cell(
        DESIGN, Linear(), Polynomial(degree=1), way, (1.0, np.inf), [LeaveOneOutRisk()]
    )
    gram, _, y = kernel_matrices(Polynomial(degree=1))
    residual = []
    for point in range(len(y)):
        kept = np.arange(len(y)) != point
        dual = np.linalg.pinv(gram[np.ix_(kept, kept)], rcond=1e-10) @ y[kept]
        residual.append(y[point] - gram[point, kept] @ dual)
    assert result["loo_risk"][0, 1] == pytest.approx(np.mean(np.square(residual)), rel=1e-6)


@pytest.mark.parametrize("name", ["ridge", "flow", "iterated-ridge", "cutoff"])
@pytest.mark.parametrize("model", [Polynomial(degree=1), Laplace()], ids=["singular", "regular"])
def test_bias_and_variance_of_the_limit_are_those_of_least_squares(name, model):
    """Means over 400 draws of the noise, by NumPy's pinv, within five standard errors."""
    way = SpectralFilter(filter=name, qualification=2)
    cell = make_cell(DESIGN, Linear(), model, way, (1.0, np.inf), [])
    problem = draw_problem(cell, 0)
    result = BiasVariance().predict(cell, cell.times, problem)
    gram, cross, _ = kernel_matrices(model)
    hat = cross @ np.linalg.pinv(gram, rcond=1e-10)
    noise = DESIGN.noise * np.random.default_rng(1).standard_normal((400, DESIGN.n))
    fits = (problem.train.truth.numpy() + noise) @ hat.T
    risks = ((fits - problem.test.truth.numpy()) ** 2).mean(1)
    error = risks.std(ddof=1) / 20
    assert abs(result["excess_risk"][1] - risks.mean()) < 5 * error
    assert result["excess_risk"][1] == result["bias"][1] + result["variance"][1]


def test_the_limit_is_refused_where_nothing_gives_it():
    infinite, steps = Grid((1.0, math.inf)), GradientDescent(learning_rate=0.1)
    for model, optimizer in [(MODEL, steps), (Diagonal(gamma=1.5), GradientFlow()),
                             (MODEL, GradientFlow(method="numeric"))]:  # fmt: skip
        result, expected, _ = times_objection(model, optimizer, infinite)
        assert "never reaches" in result and expected == "finite times"
    assert times_objection(MODEL, GradientFlow(), infinite) is None


def test_interpolation_leaves_no_risk_estimate():
    """At t = ∞ residuals and 1 − S_ii are both rounding."""
    metrics = [LeaveOneOutRisk(), GeneralisedCrossValidation()]
    result = run_cell(DESIGN, Linear(), Laplace(), SpectralFilter(), (1.0, np.inf), metrics)
    for variable in ("loo_risk", "gcv"):
        assert np.isfinite(result[variable][:, 0]).all()
        assert np.isnan(result[variable][:, 1]).all()


def test_leave_one_out_of_interpolants_is_the_limit_of_ridges():
    """By refits of least norm without each point, by (K⁻¹y)_i/(K⁻¹)_ii, and by ridge at a late
    time; the label at τ = ∞ says where to find it."""
    ridge = SpectralFilter(filter="ridge")
    measured = run_cell(DESIGN, Linear(), Laplace(), ridge, (1e6, 1e7), [LeaveOneOutRisk()])
    gram, _, y = kernel_matrices(Laplace())
    inverse = np.linalg.inv(gram)
    formula = np.mean((inverse @ y / np.diag(inverse)) ** 2)
    refits = []
    for point in range(len(y)):
        kept = np.arange(len(y)) != point
        dual = np.linalg.solve(gram[np.ix_(kept, kept)], y[kept])
        refits.append(y[point] - gram[point, kept] @ dual)
    assert formula == pytest.approx(np.mean(np.square(refits)), rel=1e-8)
    np.testing.assert_allclose(measured["loo_risk"][0], formula, rtol=1e-3)
    cell = make_cell(DESIGN, Linear(), Laplace(), ridge, (1.0, math.inf), [])
    assert "late finite time" in LeaveOneOutRisk().comment(cell, "loo_risk")
