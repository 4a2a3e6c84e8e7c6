"""Deep linear networks seen by the population: the spectrum of inputs of covariance I."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve

from testbed.contract.grids import Grid
from testbed.contract.seeds import Streams
from testbed.numerics.jacobians import jacobian_kernel
from testbed.numerics.trees import as_tensors, tree_map
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Smooth
from testbed_basics.designs.points import Hypercube
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.metrics.spans import SpanDimension
from testbed_basics.metrics.spectra import Eigenvalues, TopProjection
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.targets.linear import Linear
from testbed_networks.models.deep_linear import DeepLinear
from tests.helpers.cells import make_cell, run_cell

DIM = 5
DESIGN = Hypercube(dim=DIM, n=12, n_test=2**DIM, noise=0.2)
TARGET = Linear(decay=1.1, features=3)
MODEL = DeepLinear(depth=3, scale=0.2, readout=0.4, isotropic=True)
STEPS = GradientDescent(learning_rate=0.05)
TIMES = (0.0, 0.5, 2.0)


def every_corner():
    """All 2^d inputs: averages over them are those of the population."""
    bits = (np.arange(2**DIM)[:, None] >> np.arange(DIM)) & 1
    return torch.from_numpy(2.0 * bits - 1)


@pytest.mark.parametrize("kernel", ["features", "tangent"])
def test_the_spectrum_is_that_of_the_kernel_on_every_input(kernel):
    cell = make_cell(DESIGN, TARGET, MODEL, STEPS, TIMES, ())
    problem = tree_map(lambda leaf: leaf.unsqueeze(0), draw_problem(cell, 0))
    drawn = as_tensors(MODEL.draw(Streams(7, 0), draw_problem(cell, 0)), torch.float64, "cpu")
    params = tree_map(lambda leaf: leaf.unsqueeze(0), drawn)
    result = MODEL.spectrum({}, params, problem, kernel, "train")
    x = every_corner()
    gram = MODEL.gram({}, params, x.unsqueeze(0), kernel)[0]
    value, vectors = torch.linalg.eigh(gram / len(x))
    value, vectors = value.flip(0)[:DIM], vectors.flip(1)[:, :DIM]
    torch.testing.assert_close(result.eigenvalue[0], value)
    truth = x @ torch.from_numpy(TARGET.values(None, np.eye(DIM)))
    shares = (vectors.T @ truth).square() / len(x)
    torch.testing.assert_close(result.truth[0].square(), shares)
    fitted = MODEL.predict({}, params, x.unsqueeze(0))[0]
    torch.testing.assert_close(
        (result.estimate - result.truth).square().sum(), (fitted - truth).square().mean()
    )
    if kernel == "tangent":  # and by the Jacobian that automatic differentiation gives

        def predict(model, points):
            return MODEL.function(tree_map(lambda leaf: leaf.unsqueeze(0), model), points[None])[0]

        torch.testing.assert_close(jacobian_kernel(predict, drawn, x), gram)


def test_the_exact_risk_is_what_test_points_estimate():
    risk = {}
    for isotropic in (False, True):
        model = evolve(MODEL, isotropic=isotropic)
        design = evolve(DESIGN, n_test=20000)
        risk[isotropic] = run_cell(
            design, TARGET, model, STEPS, TIMES, [ExcessRisk()], replicates=3
        )["excess_risk"]
    np.testing.assert_allclose(risk[True], risk[False], rtol=0.05)  # over 5 deviations


def test_features_turn_to_the_truth():
    metrics = [TopProjection(k=Grid([1])), Eigenvalues(modes=Grid([1, 2]))]
    start = DeepLinear(depth=4, scale=0.01, isotropic=True)
    design = Hypercube(dim=40, n=200, n_test=10, noise=0.1)
    result = run_cell(design, TARGET, start, Adam(learning_rate=1e-2), (0.0, 3.0), metrics)
    share = result["top_projection"][0, :, 0]
    assert share[0] < 0.4 and share[1] > 0.95
    assert result["eigenvalue"][0, 1, 0] > 2 * result["eigenvalue"][0, 1, 1]


def test_a_truth_that_is_not_linear_is_refused():
    result = execute_cell(make_cell(DESIGN, Smooth(), MODEL, STEPS, TIMES, [ExcessRisk()]))
    assert "found isotropic = true with a truth that is not linear" in str(result.faults)


def test_the_published_start_is_the_identity_for_the_readout_too():
    """e₁ plus 0.01·N for one output, as arXiv:2509.20294 starts it, and near f = 0 without it: from
    f(x) = x₁ the span of the truth falls less and the risk never rises, on the same draws."""
    design = Hypercube(dim=60, n=120, n_test=2, noise=0.1)
    start = DeepLinear(depth=4, scale=0.01, readout_identity=1.0, isotropic=True)
    problem = draw_problem(make_cell(design, TARGET, start, Adam(learning_rate=1e-3), TIMES, ()), 0)
    readout = start.draw(Streams(7, 0), problem)["second"]
    zero = evolve(start, readout_identity=0.0).draw(Streams(7, 0), problem)["second"]
    np.testing.assert_allclose(readout - zero, np.eye(1, 60)[0], atol=1e-15)
    assert np.abs(zero).max() < 0.05
    results = {}
    for identity in (1.0, 0.0):
        model = evolve(start, readout_identity=identity)
        results[identity] = run_cell(
            design, TARGET, model, Adam(learning_rate=1e-3), (0.0, 0.02, 0.1),
            [ExcessRisk(), SpanDimension()],
        )  # fmt: skip
    risk, second = (results[identity]["excess_risk"].mean(0) for identity in (1.0, 0.0))
    assert (np.diff(risk) < 0).all() and second[1] > 0.9 * second[0]
    spans = [results[identity]["span_dimension"].mean(0)[-1] for identity in (1.0, 0.0)]
    assert spans[1] <= spans[0]
