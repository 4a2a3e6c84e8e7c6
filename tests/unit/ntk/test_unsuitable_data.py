"""Kernels and data that do not fit are refused, with what was found."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testbed.contract.cells import STATUS
from testbed.contract.grids import Grid
from testbed.contract.values import Data, Fit, Problem
from testbed.errors import UnsuitableError
from testbed.running.execute import execute_cell
from testbed_basics.designs.points import Sphere
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spectra import Eigenvalues
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_ntk import models
from tests.helpers.cells import make_cell
from tests.helpers.kernel_problems import Cube, Waves, fitted


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
