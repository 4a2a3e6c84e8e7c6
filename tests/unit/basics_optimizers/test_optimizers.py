"""Optimizers of whole steps: against torch.optim, closed forms and dense Hessians."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from attrs import evolve, frozen

from testbed.contract.cells import STATUS
from testbed.contract.components import Model
from testbed.contract.facts import ModelFacts
from testbed.contract.seeds import Streams
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.planning.plan import make_plan
from testbed.results.record import record
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Kernel, Smooth, check_component
from testbed_adaptive.models.diagonal import DiagonalKernel
from testbed_adaptive.models.rfm import RecursiveFeatureMachine
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers import steps
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.sgd import Sgd
from testbed_basics.optimizers.steps import Edge
from testbed_networks.models.fixed import Linearised, RandomFeatures
from testbed_networks.models.two_layer import TwoLayerNetwork
from testbed_ntk.models import ReluTangent
from testbed_sequence.models.fixed import Fixed
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.steps import POINTS, Curved, Norm

OPTIMIZERS = [
    GradientDescent(learning_rate=0.1),
    GradientDescent(learning_rate=0.1, momentum=0.5),
    GradientDescent(learning_rate={"edge": 0.5}),
    GradientDescent(learning_rate={"edge": 0.5}, method="stepped"),
    Sgd(learning_rate=0.05, batch_size=5),
    Sgd(learning_rate=0.05, batch_size=5, replacement=True, momentum=0.5),
    Adam(learning_rate=0.1),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=lambda item: repr(item)[:70])
def test_they_keep_the_laws(optimizer):
    if optimizer.accepts(Kernel()) is None:
        check_component(optimizer, model=Kernel())
    if not isinstance(getattr(optimizer, "learning_rate", None), Edge):
        check_component(optimizer, model=Curved())


def by_torch(make, steps, rows=None, replicate=0):
    """The norm and the sum of the parameters after so many steps of a torch optimizer."""
    cell = make_cell(POINTS, Smooth(), Curved(), Adam(learning_rate=0.1), (0.0,), ())
    problem = draw_problem(cell, replicate)
    start = Curved().draw(Streams(7, replicate), problem)
    leaves = {name: torch.tensor(value, requires_grad=True) for name, value in start.items()}
    optimizer = make(list(leaves.values()))
    data = problem.train
    for step in range(steps):
        index = torch.arange(12) if rows is None else torch.from_numpy(rows[step])
        optimizer.zero_grad()
        with torch.enable_grad():
            residual = data.y[index] - Curved().predict(None, leaves, data.x[index])
            (0.5 * residual.square().mean()).backward()
        optimizer.step()
    flat = torch.cat([leaf.detach().flatten() for leaf in leaves.values()])
    return float(flat.norm()), float(flat.sum())


def found_by(optimizer, time, replicate=0):
    values = run_cell(POINTS, Smooth(), Curved(), optimizer, (0.0, time / 2, time), [Norm()])
    return values["norm"][replicate, -1], values["total"][replicate, -1]


@pytest.mark.parametrize("momentum", [0.0, 0.75])
def test_descent_is_that_of_torch_on_the_clock_of_the_flow(momentum):
    optimizer = GradientDescent(learning_rate=0.05, momentum=momentum)
    expected = by_torch(lambda params: torch.optim.SGD(params, lr=0.05, momentum=momentum), 40)
    time = 40 * 0.05 / (1 - momentum)
    assert found_by(optimizer, time) == pytest.approx(expected, rel=1e-10)
    assert optimizer.auxiliary((0.0, time)) == {"step": (0.0, 40.0)}


@pytest.mark.parametrize("replacement", [False, True])
def test_stochastic_descent_is_that_of_torch_on_its_batches(replacement):
    sgd = Sgd(learning_rate=0.05, batch_size=5, momentum=0.5, replacement=replacement)
    cell = make_cell(POINTS, Smooth(), Curved(), sgd, (0.0,), ())
    key = sgd.draw(Streams(7, 1), draw_problem(cell, 1))
    rows = sgd.batches(key.tolist(), 12, 0, 30)
    expected = by_torch(
        lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.5), 30, rows, replicate=1
    )
    assert found_by(sgd, 3.0, replicate=1) == pytest.approx(expected, rel=1e-10)


def test_adam_is_that_of_torch_and_says_that_its_clock_is_its_own():
    optimizer = Adam(learning_rate=0.02, beta1=0.8, beta2=0.95, epsilon=1e-6)
    expected = by_torch(
        lambda params: torch.optim.Adam(params, lr=0.02, betas=(0.8, 0.95), eps=1e-6), 50
    )
    assert found_by(optimizer, 1.0) == pytest.approx(expected, rel=1e-9)
    assert optimizer.facts().clock == "own"
    assert "NOT the clock of gradient flow" in (Adam.__doc__ or "")


@frozen(kw_only=True)
class Dual(Model):
    """⟨w, x⟩ with w = Σ α_i x_i, in α."""

    name = "tests.dual"

    def facts(self):
        return ModelFacts(coordinates="function")

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.y)

    def probe(self, prepared, x):
        return x

    def prepare(self, drawn, problem):
        return problem.train.x

    def predict(self, prepared, params, probe):
        return probe @ (prepared.mT @ params)

    def gradient(self, prepared, params, problem, rows=None):
        data = problem.train
        index = torch.arange(len(params)) if rows is None else rows
        residual = data.x[index] @ (prepared.mT @ params) - data.y[index]
        return torch.zeros_like(params).index_add(0, index, residual / len(index))


@frozen(kw_only=True)
class Primal(Model):
    """The same in w."""

    name = "tests.primal"

    def start(self, drawn, prepared, problem):
        return torch.zeros_like(problem.train.x[0])

    def predict(self, prepared, params, probe):
        return probe @ params


def test_steps_of_dual_coefficients_are_those_of_the_features_unless_each_is_scaled():
    """Why adam refuses them: descent and its batches agree, adam itself would not."""
    times = (0.0, 1.0, 4.0)

    def risk(model, optimizer):
        return run_cell(POINTS, Smooth(), model, optimizer, times, [ExcessRisk()])["excess_risk"]

    for optimizer in (
        GradientDescent(learning_rate=0.1, momentum=0.5),
        Sgd(learning_rate=0.1, batch_size=5, momentum=0.5),
    ):
        np.testing.assert_allclose(risk(Dual(), optimizer), risk(Primal(), optimizer), rtol=1e-9)
    adam = Adam(learning_rate=0.1)
    separate = np.abs(risk(Dual(), adam) / risk(Primal(), adam) - 1)[:, 1:]
    assert (separate > 0.01).all()
    assert adam.accepts(Primal()) is None
    reason = adam.accepts(Dual())
    assert "tests.dual is not held in the parameters" in reason
    assert "take gradient-descent or sgd" in reason


@pytest.mark.parametrize(
    "model",
    [
        Linearised(of=TwoLayerNetwork(width=4)),
        RandomFeatures(width=4),
        ReluTangent(),
        RecursiveFeatureMachine(),
        DiagonalKernel(basis="torus", gamma=1.0, learn="none"),
        Fixed(),
    ],
    ids=lambda model: model.name,
)
def test_adam_refuses_every_model_that_holds_no_parameters_of_its_features(model):
    assert "is not held in the parameters" in Adam(learning_rate=0.1).accepts(model)


def test_adam_takes_models_that_learn():
    for model in (TwoLayerNetwork(width=4), DiagonalKernel(basis="torus", gamma=1.0)):
        assert Adam(learning_rate=0.1).accepts(model) is None
    check_component(Adam(learning_rate=0.1))  # the kit finds a partner


ADAM = """
format = 1
name = "clocks"
replicates = 2
times = [1.0, 3.0]
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
optimizer = { use = "adam", learning_rate = 0.1 }
[[estimator]]
name = "flow"
model = { use = "networks.linearised", of = "estimator:own" }
optimizer = { use = "gradient-flow" }
[[estimator]]
name = "faster"
model = { use = "networks.two-layer", width = 4 }
optimizer = { use = "adam", learning_rate = 0.2, beta1 = 0.5 }
[[metric]]
use = "gap"
to = "TO"
[[metric]]
use = "excess-risk"
"""


def test_a_clock_of_its_own_is_said_in_the_result_and_compared_with_no_other():
    with pytest.raises(ScenarioError) as caught:
        make_plan(read_scenario(ADAM.replace("TO", "flow"), "clocks.toml"))
    for name in ("own", "faster"):
        assert (
            f"the time of adam is not the flow's, so that {name!r} and 'flow' have no equal time; "
            "compare them at the best time of each"
        ) in str(caught.value)
    plan = make_plan(read_scenario(ADAM.replace("TO", "own"), "clocks.toml"))
    reasons = {item.estimator: item.reason for item in plan.omissions if item.what == "gap"}
    assert set(reasons) == {"flow", "own"}  # two of adam may be compared
    assert "the time of adam is not the flow's" in reasons["flow"]
    assert "its gap to itself is 0" in reasons["own"]
    tree = record(plan, map(execute_cell, plan.cells))
    for name, says in (("own", True), ("flow", False)):
        for time in ("time", "time_reached"):
            label = tree[name][time].attrs["long_name"]
            assert label.startswith("training time")
            assert ("on the clock of adam, which is not gradient flow's" in label) is says


# --- batches --------------------------------------------------------------------------------------


def test_an_epoch_goes_through_every_point_once():
    sgd = Sgd(learning_rate=0.1, batch_size=4)
    steps = sgd.batches((5, 6), 12, 0, 9)
    assert steps.shape == (9, 4)
    for epoch in steps.reshape(3, 12):
        assert sorted(epoch) == list(range(12))
    assert not np.array_equal(steps[:3], steps[3:6])
    uneven = sgd.batches((5, 6), 14, 0, 6).reshape(2, 12)  # two points are left out of each
    assert all(len(set(epoch)) == 12 for epoch in uneven)


@pytest.mark.parametrize("replacement", [False, True])
def test_batches_depend_on_their_step_alone(replacement):
    sgd = Sgd(learning_rate=0.1, batch_size=5, replacement=replacement)
    original = sgd.batches((1, 2), 17, 0, 20)
    for done, count in ((0, 1), (2, 5), (3, 1), (7, 13), (4, 0)):
        np.testing.assert_array_equal(
            sgd.batches((1, 2), 17, done, count), original[done : done + count]
        )
    assert not np.array_equal(original, sgd.batches((1, 3), 17, 0, 20))


def test_batches_drawn_afresh_are_uniform():
    sgd = Sgd(learning_rate=0.1, batch_size=10, replacement=True)
    counts = np.bincount(sgd.batches((3, 4), 8, 0, 2000).ravel(), minlength=8)
    assert np.abs(counts - 2500).max() < 4.5 * np.sqrt(20000 / 8 * 7 / 8)


def test_one_batch_of_everything_is_full_descent():
    original, full = Sgd(learning_rate=0.1, batch_size=12), GradientDescent(learning_rate=0.1)
    assert found_by(original, 2.0) == pytest.approx(found_by(full, 2.0), rel=1e-12)


def test_batches_larger_than_the_sample_are_refused():
    cell = make_cell(
        POINTS, Smooth(), Curved(), Sgd(learning_rate=0.1, batch_size=13), (1.0,), [ExcessRisk()]
    )
    result = execute_cell(cell)
    assert (result.status == STATUS["failed"]).all()
    assert "found batches of 13 points from 12 training points" in result.error


# --- divergence -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        GradientDescent(learning_rate=40.0, method="stepped"),
        Sgd(learning_rate=40.0, batch_size=3),
    ],
)
def test_divergence_is_a_status_with_its_step_and_disturbs_nobody(optimizer):
    times = (0.0, 400.0, 40_000.0)
    cell = make_cell(POINTS, Smooth(), Kernel(), optimizer, times, [ExcessRisk()], replicates=3)
    result = execute_cell(cell)
    assert not result.error
    steps, diverged = result.variables["finite_steps"], result.status == STATUS["diverged"]
    assert diverged.any()
    assert (steps[:, 0] == 0).all() and (steps[:, 1] == 10).all()
    assert (steps[diverged, 2] < 1000).all() and (steps[diverged, 2] >= 10).all()
    assert np.isnan(result.variables["excess_risk"][diverged, 2]).all()
    for row in range(3):
        alone = execute_cell(evolve(cell, replicates=(row,)))
        np.testing.assert_array_equal(alone.variables["finite_steps"][0], steps[row])


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_closed_form_diverges_at_the_step_of_its_stepping(momentum):
    """Recorded where the state is out of bounds and still finite: status and count agree."""
    results = []
    for method, times in (("auto", (0.0, 9_000.0)), ("stepped", (0.0, 50.0, 4_000.0, 9_000.0))):
        optimizer = GradientDescent(learning_rate=18.0, momentum=momentum, method=method)
        actual = tuple(time / (1 - momentum) for time in times)
        cell = make_cell(POINTS, Smooth(), Kernel(), optimizer, actual, [Norm()], replicates=3)
        cell = evolve(cell, metrics=())
        results.append(execute_cell(cell))
        assert not results[-1].error
    closed, stepped = (item.variables["finite_steps"][:, -1] for item in results)
    np.testing.assert_array_equal(closed, stepped)
    assert (closed < 500).any()
    for result, count in zip(results, (closed, stepped), strict=True):
        np.testing.assert_array_equal(count < 500, result.status == STATUS["diverged"])


def test_leaving_the_bounds_once_ends_the_count_though_the_state_comes_back():
    """States are counters; one replicate is out of bounds at its steps 3 to 5 alone."""

    def take(state, done, count):
        step = done + count
        actual = torch.tensor([[float(step)], [1e300 if 3 <= step <= 5 else float(step)]])
        return (actual.double(),)

    start = ((torch.zeros(2, 1).double(),), torch.zeros(2).double())
    carry, _, count = steps.train(take, start, [2, 4], 0)
    assert count.tolist() == [[2, 4], [2, 2]]
    _, params, count = steps.train(take, carry, [8, 9], 4)
    assert params[1, :, 0].tolist() == [8, 9]
    assert count.tolist() == [[8, 9], [2, 2]]
