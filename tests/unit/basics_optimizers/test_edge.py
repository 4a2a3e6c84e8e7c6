"""Steps at the edge of stability: times of their own, equal time, and starts without an edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import frozen
from scipy.linalg import expm

from testbed.contract.capabilities import HasGradient
from testbed.contract.cells import STATUS, PlannedTheory
from testbed.contract.components import Advance, Estimator, Model, Optimizer, Theory, Variable
from testbed.contract.facts import OptimizerFacts, TheoryFacts
from testbed.contract.seeds import Streams
from testbed.errors import ScenarioError
from testbed.numerics.trees import tree_map
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.record import record
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import ConformanceError, Kernel, Points, Smooth, check_component
from testbed_basics.metrics.risks import Gap
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.gradient_flow import GradientFlow
from testbed_networks.metrics.networks import FlowGap
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.models import ReluTangent
from tests.helpers.cells import make_cell, run_cell

POINTS = Points(n=12, dim=2)
GAP = Gap(to="flow")
FLOW = {"flow": Estimator("flow", Kernel(), GradientFlow())}


def by_hand(replicate, share, times):
    """Times reached, and distances of descent to the flow there, by dense matrices."""
    cell = make_cell(POINTS, Smooth(), Kernel(), GradientFlow(), (0.0,), ())
    problem = draw_problem(cell, replicate)
    x, y, points = (value.numpy() for value in (problem.train.x, problem.train.y, problem.test.x))
    gram = np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2)
    cross = np.exp(-((points[:, None] - x[None]) ** 2).sum(-1) / 2)
    rate = share * 2 / np.linalg.eigvalsh(gram / len(x))[-1]
    reached, gaps = [], []
    for time in times:
        alpha, steps = np.zeros_like(y), round(time / rate)
        for _ in range(steps):
            alpha = alpha - rate * (gram @ alpha - y) / len(x)
        flow = np.linalg.solve(gram, y - expm(-steps * rate * gram / len(x)) @ y)
        reached.append(steps * rate)
        gaps.append(np.sqrt(((cross @ (alpha - flow)) ** 2).mean()))
    return reached, gaps


@pytest.mark.parametrize("method", ["auto", "stepped"])
def test_the_gap_is_that_at_the_time_that_a_replicate_reaches(method):
    times = (0.0, 3.0, 9.0)
    optimizer = GradientDescent(learning_rate={"edge": 0.2}, method=method)
    result = run_cell(POINTS, Smooth(), Kernel(), optimizer, times, [GAP], estimators=FLOW)
    for row in range(3):
        reached, gaps = by_hand(row, 0.2, times)
        np.testing.assert_allclose(result["time_reached"][row], reached, rtol=1e-9)
        np.testing.assert_allclose(result["gap"][row], gaps, rtol=1e-5, atol=1e-10)
    assert (result["gap"][:, 1:] > 1e-4).all()


def test_who_takes_no_step_has_no_gap():
    optimizer = GradientDescent(learning_rate={"edge": 30.0})
    result = run_cell(
        POINTS, Smooth(), Kernel(), optimizer, (1.0, 3.0), [GAP, FlowGap()], estimators=FLOW
    )
    assert (result["time_reached"] == 0).all()
    assert (result["gap"] == 0).all() and (result["flow_gap"] == 0).all()


def test_both_gaps_to_the_flow_are_one():
    """`gap` to an estimator of gradient flow, and the companion that flow-gap makes."""
    net = TwoLayerNetwork(width=16, symmetric=True, activation="tanh")
    flow = {"flow": Estimator("flow", net, GradientFlow(rtol=1e-8))}
    optimizer = GradientDescent(learning_rate={"edge": 0.4})
    result = run_cell(
        POINTS, Smooth(), net, optimizer, (0.5, 1.0, 3.0), [GAP, FlowGap(rtol=1e-8)],
        estimators=flow,
    )  # fmt: skip
    assert (result["gap"][:, -1] > 1e-4).all()
    np.testing.assert_allclose(result["gap"], result["flow_gap"], rtol=1e-4)


def test_a_companion_of_another_family_is_that_of_the_replicate():
    """Kernels that prepare objects, not tensors, beside a network of three replicates."""
    net, kernel = TwoLayerNetwork(width=8, symmetric=True), ReluTangent()
    times = (0.5, 2.0, 2.2)
    rivals = {"flow": Estimator("flow", kernel, GradientFlow())}
    optimizer = GradientDescent(learning_rate={"edge": 0.1})
    cell = make_cell(POINTS, Smooth(), net, optimizer, times, [GAP], estimators=rivals)
    complete = execute_cell(cell)
    assert not complete.error, complete.error
    for row in range(3):
        reached = complete.variables["time_reached"][row].tolist()
        rate = float(complete.variables["rate_used"][row, 0])
        plain = GradientDescent(learning_rate=rate)
        alone = run_cell(
            POINTS, Smooth(), net, plain, dict.fromkeys(reached), [GAP], estimators=rivals
        )["gap"][row]
        where = [list(dict.fromkeys(reached)).index(time) for time in reached]
        np.testing.assert_allclose(complete.variables["gap"][row], alone[where], rtol=1e-9)


# --- any optimizer may have times of its own ------------------------------------------------------


@frozen(kw_only=True)
class OwnSteps(Optimizer):
    """Descent of η = 1/(2 + |first input|) of the replicate, written for one replicate."""

    name = "tests.own-steps"
    requires = (HasGradient,)
    variables = {"time_reached": Variable("time reached")}  # noqa: RUF012

    def facts(self):
        return OptimizerFacts(batching="loop", times_per_replicate=True)

    def start(self, fit):
        return fit.start, 1 / (2 + fit.problem.train.x[0, 0].abs())

    def reached_by(self, carry, times):
        rate = carry[1].double()
        return (torch.tensor(times, dtype=torch.float64) / rate).round() * rate

    def advance(self, fit, carry, since, times):
        params, rate = carry
        done, *targets = (round(time / float(rate)) for time in (since, *times))
        recorded = []
        for target in targets:
            for _ in range(done, target):
                slope = fit.model.gradient(fit.prepared, params, fit.problem)
                params = tree_map(lambda value, g: value - rate * g, params, slope)
            recorded.append(params)
            done = target
        stacked = tree_map(lambda *leaves: torch.stack(leaves), *recorded)
        return Advance((params, rate), stacked, {"time_reached": self.reached_by(carry, times)})


def test_core_asks_an_optimizer_for_one_replicate_as_well():
    result = run_cell(POINTS, Smooth(), Kernel(), OwnSteps(), (4.0, 8.0), [GAP], estimators=FLOW)
    assert len(set(result["time_reached"][:, 0])) == 3
    for row in range(3):
        first = draw_problem(make_cell(POINTS, Smooth(), Kernel(), OwnSteps(), (1.0,), ()), row)
        rate = 1 / (2 + abs(float(first.train.x[0, 0])))
        reached = GradientDescent(learning_rate=rate).reached((4.0, 8.0))
        np.testing.assert_allclose(result["time_reached"][row], reached, rtol=1e-12)
        plain = run_cell(
            POINTS, Smooth(), Kernel(), GradientDescent(learning_rate=rate),
            reached, [GAP], estimators=FLOW,
        )["gap"][row]  # fmt: skip
        np.testing.assert_allclose(result["gap"][row], plain, rtol=1e-6)


def test_the_kit_looks_at_times_of_their_own():
    check_component(OwnSteps(), model=Kernel())

    class Backwards(OwnSteps):
        def reached_by(self, carry, times):
            return super().reached_by(carry, times).flip(0)

    with pytest.raises(ConformanceError, match="found own times out of order"):
        check_component(Backwards(), model=Kernel())


# --- what nobody knows before the run -------------------------------------------------------------


@frozen(kw_only=True)
class Guess(Theory):
    """One number a time, and one of no time."""

    name = "tests.guess"
    variables = {"risk": Variable("risk", predicts="excess_risk")}  # noqa: RUF012

    def predict(self, cell, times, problem=None):
        return {"risk": np.array(times)}


@frozen(kw_only=True)
class Timeless(Theory):
    name = "tests.timeless"
    variables = {"rate": Variable("exponent", time=False)}  # noqa: RUF012

    def predict(self, cell, times, problem=None):
        return {"rate": np.array(1.0)}


@pytest.mark.parametrize("conditional", [False, True])
def test_theories_claim_nothing_at_times_that_the_parameters_do_not_tell(conditional):
    for theory in (Guess, Timeless):
        actual = type(
            theory.__name__, (theory,), {"facts": lambda self: TheoryFacts(conditional=conditional)}
        )
        theories = (PlannedTheory(actual(), {name: name for name in theory.variables}),)
        for rate, silent in (({"edge": 0.5}, theory is Guess), (0.5, False)):
            cell = make_cell(
                POINTS, Smooth(), Kernel(), GradientDescent(learning_rate=rate), (0.0, 3.0), (),
                theories=theories, replicates=2 if conditional else 0,
            )  # fmt: skip
            result = execute_cell(cell)
            assert not result.error
            (name,) = theory.variables
            assert (name in result.omitted) is silent and (name in result.variables) is not silent
            if silent:
                assert "stop at times of their own" in result.omitted[name]


PAIR = """
format = 1
name = "pairs"
replicates = 2
times = [2.0, 10.0]
[design]
use = "sphere"
dim = 3
n = 8
[target]
use = "single-index"
coefficients = [0.0, 1.0]
[[estimator]]
name = "own"
model = { use = "networks.two-layer", width = 4 }
optimizer = { use = "gradient-descent", learning_rate = OWN }
[[estimator]]
name = "other"
model = { use = "networks.two-layer", width = 4 }
optimizer = { use = "gradient-descent", learning_rate = OTHER, times = [3.0, 9.0] }
[[metric]]
use = "gap"
to = "other"
of = ["own"]
"""


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("0.1", "{ edge = 0.5 }", "the replicates of 'other' stop at times of their own"),
        ("{ edge = 0.5 }", "{ edge = 0.5 }", "stop at times of their own"),
        ("0.1", "1.5", "at the time 2 whole steps of 'other' stop at 1.5, more than 5% off"),
        ("0.1", "0.5", ""),
        ("{ edge = 0.5 }", "0.1", ""),
    ],
)
def test_a_gap_to_an_estimator_that_stops_elsewhere_is_refused(first, second, words):
    text = PAIR.replace("OWN", first).replace("OTHER", second)
    if not words:
        assert make_plan(read_scenario(text, "pairs.toml")).cells[0].metrics
        return
    with pytest.raises(ScenarioError, match=words):
        make_plan(read_scenario(text, "pairs.toml"))


def test_a_companion_that_misses_a_replicates_times_fails_it():
    coarse = {"flow": Estimator("flow", Kernel(), GradientDescent(learning_rate=2.0))}
    optimizer = GradientDescent(learning_rate={"edge": 0.1})
    cell = make_cell(POINTS, Smooth(), Kernel(), optimizer, (1.0,), [GAP], estimators=coarse)
    (fault,) = execute_cell(cell).faults.values()
    assert "at the time " in fault and "whole steps of 'flow' stop at" in fault


# --- starts without an edge -----------------------------------------------------------------------


SCENARIO = """
format = 1
name = "edges"
seed = 1
replicates = 8
times = [2.0, 4.0]

