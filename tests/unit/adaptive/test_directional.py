"""The directional model: start, features, gradient, spectrum, by independent routes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermeval

from testbed.contract.components import Estimator
from testbed.contract.seeds import Streams
from testbed.errors import TestbedError, UnsuitableError
from testbed.numerics.trees import as_tensors, stack, tree_map
from testbed.running.batching import Batched
from testbed.running.execute import draw_problem
from testbed.running.paths import Path
from testbed_adaptive.models.directional import Directional
from testbed_adaptive.numerics.hermite_features import features, index_coefficients, multi_indices
from testbed_adaptive.numerics.stiefel import orthonormal, tangent, uniform_frame
from testbed_basics.designs.points import Gaussian, Sphere
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.targets.hermite import MultiIndex, SingleIndex
from tests.helpers.cells import make_cell

DESIGN = Gaussian(dim=7, n=40, noise=0.2, scale=1.5)
SINGLE = SingleIndex(coefficients=(0.3, 1.0, 0.5, 0.4), direction="drawn")
MULTI = MultiIndex(coefficients=(0.3, 1.0, 0.5, 0.4), direction="drawn", directions=2)
MODEL = Directional(eigenvalues=(1.0, 0.5, 2.0, 0.7))


def path(model=MODEL, target=SINGLE, optimizer=None, design=DESIGN, replicates=(0, 1, 2)):
    """The estimator at time 0."""
    optimizer = optimizer or GradientFlow(rtol=1e-8, atol=1e-11)
    cell = make_cell(design, target, model, optimizer, (0.0,), (), replicates=len(replicates))
    problems = [draw_problem(cell, replicate) for replicate in replicates]
    rngs = [Streams(cell.seed, replicate) for replicate in replicates]
    with torch.no_grad():
        return Path(
            Estimator("tested", model, optimizer), stack(problems), problems, rngs,
            lambda tree: as_tensors(tree, torch.float64, "cpu"), lambda _, make: make(),
        )  # fmt: skip


def moved(model, seed=0):
    """Parameters away from the start: V = WR with R ≠ I and β ≠ 0."""
    rng = np.random.default_rng(seed)

    def shaken(leaf):
        return leaf + 0.3 * torch.from_numpy(rng.standard_normal(leaf.shape))

    return tree_map(shaken, model.fit.start)


# --- the start ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_starts_at_the_overlap_exactly(target):
    trained = path(target=target).fit
    inner = trained.start["frame"].mT @ trained.problem.expansion["directions"].mT
    eye = torch.eye(target.directions, dtype=torch.float64).expand_as(inner)
    assert torch.allclose(inner, 7**-0.5 * eye, rtol=0, atol=1e-15)
    gram = trained.start["frame"].mT @ trained.start["frame"]
    assert torch.allclose(gram, eye, rtol=0, atol=1e-14)
    assert not trained.start["beta"].any()


def test_start_takes_the_overlap_given_and_differs_between_replicates():
    start = path(Directional(initial_overlap=0.8)).fit
    inner = start.start["frame"].mT @ start.problem.expansion["directions"].mT
    assert torch.allclose(inner, torch.full_like(inner, 0.8), rtol=0, atol=1e-15)
    assert (start.start["frame"][0] - start.start["frame"][1]).abs().max() > 0.1


def test_random_start_is_uniform():
    """E ρ² = 1/d; 4 standard errors over 200 draws: fails by chance once in 16,000 runs."""
    frames = [uniform_frame(np.random.default_rng(s), 7, 1)[0, 0] for s in range(200)]
    squares = np.array(frames) ** 2
    assert abs(squares.mean() - 1 / 7) < 4 * squares.std() / np.sqrt(200)
    start = path(Directional(random_start=True)).fit
    inner = start.start["frame"].mT @ start.problem.expansion["directions"].mT
    assert (inner.abs() - 7**-0.5).abs().min() > 1e-6


def test_more_or_fewer_directions_than_the_target_has():
    for count in (1, 3):
        trained = path(Directional(directions=count), MULTI).fit
        inner = trained.start["frame"].mT @ trained.problem.expansion["directions"].mT
        expected = 7**-0.5 * torch.eye(count, 2, dtype=torch.float64)
        assert torch.allclose(inner, expected.expand_as(inner), rtol=0, atol=1e-14)


def test_refuses_what_it_cannot_see():
    with pytest.raises(TestbedError, match=r"expected single-index or multi-index on gaussian"):
        path(design=Sphere(dim=7, n=20))
    with pytest.raises(TestbedError, match="found 4 directions besides the target's 4"):
        path(target=MultiIndex(coefficients=(0.0, 1.0), directions=4))
    with pytest.raises(ValueError, match="expected no negative number, and at least"):
        Directional(eigenvalues=(1.0,))
    with pytest.raises(ValueError, match="expected no negative number, and at least"):
        Directional(eigenvalues=(1.0, -1.0, 2.0))


# --- features -------------------------------------------------------------------------------------


def test_features_are_products_of_normalised_hermite_polynomials():
    z = np.random.default_rng(1).standard_normal((2, 11))
    result = features(torch.from_numpy(z), 3)
    for index, m in enumerate(multi_indices(2, 3)):
        parts = [
            hermeval(z[j], np.eye(4)[part]) / np.sqrt(float(np.prod(np.arange(1, part + 1))))
            for j, part in enumerate(m)
        ]
        np.testing.assert_allclose(result[index], parts[0] * parts[1], rtol=1e-12, atol=1e-13)


def test_truth_on_features_is_the_integral():
    """⟨f*, h_m(Wᵀ·)⟩ against Gauss–Hermite quadrature in the four directions that matter."""
    coefficients = (0.3, 1.0, 0.5, 0.4)
    rng = np.random.default_rng(2)
    true, frame = (np.linalg.qr(rng.standard_normal((4, 2)))[0] for _ in range(2))
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)  # exact to degree 9
    grid = np.stack(np.meshgrid(*[nodes] * 4, indexing="ij"), -1).reshape(-1, 4)
    mass = np.stack(np.meshgrid(*[weights] * 4, indexing="ij"), -1).reshape(-1, 4).prod(1)
    mass /= mass.sum()
    target = MultiIndex(coefficients=coefficients, directions=2)
    truth = target.values({"directions": true.T, "deviation": 1.0}, grid)
    basis = features(torch.from_numpy(frame.T @ grid.T), 3).numpy()
    np.testing.assert_allclose(basis @ (mass * basis).T, np.eye(len(basis)), atol=1e-12)
    g = torch.tensor(coefficients, dtype=torch.float64)
    result = index_coefficients(torch.from_numpy(frame.T @ true), g)
    np.testing.assert_allclose(result, basis @ (mass * truth), rtol=1e-11, atol=1e-13)


# --- the gradient ---------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_gradient_is_the_riemannian_part_of_autograd(target):
    """∂β and P(∂W)R with ∂W by autograd of the loss in the frame itself."""
    trained = path(target=target)
    fit, params = trained.fit, moved(trained)
    data = fit.problem.train
    frame = orthonormal(params["frame"])

    def loss(free, beta):
        z = free.mT @ data.x.mT / fit.prepared["scale"]
        fitted = ((fit.prepared["root"] * beta).unsqueeze(-2) @ features(z, MODEL.degree)).squeeze(
            -2
        )
        return 0.5 * (data.weight * (data.y - fitted) ** 2).sum()

    toward, readout = torch.func.grad(loss, (0, 1))(frame, params["beta"])
    result = fit.model.gradient(fit.prepared, params, fit.problem)
    expected = tangent(frame, toward) @ (frame.mT @ params["frame"])
    torch.testing.assert_close(result["frame"], expected, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(result["beta"], readout, rtol=1e-11, atol=1e-12)


def test_tangent_is_the_projection():
    frame = torch.from_numpy(uniform_frame(np.random.default_rng(3), 6, 3))
    direction = torch.from_numpy(np.random.default_rng(4).standard_normal((6, 3)))
    part = tangent(frame, direction)
    inner = frame.mT @ part
    assert (inner + inner.mT).abs().max() < 1e-14  # on the tangent space
    torch.testing.assert_close(tangent(frame, part), part, rtol=0, atol=1e-14)
    residual = direction - part  # W times a symmetric matrix
    inner = frame.mT @ residual
    torch.testing.assert_close(frame @ inner, residual, rtol=0, atol=1e-14)
    torch.testing.assert_close(inner, inner.mT, rtol=0, atol=1e-14)


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_flow_keeps_the_manifold(target):
    """VᵀV = I is conserved: at the tolerance of the integrator, without any projection."""
    trained = path(target=target)
    with torch.no_grad():
        states = trained.advance([1.0, 5.0, 20.0])[0]
    frame = states.params["frame"]
    drift = frame.mT @ frame - torch.eye(frame.shape[-1], dtype=frame.dtype)
    assert drift.abs().max() < 1e-6
    assert (frame - trained.fit.start["frame"].unsqueeze(1)).abs().max() > 0.1  # it has moved


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_descent_is_riemannian_with_retraction(target):
    """Steps in V against W ← frame of (W − ηP(G)) taken by hand; V itself leaves the manifold."""
    trained = path(target=target, optimizer=GradientDescent(learning_rate=0.05))
    with torch.no_grad():
        states = trained.advance([1.0])[0]
    fit = trained.fit
    frame, beta = fit.start["frame"], fit.start["beta"]
    for _ in range(20):
        slope = fit.model.gradient(fit.prepared, {"frame": frame, "beta": beta}, fit.problem)
        frame = orthonormal(frame - 0.05 * slope["frame"])
        beta = beta - 0.05 * slope["beta"]
    result = states.params["frame"][:, 0]
    torch.testing.assert_close(orthonormal(result), frame, rtol=0, atol=1e-12)
    torch.testing.assert_close(states.params["beta"][:, 0], beta, rtol=0, atol=1e-12)
    square = result.mT @ result
    assert (square - torch.eye(square.shape[-1], dtype=square.dtype)).abs().max() > 1e-4


def test_full_batches_of_sgd_are_descent():
    together = path(optimizer=GradientDescent(learning_rate=0.05))
    batches = path(optimizer=Sgd(learning_rate=0.05, batch_size=40))
    with torch.no_grad():
        first, second = (value.advance([1.0])[0].params for value in (together, batches))
    torch.testing.assert_close(first["frame"], second["frame"], rtol=0, atol=1e-12)


def test_descent_approaches_the_flow():
    flow = path()
    with torch.no_grad():
        limit = flow.advance([2.0])[0].params["beta"]
        gaps = [
            float((path(optimizer=GradientDescent(learning_rate=rate)).advance([2.0])[0].params["beta"]
                   - limit).abs().max())
            for rate in (0.02, 0.01)
        ]  # fmt: skip
    assert 1.8 < gaps[0] / gaps[1] < 2.2  # first order in the step


# --- spectrum and kernels -------------------------------------------------------------------------


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_spectrum_gives_the_exact_risk(target):
    """Risk and outside energy against 100,000 fresh points: 5 standard errors."""
    trained = path(target=target, replicates=(0,))
    fit, params = trained.fit, moved(trained)
    with torch.no_grad():
        result = fit.model.spectrum(fit.prepared, params, fit.problem, "features", "train")
        x = 1.5 * torch.from_numpy(np.random.default_rng(5).standard_normal((1, 100_000, 7)))
        fitted = fit.model.predict(fit.prepared, params, x)[0].numpy()
    drawn = {"directions": fit.problem.expansion["directions"][0].numpy(), "deviation": 1.5}
    squares = (fitted - target.values(drawn, x[0].numpy())) ** 2
    risk = float((result.estimate - result.truth).square().sum() + result.outside)
    assert abs(squares.mean() - risk) < 5 * squares.std() / np.sqrt(len(squares))
    assert result.outside > 0.1


def test_features_beyond_the_target_and_targets_beyond_the_features():
    short, long = Directional(eigenvalues=(1.0, 1.0)), Directional(eigenvalues=(1.0,) * 6)
    for model, outside in ((short, 0.5**2 + 0.4**2), (long, 0.0)):
        trained = path(model)
        fit = trained.fit
        at_truth = {"frame": fit.problem.expansion["directions"].mT, "beta": fit.start["beta"]}
        result = fit.model.spectrum(fit.prepared, at_truth, fit.problem, "features", "train")
        np.testing.assert_allclose(result.outside, outside, atol=1e-12)
        expected = np.zeros(model.degree + 1)
        reference = SINGLE.coefficients[: model.degree + 1]
        expected[: len(reference)] = reference
        np.testing.assert_allclose(result.truth[0], expected, atol=1e-12)


@pytest.mark.parametrize("target", [SINGLE, MULTI])
def test_kernels_govern_training(target):
    """∂f/∂t at the training points is −Θ (weight∘(f − y)), Θ the tangent kernel on the manifold."""
    trained = path(target=target)
    fit = trained.fit
    params = moved(trained)
    params["frame"] = orthonormal(params["frame"])
    data = fit.problem.train
    with torch.no_grad():
        kernel = fit.model.gram(fit.prepared, params, data.x, "tangent")
        slope = fit.model.gradient(fit.prepared, params, fit.problem)
        _, change = torch.func.jvp(
            lambda now: Batched(MODEL).predict(fit.prepared, now, data.x),
            (params,), (tree_map(torch.neg, slope),),
        )  # fmt: skip
        fitted = fit.model.predict(fit.prepared, params, data.x)
    residual = (data.weight * (fitted - data.y)).unsqueeze(-1)
    torch.testing.assert_close(change, -(kernel @ residual).squeeze(-1), rtol=1e-9, atol=1e-10)


def test_tangent_spectrum_is_refused():
    fit = path().fit
    with pytest.raises(UnsuitableError, match="expected 'features'"):
        fit.model.spectrum(fit.prepared, fit.start, fit.problem, "tangent", "train")
