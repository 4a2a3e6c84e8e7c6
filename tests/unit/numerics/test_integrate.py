"""The adaptive integrator against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from testbed.numerics.integrate import begin, integrate


def linear(rates):
    return lambda y: -rates * y


@pytest.mark.parametrize("rtol", [1e-4, 1e-7, 1e-10])
def test_rates_over_eight_decades_meet_the_tolerance(rtol):
    rates = torch.logspace(-7, 1, 9, dtype=torch.float64)
    times = (0.0, 0.1, 1.0, 100.0)
    path = integrate(
        linear(rates), begin(torch.ones(1, 9).double()), 0.0, times, rtol=rtol, atol=rtol
    )
    exact = torch.exp(-rates * torch.tensor(times, dtype=torch.float64)[:, None])
    assert (path.states[0] - exact).abs().max() < 20 * rtol
    assert bool(path.finished.all())


def test_order_of_convergence_is_five():
    """With the error shrinking like h⁵ and steps like tol^(1/5), work grows like tol^(-1/5)."""

    def field(y):
        return torch.stack([y[:, 1], -y[:, 0]], 1)

    errors, evaluations = [], []
    for rtol in (1e-5, 1e-10):
        path = integrate(
            field, begin(torch.tensor([[1.0, 0.0]]).double()), 0.0, (10.0,), rtol=rtol, atol=rtol
        )
        errors.append(abs(float(path.states[0, 0, 0]) - np.cos(10.0)))
        evaluations.append(int(path.evaluations[0, 0]))
    order = np.log(errors[0] / errors[1]) / np.log(evaluations[1] / evaluations[0])
    assert 4.3 < order < 6.5


def test_replicates_do_not_see_each_other():
    def field(y):
        return -(y**3) * torch.tensor([1.0, 50.0]).double()

    start = torch.tensor([[1.0, 2.0], [0.1, 30.0], [5.0, 5.0]]).double()
    times = (0.3, 2.0, 9.0)
    together = integrate(field, begin(start), 0.0, times)
    for replicate in range(3):
        alone = integrate(field, begin(start[replicate : replicate + 1]), 0.0, times)
        torch.testing.assert_close(alone.states[0], together.states[replicate], rtol=1e-13, atol=0)
        assert (alone.evaluations[0] == together.evaluations[replicate]).all()


def test_blocks_of_times_do_not_change_the_path():
    def field(y):
        return torch.sin(y) - 0.3 * y

    start = torch.tensor([[0.5], [-2.0]]).double()
    times = (0.0, 0.7, 3.0, 11.0)
    original = integrate(field, begin(start), 0.0, times)
    state, since, parts = begin(start), 0.0, []
    for time in times:
        part = integrate(field, state, since, (time,))
        state, since = part.state, time
        parts.append(part.states)
    torch.testing.assert_close(torch.cat(parts, 1), original.states, rtol=1e-12, atol=1e-14)


def test_it_agrees_with_scipy_on_a_nonlinear_flow():
    def field(y):
        return torch.stack(
            [y[:, 1] * (1 - y[:, 0] * y[:, 1]), y[:, 0] * (1 - y[:, 0] * y[:, 1])], 1
        )

    path = integrate(
        field, begin(torch.tensor([[0.01, 0.1]]).double()), 0.0, (3.0, 8.0), rtol=1e-9, atol=1e-12
    )

    def reference(_, y):
        return [y[1] * (1 - y[0] * y[1]), y[0] * (1 - y[0] * y[1])]

    expected = solve_ivp(reference, (0, 8), [0.01, 0.1], t_eval=[3, 8], rtol=1e-12, atol=1e-14).y.T
    np.testing.assert_allclose(path.states[0], expected, rtol=1e-7)


def test_the_budget_ends_a_hopeless_run_and_says_so():
    rates = torch.tensor([[1.0, 1.0], [1e9, 1.0]]).double()
    path = integrate(
        lambda y: -rates[: y.shape[0]] * y,
        begin(torch.ones(2, 2).double()),
        0.0,
        (1.0,),
        max_evaluations=5000,
    )
    assert path.finished.tolist() == [True, False]
    assert torch.isnan(path.states[1]).all() and torch.isfinite(path.states[0]).all()


def test_an_exploding_solution_is_not_finished():
    path = integrate(lambda y: y**2, begin(torch.ones(1, 1).double()), 0.0, (0.5, 2.0))
    torch.testing.assert_close(path.states[0, 0, 0], torch.tensor(2.0).double(), rtol=1e-5, atol=0)
    assert torch.isnan(path.states[0, 1, 0]) and not path.finished[0]
