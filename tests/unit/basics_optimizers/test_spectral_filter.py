"""Spectral algorithms against other people's algebra, and risk estimates against refits."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import pytest
import torch
from attrs import frozen
from sklearn.kernel_ridge import KernelRidge

from testbed.contract.cells import Compute
from testbed.contract.components import Metric, Variable
from testbed.contract.grids import Grid
from testbed.contract.seeds import Streams
from testbed.numerics.filters import spectral_filter
from testbed.planning.files import read_scenario
from testbed.planning.fitting import times_objection
from testbed.planning.plan import make_plan
from testbed.results.record import record
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import check_component
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.validation import (
    MEASURED,
    GeneralisedCrossValidation,
    LeaveOneOutRisk,
)
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_networks.models.fixed import RandomFeatures
from testbed_ntk.models import Laplace, Matern, Polynomial, ReluTangent
from testbed_ntk.numerics.gram import cross_matrix, gram_matrix
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_sequence.models.diagonal import Diagonal
from tests.helpers.cells import make_cell, run_cell

DESIGN = Sphere(dim=4, n=40, n_test=25, noise=0.4)
MODEL = ReluTangent(depth=2, bias_variance=0.1)
TIMES = (0.5, 4.0, 60.0, 1000.0)


@frozen(kw_only=True)
class Seen(Metric):
    """What metrics are handed."""

    name = "tests.seen"
    needs = ("predictions", "train_predictions", "leverage")
    variables: ClassVar = {
        "predictions": Variable("f at the test points", dims=("test_point",)),
        "fitted": Variable("f at the training points", dims=("train_point",)),
        "leverage": Variable("diagonal of the smoother", dims=("train_point",)),
    }

    def coordinates(self, sizes):
        return {f"{which}_point": np.arange(sizes[which]) for which in ("train", "test")}

    def measure(self, problem, predictions, train_predictions, leverage):
        return {"predictions": predictions, "fitted": train_predictions, "leverage": leverage}


def train(optimizer, model=MODEL, times=TIMES, **options):
    """Predictions, fitted values and leverages, (replicates, times, points)."""
    return run_cell(DESIGN, Linear(), model, optimizer, times, [Seen()], replicates=2, **options)


def kernel_matrices(model=MODEL, replicate=0):
    """K(X, X), K(Z, X) and y of one replicate, by the public kernel."""
    cell = make_cell(DESIGN, Linear(), model, SpectralFilter(), TIMES, [], replicates=2)
    problem = draw_problem(cell, replicate)
    kernel = model.kernel(DESIGN.dim)
    x, z = problem.train.x, problem.test.x
    return (
        gram_matrix(kernel, x).numpy(),
        cross_matrix(kernel, z, x).numpy(),
        problem.train.y.numpy(),
    )


def test_ridge_is_scikit_learns():
    actual = train(SpectralFilter(filter="ridge"))["predictions"]
    for replicate in range(2):
        gram, cross, y = kernel_matrices(replicate=replicate)
        for index, time in enumerate(TIMES):
            peer = KernelRidge(alpha=len(gram) / time, kernel="precomputed").fit(gram, y)
            np.testing.assert_allclose(actual[replicate, index], peer.predict(cross), rtol=1e-9)


@pytest.mark.parametrize("order", [1, 2, 5])
def test_iterated_ridge_refits_its_residuals(order):
    actual = train(SpectralFilter(filter="iterated-ridge", qualification=order))["fitted"]
    gram, _, y = kernel_matrices()
    for index, time in enumerate(TIMES):
        ridge = order * len(gram) / time * np.eye(len(gram))
        residual = y
        for _ in range(order):
            residual = residual - gram @ np.linalg.solve(gram + ridge, residual)
        np.testing.assert_allclose(actual[0, index], y - residual, rtol=1e-8, atol=1e-10)


def test_cutoff_is_regression_on_principal_components():
    actual = train(SpectralFilter(filter="cutoff"))["fitted"]
    gram, _, y = kernel_matrices()
    value, vectors = np.linalg.eigh(gram / len(gram))
    for index, time in enumerate(TIMES):
        kept = vectors[:, value >= 1 / time]
        np.testing.assert_allclose(actual[0, index], kept @ (kept.T @ y), atol=1e-10)


@pytest.mark.parametrize(("name", "momentum"), [("descent", 0.0), ("heavy-ball", 0.8)])
def test_steps_are_those_of_gradient_descent(name, momentum):
    actual = SpectralFilter(filter=name, learning_rate=0.25, momentum=momentum)
    times = (2.5, 25.0, 50.0)
    stepped = GradientDescent(learning_rate=0.25, momentum=momentum, method="stepped")
    closed = GradientDescent(learning_rate=0.25, momentum=momentum)
    assert actual.reached(times) == stepped.reached(times) == closed.reached(times)
    assert actual.auxiliary(times) == stepped.auxiliary(times)
    mine, theirs = train(actual, times=times), train(closed, times=times)
    for variable in ("predictions", "leverage"):
        np.testing.assert_array_equal(mine[variable], theirs[variable])
    risks = [
        run_cell(DESIGN, Linear(), MODEL, way, times, [ExcessRisk()]) for way in (actual, stepped)
    ]
    np.testing.assert_allclose(risks[0]["excess_risk"], risks[1]["excess_risk"], rtol=1e-10)


@pytest.mark.parametrize("name", ["descent", "heavy-ball"])
def test_a_sweep_over_the_filter_counts_each_ones_steps(name):
    """A momentum beside the filter, let through for heavy-ball, is none of descent's: as many steps
    as gradient descent with and without it."""
    actual = SpectralFilter(filter=name, learning_rate=0.25, momentum=0.5, qualification=2)
    momentum = 0.5 if name == "heavy-ball" else 0.0
    stepped = GradientDescent(learning_rate=0.25, momentum=momentum, method="stepped")
    times = (2.6, 25.0, 50.3)
    assert actual.auxiliary(times) == stepped.auxiliary(times)
    assert actual.auxiliary((50.0,))["step"] == (200.0 * (1 - momentum),)
    assert actual.reached(times) == stepped.reached(times)
    risks = [
        run_cell(DESIGN, Linear(), MODEL, way, times, [ExcessRisk()]) for way in (actual, stepped)
    ]
    np.testing.assert_allclose(risks[0]["excess_risk"], risks[1]["excess_risk"], rtol=1e-10)


def test_flow_is_the_limit_of_small_steps():
    """The gap to explicit descent falls like the step size."""
    flow = train(SpectralFilter(), times=(2.0, 10.0))["predictions"]
    np.testing.assert_array_equal(flow, train(GradientFlow(), times=(2.0, 10.0))["predictions"])
    gaps = [
        np.abs(train(GradientDescent(learning_rate=rate), times=(2.0, 10.0))["predictions"] - flow)
        for rate in (0.02, 0.01)
    ]
    assert gaps[1].max() < 3e-3
    assert gaps[0].max() / gaps[1].max() == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("name", ["flow", "ridge", "descent", "iterated-ridge", "heavy-ball"])
def test_both_routes_give_the_same_path(name):
    way = SpectralFilter(filter=name, qualification=3, learning_rate=0.25, momentum=0.5)
    paths = [
        train(way, model=ReluTangent(route=route), times=(0.5, 4.0, 60.0))["predictions"]
        for route in ("eigen", "krylov")
    ]
    np.testing.assert_allclose(paths[1], paths[0], rtol=1e-6, atol=1e-8)


def test_leverage_is_the_smoothers_diagonal():
    actual = train(SpectralFilter(filter="ridge"))["leverage"]
    gram, _, _ = kernel_matrices()
    for index, time in enumerate(TIMES):
        smoother = gram @ np.linalg.inv(gram + len(gram) / time * np.eye(len(gram)))
        np.testing.assert_allclose(actual[0, index], np.diag(smoother), rtol=1e-8)


# --- risk estimates -------------------------------------------------------------------------------


OPTIONS = {
    "descent": {"learning_rate": 0.25},
    "heavy-ball": {"learning_rate": 0.25, "momentum": 0.5},
    "iterated-ridge": {"qualification": 3},
}
BEFORE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # before the fit interpolates


def shrinkage(name, value, time):
    """φ_t(s) by refits and steps, one eigenvalue at a time."""
    if name == "ridge":
        return 1 / (value + 1 / time)
    if name == "flow":
        return -np.expm1(-time * value) / value
    if name == "cutoff":
        return (value >= 1 / time) / value
    result, before = np.zeros_like(value), np.zeros_like(value)
    if name == "iterated-ridge":
        for _ in range(3):
            result = result + (1 - value * result) / (value + 3 / time)
        return result
    momentum = OPTIONS[name].get("momentum", 0.0)
    for _ in range(round(time * (1 - momentum) / 0.25)):
        step = 0.25 * (1 - value * result) + momentum * (result - before)
        result, before = result + step, result
    return result


def left_out(name, gram, y, time):
    """Predictions of every point by a fit without it, its weight 1/n kept."""
    result = np.empty(len(y))
    for point in range(len(y)):
        kept = np.arange(len(y)) != point
        value, vectors = np.linalg.eigh(gram[np.ix_(kept, kept)] / len(y))
        dual = vectors @ (shrinkage(name, value, time) * (vectors.T @ y[kept])) / len(y)
        result[point] = gram[point, kept] @ dual
    return result


def leave_one_out_error(name, times):
    """Relative error against refits, (replicates, times)."""
    way = SpectralFilter(filter=name, **OPTIONS.get(name, {}))
    actual = run_cell(DESIGN, Linear(), MODEL, way, times, [LeaveOneOutRisk()], replicates=2)
    matrices = [kernel_matrices(replicate=replicate) for replicate in range(2)]
    brute = [
        [np.mean((y - left_out(name, gram, y, time)) ** 2) for time in times]
        for gram, _, y in matrices
    ]
    return actual["loo_risk"] / np.array(brute) - 1


def test_leave_one_out_is_exact_for_ridge():
    np.testing.assert_allclose(leave_one_out_error("ridge", TIMES), 0, atol=1e-8)


@pytest.mark.parametrize("name", sorted(MEASURED))
def test_leave_one_outs_error_is_the_one_that_its_label_states(name):
    """To the percent, rounded outwards, before the fit interpolates; beyond, it is no estimate."""
    error = leave_one_out_error(name, BEFORE)
    low, high = MEASURED[name]
    assert low <= error.min() < low + 0.01 and high - 0.01 < error.max() <= high
    (late,) = leave_one_out_error(name, (1000.0,)).T
    if name == "cutoff":
        assert np.isnan(late).all()
    else:
        assert (late > (0.1 if name == "iterated-ridge" else 2)).all()


def test_leave_one_out_is_labelled_by_its_filter():
    text = """
