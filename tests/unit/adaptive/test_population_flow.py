"""The population flow and its escape times, against other routes and against training."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from testbed.planning.fitting import theory_objection
from testbed_adaptive.metrics.overlap import Overlap
from testbed_adaptive.models.directional import Directional
from testbed_adaptive.theories.population_flow import (
    EscapeTime,
    PopulationFlow,
    escape_law,
    escape_time,
    feature_error,
    population,
    population_path,
    truth_on_features,
    velocity,
)
from testbed_basics.designs.points import Gaussian, Sphere
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.metrics.spans import FeatureError
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.hermite import MultiIndex, SingleIndex
from testbed_basics.targets.linear import Linear
from tests.helpers.cells import make_cell, run_cell


def alone(r: int, d: int):
    """The setting λ = 1, g_r = 1, ρ(0) = d^{−1/2}."""
    return population([1.0] * (r + 1), [0.0] * r + [1.0], d**-0.5)


# --- the equations --------------------------------------------------------------------------------


def test_one_direction_is_the_published_system():
    """β̇_r = √λ_r(g_r ρ^r − √λ_r β_r), ρ̇ = (1 − ρ²) Σ r √λ_r β_r g_r ρ^{r−1}, by DOP853."""
    eigenvalue, g = np.array([1.0, 0.5, 2.0, 0.7]), np.array([0.3, 0.2, 1.0, -0.4])
    r, root = np.arange(4), np.sqrt(eigenvalue)

    def published(_, state):
        rho, beta = state[0], state[1:]
        slope = (r[1:] * (root * beta * g)[1:] * rho ** (r[1:] - 1)).sum()
        return np.concatenate([[(1 - rho**2) * slope], root * (g * rho**r - root * beta)])

    times = np.linspace(0.0, 20.0, 11)
    start = np.concatenate([[0.2], np.zeros(4)])
    route = solve_ivp(published, (0, 20), start, "DOP853", t_eval=times, rtol=1e-11, atol=1e-13)
    result = population_path(population(eigenvalue, g, 0.2), times)
    np.testing.assert_allclose(result, route.y.T, rtol=1e-6, atol=1e-8)
    assert result[-1, 0] > 0.9


def test_frames_move_as_the_model_does_on_a_million_points():
    """Ṁ and β̇ of two directions against minus the model's own gradient on a large sample.

    The gradient is a mean over n points, so that batches of it give its standard error; 5 of them
    for 14 numbers: fails by chance once in 120,000 runs.
    """
    eigenvalues, g = (1.0, 0.5, 2.0, 0.7), (0.3, 1.0, 0.5, 0.4)
    rng = np.random.default_rng(8)
    dim, batches, size = 5, 40, 5000
    true = np.linalg.qr(rng.standard_normal((dim, 2)))[0]
    frame = np.linalg.qr(true + 0.4 * rng.standard_normal((dim, 2)))[0]
    setting = population(eigenvalues, g, 0.0, 2, 2)
    inner, beta = frame.T @ true, rng.standard_normal(10)
    ours = velocity(setting, np.concatenate([inner.ravel(), beta]))

    model, target = Directional(eigenvalues=eigenvalues), MultiIndex(coefficients=g)
    x = rng.standard_normal((batches, size, dim))
    drawn = {"directions": true.T, "deviation": 1.0}
    y = np.stack([target.values(drawn, points) for points in x])
    data = _data(x, y)
    order = [setting.modes.tolist().index(list(m)) for m in _indices()]
    params = {
        "frame": torch.from_numpy(frame).expand(batches, -1, -1),
        "beta": torch.from_numpy(beta[order]).expand(batches, -1),
    }
    prepared = model.prepare(params["frame"], _problem(data, batches))
    slope = model.gradient(prepared, params, _problem(data, batches))
    turn = -(slope["frame"].numpy().transpose(0, 2, 1) @ true).reshape(batches, -1)
    grow = np.empty((batches, 10))
    grow[:, order] = -slope["beta"].numpy()
    theirs = np.concatenate([turn, grow], 1)
    error = theirs.std(0, ddof=1) / np.sqrt(batches)
    assert (np.abs(theirs.mean(0) - ours) < 5 * error).all()
    assert np.abs(ours).min() > 1e-3


def _indices():
    from testbed_adaptive.numerics.hermite_features import multi_indices

    return multi_indices(2, 3)


def _data(x, y):
    from testbed.contract.values import Data

    weight = np.full(y.shape, 1 / y.shape[1])
    return Data(*(torch.from_numpy(part) for part in (x, y, y, weight)))


def _problem(data, replicates):
    from testbed.contract.values import Problem

    expansion = {"deviation": torch.ones(replicates, dtype=torch.float64)}
    return Problem(data, data, torch.zeros(replicates), expansion)


def test_derivative_of_the_truth_is_that_of_differences():
    setting = population((1.0,) * 4, (0.3, 1.0, 0.5, 0.4), 0.0, 2, 3)
    inner = np.random.default_rng(9).uniform(-0.5, 0.5, (2, 3))
    _, gradient = truth_on_features(setting, inner)
    for j in range(2):
        for i in range(3):
            step = np.zeros((2, 3))
            step[j, i] = 1e-6
            ahead, behind = (truth_on_features(setting, inner + s * step)[0] for s in (1, -1))
            np.testing.assert_allclose(gradient[:, j, i], (ahead - behind) / 2e-6, atol=1e-8)


def test_loss_falls_at_the_rate_of_the_squared_speed():
    """dL/dt = −|Ẇ|² − |β̇|², Ẇ formed in six dimensions from L_M by differences of L."""
    setting = population((1.0, 0.5, 2.0), (0.2, 1.0, 0.5), 0.0, 2, 2)
    rng = np.random.default_rng(10)
    true, frame = (np.linalg.qr(rng.standard_normal((6, 2)))[0] for _ in range(2))
    state = np.concatenate([(frame.T @ true).ravel(), rng.standard_normal(6)])

    def loss(inner, beta):
        observed, _ = truth_on_features(setting, inner)
        fitted = setting.root * beta
        return 0.5 * (fitted @ fitted - 2 * fitted @ observed + setting.energy)

    def differences(function, size):
        return np.array([(function(h) - function(-h)) / 2e-6 for h in 1e-6 * np.eye(size)])

    inner, beta = state[:4].reshape(2, 2), state[4:]
    slope = differences(lambda h: loss(inner + h.reshape(2, 2), beta), 4).reshape(2, 2)
    euclidean = true @ slope.T
    across = frame.T @ euclidean
    turn = euclidean - frame @ (across + across.T) / 2  # −Ẇ
    grow = differences(lambda h: loss(inner, beta + h), 6)  # −β̇
    speed = velocity(setting, state)
    fall = differences(lambda h: loss(*_split(state + h[0] * speed)), 1)[0]
    assert fall == pytest.approx(-(turn**2).sum() - (grow**2).sum(), rel=1e-6)


def _split(state):
    return state[:4].reshape(2, 2), state[4:]


def test_two_directions_are_found():
    setting = population((1.0,) * 4, (0.0, 1.0, 0.5), 0.3, 2, 2)
    end = population_path(setting, [0.0, 60.0])[-1]
    observed, _ = truth_on_features(setting, end[:4].reshape(2, 2))
    assert (
        (setting.root * end[4:] - observed) ** 2
    ).sum() + setting.energy - observed @ observed < 1e-3
    np.testing.assert_allclose(
        end[:4].reshape(2, 2) @ end[:4].reshape(2, 2).T, np.eye(2), atol=1e-3
    )


# --- escape times ---------------------------------------------------------------------------------


@pytest.mark.parametrize("r", [1, 2, 3])
def test_escape_laws_against_the_flow_to_dimension_1024(r):
    """r = 1: the difference to ln d/(√5 − 1) settles; r ≥ 2: the ratio to d^{r−1}/(2r(r − 1)) goes
    to 1, with what is left falling like a power of d."""
    dims = (64, 256, 1024)
    result = np.array([escape_time(alone(r, d)) for d in dims])
    if r == 1:
        law = np.array([math.log(d) / (math.sqrt(5) - 1) for d in dims])
        residual = result - law
        assert np.abs(np.diff(residual)).max() < 0.01  # O(1): the same number for every d
        assert result[-1] / law[-1] > result[0] / law[0]
    else:
        law = np.array([d ** (r - 1) / (2 * r * (r - 1)) for d in dims])
        residual = result / law - 1
        assert residual[-1] < 0.03
        assert (
            residual[1:] < residual[:-1] / 2
        ).all()  # at least like d^{−1/2}; measured like ln d/d
    parts = [escape_law(r, 1.0, 1.0, d**-0.5) for d in dims]
    np.testing.assert_allclose(parts, law, rtol=1e-12)


@pytest.mark.parametrize(("eigenvalue", "g"), [(0.3, 2.0), (4.0, 0.5)])
@pytest.mark.parametrize("r", [1, 2, 3])
def test_escape_laws_of_other_eigenvalues_and_coefficients(r, eigenvalue, g):
    """Increments between two dimensions, where terms of order one cancel."""
    dims = (256, 1024) if r == 3 else (4096, 16384)
    settings = [population([eigenvalue] * (r + 1), [0.0] * r + [g], d**-0.5) for d in dims]
    result = np.diff([escape_time(item) for item in settings])
    law = np.diff([escape_law(r, eigenvalue, g, d**-0.5) for d in dims])
    np.testing.assert_allclose(result, law, rtol=0.01)


def test_escape_time_is_where_the_path_crosses():
    setting = alone(2, 32)
    time = escape_time(setting)
    assert population_path(setting, [time])[0, 0] == pytest.approx(0.5, abs=1e-6)
    assert escape_time(population([1.0, 1.0], [0.0, 1.0], 0.7)) == 0.0


def test_flat_starts_never_escape():
    assert math.isnan(escape_time(population([1.0] * 3, [0.0, 0.0, 1.0], 0.0)))


# --- against training -----------------------------------------------------------------------------


def agrees(result, law):
    """Mean over replicates within 4 standard errors and 2% of the scale (the bias of finite n).

    Single curves differ by more: they escape a little earlier or later, and fall steeply then.
    """
    error = result.std(0, ddof=1) / np.sqrt(len(result))
    assert (np.abs(result.mean(0) - law) < 4 * error + 0.02 * np.max(law)).all()


def test_training_follows_the_population_flow():
    """n = 20,000, d = 6, degrees 1 to 3."""
    design = Gaussian(dim=6, n=20_000, noise=0.2, n_test=1)
    target = SingleIndex(coefficients=(0.2, 1.0, 0.5, 0.3), direction="drawn")
    model = Directional(eigenvalues=(1.0, 0.5, 2.0, 0.7))
    optimizer, times = GradientFlow(rtol=1e-4, atol=1e-6), np.linspace(0.0, 6.0, 31)
    metrics = [Overlap(), ExcessRisk(), TrainingLoss(), FeatureError()]
    result = run_cell(design, target, model, optimizer, times, metrics, replicates=8)
    cell = make_cell(design, target, model, optimizer, times, [])
    theory = PopulationFlow()
    assert theory_objection(theory, cell) is None
    law = theory.predict(cell, times)
    assert law["overlap"][-1] > 0.9
    for name, values in law.items():
        agrees(result[name], values)


def test_two_directions_follow_the_population_flow():
    """n = 10,000, d = 6."""
    design = Gaussian(dim=6, n=10_000, n_test=1)
    target = MultiIndex(coefficients=(0.0, 0.5, 1.0), direction="drawn")
    model, times = Directional(eigenvalues=(1.0, 1.0, 1.0)), np.linspace(0.0, 8.0, 9)
    optimizer = GradientFlow(rtol=1e-4, atol=1e-6)
    metrics = [Overlap(), ExcessRisk()]
    result = run_cell(design, target, model, optimizer, times, metrics, replicates=8)
    law = PopulationFlow().predict(make_cell(design, target, model, optimizer, times, []), times)
    assert law["overlap"][-1] > 0.9
    agrees(result["overlap"], law["overlap"])
    agrees(result["excess_risk"], law["excess_risk"])


def test_training_comes_closer_as_n_grows():
    """Mean |escape − population's| over 8 replicates falls with every step in n."""
    target, times = SingleIndex(coefficients=(0.0, 0.0, 1.0)), np.linspace(0.0, 8.0, 81)
    model, optimizer = Directional(eigenvalues=(1.0, 1.0, 1.0)), GradientFlow(rtol=1e-4)
    gaps = []
    for n in (500, 3000, 18_000):
        design = Gaussian(dim=8, n=n, n_test=1)
        result = run_cell(design, target, model, optimizer, times, [Overlap()], replicates=8)
        gaps.append(np.abs(result["escape_time"] - escape_time(alone(2, 8))).mean())
    assert (np.diff(gaps) < 0).all()
    assert gaps[-1] < 0.2


