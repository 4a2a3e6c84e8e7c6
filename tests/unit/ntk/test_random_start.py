"""Random starts of wide networks: against the posterior of the Gaussian process, the ensemble's
closed formulas, and networks that are wide."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from attrs import evolve, frozen
from scipy import linalg, stats

from testbed.contract.components import Estimator, Metric, Variable
from testbed.contract.seeds import Streams
from testbed.errors import ScenarioError, UnsuitableError
from testbed.planning.files import read_scenario
from testbed.planning.fitting import served_needs, theory_objection
from testbed.planning.plan import make_plan
from testbed.running.execute import draw_problem
from testbed.runs import checked_plan
from testbed.testing import check_component
from testbed_basics.designs.points import Gaussian, Sphere
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.validation import LeaveOneOutRisk
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.source import Source
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.metrics.population_risk import PopulationRisk
from testbed_ntk.models import NetworkProcess, NetworkTangent, ReluTangent
from testbed_ntk.numerics.gram import gram_matrix
from testbed_ntk.theories.bias_variance import BiasVariance
from testbed_ntk.theories.learning_curves import (
    DeterministicEquivalent,
    LargeDimension,
    PolynomialBarrier,
    Rates,
)
from tests.helpers.cells import make_cell, run_cell

DESIGN = Sphere(dim=3, n=8, n_test=5)
NTK = ReluTangent(depth=2, bias_variance=0.1, initial="process")
TANH = NetworkTangent(activation="erf", bias_variance=0.2, initial="process")
NNGP = NetworkProcess(bias_variance=0.2, initial="process")
FLOW, RIDGE = SpectralFilter(filter="flow"), SpectralFilter(filter="ridge")
TIMES = (0.0, 2.0, 50.0)
CHANCE = 1e-6  # that one mean or variance is called wrong though it is right


@frozen(kw_only=True)
class Seen(Metric):
    """The fitted function."""

    name = "tests.seen"
    needs = ("predictions", "train_predictions")
    variables: ClassVar = {
        "predictions": Variable("f at the test points", dims=("test_point",)),
        "fitted": Variable("f at the training points", dims=("train_point",)),
    }

    def coordinates(self, sizes):
        return {f"{which}_point": np.arange(sizes[which]) for which in ("train", "test")}

    def measure(self, problem, predictions, train_predictions):
        return {"predictions": predictions, "fitted": train_predictions}


def train(model, optimizer=FLOW, times=TIMES, replicates=300, design=DESIGN):
    """f over an ensemble on the same data, (replicates, times, training and test points)."""
    result = run_cell(
        design, Linear(), model, optimizer, times, [Seen()],
        replicates=replicates, shared_design=True,
    )  # fmt: skip
    return np.concatenate([result["fitted"], result["predictions"]], 2)


def matrices(model, design=DESIGN):
    """Θ or Σ of the model, Σ of its start, on training and then test points; and y."""
    cell = make_cell(design, Linear(), model, FLOW, TIMES, [], shared_design=True)
    problem = draw_problem(cell, 0)
    x = torch.cat([problem.train.x, problem.test.x])
    covariance = model.initial_covariance(problem)
    return gram_matrix(model.kernel(3), x).numpy(), covariance, problem.train.y.numpy()


def ensemble(theta, covariance, y, residual):
    """Mean and covariance of f_t by arXiv:1902.06720, equations 14–16, at all points together:
    f_t = f₀ + Θ_xX Θ⁻¹(I − ψ)(y − f₀(X)), a linear function of f₀."""
    n = len(y)
    smoother = theta[:, :n] @ linalg.solve(theta[:n, :n], np.eye(n) - residual)
    spread = np.eye(len(theta)) - np.pad(smoother, ((0, 0), (0, len(theta) - n)))
    return smoother @ y, spread @ covariance @ spread.T


def expect_law(sample, mean, variance):
    """Means by z, variances by χ², each with the chance of a false alarm above."""
    count = len(sample)
    z = (sample.mean(0) - mean) / np.sqrt(variance / count)
    assert (np.abs(z) < stats.norm.isf(CHANCE / 2)).all()
    ratio = (count - 1) * sample.var(0, ddof=1) / variance
    low, high = stats.chi2.ppf([CHANCE / 2, 1 - CHANCE / 2], count - 1)
    assert (ratio > low).all() and (ratio < high).all()


# --- laws -----------------------------------------------------------------------------------------


def test_trained_to_the_end_the_process_is_its_posterior():
    """k = Σ and t = ∞ without noise: mean Σ_xX Σ⁻¹y, variance Σ_xx − Σ_xX Σ⁻¹Σ_Xx. Ten numbers:
    by chance wrong once in 10⁵ runs."""
    _, covariance, y = matrices(NNGP)
    result = train(NNGP, times=(1.0, float("inf")))[:, 1]
    np.testing.assert_allclose(result[:, :8], np.broadcast_to(y, (300, 8)), atol=1e-7)
    gain = linalg.solve(covariance[:8, :8], covariance[:8, 8:]).T
    variance = np.diag(covariance[8:, 8:] - gain @ covariance[:8, 8:])
    expect_law(result[:, 8:], gain @ y, variance)


@pytest.mark.parametrize("model", [NTK, TANH, NNGP], ids=["relu", "erf", "nngp"])
@pytest.mark.parametrize("name", ["flow", "ridge"])
def test_the_ensemble_has_its_closed_mean_and_variance(model, name):
    """Three times, thirteen points, with the matrix exponential: 468 numbers in all six cases, by
    chance wrong once in 2000 runs."""
    theta, covariance, y = matrices(model)
    result = train(model, SpectralFilter(filter=name))
    for index, time in enumerate(TIMES):
        flow = time * theta[:8, :8] / 8
        residual = linalg.expm(-flow) if name == "flow" else linalg.inv(np.eye(8) + flow)
        mean, spread = ensemble(theta, covariance, y, residual)
        expect_law(result[:, index], mean, np.diag(spread))


def test_wide_networks_without_a_symmetric_start_are_such_an_ensemble():
    """120 networks of width 4096 on one data set: 52 numbers, by chance wrong once in 20000 runs.
    Their own deviation, of order 4096^{−1/2}, is a sixth of a mean's standard error."""
    kernel = ReluTangent(first_variance=1.0, output_variance=1.0, initial="process")
    network = TwoLayerNetwork(width=4096, symmetric=False)
    result = train(network, GradientDescent(learning_rate=0.5), (0.0, 5.0), 120)
    theta, covariance, y = matrices(kernel)
    for index, steps in enumerate((0, 10)):
        residual = np.linalg.matrix_power(np.eye(8) - 0.5 * theta[:8, :8] / 8, steps)
        mean, spread = ensemble(theta, covariance, y, residual)
        expect_law(result[:, index], mean, np.diag(spread))


