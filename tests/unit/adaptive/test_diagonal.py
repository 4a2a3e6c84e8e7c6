"""The diagonal adaptive kernel: its flow by other routes, what it conserves, its exact risk."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from testbed.contract.capabilities import HasEigensystem, has, lack
from testbed.contract.losses import loss_gradient
from testbed.errors import UnsuitableError
from testbed.numerics.trees import stack
from testbed.running.batching import Batched
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import check_component
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_basics.designs.points import Gaussian, Sphere, Torus
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spectra import Eigenvalues, TopProjection
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.optimizers.spectral_filter import SpectralFilter
from testbed_basics.targets.gegenbauer import Gegenbauer
from testbed_basics.targets.hermite import SingleIndex
from testbed_basics.targets.linear import Linear
from testbed_basics.targets.trigonometric import Trigonometric
from testbed_ntk.models import Torus as TorusKernel
from tests.helpers.cells import make_cell, run_cell

DESIGN = Torus(dim=2, n=24, noise=0.3, n_test=50)
TARGET = Trigonometric(frequencies=((1.5,), (0.0, 2.0)), sine=(1.0, 0.5))
TIGHT = GradientFlow(rtol=1e-10, atol=1e-13)
TIMES = (0.0, 0.7, 5.0, 40.0)


def model(**fields):
    return DiagonalKernel(**{"basis": "torus", "modes": 21, "gamma": 1.0, "depth": 1, **fields})


def problems(design=DESIGN, target=TARGET, count=2):
    cell = make_cell(design, target, model(), TIGHT, TIMES, [])
    return [draw_problem(cell, replicate) for replicate in range(count)]


def states(model, times=TIMES, count=2, optimizer=TIGHT, design=DESIGN):
    """Prepared, parameters (R, times, …) and problem along training."""
    batched, view = stack(problems(design, count=count)), Batched(model)
    prepared = view.prepare(None, batched)
    from testbed.contract.values import Fit

    fit = Fit(view, prepared, view.start(None, prepared, batched), batched, None)
    step = optimizer.advance(fit, optimizer.start(fit), 0.0, times)
    return prepared, step.parameters, batched


def plain_path(problem, values, start, depth, times):
    """(a, b, β) by DOP853 on the equations as they stand, one replicate."""
    y, size = problem.train.y.numpy(), values.shape[1]

    def field(_, state):
        a, b, beta = state.reshape(3, size)
        rho = values.T @ (y - values @ (a * b**depth * beta)) / len(y)
        lower = depth * a * b ** (depth - 1) if depth else 0 * a
        return np.concatenate([b**depth * beta * rho, lower * beta * rho, a * b**depth * rho])

    solution = solve_ivp(field, (0, times[-1]), start, "DOP853", times, rtol=1e-11, atol=1e-13)
    return solution.y.T.reshape(len(times), 3, size)


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_flow_is_that_of_the_plain_equations(depth):
    prepared, params, _ = states(model(depth=depth))
    for replicate, problem in enumerate(problems()):
        eigenvalue = prepared["eigenvalue"][replicate].numpy()
        variance = np.mean(problem.train.y.numpy() ** 2) / len(problem.train.y)
        b0 = np.full_like(eigenvalue, variance ** (0.5 / (depth + 2)))
        start = np.concatenate([np.sqrt(eigenvalue), b0, 0 * b0])
        values = prepared["values"][replicate].numpy()
        expected = plain_path(problem, values, start, depth, TIMES)
        for index, name in enumerate(("a", "b", "beta")):
            if name in params:
                np.testing.assert_allclose(
                    params[name][replicate].numpy(), expected[:, index], atol=1e-8
                )


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_invariants_hold_along_the_flow(depth):
    """a² − β² = λ and b² − Dβ² = b₀², at the optimizer's default tolerances."""
    prepared, params, _ = states(model(depth=depth, b0=0.4), optimizer=GradientFlow())
    square = params["beta"].square()
    assert float(square.max()) > 0.1  # it moved
    kept = params["a"].square() - square - prepared["eigenvalue"].unsqueeze(1)
    assert float(kept.abs().max()) < 1e-5
    if depth:
        assert float((params["b"].square() - depth * square - 0.4**2).abs().max()) < 1e-5


