"""FitPredict: outside libraries as they are."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import frozen
from sklearn.ensemble import RandomForestRegressor

import testbed
from testbed import HasGradient, Streams, lack
from testbed.planning.files import read_scenario
from testbed.running.execute import draw_problem, execute_cell
from testbed.runs import execute_run
from testbed.testing import Points, Smooth, check_component
from testbed_basics.metrics.risks import ExcessRisk
from testbed_basics.models.forest import RandomForest
from testbed_basics.models.neighbours import NearestNeighbours
from testbed_basics.optimizers.fit import Fit
from tests.helpers.cells import make_cell, run_cell


@frozen(kw_only=True)
class Mean(testbed.FitPredict):
    """The mean of the observations."""

    name = "tests.mean"

    def fit(self, x, y, weight, seed):
        return y.mean(0)

    def evaluate(self, fitted, x):
        return np.broadcast_to(fitted, (len(x), *fitted.shape))


@pytest.mark.parametrize(
    "model", [Mean(), RandomForest(trees=3), NearestNeighbours()], ids=lambda model: model.name
)
def test_it_keeps_the_laws(model):
    check_component(model)


def test_a_forest_is_that_of_scikit_learn_with_the_replicates_seed():
    model = RandomForest(trees=4, leaf=2)
    result = run_cell(Points(), Smooth(), model, Fit(), [0.0], [ExcessRisk()])
    cell = make_cell(Points(), Smooth(), model, Fit(), [0.0], [ExcessRisk()])
    for replicate in range(3):
        problem = draw_problem(cell, replicate)
        seed = int(Streams(7, replicate)("model").integers(2**31, size=1)[0])
        forest = RandomForestRegressor(4, min_samples_leaf=2, random_state=seed)
        forest.fit(problem.train.x.numpy(), problem.train.y.numpy())
        residual = forest.predict(problem.test.x.numpy()) - problem.test.truth.numpy()
        expected = float((problem.test.weight.numpy() * residual**2).sum())
        assert result["excess_risk"][replicate, 0] == pytest.approx(expected, rel=1e-12)


def test_it_has_no_gradient_and_says_so():
    assert "fitted at once" in (lack(Mean(), HasGradient) or "")


def test_predictions_of_another_shape_and_fits_without_predict_fail_by_name():
    class Column(Mean):
        def evaluate(self, fitted, x):
            return np.zeros((len(x), 1))

    class Bare(testbed.FitPredict):
        name = "tests.bare"

        def fit(self, x, y, weight, seed):
            return 3.0

    for model, words in ((Column(), "expected (9,)"), (Bare(), "write evaluate")):
        cell = make_cell(Points(), Smooth(), model, Fit(), [0.0], [ExcessRisk()])
        assert words in execute_cell(cell).error and model.name in execute_cell(cell).error


SCENARIO = """
format = 1
name = "baselines"
seed = 1
replicates = 2
times = [1.0, 10.0]

[design]
use = "gaussian"
dim = 3
n = 30
n_test = 20

[target]
use = "linear"

[[estimator]]
name = "forest"
model = { use = "random-forest", trees = { values = [2, 5] } }
optimizer = { use = "fit" }

[[estimator]]
name = "ridge"
model = { use = "ntk.rbf" }
optimizer = { use = "spectral-filter", filter = "ridge" }

[[metric]]
use = "excess-risk"
"""


def test_a_scenario_runs_it_beside_others_without_a_grid_of_its_own(tmp_path):
    tree = execute_run(read_scenario(SCENARIO), tmp_path / "run").tree
    forest = tree["forest"].to_dataset()
    assert dict(forest["excess_risk"].sizes) == {"trees": 2, "replicate": 2, "time": 1}
    assert np.isfinite(forest["excess_risk"]).all()
    assert tree["ridge"]["excess_risk"].sizes["time"] == 2
    refused = SCENARIO.replace('{ use = "fit" }', '{ use = "gradient-flow" }')
    with pytest.raises(testbed.ScenarioError, match="fitted at once"):
        testbed.run(read_scenario(refused), tmp_path / "refused")
