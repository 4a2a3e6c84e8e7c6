"""Gradient flow by adaptive integration at very different rates: an end in bounded work."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import frozen
from scipy.integrate import solve_ivp

from testbed import Model, parameter
from testbed.running.execute import draw_problem
from testbed_basics.designs.points import Gaussian
from testbed_basics.metrics.risks import ExcessRisk, TrainingLoss
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_basics.targets.linear import Linear
from tests.helpers.cells import make_cell, run_cell

FLOW = GradientFlow(method="numeric")
FEW = 30_000  # right-hand sides; stability alone would ask for 400,000 up to τ = 1000


@frozen(kw_only=True)
class DiagonalNet(Model):
    """f(x) = ⟨u² − v², x⟩ from u = v = α."""

    name = "tests.diagonal-net"
    alpha: float = parameter(1.0, help="start", gt=0)

    def prepare(self, drawn, problem):
        return problem.train.x[0] * 0

    def start(self, drawn, prepared, problem):
        return {"u": prepared + self.alpha, "v": prepared + self.alpha}

    def predict(self, prepared, params, probe):
        return probe @ (params["u"] ** 2 - params["v"] ** 2)


@pytest.mark.parametrize(("n", "noise"), [(12, 0.0), (60, 0.5)], ids=["interpolates", "does not"])
def test_a_flow_at_rest_ends_in_few_steps_whatever_the_time_that_is_left(n, noise):
    """The second route is SciPy's implicit method, which takes long steps at rest."""
    design, model = Gaussian(dim=30, n=n, n_test=20, noise=noise), DiagonalNet(alpha=3.0)
    parts = (design, Linear(), model, FLOW, (0.01, 1000.0))
    values = run_cell(*parts, [ExcessRisk(), TrainingLoss()], replicates=2)
    assert values["evaluations"].max() < FEW
    problem = draw_problem(make_cell(*parts, []), 0)
    x, y = problem.train.x.numpy(), problem.train.y.numpy()

    def velocity(time, state):
        u, v = np.split(state, 2)
        slope = x.T @ (x @ (u**2 - v**2) - y) / n
        return np.concatenate([-2 * u * slope, 2 * v * slope])

    path = solve_ivp(
        velocity, (0, 1000.0), np.full(60, 3.0), "LSODA", rtol=1e-9, atol=1e-12,
        t_eval=[0.01, 1000.0],
    )  # fmt: skip
    weights = path.y[:30] ** 2 - path.y[30:] ** 2
    residual = problem.test.x.numpy() @ weights - problem.test.truth.numpy()[:, None]
    np.testing.assert_allclose(values["excess_risk"][0], (residual**2).mean(0), rtol=1e-4)


@frozen(kw_only=True)
class Saddle(Model):
    """f(x) = u v x₀ from u = v = ε: the origin is a saddle, left after ln(1/ε) units of time."""

    name = "tests.saddle"

    def prepare(self, drawn, problem):
        return problem.train.x[0, :1] * 0

    def start(self, drawn, prepared, problem):
        return {"u": prepared + 1e-15, "v": prepared + 1e-15}

    def predict(self, prepared, params, probe):
        return probe[..., :1] @ (params["u"] * params["v"])


def test_a_saddle_is_no_rest():
    """At the start the speed times the time left is below a thousandth of the tolerance."""
    design = Gaussian(dim=1, n=50, n_test=20)
    values = run_cell(design, Linear(), Saddle(), FLOW, (1.0, 300.0), [ExcessRisk()])
    assert values["excess_risk"][:, 0].min() > 0.1 and values["excess_risk"][:, 1].max() < 1e-10


def test_used_up_evaluations_end_a_flow_and_the_run_says_what_to_do(tmp_path):
    from testbed.planning.files import read_scenario
    from testbed.runs import run
    from testbed.soundness import read_findings

    text = """
format = 1
name = "stiff"
times = [1000.0]
design = { use = "gaussian", dim = 5, n = 10, n_test = 5, noise = 0.3 }
target = { use = "linear" }
metric = [{ use = "excess-risk" }]
[[estimator]]
name = "net"
model = { use = "networks.two-layer", width = 8, activation = "tanh" }
optimizer = { use = "gradient-flow", max_evaluations = 50 }
"""
    (finding,) = [
        f for f in read_findings(run(read_scenario(text), tmp_path)) if f.check == "divergence"
    ]
    assert "max_evaluations" in finding.advice and "`times` earlier" in finding.advice
