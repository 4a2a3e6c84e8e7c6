"""Step sizes as a share of the edge of stability, in each replicate and in scenarios."""

from __future__ import annotations

import numpy as np
import pytest
import tomli_w
import torch

from testbed.contract.cells import STATUS
from testbed.contract.seeds import Streams
from testbed.errors import ScenarioError
from testbed.planning.files import read_scenario
from testbed.planning.keys import describe
from testbed.planning.plan import make_plan
from testbed.running.execute import draw_problem, execute_cell
from testbed.testing import Kernel, Smooth
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.optimizers.adam import Adam
from testbed_basics.optimizers.gradient_descent import GradientDescent
from testbed_basics.optimizers.steps import Edge
from tests.helpers.cells import make_cell, run_cell
from tests.helpers.steps import POINTS, Curved, Norm


def edge_by_hand(replicate):
    """2/λ_max of the dense Hessian at a replicate's start."""
    cell = make_cell(POINTS, Smooth(), Curved(), Adam(learning_rate=0.1), (0.0,), ())
    problem = draw_problem(cell, replicate)
    start = Curved().draw(Streams(7, replicate), problem)
    u, v = torch.tensor(start["u"]), torch.tensor(start["v"])

    def height(flat):
        values = {"u": flat[:2], "v": flat[2:].reshape(2, 2)}
        residual = problem.train.y - Curved().predict(None, values, problem.train.x)
        return 0.5 * residual.square().mean()

    dense = torch.func.hessian(height)(torch.cat([u, v.flatten()]))
    return 2 / float(torch.linalg.eigvalsh(dense)[-1])


def test_every_replicate_has_its_own_step_at_the_edge():
    optimizer = GradientDescent(learning_rate={"edge": 0.1}, momentum=0.5)
    times = (0.0, 3.0, 9.0)
    result = run_cell(POINTS, Smooth(), Curved(), optimizer, times, [Norm()])
    for row in range(3):
        rate = 0.1 * edge_by_hand(row)
        used = result["rate_used"][row]
        assert used == pytest.approx([rate] * 3, rel=1e-3)
        plain = GradientDescent(learning_rate=float(used[0]), momentum=0.5)
        assert result["time_reached"][row] == pytest.approx(plain.reached(times), rel=1e-12)
        alone = run_cell(POINTS, Smooth(), Curved(), plain, times, [Norm()])
        np.testing.assert_allclose(result["norm"][row], alone["norm"][row], rtol=1e-12)
        np.testing.assert_array_equal(result["finite_steps"][row], alone["finite_steps"][row])
    assert len(set(result["rate_used"][:, 0])) == 3


@pytest.mark.parametrize("method", ["auto", "stepped"])
def test_a_linear_model_holds_below_the_edge_and_diverges_past_it(method):
    times = (0.0, 2_000.0)
    for share, word in ((0.97, "ok"), (1.5, "diverged")):
        optimizer = GradientDescent(learning_rate={"edge": share}, method=method)
        cell = make_cell(POINTS, Smooth(), Kernel(), optimizer, times, [ExcessRisk()])
        result = execute_cell(cell)
        assert not result.error
        assert (result.status == STATUS[word]).all(), (share, result.variables)


def test_an_edge_is_a_value_that_can_be_compared_and_stored():
    first, second = (GradientDescent(learning_rate={"edge": share}) for share in (0.9, 0.5))
    assert first == GradientDescent(learning_rate={"edge": 0.9}) and first != second
    assert hash(first) == hash(GradientDescent(learning_rate=Edge(edge=0.9)))
    assert describe(first) != describe(second)
    for wrong in ({"edge": 0.9, "more": 1.0}, {"egde": 0.9}, {"edge": 0.0}):
        with pytest.raises(ValueError, match="learning_rate: found"):
            GradientDescent(learning_rate=wrong)


# --- scenarios ------------------------------------------------------------------------------------

SCENARIO = """
format = 1
name = "edges"
seed = 1
replicates = 3
times = [0.0, 100.0]

[design]
use = "sequence.gaussian"
n = 100
modes = 12

[target]
use = "sequence.power"
p = 1.0

[[estimator]]
name = "descent"
model = { use = "sequence.fixed", gamma = 1.5 }
optimizer = { use = "gradient-descent", learning_rate = RATE }

[[metric]]
use = "excess-risk"
"""


def test_an_edge_can_be_swept_and_its_dimension_is_named_edge():
    text = SCENARIO.replace("RATE", "{ edge = { values = [0.5, 0.9] } }")
    scenario = read_scenario(text, "edges.toml")
    plan = make_plan(scenario)
    (dim,) = plan.estimators[0].dims
    assert (dim.name, dim.coordinate) == ("edge", (0.5, 0.9))
    assert [cell.optimizer.edge for cell in plan.cells] == [0.5] * 3 + [0.9] * 3
    assert len({cell.key for cell in plan.cells}) == 6  # replicates run one by one
    again = make_plan(read_scenario(tomli_w.dumps(scenario.to_dict()), "edges.toml"))
    assert again.cells == plan.cells
    for cell in plan.cells:
        result = execute_cell(cell)
        assert not result.error
        share = cell.optimizer.edge
        np.testing.assert_allclose(result.variables["rate_used"], 2 * share, rtol=1e-3)


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        ("{ edge = 0 }", "above 0"),
        (
            "{ egde = 0.9 }",
            "found a table with ['egde']; expected a number or { edge = … }; did you mean 'edge'?",
        ),
        ("{ edge = 0.9, c = 1 }", "['c', 'edge']; expected a number or { edge = … }."),
        ("-0.1", "above 0"),
        ("true", "expected a number"),
    ],
)
def test_wrong_step_sizes_are_named_with_their_place(rate, words):
    with pytest.raises(ScenarioError) as caught:
        make_plan(read_scenario(SCENARIO.replace("RATE", rate), "edges.toml"))
    assert words in str(caught.value)
    assert "$.estimator[0].optimizer.learning_rate" in str(caught.value)


@pytest.mark.parametrize("optimizer", ['"sgd", batch_size = 5', '"adam"'])
@pytest.mark.parametrize("share", ["0.9", "{ values = [0.5, 0.9] }"])
def test_the_edge_of_an_optimizer_that_takes_none_is_named_as_that_of_another(optimizer, share):
    text = SCENARIO.replace('"gradient-descent"', optimizer)
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text.replace("RATE", f"{{ edge = {share} }}"), "edges.toml")
    assert "expected a number; only gradient-descent takes { edge = … }" in str(caught.value)
    with pytest.raises(ValueError, match="only gradient-descent takes"):
        Adam(learning_rate={"edge": 0.9})