def test_depth_zero_is_mirror_descent():
    """a ± β = λ^{1/2} e^{±s}, s = Eᵀq/n with q̇ = r: θ = (λ/2) sinh(2s), an equation in R^n."""
    prepared, params, _ = states(model(depth=0))
    for replicate, problem in enumerate(problems()):
        values = prepared["values"][replicate].numpy()
        eigenvalue, y = prepared["eigenvalue"][replicate].numpy(), problem.train.y.numpy()

        def theta(q, values=values, eigenvalue=eigenvalue):
            return eigenvalue / 2 * np.sinh(2 * values.T @ q / len(q))

        solution = solve_ivp(
            lambda _, q, y=y, values=values, theta=theta: y - values @ theta(q),
            (0, TIMES[-1]), 0 * y, "DOP853", TIMES, rtol=1e-11, atol=1e-12,
        )  # fmt: skip
        expected = np.stack([theta(q) for q in solution.y.T])
        actual = (params["a"] * params["beta"])[replicate].numpy()
        np.testing.assert_allclose(actual, expected, atol=1e-8)


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_gradient_is_that_of_autograd(depth):
    network, batched = model(depth=depth, b0=0.7), stack(problems())
    prepared = network.prepare(None, batched)
    params = network.start(None, prepared, batched)
    generator = np.random.Generator(np.random.Philox(3))
    params = {
        name: leaf + torch.from_numpy(0.3 * generator.standard_normal(leaf.shape))
        for name, leaf in params.items()
    }
    result, expected = (
        take(prepared, params, batched)
        for take in (network.gradient, lambda *arguments: loss_gradient(network, *arguments))
    )
    for name in params:
        np.testing.assert_allclose(result[name], expected[name], rtol=1e-10, atol=1e-13)


def test_fixed_kernel_is_that_of_the_torus():
    """In one dimension 2M + 1 functions are all frequencies up to M: `ntk.torus`, its own code."""
    design = Torus(dim=1, n=30, noise=0.3, n_test=40)
    network = model(learn="none", modes=17, gamma=1.3, truth="sample")
    second = TorusKernel(frequencies=8, smoothness=1.3)
    target = Trigonometric(frequencies=((2.5,),))
    for optimizer in (GradientFlow(), SpectralFilter(filter="ridge")):
        first, two = (
            run_cell(design, target, kernel, optimizer, TIMES[1:], [ExcessRisk(), TrainingLoss()])
            for kernel in (network, second)
        )
        for name in ("excess_risk", "training_loss"):
            np.testing.assert_allclose(first[name], two[name], rtol=1e-8)