def test_feature_error_is_the_metric():
    """The cut by hand: λ decides the order, ε² what a feature costs."""
    setting = population([1.0, 1.0, 2.0], [0.0, 0.6, 0.8], 0.5)
    truth, _ = truth_on_features(setting, setting.start)
    np.testing.assert_allclose(truth, [0.0, 0.3, 0.2], atol=1e-15)
    # orders (h₂, h₀, h₁): kε² + energy left: 1, .96 + ε², .96 + 2ε², .87 + 3ε²
    assert feature_error(setting, truth, 0.001) == pytest.approx(0.873)
    assert feature_error(setting, truth, 0.041) == pytest.approx(0.993)
    assert feature_error(setting, truth, 0.044) == pytest.approx(1.0)
    by_hand = population([1.0, 1.0, 2.0], [0.0, 0.6, 0.8], 1.0)
    assert feature_error(by_hand, np.array([0.0, 0.6, 0.8]), 0.2) == pytest.approx(0.56)


# --- where it applies -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"design": Sphere(dim=5, n=10)}, "Gaussian inputs of equal variances, not sphere"),
        ({"target": Linear()}, "linear has no form of a single- or multi-index function"),
        ({"optimizer": GradientDescent(learning_rate=0.1)}, "gradient flow, not descent"),
        ({"model": Directional(random_start=True)}, "the model starts at random"),
    ],
)
def test_says_why_it_does_not_apply(change, reason):
    parts = {
        "design": Gaussian(dim=5, n=10), "target": SingleIndex(), "model": Directional(),
        "optimizer": GradientFlow(), **change,
    }  # fmt: skip
    cell = make_cell(*parts.values(), [0.0, 1.0], [])
    for theory in (PopulationFlow(), EscapeTime()):
        assert reason in (theory_objection(theory, cell) or "")


