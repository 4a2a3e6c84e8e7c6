"""Kernel regression as a component: laws, routes, spectra, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve
from sklearn.kernel_ridge import KernelRidge

from testbed.numerics import weighted_gram
from testbed.numerics.eigendecomposition import Eigendecomposition
from testbed.running.execute import PreparationCache, execute_cell
from testbed.testing import check_component
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_ntk import models
from testbed_ntk.numerics.gram import gram_matrix
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.kernel_problems import Cube, Waves, fitted

EVERY = (
    models.ReluTangent(depth=2, bias_variance=0.1),
    models.ReluTangent(route="krylov", first_variance=1.0, output_bias_variance=0.2),
    models.NetworkProcess(depth=3),
    models.Laplace(bandwidth=2.0),
    models.Rbf(),
    models.NetworkTangent(activation="erf", depth=2, bias_variance=0.1),
    models.NetworkProcess(activation="tanh"),
    models.Matern(nu=2.5),
    models.Matern(nu=0.8),
    models.RationalQuadratic(alpha=0.7, variance=0.3),
    models.Laplace(norm="l1"),
    models.Periodic(period=3.0),
    models.Sum(first=models.Rbf(), second=models.ReluTangent(), weights=(2.0, 0.5)),
    models.Product(first=models.Laplace(), second=models.Polynomial()),
    models.Polynomial(degree=3),
    models.DotProduct(coefficients=(1.0, 0.5, 0.25)),
    models.Torus(frequencies=4),
)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_it_keeps_the_laws_of_models(model):
    check_component(model)


@pytest.mark.parametrize("model", EVERY, ids=lambda model: model.name)
def test_gradient_flow_is_explicit_descent_by_small_steps(model):
    fit, problem = fitted(model)
    data, gram = problem.train, gram_matrix(model.kernel(3), problem.train.x)
    step = 0.02 / float(torch.linalg.eigvalsh(gram / len(gram))[-1])
    dual = torch.zeros_like(data.y)
    for _ in range(500):  # Heun's method on α̇ = (y − Kα)/n: an error of order step²
        slope = (data.y - gram @ dual) / len(gram)
        ahead = (data.y - gram @ (dual + step * slope)) / len(gram)
        dual = dual + step / 2 * (slope + ahead)
    flow = model.flow(fit, fit.start, 0.0, [500 * step])[0]
    gap = gram @ (flow - dual)
    assert float(gap.norm() / (gram @ flow).norm()) < 1e-4


@pytest.mark.parametrize("outputs", [1, 2])
def test_ridge_is_scikit_learns_kernel_ridge_by_both_routes(outputs):
    times = [0.5, 20.0, 1e3]
    for route in ("eigen", "krylov"):
        model = models.ReluTangent(depth=2, route=route)
        fit, problem = fitted(model, outputs=outputs)
        gram = gram_matrix(model.kernel(3), problem.train.x).numpy()
        result = model.path(fit, "ridge", times)
        for time, dual in zip(times, result, strict=True):
            peer = KernelRidge(alpha=60 / time, kernel="precomputed").fit(gram, problem.train.y)
            np.testing.assert_allclose(dual, peer.dual_coef_, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("name", ["flow", "ridge", "iterated-ridge", "descent", "cutoff"])
def test_both_routes_of_a_path_agree(name):
    options = {"learning_rate": 0.1} if name == "descent" else {"qualification": 3.0}
    times = np.geomspace(0.1, 1e3, 9).tolist()
    paths = []
    for route in ("eigen", "krylov"):
        model = models.Laplace(route=route)
        fit, problem = fitted(model, n=90, outputs=2)
        dual = model.path(fit, name, times, **options)
        probe = model.probe(fit.prepared, problem.train.x[:20])
        paths.append(torch.stack([model.predict(fit.prepared, value, probe) for value in dual]))
    np.testing.assert_allclose(paths[1], paths[0], rtol=1e-6, atol=1e-9)


def test_a_large_problem_goes_the_krylov_way_by_itself():
    model = models.Rbf()
    assert model.by_krylov(3000) and not model.by_krylov(2000)
    assert not evolve(model, route="eigen").by_krylov(3000)


@pytest.mark.parametrize("outputs", [1, 2])
def test_a_cell_measures_risks_for_one_and_several_outputs(outputs):
    risks = {}
    for method in ("auto", "numeric"):
        result = run_cell(
            Cube(),
            Waves(outputs=outputs),
            models.Matern(bandwidth=2.0),
            GradientFlow(method=method, rtol=1e-8),
            [0.0, 1.0, 30.0],
            [ExcessRisk(), TrainingLoss()],
        )
        assert result["excess_risk"].shape == (3, 3)
        assert (np.diff(result["training_loss"]) < 0).all()
        risks[method] = result["excess_risk"]
    np.testing.assert_allclose(risks["auto"], risks["numeric"], rtol=1e-5)


def test_closed_and_stepped_descent_agree():
    results = [
        run_cell(
            Cube(),
            Waves(),
            models.ReluTangent(first_variance=1.0),
            GradientDescent(learning_rate=0.5, method=method),
            [0.5, 20.0],
            [ExcessRisk()],
        )["excess_risk"]
        for method in ("auto", "stepped")
    ]
    np.testing.assert_allclose(results[0], results[1], rtol=1e-9)


def test_one_factorisation_serves_a_group_of_cells(monkeypatch):
    made = []

    def counted(give):
        result = Eigendecomposition(give)
        made.append(len(result.value))
        return result

    monkeypatch.setattr(weighted_gram, "Eigendecomposition", counted)
    cache, model = PreparationCache(), models.Laplace()
    risks = []
    for optimizer in (GradientFlow(), GradientDescent(learning_rate=0.1), GradientFlow()):
        actual = make_cell(
            Cube(), Waves(), model, optimizer, [1.0, 5.0], [ExcessRisk(), TrainingLoss()],
            replicates=1,
        )  # fmt: skip
        risks.append(execute_cell(actual, cache).variables["training_loss"])
    assert made == [40]
    np.testing.assert_array_equal(risks[0], risks[2])  # whatever was cached before


def test_what_was_asked_first_changes_no_number():
    first, second = (fitted(models.NetworkProcess())[0].prepared["gram"] for _ in range(2))
    dual = torch.linspace(-1, 1, 60, dtype=torch.float64)
    before = first.values(dual)
    value, vectors = second.pairs()
    assert torch.equal(second.values(dual), before)
    assert torch.equal(first.pairs()[0], value) and torch.equal(first.pairs()[1], vectors)


def test_the_spectrum_is_that_of_the_empirical_law():
    model = models.NetworkProcess()
    fit, problem = fitted(model)
    data = problem.train
    dual = model.flow(fit, fit.start, 0.0, [5.0])[0]
    observed = model.spectrum(fit.prepared, dual, problem, "features", "train")
    gram = gram_matrix(model.kernel(3), data.x)
    exact = np.linalg.svd(gram.numpy() / 60, compute_uv=False)  # largest first
    np.testing.assert_allclose(observed.eigenvalue, exact, rtol=1e-9, atol=1e-14)
    # Parseval under the weights, and the estimate's filter
    for value, values in ((observed.truth, data.truth), (observed.estimate, gram @ dual)):
        assert float(value.square().sum()) == pytest.approx(float(values.square().mean()))
    kept = -torch.expm1(-5.0 * observed.eigenvalue) * observed.observed
    np.testing.assert_allclose(observed.estimate, kept, atol=1e-10)
    basis = model.basis(fit.prepared, dual)
    np.testing.assert_allclose(basis.T @ (data.truth / 60**0.5), observed.truth, atol=1e-12)
    # the same points as test points: another factorisation, the same coefficients up to sign
    again = model.spectrum(fit.prepared, dual, problem, "features", "test")
    np.testing.assert_allclose(again.eigenvalue, observed.eigenvalue, atol=1e-12)
    np.testing.assert_allclose(again.estimate.abs(), observed.estimate.abs(), atol=1e-8)


def test_eigenvalues_are_a_metric_as_on_sequences():
    result = run_cell(
        Cube(),
        Waves(),
        models.Torus(smoothness=1.0, frequencies=3),
        GradientFlow(),
        [1.0],
        [Eigenvalues()],
    )
    value = result["eigenvalue"][:, 0]
    assert value.shape == (3, 40) and (np.diff(value) <= 0).all() and (value >= 0).all()


@pytest.mark.parametrize("points", ["train", "test"])
def test_spectra_are_there_on_the_krylov_route_too(points):
    metric, results = Eigenvalues(points=points), []
    for route in ("eigen", "krylov"):
        model = models.Laplace(route=route)
        results.append(run_cell(Cube(), Waves(), model, GradientFlow(), [1.0, 2.0], [metric]))
    np.testing.assert_array_equal(results[0]["eigenvalue"], results[1]["eigenvalue"])
    assert results[0]["eigenvalue"].shape == (3, 2, {"train": 40, "test": 30}[points])