def test_fixed_kernel_is_the_flow_of_beta():
    """f = Σ λ^{1/2} β e with β by DOP853."""
    prepared, dual, larger = states(model(learn="none"), times=TIMES)
    values, y = prepared["values"][0].numpy(), larger.train.y[0].numpy()
    root = prepared["eigenvalue"][0].sqrt().numpy()
    solution = solve_ivp(
        lambda _, beta: root * (values.T @ (y - values @ (root * beta))) / len(y),
        (0, TIMES[-1]), 0 * root, "DOP853", TIMES, rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    actual = [prepared["eigenvalue"][0] * (item @ prepared["values"][0]) for item in dual[0]]
    np.testing.assert_allclose(torch.stack(actual).numpy(), root * solution.y.T, atol=1e-8)


def test_descent_tends_to_the_flow():
    """The distance halves with the step (first order), to 10%."""
    gaps = []
    flow = run_cell(DESIGN, TARGET, model(), TIGHT, (4.0,), [ExcessRisk()])["excess_risk"]
    for rate in (0.04, 0.02):
        optimizer = GradientDescent(learning_rate=rate)
        result = run_cell(DESIGN, TARGET, model(), optimizer, (4.0,), [ExcessRisk()])
        gaps.append(np.abs(result["excess_risk"] - flow).mean())
    assert gaps[0] / gaps[1] == pytest.approx(2.0, rel=0.1)


CASES = {
    "torus": (DESIGN, TARGET, model()),
    "fixed": (DESIGN, TARGET, model(learn="none")),
    "sphere": (
        Sphere(dim=4, n=30, noise=0.2),
        Gegenbauer(degrees=(1, 2, 3), direction="drawn", directions=3),
        model(basis="sphere", modes=14),
    ),
    "hermite": (
        Gaussian(dim=3, n=30, noise=0.2, scale=0.5),
        SingleIndex(coefficients=(0.0, 0.8, 0.5, 0.3)),
        model(basis="hermite", modes=10, scale=0.5),
    ),
    "given": (Gaussian(dim=6, n=30, noise=0.2), Linear(), model(basis="given", modes=4)),
}


@pytest.mark.parametrize("name", CASES)
def test_exact_risk_is_what_many_test_points_say(name):
    """The basis is too small for each truth, so that the energy outside counts: 40000 test points,
    agreement within five standard errors."""
    from attrs import evolve

    design, target, actual = CASES[name]
    design = evolve(design, n_test=40_000)
    exact = run_cell(design, target, actual, GradientFlow(), TIMES, [ExcessRisk()], replicates=2)
    sample = run_cell(
        design, target, evolve(actual, truth="sample"), GradientFlow(), TIMES, [ExcessRisk()],
        replicates=2,
    )  # fmt: skip
    first, two = exact["excess_risk"], sample["excess_risk"]
    assert np.isfinite(first).all() and (first > 0.005).all()
    # the fourth moment of these errors is below 15 times the square of the second
    assert (np.abs(first / two - 1) < 5 * np.sqrt(15 / 40_000)).all()
    assert not np.array_equal(first, two)


def test_learned_eigenvalues_rise_where_the_truth_is():
    metrics = [Eigenvalues(), TopProjection()]
    result = run_cell(
        Torus(dim=1, n=400, noise=0.1), Trigonometric(frequencies=((6.0,),)),
        model(modes=41, gamma=1.0, depth=1), GradientFlow(), (0.0, 60.0), metrics,
    )  # fmt: skip
    lifted = result["eigenvalue"][:, 1] / result["eigenvalue"][:, 0]
    sine = 12  # 1, then cos and sin of m = 1, 2, …
    assert (lifted.argmax(1) == sine).all() and (lifted[:, sine] > 50).all()
    assert (lifted >= 1 - 1e-9).all()  # a b^D never decreases
    np.testing.assert_allclose(result["truth_coefficient"][:, sine] ** 2, 0.5)
    assert (result["top_projection"][:, 0, 0] < 1e-9).all()
    assert (result["top_projection"][:, 1, 0] > 0.99).all()


def test_default_start_follows_the_spread_of_the_observations():
    batched = stack(problems())
    network = model(depth=2)
    params = network.start(None, network.prepare(None, batched), batched)
    expected = (batched.train.y.square().mean(1) / 24) ** (1 / 8)
    np.testing.assert_allclose(params["b"], expected[:, None].expand(2, 21))


@pytest.mark.parametrize("name", CASES)
def test_keeps_the_laws(name):
    design, target, actual = CASES[name]
    check_component(actual, design=design, target=target)


def failure(design, target, model):
    return execute_cell(make_cell(design, target, model, TIGHT, TIMES, [ExcessRisk()])).failure


def test_what_cannot_work_is_refused():
    assert 'truth = "sample"' in failure(DESIGN, SingleIndex(), model())
    assert "expected the design torus" in failure(Gaussian(dim=2, n=30), TARGET, model())
    assert "expected equal ones" in failure(
        Gaussian(dim=2, n=9, scale=2.0), SingleIndex(), model(basis="hermite", modes=5)
    )
    assert "standardise" in failure(
        Gaussian(dim=2, n=9, scale=2.0), Linear(), model(basis="given", modes=2)
    )
    assert "expected at most 2" in failure(
        Gaussian(dim=2, n=9), Linear(), model(basis="given", modes=3)
    )
    silent = Trigonometric(frequencies=((1.0,),), sine=(0.0,))
    assert "give b0" in failure(Torus(dim=1, n=5), silent, model())
    assert has(model(learn="none"), HasEigensystem)
    assert "moves" in str(lack(model(), HasEigensystem))
    with pytest.raises(UnsuitableError, match="points"):
        model().basis_of(torch.zeros(2, 3))
