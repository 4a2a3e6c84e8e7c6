"""Kernel regression as a component: laws, routes, spectra, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve, frozen
from sklearn.kernel_ridge import KernelRidge

from testbed.contract.cells import STATUS
from testbed.contract.components import Design, Target
from testbed.contract.grids import Grid
from testbed.contract.spaces import Space
from testbed.contract.values import Data, Fit, Problem, Sample
from testbed.errors import UnsuitableError
from testbed.numerics import weighted_gram
from testbed.numerics.eigendecomposition import Eigendecomposition
from testbed.running.execute import PreparationCache, execute_cell
from testbed.testing import check_component
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_ntk import models
from testbed_ntk.numerics.gram import gram_matrix
from tests.helpers.cells import make_cell, run_cell

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


@frozen(kw_only=True)
class Cube(Design):
    """Uniform on the cube [−1, 1)^d."""

    name = "tests.cube"
    n: int = 40
    dim: int = 2
    spoiled: bool = False

    def draw(self, rng):
        x = rng("inputs").uniform(-1, 1, (self.n, self.dim))
        x[3, 1] = np.nan if self.spoiled else x[3, 1]
        test = rng("test").uniform(-1, 1, (30, self.dim))
        noise = 0.1 * rng("noise").standard_normal(self.n)
        weight, tested = np.full(self.n, 1 / self.n), np.full(30, 1 / 30)
        return Sample(x, weight, noise, 0.01 / self.n, test, tested, np.zeros(30))


@frozen(kw_only=True)
class Waves(Target):
    """Two outputs."""

    name = "tests.waves"
    outputs: int = 1

    def values(self, drawn, x):
        first = np.sin(2 * x[:, 0]) + x[:, 1]
        return first if self.outputs == 1 else np.stack([first, np.cos(x[:, 0])], 1)

    def problem(self, drawn, sample):
        if self.outputs == 1:
            return super().problem(drawn, sample)
        noise = np.stack([sample.noise, -sample.noise], 1)
        double = sample._replace(noise=noise, test_noise=np.zeros((30, 2)))
        return super().problem(drawn, double)


def fitted(model, n: int = 60, outputs: int = 1, dim: int = 3) -> tuple[Fit, Problem]:
    rng = np.random.default_rng(3)
    x = torch.from_numpy(rng.standard_normal((n, dim)))
    truth = torch.from_numpy(rng.standard_normal((n, outputs))).squeeze(-1)
    y = truth + 0.1
    weight = torch.full((n,), 1 / n, dtype=torch.float64)
    data = Data(x, y, truth, weight)
    problem = Problem(data, data, torch.tensor(0.0), {})
    prepared = model.prepare(None, problem)
    return Fit(model, prepared, model.start(None, prepared, problem), problem, None), problem


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


# --- population spectra ---------------------------------------------------------------------------


@frozen(kw_only=True)
class Law(Design):
    name = "tests.law"
    shape: str
    dim: int = 2

    def space(self):
        return Space(self.shape, self.dim, "uniform")

    def draw(self, rng):
        raise AssertionError("a population spectrum needs no sample")


def test_torus_eigenvalues_count_every_frequency_once():
    design = Law(shape="torus")
    model = models.Torus(smoothness=1.5, frequencies=6)
    result = model.population_spectrum(design)
    axis = np.arange(-6, 7) ** 2
    shells = (axis[:, None] + axis).ravel()
    np.testing.assert_array_equal(result.degree, np.unique(shells))
    np.testing.assert_array_equal(result.multiplicity, np.unique(shells, return_counts=True)[1])
    np.testing.assert_allclose(result.eigenvalue, (1 + np.unique(shells)) ** -1.5)
    # ∫ k(x, x) is the kernel's constant diagonal
    x = torch.tensor([[0.3, -0.8]], dtype=torch.float64)
    assert model.trace(design) == pytest.approx(float(gram_matrix(model.kernel(2), x)))


@pytest.mark.parametrize("model", [models.Laplace(), models.ReluTangent(first_variance=1.0)])
def test_empirical_eigenvalues_approach_those_of_the_population(model):
    design = Law(shape="sphere", dim=3)
    spectrum = model.population_spectrum(design)
    x = np.random.default_rng(5).standard_normal((1200, 3))
    x = torch.from_numpy(x / np.linalg.norm(x, axis=1, keepdims=True))
    value = torch.linalg.eigvalsh(gram_matrix(model.kernel(3), x) / 1200).flip(0).numpy()
    np.testing.assert_allclose(value[0], spectrum.eigenvalue[0], rtol=0.02)
    np.testing.assert_allclose(value[1:4].mean(), spectrum.eigenvalue[1], rtol=0.03)
    np.testing.assert_allclose(value[4:9].mean(), spectrum.eigenvalue[2], rtol=0.05)
    total = (spectrum.eigenvalue * spectrum.multiplicity).sum()
    assert total == pytest.approx(model.trace(design), rel=5e-3)


def test_an_unknown_population_spectrum_says_what_is_known():
    with pytest.raises(UnsuitableError, match=r"design tests\.law.*sphere"):
        models.Rbf().population_spectrum(Law(shape="hypercube"))
    with pytest.raises(UnsuitableError, match=r"design tests\.law.*torus"):
        models.Torus().population_spectrum(Law(shape="hypercube"))


# --- bad input ------------------------------------------------------------------------------------


def test_more_modes_than_points_are_refused():
    metrics = [Eigenvalues(modes=Grid([1, 2, 500]))]
    cell = make_cell(Cube(), Waves(), models.Rbf(), GradientFlow(), [1.0], metrics)
    assert "found modes from 1 to 500, expected numbers from 1 to 40" in execute_cell(cell).failure


def test_an_indefinite_kernel_is_refused_with_its_violation():
    model = models.DotProduct(coefficients=(1.0, -1.0))
    result = execute_cell(make_cell(Cube(), Waves(), model, GradientFlow(), [1.0], [ExcessRisk()]))
    assert (result.status == STATUS["failed"]).all()
    assert "ntk.dot-product" in result.error and "eigenvalue -" in result.error


@pytest.mark.parametrize("coefficients", [(-1.0,), (1.0, -5.0), (-1.0, 0.1)])
def test_an_indefinite_kernel_is_refused_on_the_krylov_route_too(coefficients):
    model = models.DotProduct(coefficients=coefficients, route="krylov")
    fit, _ = fitted(model)
    with pytest.raises(UnsuitableError, match="positive semidefinite"):
        model.path(fit, "flow", [1.0])


def test_rounding_of_a_low_rank_kernel_is_no_violation():
    model = models.Polynomial(degree=1)
    fit, _ = fitted(model, n=200)
    value = model.eigensystem(fit.prepared).eigenvalue
    assert float(value.min()) == 0.0 and int((value > 1e-10).sum()) == 4


def test_nan_in_the_data_is_named():
    cell = make_cell(
        Cube(spoiled=True), Waves(), models.Rbf(), GradientFlow(), [1.0], [ExcessRisk()]
    )
    error = execute_cell(cell).error
    assert "found 1 numbers among the training inputs that are NaN" in error
    fit, problem = fitted(models.Rbf())
    broken = problem._replace(train=problem.train._replace(y=problem.train.y * np.nan))
    with pytest.raises(UnsuitableError, match="60 numbers among the observations"):
        models.Rbf().start(None, fit.prepared, broken)


def test_parameters_out_of_range_are_refused():
    with pytest.raises(ValueError, match="expected a number above 0 and at most 20"):
        models.Matern(nu=21.0)
    with pytest.raises(ValueError, match="'softplus'"):
        models.NetworkTangent(activation="softplus")
    with pytest.raises(ValueError, match="expected a non-zero one"):
        models.DotProduct(coefficients=(0.0, 0.0))
    with pytest.raises(UnsuitableError, match="lower frequencies"):
        models.Torus(frequencies=20).kernel(6)


def test_images_are_flattened():
    fit, problem = fitted(models.Laplace(), dim=6)
    x = problem.train.x.reshape(60, 2, 3)
    image = problem._replace(train=problem.train._replace(x=x))
    prepared = models.Laplace().prepare(None, image)
    assert torch.equal(prepared["gram"].matrix(), fit.prepared["gram"].matrix())


def test_float32_is_kept_throughout():
    model = models.ReluTangent(depth=2)
    fit, problem = fitted(model)
    half = Problem(*(Data(*(v.float() for v in d)) for d in problem[:2]), problem.noise, {})
    prepared = model.prepare(None, half)
    low = Fit(model, prepared, model.start(None, prepared, half), half, None)
    result = model.path(low, "ridge", [10.0])
    assert result.dtype == torch.float32
    np.testing.assert_allclose(result, model.path(fit, "ridge", [10.0]), rtol=1e-3, atol=1e-5)


def test_points_with_tied_shape_but_other_values_are_not_taken_for_the_training_points():
    model = models.Rbf()
    fit, problem = fitted(model)
    probe = model.probe(fit.prepared, problem.train.x + 1)
    assert isinstance(probe, torch.Tensor)


@pytest.mark.parametrize(
    ("model", "dim"),
    [(models.Laplace(bandwidth=0.01), 1000), (models.Matern(nu=2.5, bandwidth=0.05), 1000)],
)
def test_spectra_below_rounding_are_refused_with_the_reason(model, dim):
    with pytest.raises(UnsuitableError, match=f"in {dim} dimensions, expected one above the round"):
        model.population_spectrum(Sphere(dim=dim, n=10))


def test_negative_eigenvalues_are_refused_by_degree():
    model = models.DotProduct(coefficients=(1.0, -0.5, 0.2))
    with pytest.raises(UnsuitableError, match=r"found the eigenvalue -0\.1 of degree 1"):
        model.population_spectrum(Sphere(dim=5, n=10))


def test_a_spectrum_is_found_once_and_cannot_be_written_to():
    model, design = models.Laplace(bandwidth=0.7), Sphere(dim=4, n=10)
    result = model.population_spectrum(design)
    assert model.population_spectrum(Sphere(dim=4, n=20)) is result
    with pytest.raises(ValueError, match="read-only"):
        result.eigenvalue[0] = 1.0
