"""The component contract carries six different families, and core knows none of them."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy.integrate import solve_ivp

from testbed.contract.cells import STATUS, Cell, Compute, PlannedMetric
from testbed.contract.components import Estimator
from testbed.planning.fitting import served_needs
from testbed.running.execute import PreparationCache, draw_problem, execute_cell
from tests.helpers.contract_components import (
    Descent,
    Diagonal,
    Exact,
    Filter,
    Fixed,
    FixedBatch,
    FixedLoop,
    Gap,
    Kernel,
    Linear,
    Linearised,
    Modes,
    Net,
    Numeric,
    Orthogonal,
    Power,
    Risk,
    Sequence,
    Sphere,
)

SEQUENCE = (Sequence(), Power())
SPHERE = (Sphere(), Linear())


def cell(design, target, model, optimizer, times, *metrics, replicates=3, **fields):
    planned = []
    for metric in metrics or (Risk(),):
        estimator = Estimator("main", model, optimizer)
        companion = metric.companion(estimator, {})
        needs, _ = served_needs(metric, estimator, companion)
        names = {name: name for name in metric.variables}
        planned.append(PlannedMetric(metric, names, needs, companion=companion))
    return Cell(
        "main", {}, (), tuple(range(replicates)), design, target, model, optimizer, tuple(times),
        tuple(planned), (), 7, Compute(), key="k", group="g", **fields,
    )  # fmt: skip


def run(*args, **kwargs):
    result = execute_cell(cell(*args, **kwargs))
    assert not result.error, result.error
    assert (result.status == STATUS["ok"]).all()
    return result.variables


TIMES = (0.0, 0.5, 3.0, 20.0)


def test_fixed_sequence_has_the_closed_form_risk():
    risk = run(*SEQUENCE, Fixed(), Exact(), TIMES)["risk"]
    problem = draw_problem(cell(*SEQUENCE, Fixed(), Exact(), TIMES), 1)
    x, z, truth = (getattr(problem.train, part).numpy() for part in ("x", "y", "truth"))
    expected = [(((1 - np.exp(-(x**-1.5) * t)) * z - truth) ** 2).sum() for t in TIMES]
    np.testing.assert_allclose(risk[1], expected, rtol=1e-12)


def test_batch_vmap_and_loop_agree():
    runs = [
        run(*SEQUENCE, model(), Exact(), TIMES)["risk"] for model in (Fixed, FixedBatch, FixedLoop)
    ]
    np.testing.assert_allclose(runs[1], runs[0], rtol=1e-13)
    np.testing.assert_allclose(runs[2], runs[0], rtol=1e-13)


def test_numeric_flow_agrees_with_the_exact_one_for_every_batching():
    exact = run(*SEQUENCE, Fixed(), Exact(), TIMES)["risk"]
    for model in (Fixed, FixedBatch, FixedLoop):
        np.testing.assert_allclose(
            run(*SEQUENCE, model(), Numeric(), TIMES)["risk"], exact, rtol=1e-7
        )


def test_orthogonal_model_is_measured_by_its_spectrum_and_keeps_its_invariants():
    values = run(*SEQUENCE, Orthogonal(), Numeric(), TIMES, Risk(), Modes())
    assert values["eigenvalue"].shape == (3, 4, 12)
    assert (np.diff(values["risk"][:, :3], axis=1) < 0).all()
    # full matrix flow of one replicate, integrated independently
    problem = draw_problem(cell(*SEQUENCE, Orthogonal(), Numeric(), TIMES), 0)
    z, truth = problem.train.y.numpy(), problem.train.truth.numpy()
    size = len(z)

    def field(_, state):
        matrix, d, a = state[: size**2].reshape(size, size), *np.split(state[size**2 :], 2)
        y, v = matrix.T @ z, d * a
        outer = np.outer(y, v)
        return np.concatenate([(matrix @ (outer - outer.T) / 2).ravel(), a * (y - v), d * (y - v)])

    start = np.concatenate([np.eye(size).ravel(), np.arange(1.0, size + 1) ** -0.5, np.zeros(size)])
    end = solve_ivp(field, (0, 20.0), start, rtol=1e-10, atol=1e-12).y[:, -1]
    theta = end[: size**2].reshape(size, size) @ (end[size**2 : -size] * end[-size:])
    np.testing.assert_allclose(values["risk"][0, -1], ((theta - truth) ** 2).sum(), rtol=1e-7)


def test_adaptively_integrated_diagonal_model_agrees_with_scipy():
    risk = run(*SEQUENCE, Diagonal(), Numeric(), TIMES)["risk"]
    problem = draw_problem(cell(*SEQUENCE, Diagonal(), Numeric(), TIMES), 2)
    x, z, truth = (getattr(problem.train, part).numpy() for part in ("x", "y", "truth"))

    def field(_, state):
        a, b, beta = np.split(state, 3)
        residual = z - a * b * beta
        return np.concatenate([b * beta * residual, a * beta * residual, a * b * residual])

    start = np.concatenate([x**-0.75, np.full_like(x, 0.5), np.zeros_like(x)])
    end = np.split(solve_ivp(field, (0, 20), start, rtol=1e-11, atol=1e-13).y[:, -1], 3)
    np.testing.assert_allclose(risk[2, -1], ((np.prod(end, 0) - truth) ** 2).sum(), rtol=1e-7)


def test_kernel_ridge_and_flow_share_one_preparation():
    Kernel.prepared_count[0] = 0
    cache = PreparationCache()
    times = (1.0, 10.0, 1e3)
    for ridge in (True, False):
        result = execute_cell(
            cell(*SPHERE, Kernel(), Filter(ridge=ridge), times, replicates=1), cache
        )
        assert not result.error, result.error
    assert Kernel.prepared_count[0] == 1
    problem = draw_problem(cell(*SPHERE, Kernel(), Filter(), times), 0)
    x, y, n = problem.train.x, problem.train.y, len(problem.train.y)
    gram = Kernel.gram_of(x, x).numpy() + n / 10.0 * np.eye(n)
    fitted = Kernel.gram_of(problem.test.x, x).numpy() @ np.linalg.solve(gram, y.numpy())
    risk = run(*SPHERE, Kernel(), Filter(), times)["risk"]
    np.testing.assert_allclose(
        risk[0, 1], ((fitted - problem.test.truth.numpy()) ** 2).mean(), rtol=1e-9
    )


def test_two_layer_net_trains_under_sgd_with_drawn_batches():
    descent = Descent(rate=0.1, batch=8)
    risk = run(*SPHERE, Net(), descent, (0.0, 5.0, 20.0))["risk"]
    assert (risk[:, -1] < 0.3 * risk[:, 0]).all()
    again = run(*SPHERE, Net(), descent, (0.0, 20.0))["risk"]
    np.testing.assert_array_equal(
        again[:, -1], risk[:, -1]
    )  # recorded times do not change training


def test_gap_to_the_linearised_net_shrinks_with_width():
    gaps = []
    for width in (32, 2048):
        net = Net(width=width)
        second = Estimator("linear", Linearised(of=net), Descent())
        values = run(*SPHERE, net, Descent(), (0.0, 10.0), Gap(to=second))
        assert (values["gap"][:, 0] == 0).all() and (values["moved"][:, 1] > 0.1).all()
        gaps.append(values["gap"][:, 1].mean())
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize(
    ("domain", "model", "optimizer"),
    [
        (SEQUENCE, Fixed(), Exact()),
        (SEQUENCE, Diagonal(), Numeric()),
        (SEQUENCE, Orthogonal(), Numeric()),
        (SPHERE, Kernel(), Filter()),
        (SPHERE, Net(), Descent(batch=8)),
    ],
)
def test_a_replicate_alone_equals_itself_in_a_batch(domain, model, optimizer):
    times = (0.5, 3.0, 20.0)
    together = execute_cell(cell(*domain, model, optimizer, times, replicates=6))
    alone = execute_cell(evolve(cell(*domain, model, optimizer, times), replicates=(5,)))
    np.testing.assert_allclose(
        alone.variables["risk"][0], together.variables["risk"][5], rtol=1e-10, atol=1e-14
    )


@pytest.mark.parametrize(
    ("domain", "model", "optimizer"),
    [(SEQUENCE, Diagonal(), Numeric()), (SPHERE, Kernel(), Filter())],  # one shares preparations
)
def test_blocks_of_times_and_replicates_do_not_change_the_numbers(domain, model, optimizer):
    original = cell(*domain, model, optimizer, (0.5, 3.0, 20.0), replicates=4)
    small = evolve(original, compute=Compute(memory=1e-9))  # one replicate and one time at once
    np.testing.assert_allclose(
        execute_cell(small).variables["risk"], execute_cell(original).variables["risk"], rtol=1e-12
    )


# 4200: the state is near 10^200 and finite, its squares are not
@pytest.mark.parametrize("late", [4.2e3, 3e4])
def test_a_diverging_replicate_is_a_status_and_nan(late):
    result = execute_cell(cell(*SEQUENCE, Fixed(), Descent(rate=30.0), (0.0, 30.0, late)))
    assert (result.status == STATUS["diverged"]).all()
    assert np.isfinite(result.variables["risk"][:, :2]).all()
    assert np.isnan(result.variables["risk"][:, 2]).all()
    assert (result.diverged_at == late).all()


def test_a_raising_component_is_a_failed_cell_with_its_place():
    result = execute_cell(cell(*SPHERE, Orthogonal(), Exact(), TIMES))
    assert (result.status == STATUS["failed"]).all()
    assert "contract_components.py" in result.error or "components.py" in result.error