[design]
use = "sphere"
dim = 2
n = 3
noise = 0.1

[target]
use = "single-index"
coefficients = [0.0, 1.0]

[[estimator]]
name = "descent"
optimizer = { use = "gradient-descent", learning_rate = { edge = 0.4 } }
model = { use = "networks.two-layer", width = 1 }

[[metric]]
use = "networks.flow-gap"
"""


def test_a_replicate_without_curvature_fails_alone_with_the_reason():
    """A network of one ReLU unit that no point reaches, in some of the replicates."""
    plan = make_plan(read_scenario(SCENARIO, "edges.toml"))
    assert [cell.replicates for cell in plan.cells] == [(row,) for row in range(8)]
    dead = []
    for row, cell in enumerate(plan.cells):
        problem = draw_problem(cell, row)
        first = cell.model.draw(Streams(1, row), problem)["first"]
        dead.append(bool((problem.train.x.numpy() @ first.T <= 0).all()))
    assert 0 < sum(dead) < 8
    data = record(plan, map(execute_cell, plan.cells))["descent"].to_dataset()
    np.testing.assert_array_equal(data["status"] == STATUS["failed"], dead)
    np.testing.assert_array_equal(data["status"] == STATUS["ok"], np.logical_not(dead))
    reasons = data["error"].values[dead]
    assert all("found the largest curvature λ_max = 0 at the start" in text for text in reasons)
    for name in ("time_reached", "flow_gap"):
        np.testing.assert_array_equal(data[name].isnull().all("time"), dead)


@pytest.mark.parametrize(
    ("curvature", "words"),
    [(0.0, "λ_max = 0"), (-1.0, "λ_max = -1"), (float("nan"), "not settled")],
)
def test_an_edge_needs_curvature(curvature, words):
    @frozen(kw_only=True)
    class Bent(Model):
        name = "tests.bent"

        def start(self, drawn, prepared, problem):
            return torch.zeros_like(problem.train.x[0])

        def predict(self, prepared, params, probe):
            return probe @ params

        def gradient(self, prepared, params, problem, rows=None):
            return curvature * params + 1

    for metrics in ([], [FlowGap()]):
        cell = make_cell(
            POINTS, Smooth(), Bent(), GradientDescent(learning_rate={"edge": 0.9}), (1.0,), metrics
        )
        result = execute_cell(cell)
        assert (result.status == STATUS["failed"]).all()
        assert f"tests.bent: found the largest curvature {words} at the start" in result.error
        assert "give learning_rate as a number" in result.error
