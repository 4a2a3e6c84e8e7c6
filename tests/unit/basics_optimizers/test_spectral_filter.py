"""Spectral algorithms against other people's algebra, and risk estimates against refits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge

from testbed.contract.cells import Compute
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.record import record
from testbed.running.execute import execute_cell
from testbed.testing import check_component
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
from testbed_ntk.models import ReluTangent
from testbed_sequence.models.diagonal import Diagonal
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.filters import DESIGN, MODEL, TIMES, kernel_matrices, train


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