@pytest.mark.parametrize(
    ("target", "model", "reason"),
    [
        (MultiIndex(), Directional(), "one direction"),
        (SingleIndex(coefficients=(1.0,)), Directional(), "the target is constant"),
        (
            SingleIndex(coefficients=(0.0, 0.0, 1.0)),
            Directional(eigenvalues=(1.0, 1.0)),
            "degree 2",
        ),
        (SingleIndex(), Directional(initial_overlap=0.6), "between 0 and ½, not at overlap 0.6"),
    ],
)
def test_escape_law_says_why_it_does_not_apply(target, model, reason):
    cell = make_cell(Gaussian(dim=5, n=10), target, model, GradientFlow(), [0.0], [])
    assert reason in (theory_objection(EscapeTime(), cell) or "")


def test_escape_law_of_a_cell():
    cell = make_cell(
        Gaussian(dim=10, n=10), SingleIndex(coefficients=(0.5, 0.0, 0.0, 2.0)), Directional(),
        GradientFlow(), [0.0], [],
    )  # fmt: skip
    assert theory_objection(EscapeTime(), cell) is None
    result = EscapeTime().predict(cell, (0.0,))
    assert result["information_exponent"] == 3
    assert result["escape_time"] == pytest.approx(10**2 / 12 / 4)