format = 1
name = "labelled"
times = [1.0, 4.0]
design = { use = "sphere", dim = 3, n = 12, n_test = 3, noise = 0.1 }
target = { use = "linear" }
metric = [{ use = "loo-risk" }]
[[estimator]]
name = "swept"
model = { use = "ntk.laplace" }
[estimator.optimizer]
use = "spectral-filter"
filter = { values = ["ridge", "flow"] }
[[estimator]]
name = "ridge"
model = { use = "ntk.laplace" }
optimizer = { use = "spectral-filter", filter = "ridge" }
[[estimator]]
name = "heavy"
model = { use = "ntk.laplace" }
optimizer = { use = "gradient-descent", learning_rate = 0.25, momentum = 0.5 }
"""
    plan = make_plan(read_scenario(text))
    tree = record(plan, [execute_cell(cell) for cell in plan.cells])
    output = {name: tree[name]["loo_risk"].attrs["comment"] for name in ("swept", "ridge", "heavy")}
    assert output["ridge"] == "exact for ridge"
    assert output["swept"].startswith("exact for ridge; an approximation for flow, -7% to +6% off")
    assert output["heavy"].startswith("an approximation for heavy-ball, -8% to +6% off the refits")
    cell = make_cell(DESIGN, Linear(), MODEL, Sgd(learning_rate=0.1, batch_size=2), TIMES, [])
    assert "sgd, whose error has not been measured" in LeaveOneOutRisk().comment(cell, "loo_risk")


def test_generalised_cross_validation_is_its_formula():
    actual = run_cell(
        DESIGN, Linear(), MODEL, SpectralFilter(filter="ridge"), TIMES,
        [GeneralisedCrossValidation()],
    )  # fmt: skip
    gram, _, y = kernel_matrices()
    n = len(gram)
    for index, time in enumerate(TIMES):
        left = np.eye(n) - gram @ np.linalg.inv(gram + n / time * np.eye(n))
        formula = n * np.sum((left @ y) ** 2) / np.trace(left) ** 2
        assert actual["gcv"][0, index] == pytest.approx(formula, rel=1e-8)


# --- the limit t = ∞ ------------------------------------------------------------------------------


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


# --- what is refused ------------------------------------------------------------------------------


def test_filters_say_what_they_need():
    for name, missing in [
        ("descent", "learning_rate"), ("iterated-ridge", "qualification"), ("heavy-ball", "mom"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"{missing}.*expected a number"):
            SpectralFilter(filter=name, **({"learning_rate": 0.1} if missing == "mom" else {}))
    with pytest.raises(ValueError, match="expected"):
        SpectralFilter(filter="lasso")


def test_models_without_a_factorisation_are_refused():
    assert "eigensystem" in (SpectralFilter().accepts(Diagonal(gamma=1.5)) or "")


def test_ridge_is_a_coordinate():
    assert SpectralFilter(filter="ridge").auxiliary((0.0, 4.0)) == {"ridge": (np.inf, 0.25)}
    iterated = SpectralFilter(filter="iterated-ridge", qualification=2)
    assert iterated.auxiliary((4.0,)) == {"ridge": (0.5,)}


@pytest.mark.parametrize("name", ["flow", "iterated-ridge", "cutoff", "descent", "heavy-ball"])
def test_laws(name):
    way = SpectralFilter(filter=name, qualification=3, learning_rate=0.25, momentum=0.5)
    check_component(way, model=MODEL)


def test_single_precision():
    result = train(SpectralFilter(filter="ridge"), compute=Compute(dtype="float32"))
    double = train(SpectralFilter(filter="ridge"))
    assert torch.get_default_dtype() == torch.float32  # nothing global was touched
    np.testing.assert_allclose(result["predictions"], double["predictions"], rtol=0, atol=3e-4)