def test_outputs_start_apart():
    """Three outputs of one replicate: their own f₀ each, and each trained by itself."""
    problem = draw_problem(make_cell(DESIGN, Linear(), NTK, FLOW, TIMES, []), 0)
    prepared = NTK.prepare(torch.from_numpy(NTK.draw(Streams(7, 0), problem)), problem)
    zero = torch.zeros(8, 3, dtype=torch.float64)
    probe = NTK.probe(prepared, problem.test.x)
    start = NTK.predict(prepared, zero, probe)
    assert np.linalg.matrix_rank(start.numpy()) == 3
    torch.testing.assert_close(NTK.predict(prepared, zero[:, 0], probe), start[:, 0])
    with pytest.raises(UnsuitableError, match="found 101 outputs, expected at most 100"):
        NTK.predict(prepared, torch.zeros(8, 101, dtype=torch.float64), probe)
    with pytest.raises(UnsuitableError, match="neither the training nor the test points"):
        NTK.probe(prepared, problem.test.x[:2])


@pytest.mark.parametrize("model", [NTK, NNGP], ids=["relu", "nngp"])
def test_it_keeps_the_laws_of_models(model):
    check_component(model)


# --- company and size -----------------------------------------------------------------------------


def test_a_replicate_starts_alike_alone_and_in_company():
    alone = train(NTK, replicates=1)
    np.testing.assert_allclose(alone[0], train(NTK, replicates=3)[0], rtol=1e-12, atol=1e-14)
    assert not np.allclose(train(NTK, replicates=2)[1], alone[0])


def test_the_first_points_start_alike_whatever_the_number_of_points():
    """Cholesky in the order of the points; with as many test points or others."""
    smaller = train(NTK, replicates=1, times=(0.0,))
    larger = train(NTK, replicates=1, times=(0.0,), design=evolve(DESIGN, n=30))
    second = train(NTK, replicates=1, times=(0.0,), design=evolve(DESIGN, n_test=50))
    np.testing.assert_allclose(larger[..., :8], smaller[..., :8], atol=1e-6)
    np.testing.assert_allclose(second[..., :13], smaller, atol=1e-6)


# --- routes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        (evolve(NTK, route="krylov"), FLOW),
        (NTK, GradientFlow()),
        (NTK, GradientFlow(method="numeric", rtol=1e-9, atol=1e-12)),
    ],
    ids=["krylov", "exact", "numeric"],
)
def test_every_route_starts_there(model, optimizer):
    np.testing.assert_allclose(
        train(model, optimizer, replicates=2), train(NTK, replicates=2), atol=1e-6
    )


def test_leave_one_out_is_the_refit_from_the_same_start():
    """Ridge, by brute force: f₀ stays, a point leaves, the ridge n/t on K stays."""
    design, time = evolve(DESIGN, noise=0.3), 20.0
    cell = (design, Linear(), NTK, RIDGE, (time,))
    result = run_cell(*cell, [LeaveOneOutRisk()], replicates=1)["loo_risk"]
    problem = draw_problem(make_cell(*cell, []), 0)
    start = run_cell(*cell[:4], (0.0,), [Seen()], replicates=1)["fitted"][0, 0]
    gram = gram_matrix(NTK.kernel(3), problem.train.x).numpy()
    residual = problem.train.y.numpy() - start
    errors = []
    for i in range(8):
        kept = np.delete(np.arange(8), i)
        system = gram[np.ix_(kept, kept)] + 8 / time * np.eye(7)
        errors.append(residual[i] - gram[i, kept] @ linalg.solve(system, residual[kept]))
    np.testing.assert_allclose(result[0, 0], np.mean(np.square(errors)), rtol=1e-9)


# --- theories -------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [FLOW, RIDGE], ids=["flow", "ridge"])
def test_bias_and_variance_know_the_start(optimizer):
    """Means over 400 replicates of noise and start on the same inputs below 5 standard errors: 16
    numbers, by chance wrong once in 10⁵ runs. The inputs are shared, so one prediction serves."""
    design, times = evolve(DESIGN, noise=0.3), (*TIMES, 200.0)
    metrics = [ExcessRisk(), TrainingLoss()]
    cell = make_cell(design, Linear(), NTK, optimizer, times, [], shared_design=True)
    theory = BiasVariance().predict(cell, times, draw_problem(cell, 0))
    result = run_cell(
        design, Linear(), NTK, optimizer, times, metrics, replicates=400, shared_design=True
    )
    for name in ("excess_risk", "training_loss"):
        actual = result[name]
        z = (actual.mean(0) - theory[name]) / (actual.std(0, ddof=1) / 20)
        assert (np.abs(z) < 5).all()
    np.testing.assert_allclose(theory["excess_risk"], theory["bias"] + theory["variance"])
    still = BiasVariance().predict(
        evolve(cell, model=evolve(NTK, initial="zero")), times, draw_problem(cell, 0)
    )
    np.testing.assert_allclose(still["bias"], theory["bias"], rtol=1e-12)
    assert (theory["variance"] > still["variance"]).all()


@pytest.mark.parametrize(
    "theory", [DeterministicEquivalent(), Rates(), LargeDimension(), PolynomialBarrier()]
)
def test_theories_of_a_start_at_zero_say_so(theory):
    design = Sphere(dim=8, n=23, noise=0.5)
    model = ReluTangent(first_variance=1.0, bias_variance=0.1, output_bias_variance=0.1)
    cell = make_cell(design, Source(kernel=model, smoothness=1.0), model, RIDGE, TIMES, [])
    assert theory_objection(theory, cell) is None
    moved = evolve(cell, model=evolve(model, initial="process"))
    assert (
        theory_objection(theory, moved)
        == "it covers paths that start at 0, not at a random function"
    )


def test_the_exact_risk_is_not_known():
    reason = served_needs(PopulationRisk(), Estimator("e", NTK, FLOW), None)[1]
    assert reason == "the random start of ntk.relu is known at training and test points only"


# --- numbers that are hard ------------------------------------------------------------------------


def test_equal_points_and_the_origin_start_alike():
    """Two equal points, and one at 0 where a network without biases is 0; jitter is 10⁻⁵ of √q."""
    design = Gaussian(dim=3, n=6, n_test=4)
    problem = draw_problem(make_cell(design, Linear(), NTK, FLOW, TIMES, []), 0)
    x = problem.train.x.clone()
    x[1], x[2] = x[0], 0.0
    problem = problem._replace(train=problem.train._replace(x=x))
    model = ReluTangent(initial="process")
    drawn = torch.from_numpy(model.draw(Streams(7, 0), problem))
    prepared = model.prepare(drawn, problem)
    start = model.predict(prepared, torch.zeros(6, dtype=torch.float64), prepared["gram"])
    assert float(start[2]) == 0
    assert abs(float(start[0] - start[1])) < 1e-4 * abs(float(start[0]))


def test_a_covariance_that_does_not_fit_into_memory_is_refused():
    text = """
    format = 1
    name = "kernel"
    times = [1.0]
    [design]
    use = "sphere"
    dim = 5
    n = 100
    n_test = 20000
    [target]
    use = "linear"
    [[estimator]]
    name = "kernel"
    model = { use = "ntk.relu", initial = "INITIAL" }
    optimizer = { use = "spectral-filter" }
    [[metric]]
    use = "excess-risk"
    """
    assert make_plan(read_scenario(text.replace("INITIAL", "zero")))
    with pytest.raises(ScenarioError, match=r"6\.\d+ GiB"):
        checked_plan(read_scenario(text.replace("INITIAL", "process")))
